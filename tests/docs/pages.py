"""The documentation as tests read it: fenced blocks, headings, links and tables of Markdown pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}) +(.+?) *$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`\n]*`")


@dataclass(frozen=True)
class Block:
    """A fenced block. ``kind`` is its info string: the first word is the language, the rest is for the tests."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text.strip().splitlines()[-1][:40]}"


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @property
    def text(self) -> str:
        """Its content."""
        return self.path.read_text("utf-8")

    @property
    def prose(self) -> str:
        """Its content without fenced blocks."""
        return _FENCE.sub("", self.text)

    def blocks(self, kind: str = "") -> list[Block]:
        """Its fenced blocks, those of one kind if it is named."""
        found = [Block(kind.strip(), text) for kind, text in _FENCE.findall(self.text)]
        return [block for block in found if not kind or block.kind == kind]

    def block(self, kind: str) -> str:
        """The text of its only block of this kind."""
        (found,) = self.blocks(kind)
        return found.text

    def headings(self) -> list[tuple[int, str]]:
        """(level, text) of each heading."""
        return [(len(marks), text) for marks, text in _HEADING.findall(self.prose)]

    def links(self) -> list[str]:
        """Where its links and pictures point."""
        return _LINK.findall(_CODE.sub("", self.prose))

    def anchors(self) -> set[str]:
        """What ``#…`` may name on this page, as GitHub makes it of the headings."""
        return {slug(text) for _, text in self.headings()}

    def rows(self) -> list[list[str]]:
        """The cells of every table row, heads and rules included."""
        lines = [line for line in self.prose.splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]

    def part(self, name: str) -> str:
        """What stands between ``<!-- name -->`` and ``<!-- end -->``."""
        return self.text.partition(f"<!-- {name} -->\n")[2].partition("<!-- end -->")[0]


def page(path: str) -> Page:
    """The page at a path relative to the checkout."""
    return Page(ROOT / path)


def all_pages() -> Iterator[Page]:
    """Every page of the project."""
    for folder in (ROOT, ROOT / "docs"):
        pattern = "*.md" if folder == ROOT else "**/*.md"
        yield from map(Page, sorted(folder.glob(pattern)))


def slug(heading: str) -> str:
    """GitHub's anchor for a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
