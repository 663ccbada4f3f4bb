#!/bin/sh
# Stands in for cargo: creates an empty archive in cargo's place, and records its arguments.
set -eu
if [ "$1" = --version ]; then
    echo 'cargo 9.0.0'
    exit
fi
echo "cargo: CC_aarch64_unknown_linux_gnu=$CC_aarch64_unknown_linux_gnu $*"
while [ $# -gt 0 ]; do
    case $1 in
    --target) target=$2 ;;
    --target-dir) folder=$2 ;;
    esac
    shift
done
mkdir -p "$folder/$target/release"
touch "$folder/$target/release/libnart_tokio.a" "$folder/$target/release/libnart_tokio.d"
