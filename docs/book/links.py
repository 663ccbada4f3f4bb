# SPDX-License-Identifier: MIT OR Apache-2.0
"""A hook of mkdocs. A link of a page that leads to a file of the repository, which the site does not contain, becomes
that file's path. Such a file has to exist."""
import os
import pathlib
import re

from mkdocs.exceptions import PluginError

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[([^]]*)\]\(((?:\.\./)+[^)#]*)\)")


def on_page_markdown(markdown, page, **kwargs):
    def shown(link):
        path = os.path.normpath(os.path.join("docs/book/src", page.file.src_uri, "..", link[2]))
        if not (ROOT / path).exists():
            raise PluginError(f"{page.file.src_uri} links to {link[2]}, which does not exist")
        text = link[1].strip("`")
        return f"`{path}`" if text in path else f"{text} (`{path}`)"

    return LINK.sub(shown, markdown)
