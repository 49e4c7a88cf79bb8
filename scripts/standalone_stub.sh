#!/bin/sh
# Medusa agent @VERSION@ with its own Python, https://www.mozilla.org/MPL/2.0/ (licences of the rest: --extract DIR).
# Unpacks into a private directory, removed before the session begins. Try --help, --list, --extract DIR, --version.
# SHA-256 of this file with zeros for the digits of the next line:
# self=@SELF@
# shellcheck disable=SC2094,SC2317
# Every variable begins with medusa_, so that no variable of the session is changed. If the first line of a function is
# damaged, the shell would run the function's body at once. The second line of each function prevents that.

medusa_fail() {
  [ "$medusa_whole" ] || exit 126
  echo "medusa agent: $2" >&2
  if [ "$medusa_step" ] && [ "$1" != 126 ]; then
    # Run the step without the agent, and without the variables that are meant for the agent.
    [ -z "$medusa_dir" ] || medusa_give_up
    trap - EXIT HUP INT TERM
    umask "$medusa_umask"
    unset MEDUSA_SELF MEDUSA_PYTHON MEDUSA_RUNS MEDUSA_SIGNED_URL MEDUSA_AGENT_CONFIG MEDUSA_CONFIG \
      MEDUSA_URL_COMMAND MEDUSA_REFLECTOR MEDUSA_SESSION MEDUSA_HOLD MEDUSA_INSECURE_TLS MEDUSA_HEADER \
      MEDUSA_HEADER_COMMAND MEDUSA_RELEASE_ON_EXIT MEDUSA_OUTPUT_WAIT MEDUSA_NO_FORWARDING
    eval "exec $medusa_step"
  fi
  exit "$1"
}

