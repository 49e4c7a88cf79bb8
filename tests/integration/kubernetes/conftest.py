"""One cluster for all tests, and a check after each that nothing is left in it. mlogin has only the documented rights.

tests/kube describes the stand-in for a cluster.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kube.place import Place, place


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("kube")) as found:
        yield found


@pytest.fixture
def here(shared: Place) -> Iterator[Place]:
    """The cluster with all knobs reset, before and after. Fails a test that leaves something in the cluster."""
    shared.kube.knobs.reset()
    yield shared
    shared.kube.knobs.reset()
    shared.assert_clean()
