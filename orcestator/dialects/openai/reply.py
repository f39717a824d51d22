"""An upstream's whole reply to the one our caller gets: validated before a 200 is sent, mended where clients need it.

A healthy reply keeps its bytes; only the model name is spliced.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from orcestator.dialects.failures import error_in_answer, failure_in_event
from orcestator.dialects.openai.content import spoken, usable_created, usable_id
from orcestator.dialects.openai.finish import MAY_CUT, finish_reason, has_finished, is_failure, reason_beside
from orcestator.dialects.openai.memory import Remember, is_worth_keeping, remembered
from orcestator.dialects.openai.tool_calls import OBJECT_ARGUMENTS, half_call_failure, half_call_in, whole_calls
from orcestator.dialects.openai.usage import estimate, read_usage, usage_body
from orcestator.dialects.tool_names import NO_ALIASES
from orcestator.errors import UpstreamBroken, UpstreamError
from orcestator.json_text import Forgiven, Json, dumps, loads, loads_event, loads_exactly
from orcestator.usage import Usage

_SPEAKING_FIELDS = (
    "content",
    "tool_calls",
    "refusal",
    "audio",
    "reasoning_content",
    "reasoning",
    "reasoning_text",
    "function_call",
)


class Reply(NamedTuple):
    """A whole answer: ``body`` for the caller (b"" where nobody wants it), ``text`` and ``usage`` for the log."""

    body: bytes
    text: str
    usage: Usage
    wire: Json


class ReplyTerms(NamedTuple):
    """What is needed to read a reply. ``is_shown``: the caller gets its bytes, and not those of another dialect."""

    provider: str
    shown_model: str
    prompt_bytes: int
    created: int
    new_id: Callable[[str], str]
    custom_tools: frozenset[str] = frozenset()
    tool_names: Mapping[str, str] = NO_ALIASES
    is_shown: bool = True


def chat_reply(body: bytes, terms: ReplyTerms, remember: Remember | None = None) -> Reply:
    """Read a chat completion. Raises UpstreamBroken (or the error inside it) when it cannot be passed on."""
    wire, shown = _parsed(body, terms.provider)
    if remember is None and shown and (plain := _plain_text(shown, wire, terms)) is not None:
        return plain
    if b'"tool_calls"' in body and OBJECT_ARGUMENTS.search(body) is not None:
        wire = parsed_object(body, terms.provider, exactly=True)
    return _chat_reply(shown, wire, terms, remember)


def _plain_text(body: bytes, wire: Json, terms: ReplyTerms) -> Reply | None:
    """The reply that most are: one text that came to its end, whole in every field that clients need. None for any other."""
    choices = wire.get("choices")
    if type(choices) is not list or len(choices) != 1 or type(choice := choices[0]) is not dict:
        return None
    message = choice.get("message")
    if type(message) is not dict or type(text := message.get("content")) is not str:
        return None
    if (
        choice.get("finish_reason") != "stop"
        or choice.get("index") != 0
        or choice.get("error")
        or not message.get("role")
        or message.get("tool_calls")
        or message.get("function_call") is not None
        or not text
        or type(wire.get("id")) is not str
        or not wire["id"]
        or type(wire.get("created")) is not int
        or not wire["created"]
        or wire.get("object") != "chat.completion"
    ):
        return None
    usage = read_usage(wire.get("usage"))
    if usage is None or not _is_whole_usage(usage, wire["usage"]):
        return None
    shown = _with_model(body, wire, terms.shown_model) if terms.is_shown else b""
    return None if shown is None else Reply(shown, text, usage, wire)


def _is_whole_usage(usage: Usage, told: Json) -> bool:
    """Whether ``usage_body`` would write it as it is."""
    return (
        told.get("prompt_tokens") == usage.prompt_tokens
        and told.get("completion_tokens") == usage.completion_tokens
        and type(total := told.get("total_tokens")) is int
        and total >= 0
    )


def translated_reply(wire: Json, terms: ReplyTerms, remember: Remember | None = None) -> Reply:
    """The same for a canonical reply that was made of another dialect's."""
    return _chat_reply(b"", wire, terms, remember)


