#!/bin/sh
# test.sh <case> <feedgate> <server>: what happens when something ends before its time.
set -eu
case=$1 feedgate=$2 server=$3
dir=$(mktemp -d)
gateway=
trap 'exit 1' HUP INT TERM
trap '[ -z "$gateway" ] || kill -KILL "$gateway" 2>/dev/null || :; rm -rf "$dir"' EXIT

# begin <seconds>: starts, and goes on after the first live line. What is printed is file 3.
begin() {
    mkfifo "$dir/out"
    "$feedgate" --server "$server" --seconds "$1" >"$dir/out" 2>&1 &
    gateway=$!
    exec 3<"$dir/out"
    read -r processes <&3
    read -r line <&3
    printf '%s\n%s\n' "$processes" "$line"
}

# Waits for two live lines more, so the gateway has served the others meanwhile, and interrupts it.
interrupt_later() {
    read -r line <&3
    read -r line <&3
    kill -INT "$gateway"
}

process_of() {
    printf '%s\n' "$processes" | sed -n "s/.*$1: process \([0-9]*\).*/\1/p"
}

# ends <status> <text>...: it ends so, and each of these texts is in what it says.
ends() {
    expected=$1
    shift
    cat <&3 | tee "$dir/said"
    status=0
    wait "$gateway" || status=$?
    gateway=
    expect "$expected" "$@"
}

expect() {
    if [ "$status" != "$1" ]; then
        echo "status $status, not $1"
        exit 1
    fi
    shift
    for text; do
        grep -qF -- "$text" "$dir/said" || {
            echo "it does not say: $text"
            exit 1
        }
    done
}

# fails_with <server> <text>: with this price server it does not begin.
fails_with() {
    status=0
    "$feedgate" --server "$1" >"$dir/said" 2>&1 || status=$?
    cat "$dir/said"
    expect 1 "$2"
}

case $case in
interrupt)
    begin 86400
    kill -INT "$gateway"
    ends 0 'arrival to book' 'ok   all tasks and processes ended well'
    ;;
subscribers)
    begin 20
    kill -KILL "$(process_of subscribers)"
    interrupt_later
    ends 1 'a connection ended' 'ok   at most 0.1 % lost' 'FAIL the last sequence'
    ;;
generator)
    begin 86400
    kill -KILL "$(process_of generator)"
    ends 1 'a market ended' 'ok   each cold operation ended in one way' 'FAIL all tasks'
    ;;
server)
    begin 20
    kill -KILL "$(process_of 'price server')"
    interrupt_later
    ends 1 'ok   each cold operation ended in one way' 'ok   the last sequence' 'FAIL all tasks'
    ;;
gateway) # the others end by themselves: only then does the output end
    begin 86400
    kill -KILL "$gateway"
    cat <&3
    ;;
trace)
    "$feedgate" --server "$server" --seconds 1 --trace "$dir/trace.json" >"$dir/said" 2>&1 || status=$?
    cat "$dir/said"
    [ "${status:-0}" = 0 ]
    # slices of the loop's hot task, and of a request on tokio's threads
    grep -q '"ph":"B".*"market"' "$dir/trace.json"
    grep -q '"ph":"X".*"HTTP request"' "$dir/trace.json"
    ;;
no_server)
    fails_with "$dir/none" "$dir/none: No such file or directory"
    ;;
silent_server)
    printf '#!/bin/sh\n' >"$dir/silent"
    chmod +x "$dir/silent"
    fails_with "$dir/silent" 'said no port'
    ;;
esac
