"""``/v1/models``: read from the last snapshot, never from a worker or an upstream.

Fields beyond OpenAI's are those that VS Code's model discovery reads (microsoft/vscode PR 323269, checked 2026-11):
``context_length``, ``max_model_len``, ``supported_parameters`` and ``architecture.input_modalities``; and those of
Anthropic's list (https://platform.claude.com/docs/en/api/models-list, checked 2026-11), which Claude Code reads here:
``type``, ``display_name``, ``created_at`` and the page's ``first_id``, ``last_id``, ``has_more``.
"""

from orcestator.dialects.anthropic.spoken_names import spoken_name
from orcestator.json_text import Json
from orcestator.routing.planning.catalog import Catalog

OWN = "orcestator"
"""Who owns ``orcestator`` and the aliases."""
CREATED = 1_677_610_602
"""Providers do not agree on a creation date, and clients only want a number: the one of the project's first document."""
CREATED_AT = "2023-02-28T18:56:42Z"
"""The same moment, as Anthropic's clients want it."""


def model_list(catalog: Catalog, *, for_claude: bool = False) -> Json:
    """The list answer. ``for_claude``: our own names also as Claude Code shows them."""
    found = catalog.cards()
    cards = [_card(*card) for card in found]
    if for_claude:
        ours = [(name, facts) for name, owner, facts in found if owner == OWN]
        cards += [
            {**_card(spoken_name(name), OWN, facts), "display_name": name}
            for name, facts in ours
            if spoken_name(name) != name
        ]
    ids = [card["id"] for card in cards] or [None]
    return {"object": "list", "data": cards, "first_id": ids[0], "last_id": ids[-1], "has_more": False}


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
        "type": "model",
        "display_name": name,
        "created_at": CREATED_AT,
        "context_length": context,
        "max_model_len": context,
        "max_output_tokens": facts.get("max_output_tokens"),
        "supported_parameters": facts.get("supported_parameters") or [],
        "architecture": {"input_modalities": facts.get("input_modalities") or ["text"]},
        **({"pricing": facts["pricing"]} if "pricing" in facts else {}),
    }
