"""Every page can be reached, and every relative link and anchor in a page leads somewhere."""

import pytest

from orcestator.providers.rows import ROWS
from orcestator.settings.sources import TABLE
from tests.docs.pages import ROOT, Page, all_pages

PAGES = list(all_pages())
NAMES = [str(page.path.relative_to(ROOT)) for page in PAGES]
KNOWN_VARIABLES = {row.variable for row in TABLE} | {
    name for row in ROWS for name in (row.key_env, row.also_key_env, row.base_url_env)
}
MADE_UP = {"OR_", "OR_PROT"}
"""The prefix itself, and a mistake that the guide shows the message for."""


def is_elsewhere(target: str) -> bool:
    """Whether a link leaves the checkout."""
    return target.startswith(("http://", "https://", "mailto:"))


def resolved(page: Page, target: str) -> tuple[Page, str]:
    """The page a link points to, and the anchor."""
    path, _, anchor = target.partition("#")
    return Page((page.path.parent / path).resolve() if path else page.path), anchor


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Page) -> None:
    """Files exist, inside the checkout; anchors are headings."""
    for target in page.links():
        if is_elsewhere(target):
            continue
        goal, anchor = resolved(page, target)
        assert goal.path.is_relative_to(ROOT), f"{target} leaves the checkout"
        assert goal.path.exists(), f"{target} does not exist"
        assert not anchor or anchor in goal.anchors(), f"{target}: no such heading"


def test_every_page_can_be_reached_from_the_readme() -> None:
    """A page that nothing links to is read by nobody."""
    seen, waiting = set(), [Page(ROOT / "README.md")]
    while waiting:
        page = waiting.pop()
        if page.path in seen or page.path.suffix != ".md":
            continue
        seen.add(page.path)
        waiting += [resolved(page, target)[0] for target in page.links() if not is_elsewhere(target)]
    results = set((ROOT / "scripts" / "bench" / "results").glob("*.md"))
    assert {page.path for page in PAGES} | results == seen


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_variables_exist(page: Page) -> None:
    """A page names no setting that the program does not have."""
    words = {word for part in page.text.replace("=", "`").split("`") for word in part.split()}
    named = {word.strip(".,;:()") for word in words if word.startswith("OR_")}
    assert {name for name in named if name.isupper()} - KNOWN_VARIABLES - MADE_UP == set()


def test_decisions_have_their_parts() -> None:
    """Numbers without gaps, a title with the number, and three headings."""
    decisions = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    for number, path in enumerate(decisions, 1):
        headings = Page(path).headings()
        assert path.name.startswith(f"{number:04d}-")
        assert headings[0][1].startswith(f"{number}. ")
        assert [text for _, text in headings[1:]] == ["Situation", "Decision", "What follows"]
