#!/bin/sh
# run_with.sh <server> <command>...: starts the server, runs the command with a URL of the server behind
# its arguments, and ends with the command's status.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkfifo "$dir/in" "$dir/out"
"$1" <"$dir/in" >"$dir/out" &
shift
exec 3>"$dir/in" 4<"$dir/out" # the server ends when its standard input closes
read -r port <&4
status=0
"$@" "http://127.0.0.1:$port/ok/5" || status=$?
exec 3>&-
wait
exit "$status"
