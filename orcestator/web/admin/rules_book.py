"""The routing rules in use: those of the configuration, and those that a person set while it runs, which are kept in a document.

A change is in use at once here, and within a poll in the other API servers that share it. Of two rules with one id
the one that was set stands in for the configured one, so that it can be switched off without a restart.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Protocol

import orjson

from orcestator.errors import Conflict, InvalidRequest, MethodNotAllowed, Overloaded, RouteNotFound
from orcestator.routing.planning.rules import Rule, check_condition

logger = logging.getLogger(__name__)
RULES_FILE = "routing_rules.json"
MOST_RULES = 256
"""Rules that may be set; each is looked at for every request that any of them could concern."""
CONFIGURED, SET = "configuration", "api"
_RulesById = Mapping[str, Rule]
_NOT_OURS = (ValueError, KeyError, TypeError)
"""What reading a document raises that we did not write."""


class RulesDocument(Protocol):
    """Where the rules that were set are kept. All methods block."""

    def get(self) -> bytes | None:
        """The content, None where there is none. Raises OSError."""

    def change(self, change: Callable[[bytes | None], bytes]) -> Hashable:
        """Keep what ``change`` makes of the content, lastingly, and lose no change of another process; its version. Raises OSError,
        and what ``change`` raises, and then nothing changed."""

    def version(self) -> Hashable | None:
        """Another one with every ``change``; None where there is no document."""

    def place(self) -> str:
        """Where a person finds it."""


class RulesBook:
    """``use`` puts a new set of rules into use; it is called with every change, and once at the start."""

    def __init__(
        self, document: RulesDocument, configured: tuple[Rule, ...], use: Callable[[tuple[Rule, ...]], None]
    ) -> None:
        self._document = document
        self._configured = configured
        self._use = use
        self._set: _RulesById = {}
        self._seen: Hashable | None = None
        self._changing = asyncio.Lock()
        self._apply()
        self.poll()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules: the configured ones in their order, what stands in for them in their place, then the others."""
        return self.under(self._configured)

    def under(self, configured: tuple[Rule, ...]) -> tuple[Rule, ...]:
        """All rules, if these were the configured ones."""
        return _together(configured, self._set)

    def source(self, rule_id: str) -> str:
        """Where a rule comes from: "configuration" or "api"."""
        return SET if rule_id in self._set else CONFIGURED

    def get(self, rule_id: str) -> Rule:
        """One rule. Raises RouteNotFound."""
        return _named(rule_id, self.rules)

    async def put(self, rule: Rule, *, is_new: bool = False) -> Rule:
        """Set a rule, in place of the one with its id if there is one; without an id it gets one. Raises InvalidRequest, and Conflict
        when it should be new and is not."""
        rule = rule if rule.id else rule._replace(id=f"rule-{secrets.token_hex(4)}")

        def with_it(were_set: _RulesById) -> _RulesById:
            if is_new and any(rule.id == other.id for other in _together(self._configured, were_set)):
                raise Conflict(
                    f"There is a rule '{rule.id}' already: change it by PUT.", param="id", code="rule_exists"
                )
            if rule.id not in were_set and len(were_set) >= MOST_RULES:
                raise InvalidRequest(f"There may be at most {MOST_RULES} rules: delete one first.", param="id")
            return {**were_set, rule.id: rule}

        await self._change(with_it)
        return rule

    async def delete(self, rule_id: str) -> None:
        """Forget a rule that was set. Raises RouteNotFound, and MethodNotAllowed for one that is configured."""

        def without_it(were_set: _RulesById) -> _RulesById:
            _named(rule_id, _together(self._configured, were_set))
            if rule_id not in were_set:
                raise MethodNotAllowed(
                    f"The rule '{rule_id}' is written in the configuration: delete it there and reload,"
                    ' or switch it off by PUT with "isActive": false.',
                    headers={"allow": "GET, HEAD, PUT"},
                )
            return {name: rule for name, rule in were_set.items() if name != rule_id}

        await self._change(without_it)

    def configure(self, configured: tuple[Rule, ...]) -> None:
        """The configuration was loaded again."""
        self._configured = configured
        self._apply()

    def poll(self) -> None:
        """Take over what another process wrote. What cannot be read changes nothing."""
        seen = self._document.version()
        if seen is None or seen == self._seen:
            return
        self._seen = seen
        try:
            content = self._document.get()
            if content is None:
                return
            self._set = _rules_in(content)
        except (OSError, *_NOT_OURS) as problem:
            place = self._document.place()
            logger.warning("the routing rules in %s cannot be read, those in use stay: %r", place, problem)
            return
        self._apply()

    async def _change(self, work: Callable[[_RulesById], _RulesById]) -> None:
        """Written first: a rule that is in use is one that outlives a restart. In a thread, because that waits for the disk and for other
        processes; when nobody waits for it any more, the next poll finds what was written. Raises Overloaded when it cannot be."""
        rules = self._set

        def change(content: bytes | None) -> bytes:
            nonlocal rules
            rules = work(self._set_by(content))
            return _content(rules)

        async with self._changing:
            try:
                self._seen = await asyncio.to_thread(self._document.change, change)
            except OSError as problem:
                raise Overloaded(
                    f"The rules were not changed: {self._document.place()} cannot be written ({problem.strerror})."
                    " Check OR_STATE_DIR.",
                    code="state_not_writable",
                ) from problem
            self._set = rules
            self._apply()

    def _set_by(self, content: bytes | None) -> _RulesById:
        """The rules that a document sets; those in use where it is gone or cannot be read."""
        try:
            return self._set if content is None else _rules_in(content)
        except _NOT_OURS:
            return self._set

    def _apply(self) -> None:
        self._use(self.rules)


def _named(rule_id: str, rules: Iterable[Rule]) -> Rule:
    for rule in rules:
        if rule.id == rule_id:
            return rule
    raise RouteNotFound(
        f"There is no routing rule '{rule_id[:128]}'. GET /orchestrator/routing-rules lists them.",
        param="id",
        code="rule_not_found",
    )


def _together(configured: Iterable[Rule], were_set: _RulesById) -> tuple[Rule, ...]:
    return tuple({**{rule.id: rule for rule in configured}, **were_set}.values())


def _rules_in(content: bytes) -> _RulesById:
    """Raises one of ``_NOT_OURS`` for another document than ours."""
    rules = {}
    for wire in orjson.loads(content)["rules"]:
        check_condition(wire["condition"])
        rule_id = str(wire["id"])
        rules[rule_id] = Rule(
            rule_id, wire["condition"], str(wire["provider"]), int(wire["priority"]), bool(wire["active"])
        )
    return rules


def _content(rules: _RulesById) -> bytes:
    rows = [
        {"id": rule.id, "condition": dict(rule.condition), "provider": rule.provider}
        | {"priority": rule.priority, "active": rule.is_active}
        for rule in rules.values()
    ]
    return orjson.dumps({"rules": rows}, option=orjson.OPT_INDENT_2)
