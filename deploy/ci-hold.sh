#!/bin/sh
# Prepares the hold of a CI job (docs/ci.md): ci-hold.sh PROGRAM REFLECTOR ACCOUNT USER KEY [SECONDS]
# writes PROGRAM, which runs a command and, if that fails, keeps the machine and prints the mlogin command that opens a
# shell on it. USER is a user of the account, or empty; KEY is the file of the private key.
# A job must not fail because of its hold: if the settings are wrong, this says so, and PROGRAM just runs the command.
# This file is a part of the installation, PREFIX/share/medusa/ci-hold.sh, and uses PREFIX/bin/medusa.
set -eu

[ $# -ge 5 ] || { echo 'usage: ci-hold.sh PROGRAM REFLECTOR ACCOUNT USER KEY [SECONDS]' >&2; exit 2; }
program=$1 reflector=$2 account=$3 user=$4 key=$5 seconds=${6:-600}
medusa=$(cd "$(dirname "$0")/../.." && pwd)/bin/medusa

quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }

write() {
    printf '#!/bin/sh\nexec %s"$@"\n' "$1" >"$program"
    chmod 755 "$program"
}

run_alone() {
    write ''
    if [ -n "${GITHUB_ACTIONS-}" ]; then
        echo "::warning title=Medusa::no hold: $(echo "$1" | tr '\n' ' ')"
    else
        echo "medusa: no hold: $1" >&2
    fi
    exit 0
}

[ -s "$key" ] || run_alone 'there is no key (is the secret defined, and may this job read it?)'
chmod 600 "$key" 2>/dev/null || :  # CI systems often let everybody read it
sign="$(quoted "$medusa") sign-url -u $(quoted "$reflector") -a $(quoted "$account")"
sign="$sign${user:+ --user $(quoted "$user")} -k $(quoted "$key")"
why=$(sh -c "$sign check" 2>&1 >/dev/null) || run_alone "$why"
why=$("$medusa" archive -o "$program.agent" 2>&1) || run_alone "$why"
sign="$sign \"\$MEDUSA_SESSION\""
write "sh $(quoted "$program.agent") wrap --hold $(quoted "$seconds") --url-command $(quoted "$sign") -- "
