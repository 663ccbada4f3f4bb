#!/bin/sh
# pkg_config.sh <pkg-config> <package> <program> <cc...> <source>: builds a program with the flags from
# pkg-config, and runs it.
set -eu
pkg_config=$1
package=$2
program=$3
shift 3
# shellcheck disable=SC2046 # the flags are words
"$@" -o "$program" $("$pkg_config" --cflags --libs "$package")
"$program"
