from __future__ import annotations

import pytest

from medusa.client.launchers.slurm.options import check
from medusa.client.outcome import Failure


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("sbatch", "-p gpu --gres gpu:1 --time 2:00:00 -N2 -n 4"),
        ("sbatch", "-J job.sh --comment --wrap --mail-type ALL --tim=3"),
        ("sbatch", "-Hp gpu -b now+1hour -dafterok:1 -o out -e err -i in --export NONE --no-requeue --parsable"),
        ("sbatch", "--exclusive=user -k --nice=5 --get-user-env"),
        ("sbatch", "--of-a-plugin -J x --of-another value --of-a-third=job.sh"),
        ("sbatch", ""),
        ("sbatch", "--"),
        ("srun", "-n 1 --nodes=1-1 -w node1 --mpi none --cpu-bind none -lu -W 0 --het-group=0 --overlap"),
    ],
)
def test_options_that_a_session_can_have(program: str, words: str) -> None:
    check(program, words.split())


@pytest.mark.parametrize(
    ("program", "words", "why"),
    [
        *(
            ("sbatch", words, "`job.sh` is no option of sbatch")
            for words in ("job.sh", "--of-a-plugin=x job.sh", "-- job.sh")
        ),
        ("sbatch", "-J mine -Hp gpu job.sh 5", "`job.sh` is no option of sbatch"),
        ("sbatch", "--exclusive user", "options are written --NAME=VALUE"),
        ("sbatch", "-n1 : -n2", "`:` is no option"),
        ("sbatch", "-", "`-` is no option"),
        *(("sbatch", words, "mlogin -c COMMAND") for words in ("--wrap=X", "--wrap X", "--wr X", "-H --wra=")),
        *(("sbatch", words, "a session has one job") for words in ("--array=1-8", "--arr 1", "-a1-8", "-Ha 1-8")),
        *(("sbatch", words, "does not end before its job") for words in ("-W", "--wait", "-HW")),
        *(("sbatch", words, "does not say the job's number") for words in ("-Q", "--quiet", "-vQ")),
        *(("sbatch", words, "run sbatch --test-only itself") for words in ("--test-only", "--test")),
        *(("sbatch", words, "without mlogin") for words in ("-h", "--help", "--usage", "-V", "--version")),
        *(("srun", words, "one task on one node") for words in ("-n2", "--ntasks 2", "-N 1-2", "--het-group=0,1")),
        *(("srun", words, "its standard input") for words in ("-i none", "--input=all", "--pty", "--pty bash")),
        *(("srun", words, "mlogin -c COMMAND") for words in ("hostname", "--multi-prog", "-u : hostname")),
        ("srun", "--jobid=7", "--job names the job"),
    ],
)
def test_what_breaks_a_session_is_refused_with_what_to_do(program: str, words: str, why: str) -> None:
    with pytest.raises(Failure) as caught:
        check(program, words.split())
    assert why in str(caught.value)


def test_an_empty_word_and_an_unprintable_one_are_no_options() -> None:
    for word in ("", "a\x1b[2J"):
        with pytest.raises(Failure, match="is no option of sbatch") as caught:
            check("sbatch", [word])
        assert str(caught.value).isprintable()
