#!/bin/sh
# Steps of `mkshar.sh --standalone`: mkstandalone.sh freeze|pack WORK PYTHON.
# freeze: out of WORK/stage, WORK/python/agent, a Python that runs it, and the licences added to the stage.
# pack: out of that and WORK/boot, WORK/stub and what goes behind it, WORK/binary.
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
  # All of it in a place of its own, with nothing in the result that another build would not have.
  (
    cd "$work"
    MEDUSA_STAGE=$work/stage PYINSTALLER_CONFIG_DIR=$work/cache SOURCE_DATE_EPOCH=0 PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 \
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
  # Lines for a shell that reads on, or ahead: 64 KiB, more than any does.
  awk 'BEGIN { for (n = 0; n < 7282; n++) print "exit 126" }' | cat - "$work/all.gz" >"$work/binary"
  digest=$(sha256sum "$work/all.gz" | cut -c -64)
  sed -f "$work/facts" -e "s/@DIGEST@/$digest/g; s/@SIZE@/$(wc -c <"$work/all.gz" | tr -d ' ')/" \
    -e "/^@MEMBERS@\$/{r $work/members" -e 'd;}' "$scripts/standalone_stub.sh" >"$work/stub"
}

"$1"
