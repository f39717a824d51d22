"""A canonical call to the body of ``POST /v1/messages``.

platform.claude.com/docs/en/api/messages and types of anthropic-sdk-python 2.12 (checked 2026-11). The body is written
for ``anthropic-version: 2023-06-01``: version 2026-10-21 refuses ``temperature``, ``top_p`` and ``top_k`` for every
model.
"""

from typing import Any

from orcestator.dialects.anthropic.cache_marks import within_limit
from orcestator.dialects.anthropic.dropped import Dropped
from orcestator.dialects.anthropic.models import NO_THINKING, Traits, traits_of
from orcestator.dialects.anthropic.output_schema import output_schema
from orcestator.dialects.anthropic.upstream_messages import (
    Conversation,
    conversation_of,
    lacks_thinking_in_open_loop,
    with_trimmed_prefill,
    without_prefill,
)
from orcestator.dialects.anthropic.upstream_tools import reply_tool, tools_of_history, wire_choice, wire_tools
from orcestator.dialects.anthropic.upstream_tuning import Thinking, sampling_of, stop_sequences_of, thinking_of
from orcestator.dialects.canonical import Target, WireCall
from orcestator.dialects.canonical_call import AnswerFormat, answer_format
from orcestator.dialects.fitting import fitted
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json, dumps

PATH = "/messages"
USUAL_MAX_TOKENS = 8192
"""The API demands a limit; this one stands where neither the call nor the catalog names one."""
LONGEST_USER_ID = 256
"""https://platform.claude.com/docs/en/api/messages#metadata (``maxLength``, checked 2026-11)."""
JSON_ONLY = "Answer with one JSON object and nothing else: no code fence, no words before or after it."
_TRANSLATED = frozenset(
    {
        "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p",
        "top_k", "stop", "tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort",
        "reasoning", "user", "metadata",
    }
)  # fmt: skip
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "repetition_penalty": (1,),
    "min_p": (0,),
    "modalities": (["text"],),
    "service_tier": ("auto", "default"),
}
"""Values that say what Anthropic does anyway."""
_BOOKKEEPING = frozenset({"store", "safety_identifier"})
"""Without meaning to the model or its answer."""


def wire_call(call: Json, target: Target) -> WireCall:
    """The call for this target. Raises InvalidRequest when it has no messages."""
    messages = call.get("messages")
    if not isinstance(messages, list) or not any(isinstance(message, dict) for message in messages):
        raise InvalidRequest("messages: at least one message is needed. Give a list of messages.", param="messages")
    dropped, traits = Dropped(), traits_of(target.model)
    call, changed = fitted(call, target.facts, LONGEST_USER_ID)
    for name in changed:
        dropped.add(name)
    conversation = conversation_of(call["messages"], dropped, keeps_thinking=traits.thinking != NO_THINKING)
    max_tokens = _max_tokens(call, target)
    thinking = _possible_thinking(call, traits, max_tokens, conversation, dropped)
    body: Json = {"model": target.model, "max_tokens": max_tokens}
    body |= _answer_fields(call, target, traits, thinking, conversation, dropped)
    body |= sampling_of(call, traits, thinking, dropped)
    body |= stop_sequences_of(call, dropped) | _metadata(call, dropped)
    if target.streamed:
        body["stream"] = True
    _name_the_untranslated(call, dropped)
    return WireCall(PATH, within_limit(body, dropped), dropped.names())


def _max_tokens(call: Json, target: Target) -> int:
    for name in ("max_completion_tokens", "max_tokens"):
        wanted = call.get(name)
        if type(wanted) is int and wanted > 0:
            return wanted
    most = target.facts.get("max_output_tokens")
    return most if type(most) is int and most > 0 else USUAL_MAX_TOKENS


def _possible_thinking(
    call: Json, traits: Traits, max_tokens: int, conversation: Conversation, dropped: Dropped
) -> Thinking:
    thinking = thinking_of(call, traits, max_tokens, dropped)
    if thinking.is_manual and lacks_thinking_in_open_loop(conversation.turns):
        dropped.add("reasoning_effort" if isinstance(call.get("reasoning_effort"), str) else "reasoning")
        return Thinking()
    return thinking


