# SPDX-License-Identifier: MIT OR Apache-2.0
"""Describes the machine that produced the figures, in one line."""

import os
import platform
from pathlib import Path


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def describe():
    virtual = "hypervisor" in Path("/proc/cpuinfo").read_text()
    kind = "virtual processors" if virtual else "processors"
    kernel = platform.release().split("-")[0]
    return f"{cpu_model()}, {os.cpu_count()} {kind}, {platform.system()} {kernel}"
