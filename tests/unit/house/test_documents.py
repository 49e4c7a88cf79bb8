"""Links of documents lead somewhere, and nothing names the machine that it was made on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.house.sources import relative, tracked, tracked_sources

WORKPLACE = ["/" + "work/", "../" + "shared"]
"""Paths of the machines that this project is made on; they mean nothing to its readers."""


def anchors(document: Path) -> set[str]:
    """The names by which links find a document's headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", tracked_sources(".md"), ids=relative)
def test_links_of_a_document_lead_somewhere(document: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if "://" not in link and not (target.exists() and (not anchor or anchor in anchors(target))):
            broken.append(link)
    assert broken == []


def test_nothing_tells_of_a_workplace() -> None:
    found = [
        f"{relative(path)}: {word}" for path in tracked() for word in WORKPLACE if word.encode() in path.read_bytes()
    ]
    assert found == []
