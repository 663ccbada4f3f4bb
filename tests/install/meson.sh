#!/bin/sh
# meson.sh <meson> <directory> <source> <option...>: creates a project from meson/ and the source in the
# directory, builds the program and runs it.
set -eu
meson=$1
folder=$2
source=$3
shift 3
cp -r "$(dirname "$0")/meson" "$folder"
cp "$source" "$folder"
"$meson" setup "$@" "$folder/build" "$folder"
"$meson" test -C "$folder/build" --print-errorlogs
