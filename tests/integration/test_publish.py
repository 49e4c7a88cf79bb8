"""`medusa publish` as a program, with stores of other projects if there are any."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from medusa.client.archive import CARRIED
from tests.links import CERTIFICATE
from tests.manta.stand_in import ARCHIVE, manta
from tests.reflectors import ROOT
from tests.signing import Keys, write_key
from tests.stores import Reply, Store, hang_up, store
from tests.waiting import PATIENCE, wait_until

S3_SERVER = """
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "medusa", "publish", *arguments]


def environ(given: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **given}


def run(*arguments: str, stdin: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=ROOT, env=environ(variables), input=stdin or "", capture_output=True, text=True
    )


def published(*arguments: str, stdin: str | None = None, **variables: str) -> str:
    """The URL at which it says that it has put the archive."""
    done = run(*arguments, stdin=stdin, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    match = re.fullmatch(r"published (\d+) bytes, sha256 [0-9a-f]{64}, at (.*)\n", done.stdout)
    assert match, done.stdout
    assert int(match[1]) == CARRIED.stat().st_size
    return match[2]


def complaint(*arguments: str, **variables: str) -> str:
    done = run(*arguments, **variables)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("medusa publish: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.fixture
def server() -> Iterator[Store]:
    with store() as running:
        yield running


def test_by_put(server: Store) -> None:
    address = server.url[7:]
    secret = f"http://user:geheim@{address}/a%20b/agent.sh?X-Signature=geheim%2F2%2B"
    assert published("-", stdin=secret + "\nmore") == f"http://{address}/a%20b/agent.sh"
    assert server.objects == {"/a%20b/agent.sh": CARRIED.read_bytes()}
    assert [(seen.method, seen.target.partition("?")[2]) for seen in server.seen] == [
        ("PUT", "X-Signature=geheim%2F2%2B"),
        ("GET", "X-Signature=geheim%2F2%2B"),
    ]
    assert {seen.headers["authorization"] for seen in server.seen} == {"Basic dXNlcjpnZWhlaW0="}


@pytest.mark.parametrize(
    ("replies", "words"),
    [
        ([Reply(403)], "403 Forbidden"),
        ([hang_up] * 9, "Server disconnected"),
    ],
)
def test_a_server_that_refuses_it(server: Store, replies: list[Reply], words: str) -> None:
    server.replies = [*replies]
    url = server.url.replace("://", "://user:geheim@") + "/x?geheim"
    told = complaint(url)
    assert words in told
    assert "geheim" not in told


def test_a_server_that_does_not_answer() -> None:
    script = "import sys; from medusa.commands.publish import main; sys.exit(main(sys.argv[1:], http_timeout=0.2))"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = "http://127.0.0.1:%d/x" % silent.getsockname()[1]
        done = subprocess.run([sys.executable, "-c", script, url], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"medusa publish: {url}: ")
    assert "Traceback" not in done.stderr


def test_it_is_interrupted_without_a_word(server: Store) -> None:
    server.replies = [Reply(500)]
    with subprocess.Popen(
        command("--retry", "600", f"{server.url}/x"), stderr=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        assert process.stderr is not None
        assert "next try in 600 s" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert process.stderr.read() == ""


def test_over_tls() -> None:
    with store(tls=True) as server:
        assert "self-signed certificate" in complaint(f"{server.url}/x")
        published(f"{server.url}/x", SSL_CERT_FILE=str(CERTIFICATE))
        assert server.objects == {"/x": CARRIED.read_bytes()}


def test_into_s3() -> None:
    with subprocess.Popen([sys.executable, "-c", S3_SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as s3:
        try:
            assert s3.stdout is not None
            endpoint = f"http://127.0.0.1:{int(s3.stdout.readline())}"
            given = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "geheim"}
            assert "bucket does not exist" in complaint("s3://bucket/a/agent.sh", **given)
            urllib.request.urlopen(urllib.request.Request(f"{endpoint}/bucket", method="PUT"), timeout=PATIENCE).close()
            assert published("s3://bucket/a/agent.sh", **given) == "s3://bucket/a/agent.sh"
        finally:
            s3.kill()


def test_into_a_manta(keys: Keys, tmp_path: Path) -> None:
    (tmp_path / ".ssh").mkdir()
    write_key(tmp_path / ".ssh/id_ed25519", keys["stranger"])
    key = ["-k", str(write_key(tmp_path / ".ssh/id_rsa", keys["rsa"]))]
    options = ["-a", "poseidon"]
    place = f"manta:{ARCHIVE}"
    with manta(tls=True) as store:
        store.add_key("poseidon", keys["rsa"].line)
        options += ["-u", store.url]
        assert "certificate not accepted" in complaint(*options, *key, place)
        assert published(*options, place, SSL_CERT_FILE=str(store.certificate), HOME=str(tmp_path)) == place
        assert store.path(ARCHIVE).read_bytes() == CARRIED.read_bytes()
        assert "PUT /another/public/x: 403 " in complaint(*options, *key, "-i", "manta:/another/public/x")


def test_again_until_it_is_done(server: Store) -> None:
    server.replies = [Reply(500), Reply(204), Reply(200, b"half")]
    done = run("--retry", "0", f"{server.url}/x")
    first, second = done.stderr.splitlines()
    assert first.endswith(": 500 Internal Server Error; next try in 0 s")
    assert "half" not in second
    assert second.endswith("; next try in 0 s")
    assert (done.returncode, done.stdout[:10]) == (0, "published ")


def test_it_ends_with_its_lifeline(server: Store) -> None:
    server.replies = [Reply(500)] * 1000
    arguments = command("--retry", "0.01", "--lifeline", "0", "-")
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT) as process:
        assert process.stdin is not None
        process.stdin.write(f"{server.url}/x\n".encode())
        process.stdin.flush()
        wait_until(lambda: len(server.seen) > 1, "a second try")
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
