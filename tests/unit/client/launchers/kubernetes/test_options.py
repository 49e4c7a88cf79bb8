from __future__ import annotations

from pathlib import Path

import pytest

from medusa.client.launchers.kubernetes.options import PodOptions, parse
from medusa.client.outcome import Failure


def test_only_the_image_is_required() -> None:
    assert parse(["--image", "debian:12"]) == PodOptions("debian:12")


def test_all_options(tmp_path: Path) -> None:
    overrides = tmp_path / "pod.yaml"
    overrides.write_text("hostNetwork: true\n")
    words = ["--image=a", "-n", "n", "--context", "c", "--kubeconfig", "f", "--cpu", "1.5", "--memory", "4Gi"]
    words += [
        "--gpu",
        "amd.com/gpu=2",
        "--time",
        "1h30m",
        "--node-selector",
        "a=b",
        "--node-selector",
        "c=",
        "--env",
        "X=1=2",
    ]
    words += ["--env", "X=1=2", "--label", "l=m", "--pull-secret", "p", "--pull-secret", "q", "--service-account", "s"]
    assert parse([*words, "--overrides", str(overrides)]) == PodOptions(
        "a",
        "n",
        "c",
        "f",
        {"cpu": "1.5", "memory": "4Gi", "amd.com/gpu": "2"},
        {"a": "b", "c": ""},
        "s",
        ("p", "q"),
        {"l": "m"},
        {"X": "1=2"},
        5400,
        {"hostNetwork": True},
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172800), ("1d1h1m1s", 90061)]
)
def test_spans(text: str, seconds: int) -> None:
    assert parse(["--image", "a", "--time", text]).seconds == seconds


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "the following arguments are required: --image"),
        (["--image"], "--image: expected one argument"),
        (["--image", "a", "stray"], "unrecognized arguments: stray"),
        (["--image", "a", "--imag", "b"], "unrecognized arguments: --imag b"),
        (["--image", "a", "--time", "0"], "'0' is no time like 90, 30m or 1h30m"),
        (["--image", "a", "--time", "1m1h"], "'1m1h' is no time"),
        (["--image", "a", "--memory", "4GB"], "'4GB' is no quantity like 2, 500m or 4Gi"),
        (["--image", "a", "--gpu", "two"], "'two' is neither N nor NAME=N"),
        (["--image", "a", "--gpu", "=2"], "'=2' is neither N nor NAME=N"),
        (["--image", "a", "--env", "PASSWORD"], "--env: not NAME=VALUE"),
        (["--image", "a", "--overrides", "/nowhere"], "/nowhere: No such file or directory"),
    ],
)
def test_a_bad_argument_is_explained(words: list[str], why: str) -> None:
    with pytest.raises(Failure) as caught:
        parse(words)
    assert str(caught.value).startswith("the launcher `kubernetes`: ")
    assert why in str(caught.value)


@pytest.mark.parametrize(("text", "why"), [("[1]", "holds no pod's spec"), ("a: [", "is neither YAML nor JSON")])
def test_bad_overrides(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "f").write_text(text)
    with pytest.raises(Failure, match=why):
        parse(["--image", "a", "--overrides", str(tmp_path / "f")])


def test_help_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["-h"])
    assert caught.value.code == 0
    assert "--image" in capsys.readouterr().out
