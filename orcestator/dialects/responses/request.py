"""A canonical call as the body of ``POST /responses``.

https://platform.openai.com/docs/api-reference/responses/create, openai-python 3.51 ``response_create_params`` and
https://developers.openai.com/api/docs/guides/migrate-to-responses (checked 2026-11). Where the two APIs differ:

- functions are strict here unless told otherwise, there only when told: ``strict`` is always said
- answers are stored here unless told otherwise, there only when told: ``store`` is always said
- ``max_output_tokens`` is at least 16 (https://github.com/earendil-works/pi/issues/6265)
- reasoning is only shown as a summary, and a summary only when asked for
"""

from collections.abc import Callable
from typing import Any

from orcestator.dialects.canonical import Target, WireCall, effort_of
from orcestator.dialects.canonical_call import output_limit, reasoning_wish, tools_in
from orcestator.dialects.fitting import fitted
from orcestator.dialects.responses.input_items import items_of
from orcestator.dialects.responses.models import least_effort, reasons, takes_sampling
from orcestator.dialects.shapes import count_in, dropped_name, object_in, objects_in, text_in
from orcestator.json_text import Json

PATH = "/responses"
LEAST_OUTPUT_TOKENS = 16
USUAL_OUTPUT_LIMIT = 32_000
"""Tokens; what a reasoning budget is measured against where nobody knows the model's limit."""
_PASSED = (
    "parallel_tool_calls",
    "metadata",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "service_tier",
)
_SAMPLING = ("temperature", "top_p")
_READ = frozenset(
    {
        *_PASSED,
        *_SAMPLING,
        "messages",
        "model",
        "stream",
        "stream_options",
        "store",
        "max_tokens",
        "max_completion_tokens",
        "reasoning",
        "reasoning_effort",
        "response_format",
        "verbosity",
        "tools",
        "tool_choice",
        "logprobs",
        "top_logprobs",
    }
)
_NO_LOSS: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "modalities": (["text"],),
    "stop": ([], ""),
    "logit_bias": ({},),
}
"""Values that say what this API does anyway."""


def request(call: Json, target: Target) -> WireCall:
    """The wire call. Nothing is kept upstream unless the call itself says ``store``."""
    call, dropped = fitted(call, target.facts)
    body: Json = {"model": target.model, "input": items_of(call.get("messages"), dropped)}
    body |= {name: call[name] for name in _PASSED if call.get(name) is not None}
    body |= _limit(call) | _text(call) | _tools(call, dropped)
    reasoning = _reasoning(call, target, dropped)
    body |= {"reasoning": reasoning} if reasoning else {}
    body |= _sampling(call, target, reasoning.get("effort"), dropped)
    body |= {"store": call.get("store") is True}
    body |= _included(call, target, reasoning.get("effort"), dropped)
    if target.streamed:
        body["stream"] = True
    dropped += [name for name, value in call.items() if name not in _READ and _says_something(name, value)]
    return WireCall(PATH, body, tuple(dict.fromkeys(dropped)))


def _says_something(name: str, value: Any) -> bool:
    return value is not None and value not in _NO_LOSS.get(name, ())


def _limit(call: Json) -> Json:
    limit = output_limit(call)
    if limit is None:
        return {}
    return {"max_output_tokens": max(LEAST_OUTPUT_TOKENS, limit) if isinstance(limit, int) else limit}


def _text(call: Json) -> Json:
    text: Json = {}
    wanted = object_in(call, "response_format")
    if wanted:
        schema = object_in(wanted, "json_schema")
        text["format"] = {**schema, "type": "json_schema"} if wanted.get("type") == "json_schema" else wanted
    if call.get("verbosity") is not None:
        text["verbosity"] = call["verbosity"]
    return {"text": text} if text else {}


