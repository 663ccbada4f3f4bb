#!/bin/sh
# run_with.sh <server> <program> [<path>]: starts the server, runs the program with the URL of <path>
# (/ok/5) on it, and ends with the program's status.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkfifo "$dir/in" "$dir/out"
"$1" <"$dir/in" >"$dir/out" &
exec 3>"$dir/in" 4<"$dir/out" # the server ends when its standard input closes
read -r port <&4
status=0
"$2" "http://127.0.0.1:$port${3:-/ok/5}" || status=$?
exec 3>&-
wait
exit "$status"
