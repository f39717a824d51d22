"""What a kept conversation is made of: the items of its turns, each turn on top of the one before.

https://platform.openai.com/docs/guides/conversation-state and the listing of input items
(https://platform.openai.com/docs/api-reference/responses/input-items, checked 2026-11): ``instructions`` of an earlier
turn do not carry over; items do. Nothing here keeps anything.
"""

from collections.abc import Callable
from typing import Any

from orcestator.errors import InvalidRequest
from orcestator.json_text import Json

MOST_LISTED = 100
USUALLY_LISTED = 20
_PREFIXES = {
    "message": "msg_",
    "reasoning": "rs_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
}


def with_history(body: Json, history_items: list[Json]) -> Json:
    """The caller's body as if it had sent the whole conversation itself.

    Raises InvalidRequest when its own ``input`` is neither text nor items.
    """
    rest = {name: value for name, value in body.items() if name != "previous_response_id"}
    return {**rest, "input": [*history_items, *own_items(body)]}


def with_references(body: Json, find: Callable[[str], Json | None]) -> Json:
    """The body with the items that its references stand for; the body itself when it has none.

    ``find`` gives a kept item by its id. Raises InvalidRequest for a reference to an item that is not kept.
    """
    items = body.get("input")
    if not isinstance(items, list) or not any(map(_is_reference, items)):
        return body
    return {**body, "input": [_referred(item, place, find) for place, item in enumerate(items)]}


def items_to_keep(body: Json, response: Json) -> list[Json]:
    """The items that the next turn begins with: the input of this one, then its output.

    Give the body that ``with_history`` made, and each turn's record stands for itself.
    """
    output = response.get("output")
    return [
        *own_items(body),
        *(item for item in (output if isinstance(output, list) else ()) if isinstance(item, dict)),
    ]


def own_items(body: Json) -> list[Json]:
    """The body's own input as items in their long form; [] when it has none. Raises InvalidRequest for no items."""
    given = body.get("input")
    if given is None:
        return []
    if isinstance(given, str):
        return [_message("user", given)]
    if not isinstance(given, list):
        raise InvalidRequest("'input' must be a text or a list of items.", param="input")
    return [_long_form(item, place) for place, item in enumerate(given)]


def input_listing(
    items: list[Json],
    response_id: str,
    *,
    after: str | None = None,
    limit: int = USUALLY_LISTED,
    newest_first: bool = True,
) -> Json:
    """The answer to ``GET /v1/responses/{id}/input_items``. ``after`` is the id of the last item already seen.

    Items that came without an id get one that stays the same. Raises InvalidRequest for an unknown ``after``.
    """
    listed = [_with_id(item, place, response_id) for place, item in enumerate(items)]
    if newest_first:
        listed.reverse()
    if after is not None:
        seen = [place for place, item in enumerate(listed) if item["id"] == after]
        if not seen:
            raise InvalidRequest("'after' must be the id of an item of this response's input.", param="after")
        listed = listed[seen[0] + 1 :]
    page = listed[: max(1, min(limit, MOST_LISTED))]
    first, last = (page[0]["id"], page[-1]["id"]) if page else ("", "")
    has_more = len(page) < len(listed)
    return {"object": "list", "data": page, "first_id": first, "last_id": last, "has_more": has_more}


def _long_form(item: Any, place: int) -> Json:
    """A message in its short form (no type, plain text) as the long one; anything else as it is."""
    if not isinstance(item, dict):
        raise InvalidRequest(f"'input[{place}]' must be an object such as a message.", param=f"input[{place}]")
    if item.get("type") is None and "role" in item:
        item = {"type": "message", **{name: value for name, value in item.items() if name != "type"}}
    if item.get("type") == "message" and isinstance(item.get("content"), str):
        return {**item, **_message(item.get("role"), item["content"])}
    return dict(item)


def _message(role: Any, text: str) -> Json:
    if role == "assistant":
        content: list[Json] = [{"type": "output_text", "text": text, "annotations": []}]
    else:
        content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": role, "content": content}


def _is_reference(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    return item.get("type") == "item_reference" or (item.get("type") is None and "role" not in item)


def _referred(item: Any, place: int, find: Callable[[str], Json | None]) -> Any:
    if not _is_reference(item):
        return item
    found = find(item["id"]) if isinstance(item.get("id"), str) else None
    if found is None:
        raise InvalidRequest(
            f"'input[{place}]' refers to an item that is not kept here; send the item itself.", param=f"input[{place}]"
        )
    return found


def _with_id(item: Json, place: int, response_id: str) -> Json:
    status = {"status": "completed"} if item.get("type") == "message" else {}
    if isinstance(item.get("id"), str) and item["id"]:
        return {**status, **item}
    kind = item.get("type")
    prefix = _PREFIXES.get(kind, "item_") if isinstance(kind, str) else "item_"
    return {
        "id": f"{prefix}{response_id.removeprefix('resp_')}_{place}",
        **status,
        **{k: v for k, v in item.items() if k != "id"},
    }
