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
    words = "--image=a -n n --context c --kubeconfig f --cpu 1.5 --memory 4Gi --gpu amd.com/gpu=2 --time 1h30m"
    words += " --node-selector a=b --node-selector c= --env X=1=2 --label l=m --pull-secret p --pull-secret q"
    assert parse([*words.split(), "--service-account", "s", "--overrides", str(overrides)]) == PodOptions(
        image="a",
        namespace="n",
        context="c",
        kubeconfig="f",
        resources={"cpu": "1.5", "memory": "4Gi", "amd.com/gpu": "2"},
        node_selector={"a": "b", "c": ""},
        service_account="s",
        pull_secrets=("p", "q"),
        labels={"l": "m"},
        environ={"X": "1=2"},
        seconds=5400,
        overrides={"hostNetwork": True},
    )


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2d", 172800), ("1d1h1m1s", 90061)]
)
def test_spans(text: str, seconds: int) -> None:
    assert parse(["--image", "a", "--time", text]).seconds == seconds


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("", "the following arguments are required: --image"),
        ("--image", "--image: expected one argument"),
        ("--image a stray", "unrecognized arguments: stray"),
        ("--image a --imag b", "unrecognized arguments: --imag b"),
        ("--image a --time 0", "'0' is no time like 90, 30m or 1h30m"),
        ("--image a --time 1m1h", "'1m1h' is no time"),
        ("--image a --memory 4GB", "'4GB' is no quantity like 2, 500m or 4Gi"),
        ("--image a --gpu two", "'two' is neither N nor NAME=N"),
        ("--image a --gpu =2", "'=2' is neither N nor NAME=N"),
        ("--image a --env PASSWORD", "--env: not NAME=VALUE"),
        ("--image a --overrides /nowhere", "/nowhere: No such file or directory"),
        ("--image a --overrides list", "holds no pod's spec"),
        ("--image a --overrides broken", "is neither YAML nor JSON"),
    ],
)
def test_a_bad_argument_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, why: str) -> None:
    (tmp_path / "list").write_text("[1]")
    (tmp_path / "broken").write_text("a: [")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Failure) as caught:
        parse(words.split())
    assert str(caught.value).startswith("the launcher `kubernetes`: ")
    assert why in str(caught.value)


def test_help_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["-h"])
    assert caught.value.code == 0
    assert "--image" in capsys.readouterr().out
