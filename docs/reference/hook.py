# SPDX-License-Identifier: MIT OR Apache-2.0
"""A hook of mkdocs: adds the reference to the book, and to its navigation. The environment variable NART_REFERENCE
is the folder that pages.py has written."""
import os
import pathlib

from mkdocs.structure.files import File

FOLDER = pathlib.Path(os.environ["NART_REFERENCE"]) / "site"


def on_config(config):
    pages = sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "index")
    config.nav.append({"Reference": [{"The headers": "reference/index.md"},
                                     *({f"{name}.h": f"reference/{name}.md"} for name in pages)]})
    return config


def on_files(files, config):
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            uri = f"reference/{path.relative_to(FOLDER)}"
            if path.suffix == ".md" and path.parent != FOLDER:
                uri += ".txt"  # licences of rustdoc's fonts: no pages of the book
            files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files
