"""Recipes that use a port of the job."""

from __future__ import annotations

import pytest

from tests.machines import Machine


@pytest.mark.usefixtures("train")
def test_before_you_begin(here: Machine) -> None:
    assert here.run("ssh train.medusa 'echo $HOSTNAME'") == here.run("echo $HOSTNAME")
