from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

SCRIPT = """
import os, resource, subprocess
from medusa.commands.process.core_dumps import {name}
{name}()
subprocess.run(["sh", "-c", "ulimit -c"])
os.abort()
"""


@pytest.mark.parametrize(("name", "inherited"), [("limit_core_dumps", True), ("forbid_core_dump", False)])
def test_no_core_is_dumped_and_mlogins_job_keeps_its_limit(name: str, inherited: bool) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    command = ["sh", "-c", 'ulimit -S -c "$(ulimit -H -c)"; exec "$@"', "sh", sys.executable, "-c"]
    with subprocess.Popen([*command, SCRIPT.format(name=name)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        limit = process.stdout.read().strip()
        _, status = os.waitpid(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode < 0
    assert not os.WCOREDUMP(status)
    assert limit == (b"0" if inherited or hard == 0 else b"unlimited" if hard == resource.RLIM_INFINITY else limit)