# Sets $medusa_step to the words after `--`, quoted.
medusa_keep_step() {
  [ "$medusa_whole" ] || exit 126
  while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done
  [ $# -gt 1 ] || return 0
  shift
  for medusa_word do
    medusa_found=$(printf '%sx' "$medusa_word" | sed "s/'/'\\\\''/g")
    medusa_step="$medusa_step '${medusa_found%x}'"
  done
}

# Fails if this machine cannot run the archive's Python, as far as that can be told without running it.
medusa_check_machine() {
  [ "$medusa_whole" ] || exit 126
  case $(uname -m) in
    '@MACHINE@') ;;
    *) medusa_fail 127 "its Python is for @MACHINE@; this machine is $(uname -m)" ;;
  esac
  [ -e '@LOADER@' ] || medusa_fail 127 "its Python needs glibc @GLIBC@ or later; there is no @LOADER@"
  # A loader older than 2.33 does not print its version.
  medusa_found=$('@LOADER@' --version 2>/dev/null) || medusa_found='version 2.32'
  medusa_found=${medusa_found#*version }
  medusa_found=${medusa_found#2.}
  medusa_found=${medusa_found%%[!0-9]*}
  medusa_wanted='@GLIBC@'
  if [ "${medusa_found:-0}" -lt "${medusa_wanted#2.}" ]; then
    medusa_fail 127 "its Python needs glibc @GLIBC@ or later; this is 2.${medusa_found:-?} or older"
  fi
}

# Makes a directory in $1 from which programs may run, and sets $medusa_dir. If it fails, sets $medusa_reason instead.
medusa_make_directory() {
  [ "$medusa_whole" ] || exit 126
  case $1 in /*) medusa_base=$1 ;; *) medusa_base=$(pwd)/$1 ;; esac
  # mktemp ignores signals, so that $medusa_dir is always set and a trap can remove the directory.
  medusa_dir=$(trap '' HUP INT TERM; mktemp -d "$medusa_base/medusa-XXXXXX" 2>&1) || {
    medusa_reason=${medusa_dir##*: }
    medusa_dir=
    return 1
  }
  medusa_watch
  if ! (printf '#!/bin/sh\nexit 0\n' >"$medusa_dir/try") 2>/dev/null; then
    medusa_reason='no room'
  elif ! { chmod 700 "$medusa_dir/try" && "$medusa_dir/try"; } 2>/dev/null; then
    medusa_reason='no program may run there'
  else
    return 0
  fi
  medusa_give_up
  return 1
}

medusa_give_up() {
  [ "$medusa_whole" ] || exit 126
  rm -rf "$medusa_dir"
  medusa_dir=
  exec 9>&-
}

# Starts a process that removes the directory if this process ends, in any way, before the agent has removed it. The new
# process reads from a pipe; descriptor 9 of this process is the other end. Without mkfifo, only the traps remove it.
medusa_watch() {
  [ "$medusa_whole" ] || exit 126
  medusa_remover=0
  mkfifo "$medusa_dir/lifeline" 2>/dev/null || {
    exec 9>/dev/null
    return
  }
  # Descriptor 8 is open for reading and writing, so that the other two opens of the pipe return at once.
  exec 8<>"$medusa_dir/lifeline" 7<"$medusa_dir/lifeline" 9>"$medusa_dir/lifeline" 8>&-
  (
    trap '' HUP INT TERM
    exec 9>&-
    read -r medusa_found
    rm -rf "$medusa_dir"
  ) <&7 >/dev/null 2>&1 &
  medusa_remover=$!
  exec 7<&-
}

medusa_payload() {
  [ "$medusa_whole" ] || exit 126
  tail -c '@SIZE@' "$medusa_source"
}

# If the shell reads the archive from a pipe, it has read ahead, but not past the lines `exit 126`. The rest in the pipe
# is the payload.
medusa_find_payload() {
  [ "$medusa_whole" ] || exit 126
  medusa_source=$medusa_file
  if [ ! -f "$medusa_source" ] || ! grep -q 'payload=@DIGEST@' "$medusa_source" 2>/dev/null; then
    [ ! -f "$medusa_source" ] || ! grep -q '^medusa_agent() {' "$medusa_source" || medusa_fail 126 "$medusa_file: damaged"
    medusa_source=$medusa_dir/source
    cat >"$medusa_source" 2>/dev/null || medusa_fail 125 "cannot unpack: $medusa_base: no room"
    exec </dev/null
  fi
  if command -v sha256sum >/dev/null; then
    medusa_found=$(medusa_payload | sha256sum)
    [ "payload=${medusa_found%% *}" = 'payload=@DIGEST@' ] || medusa_fail 126 'the payload is damaged'
  fi
}

medusa_unpack() {
  [ "$medusa_whole" ] || exit 126
  medusa_payload | gzip -dc >"$medusa_dir/all" 2>/dev/null || {
    medusa_payload | gzip -t 2>/dev/null || medusa_fail 126 'the payload is damaged'
    return 1
  }
  medusa_members && chmod 700 "$medusa_dir/agent" && rm -f "$medusa_dir/all" "$medusa_dir/try" "$medusa_dir/source"
}

medusa_member() {
  [ "$medusa_whole" ] || exit 126
  dd if="$medusa_dir/all" of="$medusa_dir/$1" bs=4096 skip="$2" count="$3" 2>/dev/null
}

medusa_members() {
  [ "$medusa_whole" ] || exit 126
@MEMBERS@
}

# Sets variables. The agent restores them before it runs a program of the user.
medusa_set_variables() {
  [ "$medusa_whole" ] || exit 126
  MEDUSA_SELF=$medusa_file
  # Python ignores SIGPIPE and SIGXFSZ itself, so it cannot tell whether the job does.
  MEDUSA_IGNORED=
  [ ! -r "/proc/$$/status" ] || while read -r medusa_word medusa_line; do
    [ "$medusa_word" != SigIgn: ] || MEDUSA_IGNORED=$medusa_line
  done <"/proc/$$/status"
  unset MEDUSA_LIBRARY_PATH
  [ -z "${LD_LIBRARY_PATH+set}" ] || MEDUSA_LIBRARY_PATH=$LD_LIBRARY_PATH
  [ -z "${LD_LIBRARY_PATH+set}" ] || export MEDUSA_LIBRARY_PATH
  LD_LIBRARY_PATH=$medusa_dir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export MEDUSA_SELF MEDUSA_IGNORED LD_LIBRARY_PATH MEDUSA_LC_CTYPE="${LC_CTYPE+=$LC_CTYPE}"
}

medusa_agent() {
  [ "$2" = and ] || exit 126
  medusa_whole=yes
  medusa_self=$1
  medusa_file=$3
  shift 3
  if [ "${1-}" = --version ]; then
    echo 'medusa agent @VERSION@'
    exit 0
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
  medusa_step=
  [ "${1-}" != wrap ] || medusa_keep_step "$@"
  medusa_umask=$(umask)
  medusa_dir=
  medusa_check_machine
  umask 077
  trap 'rm -rf ${medusa_dir:+"$medusa_dir"}' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  medusa_said=
  for medusa_place in ${TMPDIR:+"$TMPDIR"} /tmp /var/tmp /dev/shm ${HOME:+"$HOME"} .; do
    if medusa_make_directory "$medusa_place"; then
      medusa_find_payload
      (: 6<&0) 2>/dev/null || exec </dev/null
      if medusa_unpack; then
        umask "$medusa_umask"
        medusa_set_variables
        # 9>&9, because some shells would close descriptor 9 otherwise.
        exec "$medusa_dir/agent" "$medusa_dir" "$medusa_remover" "$medusa_self" "$@" 9>&9
      fi
      medusa_reason='no room'
      # A pipe can be read only once.
      [ "$medusa_source" = "$medusa_file" ] || break
      medusa_give_up
    fi
    medusa_said="${medusa_said:+$medusa_said; }$medusa_place: $medusa_reason"
  done
  medusa_fail 125 "cannot unpack: ${medusa_said:-$medusa_place: $medusa_reason}"
}
false # the exit status if damage makes the next line a comment. That line has $0 twice: a bad byte cannot change both
medusa_agent "$0" and "$0" "$@"; exit 126
