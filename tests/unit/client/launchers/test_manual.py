from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from medusa.client.launchers.base import JobRequest, MantaJobOptions, Settings
from medusa.client.launchers.manual import ManualLauncher
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure

HOSTILE = "http://127.0.0.1:1/a'b\"$(exit 3)/attach/4711/slave?x=`y`"


def lines_of(request: JobRequest, **settings: float | None) -> list[str]:
    launcher = ManualLauncher(Settings(**settings), Ledger(None))  # type: ignore[arg-type]
    assert launcher.instructions() == []
    launcher.submit(request)
    lines = launcher.instructions()
    assert launcher.instructions() == []
    return lines


@pytest.mark.parametrize(("insecure", "shown"), [(True, "1"), (False, "")])
def test_the_line_runs_the_archive_with_the_url_in_a_variable(tmp_path: Path, insecure: bool, shown: str) -> None:
    archive = tmp_path / "the archive.sh"
    archive.write_text('echo "$#$MEDUSA_INSECURE_TLS"; echo "$MEDUSA_SIGNED_URL"; exit 3')
    line = lines_of(JobRequest(session_url=lambda _: HOSTILE, archive_url=archive.as_uri(), insecure_tls=insecure))[2]
    assert (" -fsSk " in line) == insecure
    run = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (3, "")
    assert run.stdout == f"0{shown}\n{HOSTILE}\n"


def test_the_line_is_short() -> None:
    line = lines_of(JobRequest(session_url=lambda _: "https://h/attach/1/slave", archive_url="https://h/agent.sh"))[2]
    assert line == """echo "curl -fsS https://h/agent.sh | MEDUSA_SIGNED_URL='https://h/attach/1/slave' sh" | sh"""


SIGNED = (
    "https://h:8/a~b/medusa/attach/1@x:+.-/slave?algorithm=RSA-SHA256&expires=17&keyId=%2Fa%2Fkeys&signature=a%2Bb%3D"
)
SHELLS = ["sh", "dash", "bash", "zsh", "ksh93", "mksh", "busybox ash", "csh", "tcsh", "fish"]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("fetched", [True, False])
def test_the_line_works_in_every_shell(tmp_path: Path, shell: str, fetched: bool) -> None:
    program, *words = shell.split()
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    archive = tmp_path / "agent.sh"
    archive.write_text('echo "$#$MEDUSA_INSECURE_TLS$MEDUSA_SIGNED_URL"; exit 3')
    url = archive.as_uri() if fetched else None
    line = lines_of(JobRequest(session_url=lambda _: SIGNED, archive_url=url, insecure_tls=True))[-2]
    run = subprocess.run([program, *words, "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (3, f"01{SIGNED}\n", "")


def test_without_an_archive_url_the_user_brings_the_archive(tmp_path: Path) -> None:
    (tmp_path / "agent.sh").write_text('echo "$MEDUSA_SIGNED_URL"')
    lines = lines_of(JobRequest(session_url=lambda _: HOSTILE))
    assert "`medusa archive -o agent.sh` writes it" in lines[0]
    run = subprocess.run(["sh", "-c", lines[3]], cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode, run.stderr, run.stdout) == (0, "", HOSTILE + "\n")


def test_headers_are_not_shown_but_asked_for(tmp_path: Path) -> None:
    (tmp_path / "agent.sh").write_text('echo "$MEDUSA_HEADER$MEDUSA_SIGNED_URL"')
    headers = [("X-Front", "sesame")]
    lines = lines_of(JobRequest(session_url=lambda _: SIGNED, archive_url="https://h/agent.sh", headers=headers))
    assert "sesame" not in "".join(lines)
    assert "into a file medusa-headers there" in lines[1]
    run = subprocess.run(["sh", "-c", lines[-2]], cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout == f"@medusa-headers{SIGNED}\n"


@pytest.mark.parametrize(
    "settings", [Settings(object="/x"), Settings(archive="/x"), Settings(manta=MantaJobOptions(disk=8))]
)
def test_unusable_settings_are_refused(settings: Settings) -> None:
    with pytest.raises(Failure, match="manual"):
        ManualLauncher(settings, Ledger(None))


@pytest.mark.parametrize(("timeout", "lifetime"), [(None, 3600), (600.0, 600), (100_000.0, 3600)])
def test_the_url_is_valid_for_as_long_as_the_user_waits(timeout: float | None, lifetime: float) -> None:
    request = JobRequest(session_url=lambda seconds: f"https://h?{seconds:g}", archive_url="https://h/a")
    lines = lines_of(request, wait_timeout=timeout)
    assert f"https://h?{lifetime:g}" in lines[2]


@pytest.mark.parametrize(
    ("timeout", "signed", "said"), [(None, True, 3), (7200.0, True, 3), (None, False, 1), (3600.0, True, 1)]
)
def test_a_new_line_is_printed_before_the_url_expires(timeout: float | None, signed: bool, said: int) -> None:
    now = 1000.0
    launcher = ManualLauncher(Settings(wait_timeout=timeout), Ledger(None), lambda: now)
    launcher.submit(JobRequest(session_url=lambda _: f"https://h?{now * signed:g}", archive_url="https://h/a"))
    seen = []
    while now < 1000 + 7199 and (timeout is None or now < 1000 + timeout):
        seen += [(now, lines) for lines in [launcher.instructions()] if lines]
        now += 1
    assert [when for when, _ in seen] == [1000.0, 4540.0, 8080.0][:said]
    assert all(f"?{when * signed:g}'" in lines[2] for when, lines in seen)
    assert all("about to expire" in lines[0] for _, lines in seen[1:])
