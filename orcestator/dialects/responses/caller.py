"""The Responses API as callers speak it: Codex, VS Code, the Copilot CLI, opencode, OpenAI's SDKs.

https://platform.openai.com/docs/api-reference/responses/create, openai-python 3.51 and requests captured from these
clients (checked 2026-11). What the caller asks to be kept (``store``, ``metadata``, ``previous_response_id``) is this
gateway's own business and goes to no upstream. Comments in the stream are passed over by openai-python and by Codex,
whose idle timer (300 s) they do not reset (https://github.com/Menci/Floway/issues/498).
"""

from collections.abc import Mapping
from typing import Any

from orcestator.dialects.canonical import CallerDialect, ReadCall
from orcestator.dialects.custom_tools import emulated_custom_tools
from orcestator.dialects.responses.caller_items import CallerItems
from orcestator.dialects.responses.caller_tools import tools_of
from orcestator.dialects.responses.response import reply
from orcestator.dialects.responses.tool_names import ToolBook
from orcestator.dialects.responses.writer import ResponsesWriter
from orcestator.dialects.shapes import dropped_name, object_in, text_in
from orcestator.errors import InvalidRequest, OrcestatorError
from orcestator.json_text import Json

_PASSED = (
    "temperature",
    "top_p",
    "top_logprobs",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
)
_OURS = ("store", "metadata", "client_metadata", "stream_options")
"""Kept or answered here, or telemetry for the one who wrote the client."""
_READ = frozenset(
    {
        *_PASSED,
        *_OURS,
        "model",
        "stream",
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "text",
        "reasoning",
        "include",
        "max_output_tokens",
        "previous_response_id",
        "conversation",
        "background",
        "prompt",
    }
)
_NO_LOSS: Mapping[str, tuple[Any, ...]] = {"truncation": ("disabled",)}
_REMEDIES: Mapping[str, str] = {
    "conversation": "conversations are not kept here; send the items in 'input', or use 'previous_response_id'",
    "prompt": "prompt templates are not kept here; send their text in 'instructions' and 'input'",
    "background": "answers are not made in the background here; leave it out and use 'stream'",
}
_FORWARDS = (
    "openai-beta",
    "originator",
    "session-id",
    "session_id",
    "thread-id",
    "x-client-request-id",
    "x-codex-beta-features",
    "x-codex-turn-state",
    "x-openai-subagent",
)
"""What Codex tells its upstream for routing and caching; its telemetry stays here."""


def read(body: Json) -> ReadCall:
    """The canonical call. Custom tools are functions in it, namespaces are part of names; the answer restores both."""
    _refuse_what_is_not_kept(body)
    dropped: list[str] = []
    book = ToolBook(body)
    call: Json = {
        "model": _model(body),
        "messages": [*_instructions(body), *CallerItems(book, dropped).messages(_input(body))],
    }
    if body.get("stream") is True:
        call["stream"] = True
    call |= {name: body[name] for name in _PASSED if body.get(name) is not None}
    call |= tools_of(body, book, dropped)
    call |= _format(body) | _included(body, dropped)
    effort = text_in(object_in(body, "reasoning"), "effort")
    call |= {"reasoning_effort": effort} if effort else {}
    if body.get("max_output_tokens") is not None:
        call["max_completion_tokens"] = body["max_output_tokens"]
    dropped += [
        dropped_name("", name).removeprefix(".")
        for name, value in body.items()
        if name not in _READ and value is not None and value not in _NO_LOSS.get(name, ())
    ]
    return ReadCall(emulated_custom_tools(call)[0], tuple(dict.fromkeys(dropped)))


def _refuse_what_is_not_kept(body: Json) -> None:
    for name, remedy in _REMEDIES.items():
        if body.get(name) not in (None, False):
            raise InvalidRequest(f"'{name}': {remedy}.", param=name)
    if body.get("previous_response_id") is not None:
        raise InvalidRequest(
            "'previous_response_id' names no response that is kept here; send the whole conversation in 'input'.",
            param="previous_response_id",
            code="previous_response_not_found",
        )


def _model(body: Json) -> str:
    model = text_in(body, "model")
    if not model:
        raise InvalidRequest("'model' must be the name of a model; GET /v1/models lists them.", param="model")
    return model


def _input(body: Json) -> Any:
    if body.get("input") is None:
        raise InvalidRequest("'input' is missing: a text or a list of items.", param="input")
    return body["input"]


def _instructions(body: Json) -> list[Json]:
    """A system message: every API has that role, and OpenAI's reads it as ``developer``."""
    instructions = body.get("instructions")
    if not isinstance(instructions, str | None):
        raise InvalidRequest("'instructions' must be a text.", param="instructions")
    return [{"role": "system", "content": instructions}] if instructions else []


def _format(body: Json) -> Json:
    text = object_in(body, "text")
    call: Json = {} if text.get("verbosity") is None else {"verbosity": text["verbosity"]}
    wanted = object_in(text, "format")
    if wanted.get("type") == "json_schema":
        schema = {name: value for name, value in wanted.items() if name != "type"}
        call["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif wanted and wanted.get("type") != "text":
        call["response_format"] = wanted
    return call


def _included(body: Json, dropped: list[str]) -> Json:
    include = body.get("include")
    call: Json = {}
    for name in include if isinstance(include, list) else ():
        if name == "message.output_text.logprobs":
            call["logprobs"] = True
        elif name != "reasoning.encrypted_content":
            dropped.append(dropped_name("include", name))
    if body.get("top_logprobs"):
        call["logprobs"] = True
    return call


def _error(error: OrcestatorError, request_id: str) -> Json:
    return error.body()


CALLER = CallerDialect(
    name="responses",
    read=read,
    reply=reply,
    writer=ResponsesWriter,
    error=_error,
    forwards=_FORWARDS,
)
