#!/bin/sh
# Steps of `mkshar.sh --standalone`: mkstandalone.sh freeze|pack WORK PYTHON.
# freeze: reads WORK/stage; makes WORK/python/agent, a Python that can run it; adds the licences to WORK/stage.
# pack: reads WORK/python/agent and WORK/boot; makes WORK/stub, and WORK/binary, which follows the stub in the archive.
set -eu
scripts=$(cd "$(dirname "$0")" && pwd)
work=$2
python=$3
frozen=$work/python/agent

freeze() {
  "$python" -c 'import PyInstaller' 2>/dev/null || {
    echo "mkshar.sh: --standalone needs PyInstaller, which is not installed for $python" >&2
    exit 1
  }
  # PyInstaller gets a clean environment and a directory of its own, so that the same sources give the same bytes. Other
  # code in its process would change the bytes: a .pyc file records whether a string was interned when it was written,
  # and a debugger or coverage.py, which a variable can start, interns strings.
  set -- "PATH=$PATH" ${HOME+"HOME=$HOME"} ${TMPDIR+"TMPDIR=$TMPDIR"} ${PYTHONPATH+"PYTHONPATH=$PYTHONPATH"} \
    ${LD_LIBRARY_PATH+"LD_LIBRARY_PATH=$LD_LIBRARY_PATH"} LC_ALL=C \
    "MEDUSA_STAGE=$work/stage" "PYINSTALLER_CONFIG_DIR=$work/cache" \
    SOURCE_DATE_EPOCH=0 PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
  (
    cd "$work"
    env -i "$@" \
      "$python" -m PyInstaller --log-level ERROR --distpath "$work/python" --workpath "$work/build" "$scripts/standalone.spec"
  ) >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    exit 1
  }
  "$python" -I "$scripts/standalone_parts.py" licences "$frozen" "$work/stage"
}

pack() {
  cp "$work/boot" "$frozen"
  "$python" -I "$scripts/standalone_parts.py" pack "$frozen" "$work"
  gzip -9n "$work/all"
  # A shell that reads past the stub's end reads these lines. They are 64 KiB, more than any shell reads ahead.
  awk 'BEGIN { for (n = 0; n < 7282; n++) print "exit 126" }' | cat - "$work/all.gz" >"$work/binary"
  digest=$(sha256sum "$work/all.gz" | cut -c -64)
  sed -f "$work/facts" -e "s/@DIGEST@/$digest/g; s/@SIZE@/$(wc -c <"$work/all.gz" | tr -d ' ')/" \
    -e "/^@MEMBERS@\$/{r $work/members" -e 'd;}' "$scripts/standalone_stub.sh" >"$work/stub"
}

"$1"
