"""Parts of an answer of the Responses API, whole or streamed, in canonical words.

openai-python 3.51 ``types/responses`` (``Response``, ``ResponseOutputItem``, ``ResponseUsage``) and
https://platform.openai.com/docs/api-reference/responses/object (checked 2026-11).
"""

from orcestator.dialects.canonical import RESPONSES_FORMAT
from orcestator.dialects.failures import error_in_answer
from orcestator.dialects.shapes import count_in, object_in, objects_in, text_in
from orcestator.errors import UpstreamBroken, UpstreamError
from orcestator.json_text import Json

CALLS = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}
"""Item types that call a tool: the canonical type, and the field that holds what the tool is given."""
_SUMMARY_BREAK = "\n\n"


def call_of(item: Json, given: str) -> Json:
    """A tool call with what the tool is given."""
    kind, field = CALLS[item["type"]]
    call_id = text_in(item, "call_id") or text_in(item, "id")
    return {"id": call_id, "type": kind, kind: {"name": text_in(item, "name"), field: given}}


def given_in(item: Json) -> str:
    """What a tool call's item gives its tool."""
    return text_in(item, CALLS[item["type"]][1])


def spoken_in(item: Json) -> Json:
    """Of a message item: its text, refusal, annotations and log probabilities, each only when there is one."""
    parts = objects_in(item, "content")
    said: Json = {
        "content": "".join(text_in(part, "text") for part in parts if part.get("type") == "output_text"),
        "refusal": "".join(text_in(part, "refusal") for part in parts if part.get("type") == "refusal"),
        "annotations": [made for part in parts for made in map(annotation, objects_in(part, "annotations")) if made],
        "logprobs": [probability for part in parts for probability in objects_in(part, "logprobs")],
    }
    return {name: value for name, value in said.items() if value}


def plain_text(item: Json) -> str | None:
    """The text of a message item that says one text and nothing beside it, which most do; None for any other."""
    content = item.get("content")
    if item.get("type") != "message" or not isinstance(content, list) or len(content) != 1:
        return None
    part = content[0]
    if (
        not isinstance(part, dict)
        or part.get("type") != "output_text"
        or part.get("annotations")
        or part.get("logprobs")
    ):
        return None
    return text_in(part, "text")


def annotation(wire: Json) -> Json | None:
    """A citation as chat has it; None for the kinds that chat has not."""
    if wire.get("type") != "url_citation":
        return None
    cited = {name: wire[name] for name in ("start_index", "end_index", "title", "url") if name in wire}
    return {"type": "url_citation", "url_citation": cited}


def reasoning_text(item: Json) -> str:
    """The readable reasoning of an item: its text where an open model gives it, else the parts of its summary."""
    texts = [text_in(part, "text") for part in objects_in(item, "content")]
    if any(texts):
        return "".join(texts)
    return _SUMMARY_BREAK.join(text_in(part, "text") for part in objects_in(item, "summary"))


def reasoning_details(item: Json, place: object) -> list[Json]:
    """What the issuer wants back of a reasoning item, with its place among the answer's items; [] if not encrypted.

    Nothing is kept upstream, so an item without its encrypted content is worth nothing there.
    """
    if not text_in(item, "encrypted_content"):
        return []
    told: Json = {"format": RESPONSES_FORMAT, "index": place if type(place) is int else 0}
    told |= {"id": item["id"]} if text_in(item, "id") else {}
    details = [
        {"type": "reasoning.summary", "summary": text_in(part, "text"), **told} for part in objects_in(item, "summary")
    ]
    return [*details, {"type": "reasoning.encrypted", "data": item["encrypted_content"], **told}]


def finish_of(response: Json, *, called: bool) -> str:
    """The finish reason. An answer that was cut for an unknown reason was cut: ``length``."""
    if response.get("status") == "incomplete" or response.get("incomplete_details"):
        reason = text_in(object_in(response, "incomplete_details"), "reason")
        return "content_filter" if reason == "content_filter" else "length"
    return "tool_calls" if called else "stop"


def usage_of(response: Json) -> Json | None:
    """The canonical usage of a response; None when there is none. Searches are items of its output."""
    wire = response.get("usage")
    if not isinstance(wire, dict):
        return None
    prompt, completion = count_in(wire, "input_tokens"), count_in(wire, "output_tokens")
    if prompt is None or completion is None:
        return None
    usage: Json = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    known = {name: count_in(object_in(wire, "input_tokens_details"), name) for name in _INPUT_DETAILS}
    reasoned = count_in(object_in(wire, "output_tokens_details"), "reasoning_tokens")
    details = {name: count for name, count in known.items() if count is not None}
    usage |= {"prompt_tokens_details": details} if details else {}
    usage |= {} if reasoned is None else {"completion_tokens_details": {"reasoning_tokens": reasoned}}
    searches = sum(item.get("type") == "web_search_call" for item in objects_in(response, "output"))
    return usage | ({"server_tool_use": {"web_search_requests": searches}} if searches else {})


_INPUT_DETAILS = ("cached_tokens", "cache_write_tokens")


def failure_in(response: Json, provider: str) -> UpstreamError | None:
    """The error that a response tells of, or None for one that went well."""
    status = response.get("status")
    if response.get("error") or status == "failed":
        return error_in_answer(provider, response.get("error") or "the response failed")
    if status in ("cancelled", "queued", "in_progress"):
        return UpstreamBroken(f"{provider} gave a response that is {status}.", cause="unfinished")
    return None
