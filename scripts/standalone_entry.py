"""The first code in the standalone archive's own Python.

It hides the secrets, imports all modules and removes the directory of this Python. Then it runs the archive. The code
of the first and the last step is in agent_boot.py. The ordinary archive has the same code, and runs it by the Python of
the machine.

Arguments: the directory of this Python; the pid of the process that removes the directory if this process ends too
early, or 0; then the path of the archive, and the arguments of the user.
"""

from __future__ import annotations

import signal

FAULTS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
# Block signals before the other imports: no signal may end this program until the directory is gone.
BLOCKED = list(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals().difference(FAULTS))))

import importlib  # noqa: E402
import os  # noqa: E402
import ssl  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from typing import Any  # noqa: E402

LIFELINE = 9
"""The descriptor of a pipe to a process that removes the directory of this Python after the pipe is closed."""

AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Red Hat, Fedora, Amazon
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, and systems other than Linux
)
NO_AUTHORITIES = "no CA certificates on this machine: SSL_CERT_FILE may name a file of them"


def main() -> None:
    directory, remover = sys.argv[1], int(sys.argv[2])
    boot: dict[str, Any] = {"__name__": "boot"}
    try:
        with open(os.path.join(directory, "boot"), encoding="ascii") as file:
            exec(compile(file.read(), "<string>", "exec"), boot)  # noqa: S102 - this text is the program
        restore(os.environ, directory)
        blocked = boot["hide"]([sys.executable], 4, "", BLOCKED)
        load(os.path.join(directory, "modules"))
    finally:
        remove(directory, remover)
    restore(os.environ)
    ssl.SSLContext.load_default_certs = load_authorities  # type: ignore[method-assign, assignment]
    sys.argv[:] = ["-c", *sys.argv[3:]]
    sys.exit(boot["run"](boot["files"](), blocked))


def load(names: str) -> None:
    """Imports every module whose name is in the file `names`. After `remove`, no module can be imported."""
    with open(names, encoding="ascii") as file:
        for name in file.read().split():
            importlib.import_module(name)


def remove(directory: str, remover: int) -> None:
    """Removes the directory as far as possible: if files stay, the session can begin all the same.

    Args:
        directory: the directory of this Python.
        remover: the pid of the process that would remove it if this process ended; 0 if there is none.
    """
    try:
        for name in os.listdir(directory):
            os.unlink(os.path.join(directory, name))
        os.rmdir(directory)
    except OSError:
        pass
    os.close(LIFELINE)
    if remover:
        reap(remover)


def reap(remover: int) -> None:
    """Waits up to a second for the process `remover` to end. If the stub is damaged, that process may never end."""
    for _ in range(100):
        try:
            if os.waitpid(remover, os.WNOHANG)[0]:
                return
        except ChildProcessError:
            return  # SIGCHLD is ignored, so the kernel has reaped the process
        time.sleep(0.01)


def restore(environ: os._Environ[str], directory: str = "") -> None:
    """Restores the variables that the archive's stub and PyInstaller's loader have changed.

    Args:
        directory: the directory of this Python if this program is to be started again; else "". If it is given,
            LD_LIBRARY_PATH begins with it, so that this Python finds its libraries again.
    """
    for name in [name for name in environ if name.startswith("_PYI_")]:
        del environ[name]
    for name in ("LD_LIBRARY_PATH", "LD_LIBRARY_PATH_ORIG"):
        environ.pop(name, None)
    own = environ.get("MEDUSA_LIBRARY_PATH")
    if directory:
        environ["LD_LIBRARY_PATH"] = directory + (":" + own if own else "")
        return
    environ.pop("MEDUSA_LIBRARY_PATH", None)
    if own is not None:
        environ["LD_LIBRARY_PATH"] = own


def load_authorities(context: ssl.SSLContext, _: object = None) -> None:
    """Loads the machine's CA certificates, in place of SSLContext.load_default_certs.

    The original function looks only where the machine that built the archive has its certificates.
    """
    context.set_default_verify_paths()
    named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")  # an empty one counts as unset
    if named or context.cert_store_stats()["x509_ca"]:
        return
    found = authorities()
    if found is not None:
        context.load_verify_locations(found)
    elif not hashed_authorities():
        print_once(NO_AUTHORITIES)


def authorities() -> str | None:
    return next((path for path in AUTHORITIES if os.access(path, os.R_OK)), None)


def hashed_authorities() -> bool:
    """True if OpenSSL's directory of certificates is not empty. OpenSSL reads a file of it when it needs one."""
    directory = ssl.get_default_verify_paths().openssl_capath
    return os.path.isdir(directory) and bool(os.listdir(directory))


def print_once(text: str, printed: set[str] = set()) -> None:  # noqa: B006 - all calls share the set on purpose
    if text not in printed:
        printed.add(text)
        sys.stderr.write("medusa agent: %s\n" % text)


main()
