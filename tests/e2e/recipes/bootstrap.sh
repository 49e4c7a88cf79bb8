# What Remote-SSH of VS Code writes to the stdin of a shell in the job, in short: the steps in their order, and the words
# by which it knows them. It ends with "ID: end", and the shell goes on reading. ID, SERVER and LISTEN come from the test.
echo "$ID: running"
uname -rsv
DATA=$HOME/.vscode-server
LOG=$DATA/.server.log PIDFILE=$DATA/.server.pid TOKENFILE=$DATA/.server.token LOCK=$DATA/vscode-remote-lock
mkdir -p "$DATA"
echo "Acquiring lock on $LOCK"
exec 9>"$LOCK"
flock 9
if [ -f "$PIDFILE" ]; then
    echo "Looking for server with pid: $(cat "$PIDFILE")"
fi
if [ -f "$PIDFILE" ] && kill -0 "$(cat "$PIDFILE")" 2>/dev/null; then
    echo "Found running server..."
else
    rm -f "$LOG"
    printf %s "$RANDOM$RANDOM" >"$TOKENFILE"
    $SERVER "$(cat "$TOKENFILE")" $LISTEN >"$LOG" 2>&1 </dev/null 9>&- &
    echo $! >"$PIDFILE"
    echo "Spawned remote server: $!"
    echo "Waiting for server log..."
    until grep -q "listening on" "$LOG" || ! kill -0 $!; do
        sleep 0.05
    done
fi
flock -u 9
echo "$ID: start"
echo "listeningOn==$(sed -n 's/.*listening on //p' "$LOG")=="
echo "connectionToken==$(cat "$TOKENFILE")=="
echo "arch==$(uname -m)=="
echo "tmpDir==${XDG_RUNTIME_DIR:-/tmp}=="
echo "$ID: end"
