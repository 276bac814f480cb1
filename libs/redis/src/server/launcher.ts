/** The shell program that starts the server, and the shell that waits beside it. */

/**
 * The shell program that becomes the server. Its arguments: the kind of lock, the pipe of the users ('' if there is
 * none), the log file, its size, and the command. Standard input: a pipe from the starter; output: one line to the
 * starter, then the log; 3: the lock file, whose open file description is not shared with the starter once this runs.
 *
 * A shell beside the server waits for the end of the last user, who may be another than the starter: each has the pipe
 * open for writing, and the kernel closes it however the user ends. If there is no such pipe, or no flock to keep a second
 * server out once the starter is gone, it waits for the starter alone. TERM lets the server remove its socket; KILL ends
 * one that hangs, and with appendfsync always nothing that was answered can be lost by it.
 *
 * setpriv has the kernel end the waiting shell with the server; without it a third shell waits for the server.
 * Blocks for the log are reserved ahead: on a full disk its last lines are what is needed most.
 */
export const LAUNCHER: string = `
lock=$1 users=$2 log=$3 size=$4
shift 4
if [ "$lock" = flock ]; then
  command -v flock >/dev/null || { echo unsupported; exit 0; }
  flock -n 3
  case $? in
    0) ;;
    1) echo held; exit 0 ;;
    *) echo unsupported; exit 0 ;;
  esac
fi
if [ -n "$users" ]; then
  exec 4<>"$users"
  exec 5<"$users"
  exec 4>&-
else
  exec 5<&0
fi
exec </dev/null
(fallocate -n -o "$size" -l 65536 "$log" 2>/dev/null &)
if setpriv --pdeathsig KILL true 2>/dev/null; then
  echo "locked $$"
  exec >&2
  setpriv --pdeathsig KILL sh -c '
    [ "$PPID" = "$0" ] || exit
    cd /
    read -r _ <&5
    exec 5<&-
    kill -TERM "$0"
    setpriv --pdeathsig KILL sh -c "[ \\$PPID = $$ ] && exec sleep 10" && kill -KILL "$0"
  ' "$$" 3>&- >/dev/null 2>&1 &
  exec "$@" 5<&-
fi
"$@" 5<&- >&2 &
server=$!
echo "locked $server"
exec >&2
{ cd /; read -r _ <&5; exec 5<&-; kill -TERM "$server"; sleep 10 && kill -KILL "$server"; } 3>&- >/dev/null 2>&1 &
waiting=$!
exec 3>&- 5<&-
wait "$server"
status=$?
kill "$waiting" 2>/dev/null
exit "$status"
`;
