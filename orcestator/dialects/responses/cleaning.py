"""A caller's body freed of what this gateway wrote in the issuer's name, for a relay to the issuer itself.

An answer of another upstream reached the caller as items with ids of ours, and comes back as history. The issuer knows
none of these ids, and reasoning without its encrypted content is an item that it does "not find"
(https://github.com/vercel/ai/issues/7543, checked 2026-11).
"""

import re
from typing import Any

from orcestator.dialects.shapes import text_in
from orcestator.json_text import Json

_OURS = re.compile(r"(?:msg|rs|fc|ctc)_[0-9a-f]{24}")
"""Ids as this gateway makes them; OpenAI's are twice as long."""


def clean(body: Json) -> Json | None:
    """The body without ids of ours and without reasoning that is worth nothing; None when there is none of it."""
    items = body.get("input")
    if not isinstance(items, list):
        return None
    kept = [_without_our_id(item) for item in items if not _is_worthless(item)]
    if len(kept) == len(items) and all(new is old for new, old in zip(kept, items, strict=True)):
        return None
    return {**body, "input": kept}


def _is_worthless(item: Any) -> bool:
    if not isinstance(item, dict) or item.get("type") != "reasoning" or text_in(item, "encrypted_content"):
        return False
    return not text_in(item, "id") or _has_our_id(item)


def _without_our_id(item: Any) -> Any:
    if not isinstance(item, dict) or item.get("type") == "item_reference" or not _has_our_id(item):
        return item
    return {name: value for name, value in item.items() if name != "id"}


def _has_our_id(item: Json) -> bool:
    return _OURS.fullmatch(text_in(item, "id")) is not None
