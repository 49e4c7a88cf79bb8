from __future__ import annotations

import pytest

from medusa.client import launchers
from medusa.commands import mlogin
from tests.unit.commands.conftest import Complaint


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        (
            "--launcher slurm --partition gpu",
            "options of sbatch (of srun, in a running job) go after --: mlogin --launcher slurm -- --partition gpu\n",
        ),
        ("--launcher=slurm --gres=gpu:1 -q -N 2", "after --: mlogin --launcher slurm -- --gres=gpu:1 -N 2\n"),
        ("slurm:12 --cpu-bind none", "after --: mlogin slurm:12 -- --cpu-bind none\n"),
        ("--launcher slurm --job 12 --overlap", "after --: mlogin --launcher slurm --job 12 -- --overlap\n"),
        ("--launcher ssh h -p 2222", "options of ssh go after --: mlogin --launcher ssh h -- -p 2222\n"),
        ("--launcher ssh -p 2222 h", "after --: mlogin --launcher ssh h -- -p 2222\n"),
        ("--launcher ssh -v h", "after --: mlogin --launcher ssh h -- -v\n"),
        ("ssh:h -p 2222 -J 'a'", "after --: mlogin ssh:h -- -p 2222 -J"),
        ("k8s: --namespace x", "options of this launcher go after --: mlogin k8s: -- --namespace x\n"),
        ("--launcher ssh h uptime", "a command is given by -c: mlogin --launcher ssh h -c uptime\n"),
        ("--launcher ssh h ls -l -n /tmp", "a command is given by -c: mlogin --launcher ssh h -c 'ls -l -n /tmp'\n"),
        ("ssh:h -q ls -l", "a command is given by -c: mlogin ssh:h -c 'ls -l'\n"),
        ("--launcher ssh -i key h", "options of ssh go after --\n"),
        (
            "slurm: --mem 4G",
            "--mem\n  options of sbatch (of srun, in a running job) go after --: mlogin slurm: -- --mem 4G\n",
        ),
        ("ssh:h -i key", "options of ssh go after --: mlogin ssh:h -- -i key\n"),
        ("--gres=secret", "options of a job system go after --, as in: mlogin slurm: -- --partition gpu\n"),
        (
            "slurm: --reflectr=secret",
            "did you mean --reflector?\n  options of sbatch (of srun, in a running job) go after --\n",
        ),
        ("slurm: --account proj", "Give --reflector URL, or --launcher manta\n  options of sbatch"),
        ("ssh h uptime -q", "a launcher's name ends in a colon: mlogin ssh:h -c 'uptime -q'\n"),
        ("slurm 123", "a launcher's name ends in a colon: mlogin slurm:123\n"),
        ("gpu uptime", "a command is given by -c: mlogin gpu -c uptime\n"),
        ("--lancher ssh", "unrecognized arguments: --lancher; did you mean --launcher?\n"),
        ("--launcher slurm --jobb 12", "unrecognized arguments: --jobb; did you mean --job?\n"),
        ("--reflectr=http://u:secret@h", "unrecognized arguments: --reflectr; did you mean --reflector?\n"),
        ("-k x --reflectr http://u:secret@h", "unrecognized arguments: --reflectr; did you mean --reflector?\n"),
        ("k8s:p --image i -q --memory=4Gi", "this launcher go after --: mlogin k8s:p -- --image i --memory=4Gi\n"),
        ("--launcher ssh h --init x", "it is for jobs of a Manta\n  options of ssh go after --\n"),
        ("--launcher k8", "did you mean k8s?\n"),
        ("local: --partition gpu", "unrecognized arguments: --partition\ntry"),
    ],
)
def test_what_was_meant(complaint: Complaint, line: str, advice: str) -> None:
    said = complaint(mlogin.parse, line.split(" "), 255)
    assert advice in said
    assert "secret" not in said


def test_a_launcher_of_the_environment(complaint: Complaint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDUSA_LAUNCHER", "slurm")
    assert "go after --: mlogin -- --gres gpu:1\n" in complaint(mlogin.parse, ["--gres", "gpu:1"], 255)


@pytest.mark.parametrize("line", ["--launcher {} --help", "-h --launcher={}", "{}: --help", "--help -c x {}:1"])
@pytest.mark.parametrize("name", ["slurm", "ssh", "kubernetes"])
def test_the_help_of_a_launcher(capsys: pytest.CaptureFixture[str], line: str, name: str) -> None:
    with pytest.raises(SystemExit) as caught:
        mlogin.parse(line.format(name).split())
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"{launchers.find(name).help()}\n\nAll other options: mlogin --help\n"


def test_the_help_of_no_launcher(complaint: Complaint) -> None:
    assert "did you mean slurm?" in complaint(mlogin.parse, ["--launcher", "slrum", "--help"], 255)
