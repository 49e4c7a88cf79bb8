"""A cluster, a reflector with accounts, and a user of both, who runs mlogin."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import yaml

from medusa.client.timeouts import Timeouts
from tests.kube.stand_in import Cluster, cluster
from tests.reflectors import Reflector, running
from tests.signing import Key, allow, write_key
from tests.terminals import ROOT, Terminal, environment, mlogin, run_alone, terminal
from tests.waiting import PATIENCE, wait_until

LOGIN = "jill"
EAGER = Timeouts(poll_interval=0.1)
"""Times of mlogin: it asks the cluster again at once."""


class Place:
    """Attributes:
    user: for whom mlogin acts in the cluster: a role in docs/launchers.md, whose rights alone this user has.
    """

    def __init__(self, kube: Cluster, reflector: Reflector, directory: Path) -> None:
        self.kube, self.reflector, self._directory = kube, reflector, directory
        self.user = "medusa"
        for found in map(yaml.safe_load, documented_yaml()):
            if found.get("kind") == "Role":
                name = found["metadata"]["name"]
                kube.add_user(name, found["rules"])
                kube.write_kubeconfig(directory / name, name)

    @property
    def kubeconfig(self) -> Path:
        return self._directory / self.user

    def arguments(self, *arguments: str, image: str = "debian:12", options: tuple[str, ...] = ()) -> list[str]:
        """mlogin's command line. `arguments` go to the launcher, `options` to mlogin itself."""
        who = ["--reflector", self.reflector.url, "-a", LOGIN, "-k", str(self._directory / "key")]
        cluster = ["--kubeconfig", str(self.kubeconfig), "--image", image]
        return ["--launcher", "kubernetes", *who, *options, "--", *cluster, *arguments]

    def run(
        self, home: Path, *arguments: str, options: tuple[str, ...] = (), image: str = "debian:12"
    ) -> subprocess.CompletedProcess[str]:
        """Runs mlogin to its end. Arguments as in arguments()."""
        words = self.arguments(*arguments, options=options, image=image)
        return run_alone(mlogin(*words, timeouts=EAGER), environment(home))

    @contextlib.contextmanager
    def terminal(
        self,
        home: Path,
        *arguments: str,
        options: tuple[str, ...] = (),
        timeouts: Timeouts = EAGER,
        image: str = "debian:12",
    ) -> Iterator[Terminal]:
        """Runs mlogin on a terminal that is wide enough for every message."""
        words = mlogin(*self.arguments(*arguments, options=options, image=image), timeouts=timeouts)
        with terminal(words, environment(home), columns=400) as opened:
            yield opened

    def assert_clean(self) -> None:
        """Waits until nothing of the last session is left in the cluster."""
        wait_until(lambda: not self.kube.names(), f"an empty cluster, not {self.kube.names()}", 2 * PATIENCE)
        wait_until(lambda: not self.kube.running(), "the end of all containers")


def job_name(output: str | bytes) -> str:
    """The name of the one job in mlogin's output."""
    text = output.decode("utf-8", "replace") if isinstance(output, bytes) else output
    (name,) = set(re.findall("Kubernetes job (medusa-[0-9a-f]{8})", text))
    return str(name)


def documented_yaml() -> list[str]:
    """The YAML blocks in docs/launchers.md."""
    return re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "launchers.md").read_text(), re.DOTALL)


@contextlib.contextmanager
def place(directory: Path) -> Iterator[Place]:
    """A cluster and a reflector that run; the reflector soon closes waiting clients. `directory` gets a user's files.

    By TLS: without it, kubectl sends no token.
    """
    (directory / "accounts").mkdir()
    key = Key("ed25519")
    write_key(directory / "key", key)
    allow(directory / "accounts", LOGIN, key)
    # An agent that is killed cannot say that it does not come back.
    options = ("--accounts", str(directory / "accounts"), "--wait-timeout", "3", "--max-hold", "3")
    with running(*options) as reflector, cluster(tls=True) as kube:
        yield Place(kube, reflector, directory)
        assert "signature" not in reflector.raw_log
