"""What the standalone archive's own Python runs: it loads all that it carries, removes the directory that it lies in,
and goes on as the node's Python would have, with the text that the ordinary archive hands to that.

Arguments: the directory; the process that removes it should this one die before, or 0; then those of the text.
"""

from __future__ import annotations

import signal

ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
# Before the rest: from here until the directory is gone no signal may come between.
signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)

import importlib  # noqa: E402
import os  # noqa: E402
import ssl  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

LIFELINE = 9
"""The descriptor whose end tells the other process that the directory may go."""

AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Gentoo
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Red Hat, Fedora, Amazon
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, and systems that are no Linux
)
NO_AUTHORITIES = "no CA certificates on this machine: SSL_CERT_FILE may name a file of them"


def main() -> None:
    directory, remover = sys.argv[1], int(sys.argv[2])
    try:
        load(os.path.join(directory, "modules"))
        with open(os.path.join(directory, "boot"), encoding="ascii") as file:
            text = file.read()
    finally:
        remove(directory, remover)
    restore(os.environ)
    ssl.SSLContext.load_default_certs = load_authorities  # type: ignore[method-assign, assignment]
    sys.argv[:] = ["-c", *sys.argv[3:]]
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    exec(compile(text, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - the program itself


def load(names: str) -> None:
    """Imports every module that the file `names` lists, as there will be no file to import it from."""
    with open(names, encoding="ascii") as file:
        for name in file.read().split():
            importlib.import_module(name)


def remove(directory: str, remover: int) -> None:
    """What cannot be removed stays: no reason to refuse the session."""
    try:
        for name in os.listdir(directory):
            os.unlink(os.path.join(directory, name))
        os.rmdir(directory)
    except OSError:
        pass
    os.close(LIFELINE)
    if remover:
        bury(remover)


def bury(remover: int) -> None:
    """A damaged stub may have left it what keeps it alive: no reason to wait for ever."""
    for _ in range(100):
        try:
            if os.waitpid(remover, os.WNOHANG)[0]:
                return
        except ChildProcessError:
            return  # where SIGCHLD is ignored nobody needs to
        time.sleep(0.01)


def restore(environ: os._Environ[str]) -> None:
    """Takes back what the stub and PyInstaller's loader have set."""
    for name in [name for name in environ if name.startswith("_PYI_")]:
        del environ[name]
    for name in ("LD_LIBRARY_PATH", "LD_LIBRARY_PATH_ORIG"):
        environ.pop(name, None)
    own = environ.pop("MEDUSA_LIBRARY_PATH", None)
    if own is not None:
        environ["LD_LIBRARY_PATH"] = own


def load_authorities(context: ssl.SSLContext, _: object = None) -> None:
    """In place of SSLContext.load_default_certs: OpenSSL knows only where the building machine has its certificates."""
    context.set_default_verify_paths()
    if "SSL_CERT_FILE" in os.environ or "SSL_CERT_DIR" in os.environ or context.cert_store_stats()["x509_ca"]:
        return
    found = authorities()
    if found is not None:
        context.load_verify_locations(found)
    elif not hashed_authorities():
        tell_once(NO_AUTHORITIES)


def authorities() -> str | None:
    return next((path for path in AUTHORITIES if os.access(path, os.R_OK)), None)


def hashed_authorities() -> bool:
    """Whether there are certificates in files named by hashes, which OpenSSL reads when it needs one."""
    directory = ssl.get_default_verify_paths().openssl_capath
    return os.path.isdir(directory) and bool(os.listdir(directory))


def tell_once(text: str, told: set[str] = set()) -> None:  # noqa: B006 - it remembers
    if text not in told:
        told.add(text)
        sys.stderr.write("medusa agent: %s\n" % text)


main()
