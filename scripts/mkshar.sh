#!/bin/sh
# Builds the agent's self-extracting archive: mkshar.sh [--standalone] OUTPUT
# --standalone: the archive contains its own Python, made by PyInstaller, for machines of the same kind as this one.
# agent.manifest lists the files. ptyprocess is copied from where it is installed for $PYTHON (default: python3).
# The same sources always give the same bytes, whatever the umask, time, zone, locale, directory or environment.
set -eu
unset CDPATH GZIP TAR_OPTIONS
LC_ALL=C
export LC_ALL
umask 022

standalone=
if [ "${1-}" = --standalone ]; then
  standalone=yes
  shift
fi
[ $# -eq 1 ] || { echo "usage: mkshar.sh [--standalone] OUTPUT" >&2; exit 2; }
case $1 in /*) output=$1 ;; *) output=$PWD/$1 ;; esac
python=$(command -v "${PYTHON:-python3}") || { echo "mkshar.sh: no ${PYTHON:-python3}" >&2; exit 1; }
case $python in /*) ;; *) python=$PWD/$python ;; esac
scripts=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$scripts")

work=$(mktemp -d)
beside=
trap 'rm -rf "$work" ${beside:+"$beside"}' EXIT
trap 'exit 1' HUP INT TERM

# Prints the directory of the installed ptyprocess, and its licence, which must be in the archive.
find_ptyprocess='
import importlib.metadata, importlib.util, os, sys
spec = importlib.util.find_spec("ptyprocess") or sys.exit("mkshar.sh: ptyprocess is not installed for " + sys.executable)
files = importlib.metadata.files("ptyprocess") or []
texts = [str(f.locate()) for f in files if f.name == "LICENSE"] + ["/usr/share/doc/python3-ptyprocess/copyright"]
texts = [text for text in texts if os.path.exists(text)] or sys.exit("mkshar.sh: no licence text of ptyprocess")
print(os.path.dirname(spec.origin))
print(texts[0])'
# Python runs without -I, because an isolated package build passes its requirements in PYTHONPATH. It runs in /, so that
# it imports nothing from the working directory.
(cd / && "$python" -c "$find_ptyprocess") >"$work/ptyprocess"
ptyprocess=$(sed -n 1p "$work/ptyprocess")
licence=$(sed -n 2p "$work/ptyprocess")

mkdir "$work/stage"
while read -r path; do
  case $path in
    ptyprocess/LICENSE) source=$licence ;;
    ptyprocess/*) source=$ptyprocess/${path#*/} ;;
    *) source=$root/$path ;;
  esac
  mkdir -p "$work/stage/$(dirname "$path")"
  cp "$source" "$work/stage/$path"
done <"$scripts/agent.manifest"
cp "$scripts/agent_boot.py" "$work/agent_boot.py"
"$python" -I -B "$scripts/agent_strip.py" "$work/stage" "$work/agent_boot.py"
[ -z "$standalone" ] || sh "$scripts/mkstandalone.sh" freeze "$work" "$python"

"$python" -I -B "$scripts/agent_payload.py" "$work/stage" "$work/payload" >"$work/digest"
digest=$(cat "$work/digest")

if grep -q "'" "$scripts/agent_boot.py"; then
  echo "mkshar.sh: agent_boot.py holds a single quote" >&2
  exit 1
fi
sed -e "s/@DIGEST@/$digest/" -e "/^@PAYLOAD@\$/{r $work/payload" -e 'd;}' "$work/agent_boot.py" >"$work/boot"
stub=$scripts/agent_stub.sh
: >"$work/binary"
if [ -n "$standalone" ]; then
  sh "$scripts/mkstandalone.sh" pack "$work" "$python"
  stub=$work/stub
fi
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$root/medusa/__init__.py")
zeros=$(printf '%064d' 0)
awk -v boot="$work/boot" -v version="$version" -v zeros="$zeros" '
  function insert(file, line) { while ((getline line < file) > 0) print line }
  { gsub(/@VERSION@/, version); gsub(/@SELF@/, zeros) }
  (at = index($0, "@BOOT@")) { print substr($0, 1, at - 1); insert(boot); print substr($0, at + 6); next }
  { print }' "$stub" >"$work/text"
self=$(cat "$work/text" "$work/binary" | sha256sum | cut -c -64)
sed "s/^# self=$zeros\$/# self=$self/" "$work/text" >"$work/final"
sh -n "$work/final"

# Rename the new file into place, so that a program that reads the old file meanwhile reads all of it.
beside=$(mktemp "$output.XXXXXX")
cat "$work/final" "$work/binary" >"$beside"
chmod 755 "$beside"
mv "$beside" "$output"
echo "$output: $(wc -c <"$output" | tr -d ' ') bytes"
