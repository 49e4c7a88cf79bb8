#!/bin/sh
# Medusa agent @VERSION@, https://www.mozilla.org/MPL/2.0/ (ptyprocess, inside, is under the ISC licence).
# Runs from memory: nothing is unpacked into a file. Try --help, --list, --extract DIR, --version.
# SHA-256 of this file with zeros for the digits of the next line:
# self=@SELF@
# shellcheck disable=SC2016,SC2317
# A function called on the last line: of a file that was cut off nothing runs.
medusa_agent() {
  [ "$2" = and ] || return 126
  self=$1
  MEDUSA_SELF=$3
  shift 3
  if [ "${1-}" = --version ]; then
    echo 'medusa agent @VERSION@'
    return 0
  fi
  probe='import sys; v = sys.version_info; print("%d.%d.%d" % v[:3]); sys.stdout.flush()
import base64, fcntl, hashlib, json, pty, resource, select, signal, socket, ssl, termios, zlib; sys.exit(v < (3, 8))'
  found=
  for python in ${MEDUSA_PYTHON:+"$MEDUSA_PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python3.10 \
    python3.9 python3.8 pypy3 /usr/libexec/platform-python ''; do
    if [ -z "$python" ] || [ "${MEDUSA_PYTHON:-$python}" != "$python" ]; then
      echo "medusa agent: no Python 3.8 or later with its standard library${MEDUSA_PYTHON:+ (MEDUSA_PYTHON)};" \
        "found ${found:-none at all}" >&2
      return 127
    fi
    program=$(command -v "$python" 2>/dev/null) || continue
    if version=$("$program" -I -S -c "$probe" 2>/dev/null </dev/null); then
      break
    fi
    found="${found:+$found, }$program (${version:-does not run})"
  done
  # By the environment, where a here-document would want a temporary file. No quote may follow that of the text: should a
  # broken byte end it early, then the function has no end, and nothing runs.
  export MEDUSA_SELF MEDUSA_ARCHIVE
  MEDUSA_ARCHIVE='@BOOT@'
  exec "$program" -I -S -B -c "import os; exec(os.environ.pop(\"MEDUSA_ARCHIVE\"))" "$self" "$@"
}
false # the status, should damage make the next line a comment; its name twice: one bad byte cannot mislead two checks
medusa_agent "$0" and "$0" "$@"
