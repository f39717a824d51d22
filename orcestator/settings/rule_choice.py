"""The routing rules and the verdicts that a person writes down."""

from collections.abc import Iterator, Sequence
from typing import Any

from orcestator.errors import StartupProblem
from orcestator.providers.rows import Provider
from orcestator.routing.planning.rules import Rule, check_condition
from orcestator.routing.verdict import Override, read_override
from orcestator.settings.fields import field, present, sections_in
from orcestator.settings.problems import no_provider, problem
from orcestator.settings.values import boolean, count, text_of
from orcestator.settings.yaml_file import Node, Section, plain

RULE_KEYS = ("id", "condition", "provider", "priority", "is_active")


def read_rules(node: Node | None, rows: Sequence[Provider]) -> Iterator[Rule]:
    """The entries of ``routing_rules:``. Raises StartupProblem."""
    taken: set[str] = set()
    for place, section in enumerate(sections_in(node, "rules"), 1):
        section.require_known(RULE_KEYS)
        rule = Rule(
            id=field(section, "id", text_of, "") or f"rule-{place}",
            condition=_condition(section),
            provider=_provider(section, rows),
            priority=field(section, "priority", count, 1),
            is_active=field(section, "is_active", boolean, default=True),
        )
        if rule.id in taken:
            raise problem(section.place, section.path, f"has the id {rule.id}, which another rule has")
        taken.add(rule.id)
        yield rule


def _condition(section: Section) -> dict[str, Any]:
    node = present(section, "condition")
    if not isinstance(node, Section) or not node.nodes:
        raise problem(section.place, section.path, "must have a condition, such as {urgency: high}")
    condition: dict[str, Any] = plain(node)
    try:
        check_condition(condition)
    except ValueError as fault:
        raise StartupProblem(f"{node.place}: {node.path}: {fault}") from fault
    return condition


def read_verdicts(node: Node | None, rows: Sequence[Provider]) -> Iterator[Override]:
    """The entries of ``verdicts:``. Raises StartupProblem."""
    known = [row.name for row in rows]
    for section in sections_in(node, "verdicts"):
        try:
            override = read_override(plain(section))
        except ValueError as fault:
            raise StartupProblem(f"{section.place}: {section.path}: {fault}") from fault
        for name in sorted(override.when.providers.difference(known)):
            raise no_provider(section.place, f"{section.path}.when.provider", name, known)
        yield override


def _provider(section: Section, rows: Sequence[Provider]) -> str:
    known = [row.name for row in rows]
    name = field(section, "provider", text_of, "")
    node = present(section, "provider")
    if node is None:
        raise problem(section.place, section.path, "must name the provider that it prefers")
    if name not in known:
        raise no_provider(node.place, node.path, name, known)
    return name
