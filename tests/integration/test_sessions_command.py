"""`medusa sessions` against a real reflector."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.administrators import KILLED, farewell, run, said
from tests.peers import BINARY, TEXT, frame
from tests.reflectors import new_id, running
from tests.signing import Key, allow, attach_path, authorization, date, signed_request
from tests.terminals import MLOGIN, environment, terminal
from tests.waiting import wait_until


class TestOnItsOwnHost:
    def test_list_and_show(self) -> None:
        session, lonely = new_id(), new_id()
        with running() as reflector, reflector.pair(session) as (client, agent):
            agent.send(frame(BINARY, b"12345"))
            client.expect(BINARY, b"12345")
            client.send(frame(TEXT, b"start"))
            agent.expect(TEXT, b"start")
            with reflector.attach(lonely, "master"):
                wait_until(lambda: len(reflector.states()) == 2)
                names, *rows = [line.split() for line in said(reflector, "list").splitlines()]
                assert [(row[0], row[names.index("STATE")]) for row in rows] == [
                    (session, "linked"),
                    (lonely, "waiting"),
                ]
                assert (rows[0][names.index("SHOWN")], rows[0][names.index("TYPED")]) == ("5B", "0B")
                assert max(map(len, said(reflector, "list").splitlines())) <= 80
                (entry,) = [e for e in json.loads(said(reflector, "list", "--json")) if e["id"] == session]
                assert entry["login"] is None
                assert entry["agent_bytes"] == 5
                assert entry["client"].startswith("127.0.0.1:")
                assert 0 <= entry["idle_s"] <= entry["age_s"]
                shown = dict(line.split(maxsplit=1) for line in said(reflector, "show", lonely[:13]).splitlines())
                assert (shown["id"], shown["state"], "agent" in shown) == (lonely, "waiting", False)
                assert json.loads(said(reflector, "show", session, "--json"))["state"] == "linked"

    def test_kill(self) -> None:
        session = new_id()
        with running() as reflector, reflector.pair(session) as (client, agent):
            assert said(reflector, "kill", session) == f"killed {session}\n"
            assert farewell(client) == farewell(agent) == KILLED
            record = reflector.ended(session)
            assert (record["outcome"], record["reason"]) == ("killed", KILLED[1])
            (entry,) = reflector.logged("session killed", session=session)
            assert entry["by"].startswith("127.0.0.1:")

    def test_kill_a_session_whose_client_reads_nothing(self) -> None:
        session = new_id()
        timeouts = {"close_timeout": 0.3}
        with running(timeouts=timeouts) as reflector, reflector.pair(session) as pair, pair[0].breathing():
            while pair[1].writable():
                pair[1].send(frame(BINARY, bytes(1 << 16)))
            said(reflector, "kill", session)
            assert reflector.ended(session)["outcome"] == "killed"

    def test_nobody_of_that_name(self) -> None:
        with running() as reflector:
            done = run(reflector, "kill", "nobody")
            assert (done.returncode, done.stderr) == (1, "medusa sessions: there is no session nobody\n")
            assert reflector.ask(b"DELETE /sessions/nobody HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 404
            assert reflector.get("/sessions/nobody").status == 404

    def test_web_pages_may_not(self) -> None:
        session = new_id()
        with running() as reflector, reflector.pair(session):
            head = f"DELETE /sessions/{session} HTTP/1.1\r\nHost: localhost\r\n"
            assert reflector.ask(f"{head}Origin: http://x\r\n\r\n".encode()).status == 403
            assert reflector.states() == {session: "forwarding"}

    def test_what_the_user_is_told(self, home: Path) -> None:
        with running() as reflector, terminal([*MLOGIN, "--reflector", reflector.url], environment(home)) as shell:
            shell.until(r"#\x1b\[0m ")
            said(reflector, "kill", *reflector.states())
            shell.until(r"mlogin: the reflector closed the session \(the session was killed\)")
            assert shell.status() == 254


class TestAdmins:
    """The requests are those of a stranger: a reflector without an internal API."""

    def test_sign(self, tmp_path: Path) -> None:
        boss, alice = Key("ed25519"), Key("ed25519")
        accounts, keys = tmp_path / "accounts", {"boss": boss, "alice": alice}
        accounts.mkdir()
        for login, key in keys.items():
            allow(accounts, login, key)
            (tmp_path / login).write_bytes(key.pem())
            (tmp_path / login).chmod(0o600)
        allow(accounts, "bob", alice)
        session = new_id()
        with running("--accounts", str(accounts), "--admins", "boss", "--front-door-only", check=False) as reflector:

            def run_as(login: str, *arguments: str) -> subprocess.CompletedProcess[str]:
                return run(reflector, *arguments, "-a", login, "-k", str(tmp_path / login))

            def master(login: str) -> bytes:
                return signed_request(alice, login, attach_path(login, session, "master"), "medusa.example")

            with reflector.enter(master("alice")) as client, reflector.enter(master("bob")):
                found = json.loads(run_as("boss", "list", "--json").stdout)
                assert sorted((e["id"], e["login"]) for e in found) == [(session, "alice"), (session, "bob")]
                assert run(reflector, "list").returncode == 1
                refused = run_as("alice", "kill", session)
                assert (refused.returncode, "HTTP status 403" in refused.stderr) == (1, True)
                assert "say whose by --login" in run_as("boss", "kill", session).stderr
                assert run_as("boss", "kill", session, "--login", "alice").stdout == f"killed {session}\n"
                assert farewell(client) == KILLED
                (entry,) = reflector.logged("session killed", session=session)
                assert (entry["by"], entry["login"]) == ("boss", "alice")
                (left,) = json.loads(run_as("boss", "list", "--json").stdout)
                assert left["login"] == "bob"

                target, when = f"/sessions/bob/{session}", date()
                signature = authorization(boss, "boss", target, "h", when, method="delete")
                kill = f"DELETE {target} HTTP/1.1\r\nHost: h\r\nDate: {when}\r\nAuthorization: {signature}\r\n\r\n"
                changed = kill.replace("/bob/", "/alice/").encode()
                assert reflector.ask(changed).status == 404, "the signature covers whose session it is"
                assert [reflector.ask(kill.encode()).status for _ in range(2)] == [200, 403], "good for one use"
