#!/bin/sh
# commands.sh <build> <home> <program.c> -- <block.sh>... -- <block.cmake>...
#
# Runs the README's commands in the source tree as a user with the home directory <home> would, then builds and
# runs <program.c> with each of its CMake blocks against the installed package. Two differences: build/release
# is <build>, and a workflow is only checked to exist, because a test that runs all tests would not end.
set -eu
build=$1
HOME=$2
program=$3
shift 4
rm -rf "$HOME"
mkdir -p "$HOME"
export HOME

cmake() {
    case "$*" in
    "--workflow --preset "*)
        command cmake --list-presets=workflow | grep -q "^ *\"$3\"" || {
            echo "there is no workflow \"$3\""
            exit 1
        }
        ;;
    "--install build/release "*)
        shift 2
        command cmake --install "$build" "$@"
        ;;
    *) command cmake "$@" ;;
    esac
}

while [ "$1" != -- ]; do
    echo "--- $1"
    . "$1"
    shift
done
shift

for block; do
    echo "--- $block"
    project=$HOME/project
    mkdir -p "$project"
    cp "$program" "$project/app.c"
    {
        echo 'cmake_minimum_required(VERSION 3.25)'
        echo 'project(app C)'
        echo 'add_executable(app app.c)'
        cat "$block"
    } >"$project/CMakeLists.txt"
    command cmake -S "$project" -B "$project/build" -DCMAKE_PREFIX_PATH="$HOME/.local"
    command cmake --build "$project/build"
    "$project/build/app"
    rm -rf "$project"
done