def _answer_fields(
    call: Json, target: Target, traits: Traits, thinking: Thinking, conversation: Conversation, dropped: Dropped
) -> Json:
    """System, turns, tools, thinking and the shape of the answer: they depend on one another."""
    takes_forced = traits.takes_forced_tool and not thinking.is_manual
    tools = wire_tools(call, traits, dropped)
    choice = wire_choice(call, tools, dropped, takes_forced=takes_forced)
    system, output = list(conversation.system), _effort(thinking)
    wanted = answer_format(call)
    schema = _schema_of(wanted, dropped)
    if schema is None:
        system += _json_task(wanted)
    elif _takes_format(target, traits) or not traits.takes_forced_tool:
        output["format"] = _format(schema, dropped)
    elif takes_forced:
        tools, choice = _with_reply_tool(tools, choice, schema)
    else:
        dropped.add("response_format")
        system.append(_schema_task(schema))
    if not tools and (known := tools_of_history(conversation.turns)):
        tools, choice = known, {"type": "none"}
    fields = {
        "system": system,
        "messages": _closed(conversation.turns, traits, thinking),
        "tools": tools,
        "tool_choice": choice,
        "thinking": thinking.wire,
        "output_config": output,
    }
    return {name: value for name, value in fields.items() if value}


def _effort(thinking: Thinking) -> Json:
    return {"effort": thinking.effort} if thinking.effort else {}


def _closed(turns: list[Json], traits: Traits, thinking: Thinking) -> list[Json]:
    """The turns, ended as the model takes it; manual thinking excludes a prefill."""
    return with_trimmed_prefill(turns) if traits.takes_prefill and not thinking.is_on else without_prefill(turns)


def _schema_of(wanted: AnswerFormat, dropped: Dropped) -> Json | None:
    if wanted.schema is None and wanted.kind not in ("text", "json_object"):
        dropped.add("response_format")
    return wanted.schema


def _json_task(wanted: AnswerFormat) -> list[Json]:
    """The instruction that stands for ``json_object``, and for a schema that cannot be read."""
    return [{"type": "text", "text": JSON_ONLY}] if wanted.kind in ("json_object", "json_schema") else []


def _schema_task(schema: Json) -> Json:
    """The instruction that stands for a schema where nothing can enforce it."""
    return {"type": "text", "text": f"{JSON_ONLY} Its JSON schema:\n{dumps(schema).decode()}"}


def _takes_format(target: Target, traits: Traits) -> bool:
    """Whether the catalog says that the model has structured outputs; where it is silent, its generation tells."""
    supported = target.facts.get("supported_parameters")
    if isinstance(supported, list | tuple | set | frozenset):
        return "response_format" in supported or "structured_outputs" in supported
    return traits.takes_format


def _format(schema: Json, dropped: Dropped) -> Json:
    taken = output_schema(schema)
    if not taken.is_whole:
        dropped.add("response_format.json_schema.schema")
    return {"type": "json_schema", "schema": taken.schema}


def _with_reply_tool(tools: list[Json], choice: Json | None, schema: Json) -> tuple[list[Json], Json]:
    """The tools with the one that answers; the model has to call it, or one of the caller's."""
    tool = reply_tool(schema)
    if not tools or (choice is not None and choice["type"] == "none"):
        return [*tools, tool], {"type": "tool", "name": tool["name"], "disable_parallel_tool_use": True}
    if choice is not None and choice["type"] in ("any", "tool"):
        return tools, choice
    return [*tools, tool], {**(choice or {}), "type": "any"}


def _metadata(call: Json, dropped: Dropped) -> Json:
    if call.get("metadata"):
        dropped.add("metadata")
    user = call.get("user") or call.get("safety_identifier")
    if not isinstance(user, str) or not user:
        return {}
    return {"metadata": {"user_id": user}}


def _name_the_untranslated(call: Json, dropped: Dropped) -> None:
    for name, value in call.items():
        if name in _TRANSLATED or name in _BOOKKEEPING or value is None or value in ([], {}, ""):
            continue
        if value not in _NEUTRAL.get(name, ()):
            dropped.add(name)
