"""mlogin waits while its reflector is killed: the session comes about through another one."""

from __future__ import annotations

import re
from pathlib import Path

from tests import sites
from tests.ports import free_port
from tests.proxies import balancer
from tests.terminals import MLOGIN, environment, terminal
from tests.waiting import wait_until


def test_a_waiting_session_outlives_its_reflector(tmp_path: Path, home: Path) -> None:
    ports = [free_port() for _ in range(2)]
    with sites.site(tmp_path) as site:
        doors = [site.reflector("--port", str(port), timeouts=sites.QUICK, check=False) for port in ports]
        with doors[0] as here, doors[1] as there, balancer(tmp_path, ports) as port:
            arguments = ["--launcher", "manual", "--reflector", f"http://127.0.0.1:{port}", "-c", "echo ans''wer"]
            with terminal([*MLOGIN, *arguments], environment(home)) as opened:
                opened.until("waiting for")
                wait_until(lambda: here.states() or there.states(), "a client that waits")
                owner, other = (here, there) if here.states() else (there, here)
                sites.kill(owner)
                opened.until("the link to the reflector is lost .*; attaching again with the same id")
                wait_until(lambda: "slave_wait" in other.states().values(), "the client, elsewhere")
                assert re.search(rb"agent\.sh", opened.screen)
                (session,) = other.states()
                with other.attach(session, "slave") as agent:
                    assert agent.frame().payload == b'medusa:{"type":"linkup"}'
                    assert b"ans''wer" in agent.frame().payload
