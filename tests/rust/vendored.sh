#!/bin/sh
# vendored.sh <cargo> <source tree> <folder>: the bridge is built as docs/building.md says for a machine without a
# network: from vendored crates, with an empty cargo cache, and without cbindgen.
set -eu
cargo=$1 source=$2 folder=$3
cd "$source"
if grep -q 'name = "cbindgen"' Cargo.lock; then
    echo "cbindgen is a dependency: the header is committed so that it need not be one"
    exit 1
fi
mkdir -p "$folder/home"
trap 'rm -rf "$folder/vendor"' EXIT
"$cargo" vendor --locked --offline "$folder/vendor" >"$folder/home/config.toml" ||
    "$cargo" vendor --locked "$folder/vendor" >"$folder/home/config.toml"

# HTTP is resolved and not compiled, which would take minutes.
export CARGO_HOME="$folder/home" CARGO_NET_OFFLINE=true CARGO_TARGET_DIR="$folder/target"
"$cargo" metadata --locked --all-features --format-version 1 >/dev/null
"$cargo" check --locked --package nart-tokio-c --no-default-features
