"""Parses the arguments after `--`. They select the cluster and set properties of the pod."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from medusa.client.outcome import Failure
from medusa.option_types import with_hint
from medusa.protocol.printable import printable
from medusa.protocol.record import field, record

GPU = "nvidia.com/gpu"
"""The resource that --gpu N asks for. --gpu NAME=N asks for another one."""

DESCRIPTION = """What may stand behind --. The agent runs in a Job with one pod, in an image of yours, in the cluster
that kubectl would use."""

HELP = """\
usage: mlogin k8s:[POD[/CONTAINER]] [OPTION...] -- --image IMAGE [OPTION...]
       mlogin --launcher kubernetes [--job POD[/CONTAINER]] [OPTION...] -- ...

Runs the session in a new pod, which is deleted at the end; or with POD in a
new container beside those of a running pod, which sees the processes of
CONTAINER. The pod has to reach the reflector, so name one by --reflector.

  mlogin k8s: -- --image python:3.12 --cpu 2 --memory 4Gi
  mlogin k8s:web-7d4b/app -- --image python:3.12"""

_QUANTITY = re.compile(r"\d+(\.\d+)?(m|[kMGTPE]|[KMGTPE]i)?")
_SPAN = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
_SECONDS = (86400, 3600, 60, 1)


@record
class PodOptions:
    """The options that the user gives after `--`.

    Attributes:
        namespace: the namespace for the pod; None for the namespace of the context.
        context: the name of a context in the kubeconfig; None for its current context.
        kubeconfig: the path of the kubeconfig; None for the file that kubectl would use.
        resources: the container's resources, such as `cpu`: name -> quantity, both as the request and as the limit.
        seconds: how many seconds the pod may run on its node; None for no limit.
        overrides: a mapping that is merged into the pod's spec.
    """

    image: str = ""
    namespace: str | None = None
    context: str | None = None
    kubeconfig: str | None = None
    resources: dict[str, str] = field(default_factory=dict)
    node_selector: dict[str, str] = field(default_factory=dict)
    service_account: str | None = None
    pull_secrets: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)
    seconds: int | None = None
    overrides: dict[str, Any] = field(default_factory=dict)

    def refuse_pod_options(self) -> None:
        """Raises Failure if an option is set that makes no sense for an ephemeral container."""
        taken = {name: getattr(self, name) for name in ("image", "namespace", "context", "kubeconfig", "environ")}
        if PodOptions(**taken) != self:
            options = "--image, --namespace, --context, --kubeconfig and --env"
            raise Failure(f"the launcher `kubernetes`: with --job, only {options} mean something")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        words = printable(with_hint(message, self), 1000)
        raise Failure(f"the launcher `kubernetes`: {words}; see mlogin --launcher kubernetes --help")


def parse(words: Sequence[str]) -> PodOptions:
    """Parses the arguments after `--`, and returns the options.

    Raises:
        Failure: an argument is wrong.
        SystemExit: the arguments ask for help, which has been printed. The exit status is 0.
    """
    given = _parser().parse_args(list(words))
    named = {"cpu": given.cpu, "memory": given.memory, **dict([given.gpu] if given.gpu else [])}
    return PodOptions(
        given.image,
        given.namespace,
        given.context,
        given.kubeconfig,
        {name: quantity for name, quantity in named.items() if quantity is not None},
        dict(given.node_selector),
        given.service_account,
        tuple(given.pull_secret),
        dict(given.label),
        dict(given.env),
        given.time,
        given.overrides,
    )


def help_text() -> str:
    """Returns the text of `mlogin --launcher kubernetes --help`."""
    parser = _parser()
    parser.usage, parser.description = argparse.SUPPRESS, None
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, max_help_position=28, width=80)
    parser._optionals.title = "These go after --"
    return f"{HELP}\n\n{parser.format_help().strip()}"


def _parser() -> _Parser:
    parser = _Parser("mlogin --launcher kubernetes --", description=DESCRIPTION, allow_abbrev=False)
    add = parser.add_argument
    add("--image", required=True, help="that the container is made from; it needs a sh, and Python 3.8 or later")
    add("-n", "--namespace", help="default: the context's")
    add("--context", help="of the kubeconfig; default: its current one")
    add("--kubeconfig", metavar="FILE", help="default: KUBECONFIG, ~/.kube/config, or that of the pod mlogin runs in")
    add("--cpu", metavar="N", type=_quantity, help="cores, asked for and the limit: 2, 500m")
    add("--memory", metavar="N", type=_quantity, help="asked for and the limit: 4Gi")
    add("--gpu", metavar="[NAME=]N", type=_gpu, help=f"how many of {GPU}, or of NAME")
    add("--time", metavar="SPAN", type=_span, help="that the pod may run: 90, 30m, 1h30m, 2d")
    _add_several(parser, "--node-selector", "NAME=VALUE", "label of the nodes that will do", _pair)
    _add_several(parser, "--label", "NAME=VALUE", "of the Job and its pod", _pair)
    _add_several(parser, "--env", "NAME=VALUE", "variable of the container; readers of the pod see it", _pair)
    _add_several(parser, "--pull-secret", "NAME", "secret to pull the image with", str)
    add("--service-account", metavar="NAME", help="whose token the pod has; without it, it has none")
    add("--overrides", metavar="FILE", type=_overrides, default={}, help="YAML or JSON, merged into the pod's spec")
    return parser


def _add_several(parser: _Parser, option: str, metavar: str, meaning: str, kind: Any) -> None:
    parser.add_argument(
        option, metavar=metavar, type=kind, action="append", default=[], help=f"{meaning}; may be repeated"
    )


def _quantity(text: str) -> str:
    if not _QUANTITY.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no quantity like 2, 500m or 4Gi")
    return text


def _gpu(text: str) -> tuple[str, str]:
    name, equals, count = text.rpartition("=")
    if not (count.isascii() and count.isdecimal()) or (equals and not name):
        raise argparse.ArgumentTypeError(f"{text!r} is neither N nor NAME=N")
    return (name or GPU, count)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError("not NAME=VALUE")
    return (name, value)


def _span(text: str) -> int:
    found = _SPAN.fullmatch(text)
    seconds = sum(int(count) * unit for count, unit in zip(found.groups("0"), _SECONDS, strict=True)) if found else 0
    if seconds == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 90, 30m or 1h30m")
    return seconds


def _overrides(path: str) -> dict[str, Any]:
    import yaml  # installed with the official client of Kubernetes

    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path}: {error.strerror}") from None
    except (ValueError, yaml.YAMLError):
        raise argparse.ArgumentTypeError(f"{path} is neither YAML nor JSON") from None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{path} holds no pod's spec")
    return found
