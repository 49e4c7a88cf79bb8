"""`medusa sessions` and its routes, at a reflector that does not own the session."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.reflector.cluster.peer_auth import PeerAuth
from tests import sites
from tests.administrators import KILLED, farewell, run, said
from tests.links import CERTIFICATE
from tests.peers import TEXT, close_frame, upgrade
from tests.reflectors import Reflector, new_id
from tests.signing import Key, allow, attach_path, authorization, date, signed_request
from tests.sites import Site
from tests.waiting import wait_until

SAID = ("train", "gpu01", "slurm 4711")


@pytest.fixture(scope="module")
def both(site: Site) -> Iterator[tuple[Reflector, Reflector]]:
    with site.reflector("--advertise", "localhost") as here, site.reflector() as there:
        yield here, there


def listed(reflector: Reflector) -> dict[str, dict[str, object]]:
    return {entry["id"]: entry for entry in reflector.get("/sessions").json()["sessions"]}


def delete(session: str) -> bytes:
    return f"DELETE /sessions/{session} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def test_each_reflector_lists_the_whole_site(both: tuple[Reflector, Reflector]) -> None:
    here, there = both
    session, other = new_id(), new_id()
    with sites.pair(here, there, session) as (client, agent), there.attach(other, "master"):
        sites.waits(there, other)
        agent.text("12345")
        client.expect(TEXT, b"12345")
        lists = [json.loads(said(reflector, "list", "--json")) for reflector in both]
        for entries in lists:
            owners = {entry["id"]: entry["owner"] for entry in entries}
            assert owners == {session: f"http://localhost:{here.port}", other: there.url}
            assert [entry["id"] for entry in entries] == [session, other], "oldest first"
        for reflector in both:
            shown = json.loads(said(reflector, "show", session, "--json"))
            assert (shown["state"], shown["agent_bytes"], shown["login"]) == ("linked", 5, None)
            assert shown["client"].startswith("127.0.0.1:")
            assert 0 <= shown["idle_s"] <= shown["age_s"]
            assert reflector.get(f"/sessions/{session}").json()["owner"] == f"http://localhost:{here.port}"
            assert reflector.get("/sessions/nobody").status == 404
        client.send(close_frame())
        agent.closed()


def test_what_the_peers_say_of_themselves(both: tuple[Reflector, Reflector]) -> None:
    here, there = both
    session = new_id()
    client = upgrade(f"/attach/{session}/master", medusa_about="name=train&host=x")
    agent = upgrade(f"/attach/{session}/slave", medusa_about="host=gpu01&job=slurm+4711&until=1790000000&name=x&a=%00")
    with here.enter(client) as user:
        sites.waits(here, session)
        assert "host" not in listed(there)[session]
        with there.enter(agent):
            user.linked()
            for reflector in both:
                row = listed(reflector)[session]
                assert (row["name"], row["host"], row["job"], row["until"], row["legs"]) == (*SAID, 1790000000, 1)
    record = here.ended(session)
    assert (record["session_name"], record["host"], record["job"]) == SAID


def test_kill(both: tuple[Reflector, Reflector]) -> None:
    here, there = both
    session = new_id()
    with sites.pair(here, there, session) as (client, agent):
        assert said(there, "kill", session) == f"killed {session}\n"
        assert farewell(client) == farewell(agent) == KILLED
        assert here.ended(session)["outcome"] == "killed"
        assert len(there.logged("session killed", session=session)) == 1
        assert len(here.logged("session killed", session=session)) == 1
    wait_until(lambda: there.ask(delete(session)).status == 404, "a name that is free")


def test_an_owner_of_several_workers_and_tls(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    options = ["--tls-cert", str(CERTIFICATE), "--tls-key", str(CERTIFICATE), "--advertise", "localhost"]
    with site.reflector("--workers", "2", *options) as here, site.reflector("--workers", "2") as there:
        clients = {session: here.attach(session, "master") for session in [new_id() for _ in range(6)]}
        try:
            wait_until(lambda: listed(there).keys() == clients.keys(), "all sessions at the other reflector")
            assert {entry["owner"] for entry in listed(there).values()} == {f"https://localhost:{here.port}"}
            for session, client in clients.items():
                assert there.ask(delete(session)).status == 200
                assert farewell(client) == KILLED
        finally:
            for client in clients.values():
                client.close()


def test_an_owner_that_is_killed(own_site: Site) -> None:
    session, site = new_id(), own_site
    with site.reflector(check=False) as here, site.reflector() as there, here.attach(session, "master"):
        wait_until(lambda: session in listed(there))
        sites.kill(here)
        (entry,) = json.loads(run(there, "list", "--json").stdout)
        assert entry == {"id": session, "login": None, "owner": here.url, "error": entry["error"]}
        assert "refused" in entry["error"].lower()
        done = run(there, "list")
        assert (done.returncode, session in done.stdout) == (0, True)
        assert f"{here.url} does not answer" in done.stderr
        assert there.get(f"/sessions/{session}").json() == {**entry, "error": "no answer"}
        assert there.ask(delete(session)).status == 503
        assert there.logged("reflector not reached", to=here.url)


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one", "workers"])
def test_a_list_in_pages(own_site: Site, workers: tuple[str, ...]) -> None:
    """Any reflector of the site gives any page; what a reflector has that is killed meanwhile comes last."""
    with (
        own_site.reflector(*workers) as here,
        own_site.reflector() as there,
        own_site.reflector(check=False) as gone,
        contextlib.ExitStack() as stack,
    ):
        by = {new_id(): (here, there, gone)[number % 3] for number in range(21)}
        for session, reflector in by.items():
            stack.enter_context(reflector.attach(session, "master"))
            sites.waits(reflector, session)
        pages, query = list[list[str]](), "limit=4"
        while query:
            page = (here, there)[len(pages) % 2].get("/sessions?" + query).json()
            pages.append([entry["id"] for entry in page["sessions"]])
            assert "missing" not in page
            query = f"limit=4&cursor={page['next']}" if "next" in page else ""
            if len(pages) == 1:
                sites.kill(gone)
        assert max(map(len, pages[:-1])) <= 6
        listed_ = [session for page in pages for session in page]
        assert set(listed_) == set(by)
        assert len(listed_) <= len(by) + 2, "the first page had some of a reflector that did not answer later"
        assert there.get("/sessions?limit=4&cursor=x").status == 400


def test_without_the_directory(own_site: Site) -> None:
    session = new_id()
    with own_site.reflector(check=False) as here, here.attach(session, "master") as client:
        sites.waits(here, session)
        own_site.redis.kill()
        done = run(here, "list", "--json")
        assert [entry["id"] for entry in json.loads(done.stdout)] == [session]
        assert "other reflectors' sessions are missing: " in done.stderr
        assert "are missing" in run(here, "show", "nobody").stderr
        assert here.ask(delete("nobody")).status == 503
        assert run(here, "kill", session).returncode == 0, "a session of this reflector needs no directory"
        assert farewell(client) == KILLED


def test_a_question_of_another_site_is_not_answered(both: tuple[Reflector, Reflector]) -> None:
    here, _ = both
    target, owner = "/~carried/sessions", f"http://localhost:{here.port}"
    for secret, status in ((sites.SECRET, 200), ("another secret of no site", 404)):
        value = PeerAuth(secret.encode()).sign_question("GET", target, owner)
        answer = here.ask(f"GET {target} HTTP/1.1\r\nHost: x\r\nMedusa-Asks: {value}\r\n\r\n".encode())
        assert answer.status == status


def test_an_admins_signature_is_good_for_one_use_in_the_whole_site(site: Site, tmp_path: Path) -> None:
    boss, alice = Key("ed25519"), Key("ed25519")
    allow(tmp_path, "boss", boss)
    allow(tmp_path, "alice", alice)
    options = ["--accounts", str(tmp_path), "--admins", "boss", "--front-door-only"]
    session, when = new_id(), date()
    target = f"/sessions/alice/{session}"
    signature = authorization(boss, "boss", target, "h", when, method="delete")
    kill = f"DELETE {target} HTTP/1.1\r\nHost: h\r\nDate: {when}\r\nAuthorization: {signature}\r\n\r\n".encode()
    request = signed_request(alice, "alice", attach_path("alice", session, "master"), "medusa.example")
    with site.reflector(*options, check=False) as here, site.reflector(*options, check=False) as there:
        with here.enter(request) as client:
            wait_until(lambda: site.redis.ask("EXISTS", f"medusa:session:~alice/{session}"))
            assert there.ask(kill).status == 200
            assert farewell(client) == KILLED
            (entry,) = there.logged("session killed", session=session)
            assert (entry["by"], entry["login"]) == ("boss", "alice")
        assert [reflector.ask(kill).status for reflector in (here, there)] == [403, 403]
        assert there.get("/sessions").status == 404
