"""The rules that a person set while the program runs: in use at once, kept, shared, and never half written."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Hashable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from orcestator.errors import Conflict, InvalidRequest, MethodNotAllowed, Overloaded, RouteNotFound
from orcestator.routing.planning.rules import Rule
from orcestator.store.documents import Document, open_documents
from orcestator.web.admin.rules_book import MOST_RULES, RULES_FILE, RulesBook

Changed = TypeVar("Changed")
CONFIGURED = (Rule("config-1", {"model": "gpt-4"}, "openai"), Rule("config-2", {"urgency": "high"}, "openai", 2))
NEW = Rule("", {"budget": {"max": 0.01}}, "openrouter", 3)


class InUse:
    """Holds what was put into use last."""

    rules: tuple[Rule, ...] = ()

    def __call__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules


def run(change: Coroutine[Any, Any, Changed]) -> Changed:
    """What a change gives."""
    return asyncio.run(change)


def book(directory: Path, in_use: InUse | None = None) -> RulesBook:
    """A book over the configured rules."""
    document = Document(open_documents(str(directory / "state")), RULES_FILE)
    return RulesBook(document, CONFIGURED, in_use or InUse())


def test_a_rule_is_in_use_at_once_and_after_a_restart(tmp_path: Path) -> None:
    """It gets an id, and everything of it is kept."""
    in_use = InUse()
    rule = run(book(tmp_path, in_use).put(NEW._replace(is_active=False)))
    assert rule.id.startswith("rule-")
    assert in_use.rules == (*CONFIGURED, rule)
    again = InUse()
    book(tmp_path, again)
    assert again.rules == in_use.rules


def test_another_process_sees_it_at_its_next_poll(tmp_path: Path) -> None:
    """And its own change does not lose the first one."""
    theirs, ours = InUse(), InUse()
    first, second = book(tmp_path, theirs), book(tmp_path, ours)
    rule = run(first.put(NEW))
    assert ours.rules == CONFIGURED
    second.poll()
    assert ours.rules == (*CONFIGURED, rule)
    other = run(second.put(NEW._replace(priority=9)))
    first.poll()
    assert theirs.rules == (*CONFIGURED, rule, other)


def test_a_change_made_meanwhile_elsewhere_is_kept(tmp_path: Path) -> None:
    """Without a poll in between."""
    first, second = book(tmp_path), book(tmp_path)
    rule = run(first.put(NEW))
    other = run(second.put(NEW))
    assert second.rules == (*CONFIGURED, rule, other)


def test_changes_in_two_processes_at_once_are_both_kept(tmp_path: Path) -> None:
    """Neither has seen the other's when it begins; a new rule with the id of another's is refused all the same."""
    first, second = book(tmp_path), book(tmp_path)

    async def both() -> list[Rule | BaseException]:
        named = [NEW._replace(id=name) for name in ("one", "two", "same", "same")]
        books = (first, second, first, second)
        changes = [rules.put(rule, is_new=True) for rule, rules in zip(named, books, strict=True)]
        return await asyncio.gather(*changes, return_exceptions=True)

    outcomes = run(both())
    assert [type(outcome) for outcome in outcomes].count(Conflict) == 1
    again = book(tmp_path)
    assert sorted(rule.id for rule in again.rules) == ["config-1", "config-2", "one", "same", "two"]


def test_a_configured_rule_can_be_stood_in_for_but_not_deleted(tmp_path: Path) -> None:
    """In its place in the order; deleting what stands in brings the configured one back."""
    in_use = InUse()
    rules = book(tmp_path, in_use)
    with pytest.raises(MethodNotAllowed, match="config-1"):
        run(rules.delete("config-1"))
    off = run(rules.put(CONFIGURED[0]._replace(is_active=False)))
    assert in_use.rules == (off, CONFIGURED[1])
    assert rules.source("config-1") == "api"
    run(rules.delete("config-1"))
    assert in_use.rules == CONFIGURED
    assert rules.source("config-1") == "configuration"


def test_a_rule_that_is_not_there(tmp_path: Path) -> None:
    """404 for looking and for deleting."""
    rules = book(tmp_path)
    with pytest.raises(RouteNotFound, match="nothing-like-it"):
        rules.get("nothing-like-it")
    with pytest.raises(RouteNotFound, match="nothing-like-it"):
        run(rules.delete("nothing-like-it"))


def test_a_new_configuration_keeps_what_was_set(tmp_path: Path) -> None:
    """On a reload."""
    in_use = InUse()
    rules = book(tmp_path, in_use)
    rule = run(rules.put(NEW))
    rules.configure(CONFIGURED[1:])
    assert in_use.rules == (CONFIGURED[1], rule)


def test_a_file_that_cannot_be_read_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, not at every poll."""
    in_use = InUse()
    rules = book(tmp_path, in_use)
    rule = run(rules.put(NEW))
    (tmp_path / "state" / RULES_FILE).write_text('{"rules": [{"id": 1}]}')
    with caplog.at_level(logging.WARNING):
        rules.poll()
        rules.poll()
    assert in_use.rules == (*CONFIGURED, rule)
    assert len(caplog.records) == 1


def test_there_is_a_bound(tmp_path: Path) -> None:
    """Every rule is looked at for every request."""
    rules = book(tmp_path)
    for number in range(MOST_RULES):
        run(rules.put(NEW._replace(id=f"r{number}")))
    with pytest.raises(InvalidRequest, match=str(MOST_RULES)):
        run(rules.put(NEW))
    run(rules.put(NEW._replace(id="r0", priority=7)))


def test_what_cannot_be_written_is_not_in_use(tmp_path: Path) -> None:
    """A rule that is in use is one that outlives a restart."""
    in_use = InUse()
    rules = book(tmp_path, in_use)
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(Overloaded, match="OR_STATE_DIR"):
        run(rules.put(NEW))
    assert in_use.rules == CONFIGURED


class SlowDocument:
    """Waits before each ``change`` until the test lets it go on."""

    def __init__(self, document: Document) -> None:
        self.get, self.version, self.place = document.get, document.version, document.place
        self._change = document.change
        self.writes = asyncio.Event()
        self.goes_on = threading.Event()
        self.loop = asyncio.get_running_loop()

    def change(self, change: Callable[[bytes | None], bytes]) -> Hashable:
        self.loop.call_soon_threadsafe(self.writes.set)
        assert self.goes_on.wait(20)
        return self._change(change)


def test_a_slow_disk_stops_nobody_and_mixes_nothing_up(tmp_path: Path) -> None:
    """The loop goes on meanwhile; of two changes the second waits for the first, and knows of it."""

    async def work() -> None:
        document = SlowDocument(Document(open_documents(str(tmp_path)), RULES_FILE))
        rules = RulesBook(document, (), lambda _rules: None)
        first = asyncio.create_task(rules.put(NEW._replace(id="one"), is_new=True))
        await document.writes.wait()
        assert rules.rules == (), "not in use before it is kept"
        others = [asyncio.create_task(rules.put(NEW._replace(id=name), is_new=True)) for name in ("one", "two")]
        document.goes_on.set()
        await first
        with pytest.raises(Conflict, match="'one' already"):
            await others[0]
        await others[1]
        assert [rule.id for rule in rules.rules] == ["one", "two"]

    asyncio.run(work())
