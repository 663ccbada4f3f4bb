# SPDX-License-Identifier: MIT OR Apache-2.0
"""msrv.py <folder>...: checks that no dependency needs a newer Rust than the crates that use it.

The `rust-version` of a crate is true only for its Cargo.lock: a newer version of any dependency may need
a newer Rust. Update with CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS=fallback to keep it.
"""
import json
import os
import re
import subprocess
import sys


def version(text):
    return tuple(int(n) for n in (text.split(".") + ["0"])[:2])


def host():
    said = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    return re.search(r"^host: (.*)$", said, re.M).group(1)


def metadata(folder, target):
    command = ["cargo", "metadata", "--locked", "--all-features", "--format-version", "1"]
    command += ["--filter-platform", target]
    said = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE).stdout
    return json.loads(said)


def check(folder, target):
    data = metadata(folder, target)
    built = {node["id"] for node in data["resolve"]["nodes"]}
    members = set(data["workspace_members"])
    packages = [p for p in data["packages"] if p["id"] in built]
    promised = min(version(p["rust_version"]) for p in packages if p["id"] in members)
    wanted = [p for p in packages if p["rust_version"] and version(p["rust_version"]) > promised]
    for p in wanted:
        print(f"{folder}: {p['name']} {p['version']} asks for Rust {p['rust_version']}")
    return not wanted


target = host()
folders = [os.path.normpath(folder) for folder in sys.argv[1:]]
sys.exit(0 if all([check(folder, target) for folder in folders]) else 1)