def _reasoning(call: Json, target: Target, dropped: list[str]) -> Json:
    wish, effort = reasoning_wish(call), _effort(call, target)
    if not reasons(target):
        dropped += [name for name in ("reasoning", "reasoning_effort") if call.get(name) and effort != "none"]
        return {}
    wanted: Json = {} if effort is None else {"effort": effort}
    wants = effort not in (None, "none") or wish.said.get("enabled") is True
    if wants and wish.said.get("enabled") is not False and not wish.is_hidden:
        wanted["summary"] = "auto"
    return wanted


def _effort(call: Json, target: Target) -> str | None:
    wish = reasoning_wish(call)
    if isinstance(wish.effort, str) and wish.effort:
        return wish.effort
    budget = count_in(wish.said, "max_tokens")
    if wish.is_off or budget == 0:
        return least_effort(target)
    if budget is None:
        return None
    limits = (*_limit(call).values(), target.facts.get("max_output_tokens"), USUAL_OUTPUT_LIMIT)
    return effort_of(budget, next(limit for limit in limits if isinstance(limit, int)))


def _sampling(call: Json, target: Target, effort: str | None, dropped: list[str]) -> Json:
    asked = [name for name in _SAMPLING if call.get(name) is not None]
    taken = {name: call[name] for name in asked if takes_sampling(target, name, effort)}
    dropped += [name for name in asked if name not in taken]
    return taken


def _included(call: Json, target: Target, effort: str | None, dropped: list[str]) -> Json:
    """What to add to the answer: encrypted reasoning always, log probabilities when asked for."""
    include = ["reasoning.encrypted_content"] if reasons(target) else []
    more: Json = {}
    if call.get("logprobs") is True and takes_sampling(target, "logprobs", effort):
        include.append("message.output_text.logprobs")
        more = {"top_logprobs": call["top_logprobs"]} if call.get("top_logprobs") is not None else {}
    else:
        dropped += [name for name in ("logprobs", "top_logprobs") if call.get(name)]
    return {"include": include, **more} if include else {}


def _tools(call: Json, dropped: list[str]) -> Json:
    made = [tool for wire in tools_in(call) if (tool := _tool(wire, dropped)) is not None]
    if not made:
        return {}
    choice = _tool_choice(call.get("tool_choice"), dropped)
    return {"tools": made} if choice is None else {"tools": made, "tool_choice": choice}


def _tool(wire: Json, dropped: list[str]) -> Json | None:
    if "cache_control" in wire:
        dropped.append("cache_control")
    kind = text_in(wire, "type")
    make = _TOOLS.get(kind)
    if make is None:
        dropped.append(dropped_name("tools", kind))
        return None
    return make(object_in(wire, kind))


def _function(function: Json) -> Json:
    described = {"description": function["description"]} if function.get("description") is not None else {}
    parameters = function.get("parameters")
    return {
        "type": "function",
        "name": function.get("name"),
        **described,
        "parameters": {"type": "object", "properties": {}} if parameters is None else parameters,
        "strict": function.get("strict") is True,
    }


def _custom(custom: Json) -> Json:
    wire = {"type": "custom", **{name: value for name, value in custom.items() if name != "format"}}
    form = object_in(custom, "format")
    if form:
        wire["format"] = {"type": form.get("type"), **object_in(form, "grammar")}
    return wire


_TOOLS: dict[str, Callable[[Json], Json]] = {"function": _function, "custom": _custom}


def _tool_choice(choice: Any, dropped: list[str]) -> Any:
    if not isinstance(choice, dict):
        return choice
    kind = text_in(choice, "type")
    if kind == "allowed_tools":
        allowed = object_in(choice, "allowed_tools")
        tools = [made for tool in objects_in(allowed, "tools") if (made := _named(tool)) is not None]
        return {"type": "allowed_tools", "mode": allowed.get("mode"), "tools": tools}
    named = _named(choice)
    if named is None:
        dropped.append("tool_choice")
    return named


def _named(wire: Json) -> Json | None:
    kind = text_in(wire, "type")
    return {"type": kind, "name": object_in(wire, kind).get("name")} if kind in _TOOLS else None
