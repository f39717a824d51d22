"""The routing rules in use: those of the configuration, and those that a person set while it runs, which are kept in a document.

A change is in use at once here, and within a poll in the other API servers that share it. Of two rules with one id
the one that was set stands in for the configured one, so that it can be switched off without a restart.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Protocol

import orjson

from orcestator.errors import Conflict, InvalidRequest, MethodNotAllowed, Overloaded, RouteNotFound
from orcestator.routing.planning.rules import Rule, check_condition

logger = logging.getLogger(__name__)
RULES_FILE = "routing_rules.json"
MOST_RULES = 256
"""Rules that may be set; each is looked at for every request that any of them could concern."""
CONFIGURED, SET = "configuration", "api"


class RulesDocument(Protocol):
    """Where the rules that were set are kept. All methods block."""

    def get(self) -> bytes | None:
        """The content, None where there is none. Raises OSError."""

    def put(self, content: bytes) -> Hashable:
        """Keep the content, lastingly; its version. Raises OSError, and then nothing changed."""

    def version(self) -> Hashable | None:
        """Another one with every ``put``; None where there is no document."""

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
        self._set: dict[str, Rule] = {}
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
        return tuple({**{rule.id: rule for rule in configured}, **self._set}.values())

    def source(self, rule_id: str) -> str:
        """Where a rule comes from: "configuration" or "api"."""
        return SET if rule_id in self._set else CONFIGURED

    def get(self, rule_id: str) -> Rule:
        """One rule. Raises RouteNotFound."""
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        raise RouteNotFound(
            f"There is no routing rule '{rule_id[:128]}'. GET /orchestrator/routing-rules lists them.",
            param="id",
            code="rule_not_found",
        )

    async def put(self, rule: Rule, *, is_new: bool = False) -> Rule:
        """Set a rule, in place of the one with its id if there is one; without an id it gets one. Raises InvalidRequest, and Conflict
        when it should be new and is not."""
        async with self._changing:
            self.poll()
            if is_new and any(rule.id == other.id for other in self.rules):
                raise Conflict(
                    f"There is a rule '{rule.id}' already: change it by PUT.", param="id", code="rule_exists"
                )
            if not rule.id:
                rule = rule._replace(id=f"rule-{secrets.token_hex(4)}")
            if rule.id not in self._set and len(self._set) >= MOST_RULES:
                raise InvalidRequest(f"There may be at most {MOST_RULES} rules: delete one first.", param="id")
            await self._change({**self._set, rule.id: rule})
            return rule

    async def delete(self, rule_id: str) -> None:
        """Forget a rule that was set. Raises RouteNotFound, and MethodNotAllowed for one that is configured."""
        async with self._changing:
            self.poll()
            self.get(rule_id)
            if rule_id not in self._set:
                raise MethodNotAllowed(
                    f"The rule '{rule_id}' is written in the configuration: delete it there and reload,"
                    ' or switch it off by PUT with "isActive": false.',
                    headers={"allow": "GET, HEAD, PUT"},
                )
            await self._change({name: rule for name, rule in self._set.items() if name != rule_id})

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
            self._set = {rule.id: rule for rule in _rules_in(orjson.loads(content))}
        except (OSError, ValueError, KeyError, TypeError) as problem:
            place = self._document.place()
            logger.warning("the routing rules in %s cannot be read, those in use stay: %r", place, problem)
            return
        self._apply()

    async def _change(self, rules: dict[str, Rule]) -> None:
        """Written first: a rule that is in use is one that outlives a restart. In a thread, because that waits for the disk; when nobody
        waits for it any more, the next poll finds what was written. Raises Overloaded when it cannot be."""
        try:
            self._seen = await asyncio.to_thread(self._document.put, _content(rules))
        except OSError as problem:
            raise Overloaded(
                f"The rules were not changed: {self._document.place()} cannot be written ({problem.strerror})."
                " Check OR_STATE_DIR.",
                code="state_not_writable",
            ) from problem
        self._set = rules
        self._apply()

    def _apply(self) -> None:
        self._use(self.rules)


def _rules_in(document: Any) -> list[Rule]:
    """Raises ValueError, KeyError or TypeError for another document than ours."""
    rules = []
    for wire in document["rules"]:
        check_condition(wire["condition"])
        rules.append(
            Rule(str(wire["id"]), wire["condition"], str(wire["provider"]), int(wire["priority"]), bool(wire["active"]))
        )
    return rules


def _content(rules: Mapping[str, Rule]) -> bytes:
    rows = [
        {"id": rule.id, "condition": dict(rule.condition), "provider": rule.provider}
        | {"priority": rule.priority, "active": rule.is_active}
        for rule in rules.values()
    ]
    return orjson.dumps({"rules": rows}, option=orjson.OPT_INDENT_2)
