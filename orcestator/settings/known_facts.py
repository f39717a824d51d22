"""Reads the facts about models that come with the package. The only file that the settings read unasked."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files

from orcestator.json_text import loads
from orcestator.providers.known import FACTS_FILE, known_models
from orcestator.providers.models import ModelFacts
from orcestator.providers.rows import Provider


def with_known_facts(rows: Sequence[Provider]) -> list[Provider]:
    """The rows with what the package knows about their models; nothing is read when there are no rows."""
    if not rows:
        return []
    document = loads((files("orcestator.providers") / FACTS_FILE).read_bytes())
    return [_with_known(row, known_models(document, row.name)) for row in rows]


def _with_known(row: Provider, known: tuple[ModelFacts, ...]) -> Provider:
    by_name = {facts.id: facts for facts in known}
    return replace(row, known=known, models=tuple(facts.filled_from(by_name.get(facts.id)) for facts in row.models))
