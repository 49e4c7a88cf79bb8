"""The sections of mlogin's help text and man page."""

from __future__ import annotations

from medusa.commands.options.parser import VARIABLES
from medusa.commands.user_config.parser import FILES
from medusa.help_text import Section

DESCRIPTION = """Opens a terminal in a job, as ssh does on a host. Without TARGET and --launcher the job is a process on
this machine. If --reflector names no reflector, mlogin starts one for this session alone; with --launcher manta,
sessions meet at the Manta's own. A reflector with accounts knows its users by their ssh keys."""

KEYS = ("~/.ssh/id_ed25519, id_ecdsa, id_rsa", "keys that are tried after those of the ssh-agent, if --key names none")

SECTIONS = (
    Section(
        "Examples",
        (
            ("mlogin", "a shell in a job on this machine"),
            ("mlogin gpu", "with the options of the profile gpu"),
            ("mlogin -c 'make check'", "one command, and its exit status"),
            ("mlogin ssh:alice@node7", "on a host that your ssh reaches"),
            ("mlogin slurm: -- -p gpu", "in a new job of Slurm, with sbatch's options"),
            ("mlogin slurm:123", "in a job that runs already"),
            ("mlogin k8s:POD/CONTAINER -- --image IMAGE", "beside a container of a pod"),
            ("mlogin -d slurm: --reflector URL", "detached: `medusa attach` gets into it"),
            ("mlogin manual: --reflector URL", "where you paste the line that it prints"),
            ("mlogin 5d3e --reflector URL", "where a step of CI holds the session 5d3e..."),
            ("mlogin slurm: --help", "what the launcher slurm takes"),
        ),
    ),
    Section(
        "Escapes",
        (
            ("~.", "disconnect; the shell in the job is ended. Also while mlogin waits for the job"),
            ("~d", "detach: leave, and let the job run on; `medusa attach` comes back"),
            ("~i", "show which session this is and how long it may last"),
            ("~?", "list the escapes"),
            ("~^Z", "suspend mlogin"),
            ("~~", "send the character ~"),
        ),
        "They work at the start of a line. --escape changes the character or turns them off.",
    ),
    Section(
        VARIABLES,
        (
            ("MANTA_USER", "the account, if neither --account nor its variable or key in the config file is given"),
            ("MANTA_KEY_ID, MANTA_SUBUSER, MANTA_URL", "the same for --key, --subuser and --url"),
            ("MANTA_TLS_INSECURE", "trust any certificate"),
            ("SSH_AUTH_SOCK", "the ssh-agent that holds the key, unless ssh_config names another one"),
            ("HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "the proxy to the reflector"),
            ("SSL_CERT_FILE", "the authorities to trust"),
        ),
        "An empty variable counts as unset.",
    ),
    FILES._replace(items=(*FILES.items, KEYS)),
    Section(
        "Exit status",
        (
            ("that of the remote command", "128+N if signal N ended it"),
            ("130", "Control-C while it waited for the job"),
            ("254", "the session was cut off, and its outcome is unknown"),
            ("255", "no session came to be"),
        ),
    ),
)
