"""What a request needs of a model, and what a model is known to lack.

A request is never sent to a model that lacks what it needs while another has it. What is not known counts as there:
facts are incomplete, and the upstream's own refusal is better than a wrong guess.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from orcestator.json_text import Json

BYTES_PER_TOKEN = 4
"""A usual figure for English text; other scripts need fewer bytes of text a token than this makes of them."""
_PARAMETERS: Mapping[str, frozenset[str]] = {
    "tools": frozenset({"tools"}),
    "json_schema": frozenset({"response_format", "structured_outputs", "json_schema"}),
}
"""What a need is called in a model's ``supported_parameters``."""
_MODALITIES = {"image_url": "image", "input_audio": "audio", "file": "file"}


class Needs(NamedTuple):
    """``parameters`` and ``modalities`` by the names models list them under; ``tokens`` is an estimate of the prompt."""

    parameters: frozenset[str]
    modalities: frozenset[str]
    tokens: int


def needs_of(call: Json, body_bytes: int) -> Needs:
    """The needs of a canonical chat call, whose body has this many bytes. A data URL is not counted as text."""
    parameters = set()
    if call.get("tools"):
        parameters.add("tools")
    wanted = call.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        parameters.add("json_schema")
    modalities: set[str] = set()
    inlined = 0
    messages = call.get("messages")
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content")
        if type(content) is not list:
            continue
        for part in content:
            kind = part.get("type") if type(part) is dict else None
            modality = _MODALITIES.get(kind) if isinstance(kind, str) else None
            if modality is not None:
                modalities.add(modality)
                inlined += _characters(part)
    return Needs(frozenset(parameters), frozenset(modalities), max(0, body_bytes - inlined) // BYTES_PER_TOKEN)


def _characters(part: Json) -> int:
    """How long a part is, by the strings in it and in what it holds: a picture is not made a text again for that."""
    held = [value for value in part.values() if type(value) is dict]
    return sum(len(value) for one in (part, *held) for value in one.values() if type(value) is str)


def known_lacks(facts: Mapping[str, Any]) -> frozenset[str]:
    """Which of the parameters and modalities that a request may need a model with these facts is known not to have."""
    lacking: set[str] = set()
    parameters = facts.get("supported_parameters")
    if parameters:
        lacking.update(need for need, names in _PARAMETERS.items() if names.isdisjoint(parameters))
    modalities = facts.get("input_modalities")
    if modalities:
        lacking.update(set(_MODALITIES.values()).difference(modalities))
    return frozenset(lacking)
