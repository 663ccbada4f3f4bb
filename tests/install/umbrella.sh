#!/bin/sh
# umbrella.sh <cmake> <nm> <cargo's folder> <project> <folder> <option>...: a user's project with Rust code of
# its own is configured with the options, built and run. Then what a user relies on: a second build does nothing;
# a changed .rs file is built; the C library is in the program once; a program with two Rust archives is refused.
set -eu
cmake=$1 nm=$2 cargo=$3 project=$4 folder=$5
shift 5
rm -rf "$folder" "$cargo/debug/libacme_greetings.d" # that of a project in another folder
mkdir -p "$folder"
cp -R "$project" "$folder/source"
build=$folder/build

"$cmake" -S "$folder/source" -B "$build" -DNART_CARGO_TARGET_DIR="$cargo" "$@"
"$cmake" --build "$build"
"$build/app"

said=$("$cmake" --build "$build")
if echo "$said" | grep -E 'Building|Linking'; then
    echo "a second build had to do this"
    exit 1
fi

if "$nm" "$cargo/debug/libacme_greetings.a" 2>/dev/null | grep ' T nart_version$'; then
    echo "the archive contains the C library"
    exit 1
fi

sed -i 's/"hello {name}"/"hallo {name}"/' "$folder/source/src/lib.rs"
"$cmake" --build "$build"
if "$build/app"; then
    echo "a changed .rs file was not built"
    exit 1
fi

if said=$("$cmake" -S "$folder/source" -B "$build" -DTWO_ARCHIVES=ON 2>&1); then
    echo "a program with two Rust archives was accepted"
    exit 1
fi
echo "$said" | grep NART_RUST_ARCHIVE
