"""The routing rules in use: those of the configuration, and those that a person set while it runs, which are kept in a file.

A change is in use at once here, and within a poll in the other API servers that share the file. Of two rules with one id
the one that was set stands in for the configured one, so that it can be switched off without a restart.
"""

import logging
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from orcestator.errors import InvalidRequest, MethodNotAllowed, Overloaded, RouteNotFound
from orcestator.routing.planning.rules import Rule, check_condition

Json = dict[str, Any]
logger = logging.getLogger(__name__)
RULES_FILE = "routing_rules.json"
MOST_RULES = 256
"""Rules that may be set; each is looked at for every request that any of them could concern."""
CONFIGURED, SET = "configuration", "api"


class RulesBook:
    """``use`` puts a new set of rules into use; it is called with every change, and once at the start."""

    def __init__(self, path: Path, configured: tuple[Rule, ...], use: Callable[[tuple[Rule, ...]], None]) -> None:
        self._path = path
        self._configured = configured
        self._use = use
        self._set: dict[str, Rule] = {}
        self._seen: tuple[int, int] | None = None
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

    def put(self, rule: Rule) -> Rule:
        """Set a rule, in place of the one with its id if there is one; without an id it gets one. Raises InvalidRequest."""
        self.poll()
        if not rule.id:
            rule = rule._replace(id=f"rule-{secrets.token_hex(4)}")
        if rule.id not in self._set and len(self._set) >= MOST_RULES:
            raise InvalidRequest(f"There may be at most {MOST_RULES} rules: delete one first.", param="id")
        self._change({**self._set, rule.id: rule})
        return rule

    def delete(self, rule_id: str) -> None:
        """Forget a rule that was set. Raises RouteNotFound, and MethodNotAllowed for one that is configured."""
        self.poll()
        self.get(rule_id)
        if rule_id not in self._set:
            raise MethodNotAllowed(
                f"The rule '{rule_id}' is written in the configuration: delete it there and reload,"
                ' or switch it off by PUT with "isActive": false.',
                headers={"allow": "GET, HEAD, PUT"},
            )
        self._change({name: rule for name, rule in self._set.items() if name != rule_id})

    def configure(self, configured: tuple[Rule, ...]) -> None:
        """The configuration was loaded again."""
        self._configured = configured
        self._apply()

    def poll(self) -> None:
        """Take over what another process wrote. A file that cannot be read changes nothing."""
        try:
            facts = self._path.stat()
        except OSError:
            return
        seen = (facts.st_mtime_ns, facts.st_ino)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._set = {rule.id: rule for rule in _rules_in(orjson.loads(self._path.read_bytes()))}
        except (OSError, ValueError, KeyError, TypeError) as problem:
            logger.warning("the routing rules in %s cannot be read, those in use stay: %r", self._path, problem)
            return
        self._apply()

    def _change(self, rules: dict[str, Rule]) -> None:
        """Written first: a rule that is in use is one that outlives a restart. Raises Overloaded when it cannot be."""
        try:
            self._seen = _written(self._path, rules)
        except OSError as problem:
            raise Overloaded(
                f"The rules were not changed: {self._path} cannot be written ({problem.strerror}). Check OR_STATE_DIR.",
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


def _written(path: Path, rules: Mapping[str, Rule]) -> tuple[int, int]:
    """Write the file in one step, for its owner alone; what ``poll`` will see of it."""
    rows = [
        {"id": rule.id, "condition": dict(rule.condition), "provider": rule.provider}
        | {"priority": rule.priority, "active": rule.is_active}
        for rule in rules.values()
    ]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(orjson.dumps({"rules": rows}, option=orjson.OPT_INDENT_2))
    facts = beside.stat()
    beside.replace(path)
    return facts.st_mtime_ns, facts.st_ino
