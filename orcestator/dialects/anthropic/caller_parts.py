"""Content blocks of a caller's message to canonical content parts.

Types of anthropic-sdk-python 2.12 (checked 2026-11). What only Anthropic could resolve (its own file ids, results of
its own tools) is named as ``messages.<type>``.
"""

from typing import Any

from orcestator.dialects.anthropic.caller_fields import listing, mapping, text, wrong
from orcestator.dialects.anthropic.dropped import Dropped
from orcestator.dialects.anthropic.upstream_parts import is_cache_mark
from orcestator.json_text import Json


def blocks_in(content: Any, param: str) -> list[Json]:
    """Content as blocks, each an object with a type. Raises InvalidRequest naming the block."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise wrong(param, "Input should be a valid string or list", "Give a text or a list of content blocks.")
    return [_typed(block, f"{param}[{index}]") for index, block in enumerate(content)]


def parts_of_block(block: Json, param: str, dropped: Dropped) -> list[Json]:
    """The parts that a user's, a system's or a tool's block becomes; an unknown one is named in ``dropped``."""
    match block["type"]:
        case "text":
            return [_marked({"type": "text", "text": text(block.get("text"), f"{param}.text")}, block)]
        case "image":
            parts = _image_parts(mapping(block.get("source"), f"{param}.source"), f"{param}.source")
        case "document":
            parts = _document_parts(block, param, dropped)
        case "search_result":
            parts = _search_parts(block, param)
        case "tool_reference":
            # What Claude Code's search for tools found; the tools themselves are among the call's.
            name = text(block.get("tool_name"), f"{param}.tool_name")
            parts = [{"type": "text", "text": f"Tool found: {name}"}]
        case _:
            parts = []
    if not parts:
        dropped.add(f"messages.{block['type']}")
    return [*parts[:-1], *(_marked(part, block) for part in parts[-1:])]


def content_of(parts: list[Json]) -> str | list[Json]:
    """The plainest form of content: a text alone is a string, which every upstream takes."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return str(parts[0]["text"])
    return parts


def _typed(block: Any, param: str) -> Json:
    if isinstance(block, str):
        return {"type": "text", "text": block}
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        raise wrong(param, "Input should be an object with a type", 'Give a block like {"type": "text", "text": "…"}.')
    return block


def _image_parts(source: Json, param: str) -> list[Json]:
    match source.get("type"):
        case "base64":
            url = _data_url(source, param)
        case "url":
            url = text(source.get("url"), f"{param}.url")
        case _:
            return []
    return [{"type": "image_url", "image_url": {"url": url}}]


def _document_parts(block: Json, param: str, dropped: Dropped) -> list[Json]:
    """A PDF is a file, plain text is text, and blocks are themselves."""
    source, place = mapping(block.get("source"), f"{param}.source"), f"{param}.source"
    citations = block.get("citations")
    if isinstance(citations, dict) and citations.get("enabled") is True:
        dropped.add("messages.document.citations")
    match source.get("type"):
        case "base64":
            return [_file_part(_data_url(source, place), block)]
        case "url":
            return [_file_part(text(source.get("url"), f"{place}.url"), block)]
        case "text":
            return _titled([{"type": "text", "text": text(source.get("data"), f"{place}.data")}], block)
        case "content":
            inner = blocks_in(source.get("content"), f"{place}.content")
            parts = [
                part
                for index, one in enumerate(inner)
                if one["type"] in ("text", "image")
                for part in parts_of_block(one, f"{place}.content[{index}]", dropped)
            ]
            return _titled(parts, block)
    return []


def _search_parts(block: Json, param: str) -> list[Json]:
    inner = listing(block.get("content"), f"{param}.content")
    texts = [one["text"] for one in inner if isinstance(one, dict) and isinstance(one.get("text"), str)]
    head = [value for name in ("title", "source") if isinstance(value := block.get(name), str) and value]
    return [{"type": "text", "text": "\n".join([*head, *texts])}]


def _file_part(data: str, block: Json) -> Json:
    title = block.get("title")
    named = {"filename": title} if isinstance(title, str) and title else {}
    return {"type": "file", "file": {"file_data": data, **named}}


def _titled(parts: list[Json], block: Json) -> list[Json]:
    heads = [value for name in ("title", "context") if isinstance(value := block.get(name), str) and value]
    return [{"type": "text", "text": "\n".join([*heads, ""])}, *parts] if heads and parts else parts


def _data_url(source: Json, param: str) -> str:
    media_type = text(source.get("media_type"), f"{param}.media_type")
    return f"data:{media_type};base64,{text(source.get('data'), f'{param}.data')}"


def _marked(part: Json, block: Json) -> Json:
    mark = block.get("cache_control")
    return {**part, "cache_control": mark} if is_cache_mark(mark) else part