def _chat_reply(body: bytes, wire: Json, terms: ReplyTerms, remember: Remember | None) -> Reply:
    choices = wire.get("choices")
    if not isinstance(choices, list) or not choices:
        raise UpstreamBroken(f"{terms.provider} answered without choices.", cause="empty")
    mended = [_mended_choice(choice, index, terms) for index, choice in enumerate(choices)]
    if remember is not None and is_worth_keeping(mended[0]["message"]):
        mended[0] = {**mended[0], "message": remembered(mended[0]["message"], remember, terms.new_id)}
    texts = [choice["message"].get("content") for choice in mended]
    text = "".join(content for content in texts if isinstance(content, str))
    return _finished(body, wire, mended, text, terms, "chat.completion", "chatcmpl-")


def text_reply(body: bytes, terms: ReplyTerms) -> Reply:
    """Read a legacy text completion; same errors."""
    wire, body = _parsed(body, terms.provider)
    choices = wire.get("choices")
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, dict) for choice in choices):
        raise UpstreamBroken(f"{terms.provider} answered without choices.", cause="empty")
    mended = [_mended_text_choice(choice, index, terms) for index, choice in enumerate(choices)]
    text = "".join(choice["text"] for choice in mended)
    return _finished(body, wire, mended, text, terms, "text_completion", "cmpl-")


_CONTENT_FIELDS = frozenset({"data", "results", "text", "embeddings", "input_tokens", "totalTokens"})
"""What an answer that is no chat consists of; one without any of it may be a failure that calls itself something else."""


def plain_reply(body: bytes, terms: ReplyTerms) -> Reply:
    """Read any other JSON answer (embeddings, images, moderations): an object without an error, in whatever shape one is told."""
    wire, body = _parsed(body, terms.provider)
    if _CONTENT_FIELDS.isdisjoint(wire) and (detail := failure_in_event(wire)) is not None:
        raise error_in_answer(terms.provider, detail)
    usage = read_usage(wire.get("usage")) or estimate(terms.prompt_bytes, 0)
    shown = {**wire, "model": terms.shown_model} if "model" in wire else wire
    return Reply(_relayed(body, wire, shown), "", usage, wire)


def parsed_object(body: bytes, provider: str, *, exactly: bool = False) -> Json:
    """The JSON object of a 200. Raises UpstreamBroken for anything else, and the error class of an error in it.

    ``exactly``: its numbers keep their digits.
    """
    return _parsed(body, provider, exactly=exactly)[0]


def _parsed(body: bytes, provider: str, *, exactly: bool = False) -> tuple[Json, bytes]:
    """The object, and the bytes that may go on as they are: none where no strict reader takes them."""
    try:
        wire = loads_event(body, exactly=exactly)
    except Forgiven:
        wire, body = loads_exactly(body) if exactly else loads(body), b""
    except ValueError:
        raise UpstreamBroken(f"{provider} answered 200 with something that is not JSON.", cause="not_json") from None
    if not isinstance(wire, dict):
        raise UpstreamBroken(f"{provider} answered 200 with JSON that is not an object.", cause="not_json")
    if wire.get("error") or wire.get("object") == "error":
        raise error_in_answer(provider, wire.get("error") or wire)
    return wire, body


def _finished(
    body: bytes, wire: Json, choices: list[Json], text: str, terms: ReplyTerms, kind: str, prefix: str
) -> Reply:
    reported = read_usage(wire.get("usage"))
    usage = reported or estimate(terms.prompt_bytes, len(text))
    whole_usage = reported is not None and _is_whole_usage(usage, wire["usage"])
    whole_head = wire.get("object") == kind and usable_id(wire) and usable_created(wire)
    if choices == wire["choices"] and whole_usage and whole_head:
        shown = {**wire, "model": terms.shown_model}
        return Reply(_relayed(body, wire, shown) if terms.is_shown else b"", text, usage, wire)
    changed = {
        **wire,
        "id": usable_id(wire) or terms.new_id(prefix),
        "object": kind,
        "created": usable_created(wire) or terms.created,
        "model": terms.shown_model,
        "choices": choices,
        "usage": usage_body(usage, wire.get("usage")),
    }
    return Reply(dumps(changed) if terms.is_shown else b"", text, usage, changed)


def _relayed(body: bytes, wire: Json, shown: Json) -> bytes:
    """The bytes as they came but for the model name, where anyone can read them and it can be told apart."""
    as_it_came = _with_model(body, wire, shown.get("model")) if body else None
    return dumps(shown) if as_it_came is None else as_it_came


def _with_model(body: bytes, wire: Json, model: Any) -> bytes | None:
    """The bytes with another name of the model; None where the name in them cannot be told apart."""
    if wire.get("model") == model:
        return body
    theirs = dumps(wire.get("model"))
    for colon in (b'"model":', b'"model": '):
        if "model" in wire and body.count(colon + theirs) == 1 and body.count(b'"model"') == 1:
            return body.replace(colon + theirs, colon + dumps(model))
    return None


