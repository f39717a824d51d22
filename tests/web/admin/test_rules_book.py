"""The rules that a person set while the program runs: in use at once, kept, shared, and never half written."""

import logging
from pathlib import Path

import pytest

from orcestator.errors import InvalidRequest, MethodNotAllowed, Overloaded, RouteNotFound
from orcestator.routing.planning.rules import Rule
from orcestator.store.documents import Document, open_documents
from orcestator.web.admin.rules_book import MOST_RULES, RULES_FILE, RulesBook

CONFIGURED = (Rule("config-1", {"model": "gpt-4"}, "openai"), Rule("config-2", {"urgency": "high"}, "openai", 2))
NEW = Rule("", {"budget": {"max": 0.01}}, "openrouter", 3)


class InUse:
    """Holds what was put into use last."""

    rules: tuple[Rule, ...] = ()

    def __call__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules


def book(directory: Path, in_use: InUse | None = None) -> RulesBook:
    """A book over the configured rules."""
    document = Document(open_documents(str(directory / "state")), RULES_FILE)
    return RulesBook(document, CONFIGURED, in_use or InUse())


def test_a_rule_is_in_use_at_once_and_after_a_restart(tmp_path: Path) -> None:
    """It gets an id, and everything of it is kept."""
    in_use = InUse()
    rule = book(tmp_path, in_use).put(NEW._replace(is_active=False))
    assert rule.id.startswith("rule-")
    assert in_use.rules == (*CONFIGURED, rule)
    again = InUse()
    book(tmp_path, again)
    assert again.rules == in_use.rules


def test_another_process_sees_it_at_its_next_poll(tmp_path: Path) -> None:
    """And its own change does not lose the first one."""
    theirs, ours = InUse(), InUse()
    first, second = book(tmp_path, theirs), book(tmp_path, ours)
    rule = first.put(NEW)
    assert ours.rules == CONFIGURED
    second.poll()
    assert ours.rules == (*CONFIGURED, rule)
    other = second.put(NEW._replace(priority=9))
    first.poll()
    assert theirs.rules == (*CONFIGURED, rule, other)


def test_a_change_made_meanwhile_elsewhere_is_kept(tmp_path: Path) -> None:
    """Without a poll in between."""
    first, second = book(tmp_path), book(tmp_path)
    rule = first.put(NEW)
    other = second.put(NEW)
    assert second.rules == (*CONFIGURED, rule, other)


def test_a_configured_rule_can_be_stood_in_for_but_not_deleted(tmp_path: Path) -> None:
    """In its place in the order; deleting what stands in brings the configured one back."""
    in_use = InUse()
    rules = book(tmp_path, in_use)
    with pytest.raises(MethodNotAllowed, match="config-1"):
        rules.delete("config-1")
    off = rules.put(CONFIGURED[0]._replace(is_active=False))
    assert in_use.rules == (off, CONFIGURED[1])
    assert rules.source("config-1") == "api"
    rules.delete("config-1")
    assert in_use.rules == CONFIGURED
    assert rules.source("config-1") == "configuration"


def test_a_rule_that_is_not_there(tmp_path: Path) -> None:
    """404 for looking and for deleting."""
    rules = book(tmp_path)
    for look in (rules.get, rules.delete):
        with pytest.raises(RouteNotFound, match="nothing-like-it"):
            look("nothing-like-it")


def test_a_new_configuration_keeps_what_was_set(tmp_path: Path) -> None:
    """On a reload."""
    in_use = InUse()
    rules = book(tmp_path, in_use)
    rule = rules.put(NEW)
    rules.configure(CONFIGURED[1:])
    assert in_use.rules == (CONFIGURED[1], rule)


def test_a_file_that_cannot_be_read_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, not at every poll."""
    in_use = InUse()
    rules = book(tmp_path, in_use)
    rule = rules.put(NEW)
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
        rules.put(NEW._replace(id=f"r{number}"))
    with pytest.raises(InvalidRequest, match=str(MOST_RULES)):
        rules.put(NEW)
    rules.put(NEW._replace(id="r0", priority=7))


def test_what_cannot_be_written_is_not_in_use(tmp_path: Path) -> None:
    """A rule that is in use is one that outlives a restart."""
    in_use = InUse()
    rules = book(tmp_path, in_use)
    (tmp_path / "state").write_text("a file where the folder should be")
    with pytest.raises(Overloaded, match="OR_STATE_DIR"):
        rules.put(NEW)
    assert in_use.rules == CONFIGURED
