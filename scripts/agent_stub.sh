#!/bin/sh
# Medusa agent @VERSION@, https://www.mozilla.org/MPL/2.0/ (ptyprocess, inside, is under the ISC licence).
# Runs from memory: nothing is unpacked into a file. Try --help, --list, --extract DIR, --version.
# SHA-256 of this file with zeros for the digits of the next line:
# self=@SELF@
# shellcheck disable=SC2016,SC2317
# Every variable begins with medusa_, so that no variable of the job is changed.
# All of it is a function that the last line calls: nothing of a file that was cut off runs.
medusa_agent() {
  [ "$2" = and ] || return 126
  medusa_self=$1
  MEDUSA_SELF=$3
  shift 3
  if [ "${1-}" = --version ]; then
    echo 'medusa agent @VERSION@'
    return 0
  fi
  # A URL is a secret, and process lists show arguments: pass it on in a variable. Leave the words after `wrap` alone.
  unset MEDUSA_ARGUMENT_URL
  [ "${1-}" = wrap ] || for medusa_word do
    shift
    case ${MEDUSA_ARGUMENT_URL:+again }$medusa_word in
      http://* | https://* | ws://* | wss://* | tcp://*) export MEDUSA_ARGUMENT_URL="$medusa_word" ;;
      *) set -- "$@" "$medusa_word" ;;
    esac
  done
  medusa_probe='import sys; v = sys.version_info; print("%d.%d.%d" % v[:3]); sys.stdout.flush()
import base64, fcntl, hashlib, json, pty, resource, select, signal, socket, ssl, termios; sys.exit(v < (3, 8))'
  medusa_found=
  for medusa_python in ${MEDUSA_PYTHON:+"$MEDUSA_PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python3.10 \
    python3.9 python3.8 pypy3 /usr/libexec/platform-python ''; do
    if [ -z "$medusa_python" ] || [ "${MEDUSA_PYTHON:-$medusa_python}" != "$medusa_python" ]; then
      echo "medusa agent: no Python 3.8 or later with its standard library${MEDUSA_PYTHON:+ (MEDUSA_PYTHON)};" \
        "found ${medusa_found:-none at all}" >&2
      # Run the step without the agent, and without the variables that are meant for the agent.
      [ "${1-}" = wrap ] || return 127
      while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done
      [ $# -gt 1 ] || return 127
      shift
      unset MEDUSA_SELF MEDUSA_PYTHON MEDUSA_RUNS MEDUSA_SIGNED_URL MEDUSA_AGENT_CONFIG MEDUSA_CONFIG \
        MEDUSA_URL_COMMAND MEDUSA_REFLECTOR MEDUSA_SESSION MEDUSA_HOLD MEDUSA_INSECURE_TLS MEDUSA_HEADER \
        MEDUSA_HEADER_COMMAND MEDUSA_RELEASE_ON_EXIT MEDUSA_OUTPUT_WAIT MEDUSA_NO_FORWARDING
      exec "$@"
    fi
    medusa_program=$(command -v "$medusa_python" 2>/dev/null) || continue
    # $(...) is not used here, because ksh93 would need a temporary file for it.
    # MEDUSA_RUNS is set, with MEDUSA_PYTHON, by an mlogin on this machine, which runs by the same Python.
    if [ "${MEDUSA_PYTHON:+${MEDUSA_RUNS-}}" ] || "$medusa_program" -I -S -c "$medusa_probe" >/dev/null 2>&1 </dev/null; then
      # A shim, such as that of pyenv, changes the environment of the job. Use the Python that it starts, if that runs.
      read -r medusa_line <"$medusa_program"
      case ${MEDUSA_PYTHON:+chosen }$medusa_line in
        '#!'*)
          medusa_found=$("$medusa_program" -I -S -c 'import sys; print(sys.executable)' 2>/dev/null </dev/null)
          "$medusa_found" -I -S -c "$medusa_probe" >/dev/null 2>&1 </dev/null && medusa_program=$medusa_found
          ;;
      esac
      break
    fi
    medusa_version=$("$medusa_program" -I -S -c "$medusa_probe" 2>/dev/null </dev/null)
    medusa_found="${medusa_found:+$medusa_found, }$medusa_program (${medusa_version:-does not run})"
  done
  # The text is in a variable, because a here-document would need a temporary file. No quote may follow the one that
  # ends the text. So if a broken byte ends the text early, the function has no end, and nothing runs.
  # Python ignores SIGPIPE and SIGXFSZ itself, so it cannot tell whether the job does.
  MEDUSA_IGNORED=
  # shellcheck disable=SC2034
  [ ! -r "/proc/$$/status" ] || while read -r medusa_word medusa_line; do
    [ "$medusa_word" != SigIgn: ] || MEDUSA_IGNORED=$medusa_line
  done <"/proc/$$/status"
  export MEDUSA_SELF MEDUSA_BOOT MEDUSA_IGNORED MEDUSA_LC_CTYPE="${LC_CTYPE+=$LC_CTYPE}"
  MEDUSA_BOOT='@BOOT@'
  exec "$medusa_program" -I -S -B -c "import os; boot = os.environ.pop(\"MEDUSA_BOOT\"); exec(boot)" "$medusa_self" "$@"
}
false # the exit status if damage makes the next line a comment. That line has $0 twice: a bad byte cannot change both
medusa_agent "$0" and "$0" "$@"