def _mended_choice(wire: Any, index: int, terms: ReplyTerms) -> Json:
    """The choice itself when nothing is wrong with it, else a mended copy."""
    if not isinstance(wire, dict) or not isinstance(wire.get("message"), dict):
        raise UpstreamBroken(f"{terms.provider} answered with a choice that has no message.", cause="empty")
    reason, message = wire.get("finish_reason"), wire["message"]
    # Most answers are text that came to its end: of those there is nothing to find out.
    is_plain = (
        reason == "stop"
        and not (message.get("tool_calls") or wire.get("error"))
        and message.get("function_call") is None
    )
    if not is_plain and (is_failure(reason) or wire.get("error")):
        raise _failed(wire, terms)
    speaks = bool(message.get("content")) or any(message.get(name) for name in _SPEAKING_FIELDS)
    if not (is_plain or speaks or has_finished(reason)):
        raise UpstreamBroken(f"{terms.provider} answered with nothing.", cause="empty")
    mended = _mended_message(message, speaks, terms)
    if not is_plain:
        reason = _reason(reason, mended)
        if reason not in MAY_CUT:
            _check_calls(message, terms)
    if wire.get("finish_reason") == reason and wire.get("index") == index and mended is message:
        return wire
    return {**wire, "index": index, "message": mended, "finish_reason": reason}


def _mended_text_choice(wire: Json, index: int, terms: ReplyTerms) -> Json:
    reason, text = wire.get("finish_reason"), wire.get("text")
    if is_failure(reason) or wire.get("error"):
        raise _failed(wire, terms)
    if not has_finished(reason) and not text:
        raise UpstreamBroken(f"{terms.provider} answered with nothing.", cause="empty")
    text = text if isinstance(text, str) else _said(text, terms)["content"]
    return {**wire, "index": index, "text": text, "finish_reason": finish_reason(reason)}


def _failed(wire: Json, terms: ReplyTerms) -> UpstreamError:
    detail = wire.get("error") or f"the model broke while answering ({wire['finish_reason']})"
    return error_in_answer(terms.provider, detail)


def _reason(told: object, message: Json) -> str:
    """Why a choice ended. A whole reply that does not say it came to its end."""
    calls, has_legacy = message.get("tool_calls"), isinstance(message.get("function_call"), dict)
    reason = finish_reason(told) if has_finished(told) else "function_call" if has_legacy else "stop"
    return reason_beside(reason, calls=bool(calls), legacy_call=has_legacy)


def _check_calls(message: Json, terms: ReplyTerms) -> None:
    """Raises UpstreamBroken for a call whose arguments end in the middle."""
    calls, legacy = message.get("tool_calls"), message.get("function_call")
    wires = [*(calls if isinstance(calls, list) else []), *([{"function": legacy}] if isinstance(legacy, dict) else [])]
    name = half_call_in(wires, told=True) if wires else None
    if name is not None:
        raise half_call_failure(terms.provider, name)


def _said(content: object, terms: ReplyTerms) -> Json:
    try:
        return spoken(content)
    except ValueError:
        raise UpstreamBroken(
            f"{terms.provider} answered with a content that cannot be read.", cause="garbage"
        ) from None


def _mended_message(message: Json, speaks: bool, terms: ReplyTerms) -> Json:
    changes: Json = {}
    if not message.get("role"):
        changes["role"] = "assistant"
    content = message.get("content")
    if content is not None and not isinstance(content, str):
        changes |= _said(content, terms)
    elif content is None and not speaks:
        changes["content"] = ""
    wires, legacy = message.get("tool_calls"), message.get("function_call")
    if isinstance(legacy, dict) and legacy and not wires and not terms.is_shown:
        # Only OpenAI's own callers know calls of before there were tools.
        wires, changes["function_call"] = [{"type": "function", "function": legacy}], None
    if wires:
        wires = [wires] if isinstance(wires, dict) else wires
        if not isinstance(wires, list):
            raise UpstreamBroken(f"{terms.provider} answered with tool calls that cannot be read.", cause="garbage")
        calls = whole_calls(wires, lambda: terms.new_id("call_"), terms.custom_tools, terms.tool_names)
        if calls != wires:
            changes["tool_calls"] = calls
    return {**message, **changes} if changes else message
