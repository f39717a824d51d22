"""What is on offer, as Gemini's list of models has it (https://ai.google.dev/api/models, checked 2026-11)."""

from collections.abc import Iterable, Mapping
from typing import Any

from orcestator.json_text import Json

METHODS = ("generateContent", "countTokens")
VERSION = "1"
"""Every model has one there; ours have no other."""


def model_list(cards: Iterable[tuple[str, Mapping[str, Any]]]) -> Json:
    """The answer to ``GET /v1beta/models``: one page of everything. ``cards`` are public names with their facts."""
    return {"models": [model_card(name, facts) for name, facts in cards]}


def model_card(name: str, facts: Mapping[str, Any]) -> Json:
    """One model; limits that are not known are left out."""
    card: Json = {"name": f"models/{name}", "version": VERSION, "displayName": name}
    for field, fact in (("inputTokenLimit", "context_length"), ("outputTokenLimit", "max_output_tokens")):
        if type(facts.get(fact)) is int:
            card[field] = facts[fact]
    parameters = facts.get("supported_parameters")
    if isinstance(parameters, list | tuple | set | frozenset):
        card["thinking"] = "reasoning" in parameters or "reasoning_effort" in parameters
    return card | {"supportedGenerationMethods": list(METHODS)}
