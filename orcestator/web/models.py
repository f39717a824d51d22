"""``/v1/models``: read from the last snapshot, never from a worker or an upstream.

Fields beyond OpenAI's are those that VS Code's model discovery reads (microsoft/vscode PR 323269, checked 2026-11):
``context_length``, ``max_model_len``, ``supported_parameters`` and ``architecture.input_modalities``.
"""

from typing import Any

from orcestator.routing.catalog import Catalog

Json = dict[str, Any]
CREATED = 1_677_610_602
"""Providers do not agree on a creation date, and clients only want a number: the one of the project's first document."""


def model_list(catalog: Catalog) -> Json:
    """The list answer."""
    return {"object": "list", "data": [_card(*card) for card in catalog.cards()]}


def model_card(catalog: Catalog, name: str) -> Json:
    """One model; raises ModelNotFound."""
    return _card(*catalog.card(name))


def _card(name: str, owner: str, facts: Json) -> Json:
    context = facts.get("context_length")
    return {
        "id": name,
        "object": "model",
        "created": CREATED,
        "owned_by": owner,
        "permission": [],
        "root": name,
        "parent": None,
        "name": name,
        "context_length": context,
        "max_model_len": context,
        "max_output_tokens": facts.get("max_output_tokens"),
        "supported_parameters": facts.get("supported_parameters") or [],
        "architecture": {"input_modalities": facts.get("input_modalities") or ["text"]},
    }
