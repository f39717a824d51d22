"""The Messages API, streaming or not (https://docs.claude.com/en/api/messages and /messages-streaming, checked 2026-11).

Thinking happens when the request turns it on, whatever the model. The two magic words that Anthropic documents for
tests work here too: one makes a ``redacted_thinking`` block, the other a refusal.
"""

from collections.abc import Iterator
from typing import Any

from orcestator.json_text import Json
from orcestator.sandbox import seals
from orcestator.sandbox.call import Call, call_of, credential, json_body, text_of
from orcestator.sandbox.dialects.envelope import BAD_KEY_PREFIX
from orcestator.sandbox.models import CHAT_MODELS, CONTEXT_TOKENS
from orcestator.sandbox.problem import Refused
from orcestator.sandbox.rules import anthropic_rules
from orcestator.sandbox.rules.anthropic_rules import blocks_of, thinks
from orcestator.sandbox.settings import SandboxSettings
from orcestator.sandbox.turn import Heard, Made, Said, Tool, say
from orcestator.sandbox.wire.http import Request
from orcestator.sandbox.wire.script import Answer, Content, Event, Headers, Step, json_answer, named_event, streamed

REDACTS = "ANTHROPIC_MAGIC_STRING_TRIGGER_REDACTED_THINKING"
REFUSES = "ANTHROPIC_MAGIC_STRING_TRIGGER_REFUSAL"
CREATED_AT = "2026-01-01T00:00:00Z"
EMPTY_BLOCKS: dict[str, Json] = {
    "thinking": {"thinking": "", "signature": ""},
    "text": {"text": ""},
    "tool_use": {"input": {}},
}
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def read(request: Request, number: int, settings: SandboxSettings) -> Call:
    """The call in a request. Raises ``Refused`` (401 key, 400 version or body)."""
    key = credential(request)
    anthropic_rules.check_headers(request.headers, key)
    if key.startswith(BAD_KEY_PREFIX):
        raise Refused(401, "invalid x-api-key")
    body = json_body(request.body)
    name = body.get("model")
    if not isinstance(name, str) or not name:
        raise anthropic_rules.invalid("model: Field required")
    return call_of(request, number, settings, body, name)


def answer(call: Call) -> Answer:
    """The whole answer. Raises ``Refused`` (400)."""
    anthropic_rules.check(call)
    done = say(call, hear(call))
    if call.streams:
        return streamed(steps(call, done), call.settings.tokens_per_second, _headers(call))
    return json_answer(body(call, done), headers=_headers(call), delay_seconds=call.delay(done.tokens))


def count_tokens(call: Call) -> Answer:
    """How many tokens a request has. Raises ``Refused`` (400)."""
    anthropic_rules.check_counted(call)
    return json_answer({"input_tokens": say(call, hear(call)).prompt_tokens}, headers=_headers(call))


def listed() -> Answer:
    """``GET /v1/models`` as Anthropic shows it."""
    data = [
        {
            "type": "model",
            "id": name,
            "display_name": f"Sandbox {name}",
            "created_at": CREATED_AT,
            "lifecycle": "active",
            "max_input_tokens": CONTEXT_TOKENS,
            "max_tokens": anthropic_rules.MOST_TOKENS,
        }
        for name in CHAT_MODELS
    ]
    return json_answer({"data": data, "has_more": False, "first_id": CHAT_MODELS[0], "last_id": CHAT_MODELS[-1]})


def hear(call: Call) -> Heard:
    """The conversation in a body that has been checked."""
    body = call.body
    messages: list[Json] = body["messages"]
    said, results, rounds = _current_turn(messages)
    choice = body.get("tool_choice") or {}
    wanted = (body.get("output_config") or {}).get("format")
    return Heard(
        said=said,
        prompt="\n".join([text_of(body.get("system")), *(_text(message) for message in messages)]),
        results=results,
        rounds=rounds,
        tools=tuple(
            Tool(tool["name"], tool["input_schema"]) for tool in body.get("tools") or [] if "input_schema" in tool
        ),
        may_call=choice.get("type") != "none",
        must_call=choice.get("type") in ("any", "tool"),
        only=(choice["name"],) if choice.get("type") == "tool" else (),
        parallel=not choice.get("disable_parallel_tool_use"),
        limit=body.get("max_tokens"),
        stops=tuple(body.get("stop_sequences") or ()),
        wants_json=wanted is not None,
        value_schema=wanted["schema"] if wanted else None,
        reasons=thinks(body),
    )


def _current_turn(messages: list[Json]) -> tuple[str, tuple[str, ...], int]:
    """The caller's last words, what tools answered since, and how many times they were called since."""
    results: list[str] = []
    rounds = 0
    for message in reversed(messages):
        blocks = blocks_of(message["content"])
        results[:0] = [text_of(block.get("content", "")) for block in blocks if block["type"] == "tool_result"]
        rounds += any(block["type"] == "tool_use" for block in blocks)
        words = [block for block in blocks if block["type"] != "tool_result"]
        # A round ends with results alone; words beside them are a note, and words without them the caller's own.
        if message["role"] == "user" and words and len(words) == len(blocks):
            return text_of(words), tuple(results), rounds
    return "", tuple(results), rounds


def _text(message: Json) -> str:
    blocks = blocks_of(message["content"])
    return " ".join(
        text_of(block.get("content", "")) if block["type"] == "tool_result" else text_of([block]) for block in blocks
    )


def blocks(call: Call, done: Said) -> list[Json]:
    """The content of an answer: thinking, then text, then calls."""
    content: list[Json] = []
    if done.reasoning:
        content.append(_thought(call, done))
    if done.pieces:
        content.append({"type": "text", "text": done.text})
    return content + [_use(call, made) for made in done.calls]


def _thought(call: Call, done: Said) -> Json:
    if _says(call, REDACTS):
        return {"type": "redacted_thinking", "data": seals.seal("anthropic-redacted", "", call.number)}
    is_hidden = call.body["thinking"].get("display") == "omitted"
    text = "" if is_hidden else done.thought
    return {"type": "thinking", "thinking": text, "signature": seals.seal("anthropic", text, call.number)}


def _use(call: Call, made: Made) -> Json:
    return {"type": "tool_use", "id": f"toolu_{call.number}_{made.place}", "name": made.name, "input": made.arguments}


def _says(call: Call, word: str) -> bool:
    return any(word in _text(message) for message in call.body["messages"])


def body(call: Call, done: Said) -> Json:
    """The answer as one body."""
    return _frame(call, done) | {
        "content": [] if _says(call, REFUSES) else blocks(call, done),
        **_ending(call, done),
        "usage": usage(call, done, done.tokens),
    }


def _frame(call: Call, done: Said) -> Json:
    return {
        "id": f"msg_{call.number}",
        "type": "message",
        "role": "assistant",
        "model": call.model.text,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage(call, done, 1),
    }


def _ending(call: Call, done: Said) -> Json:
    if _says(call, REFUSES):
        details = {"type": "refusal", "category": None, "explanation": "The sandbox was told to refuse."}
        return {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
    if done.met is not None and done.finish == "stop":
        return {"stop_reason": "stop_sequence", "stop_sequence": done.met}
    return {"stop_reason": STOP_REASONS[done.finish], "stop_sequence": None}


def usage(call: Call, done: Said, output: int) -> Json:
    """The token counts: cached ones, if something is marked for the cache, stand beside the rest and not within it."""
    read_tokens = done.cached_tokens if b"cache_control" in _raw(call) else 0
    written = read_tokens // 2
    return {
        "input_tokens": done.prompt_tokens - read_tokens - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read_tokens,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": min(output, len(done.reasoning))},
        "service_tier": "standard",
    }


def _raw(call: Call) -> bytes:
    return repr(call.body).encode("utf-8", "surrogatepass")


def steps(call: Call, done: Said) -> Iterator[Step]:
    """The answer as events."""
    yield event("message_start", {"message": _frame(call, done)})
    content = [] if _says(call, REFUSES) else blocks(call, done)
    for index, block in enumerate(content):
        yield from _block_steps(index, block, done)
        if index == 0:
            yield event("ping", {})
    yield event("message_delta", {"delta": _ending(call, done), "usage": usage(call, done, done.tokens)})
    yield event("message_stop", {})


def _block_steps(index: int, block: Json, done: Said) -> Iterator[Step]:
    """One block: opened empty, filled, closed."""
    kind = block["type"]
    empty = EMPTY_BLOCKS.get(kind, {})
    yield event("content_block_start", {"index": index, "content_block": block | empty})
    for name, value in _deltas(block, done):
        delta = {"index": index, "delta": {"type": name, **value}}
        is_content = name != "signature_delta"
        yield Content(event("content_block_delta", delta)) if is_content else event("content_block_delta", delta)
    yield event("content_block_stop", {"index": index})


def _deltas(block: Json, done: Said) -> Iterator[tuple[str, Json]]:
    if block["type"] == "thinking":
        yield from (("thinking_delta", {"thinking": piece}) for piece in done.reasoning if block["thinking"])
        yield "signature_delta", {"signature": block["signature"]}
    elif block["type"] == "text":
        yield from (("text_delta", {"text": piece}) for piece in done.pieces)
    elif block["type"] == "tool_use":
        made = next(made for made in done.calls if block["id"].endswith(f"_{made.place}"))
        yield "input_json_delta", {"partial_json": ""}
        yield from (("input_json_delta", {"partial_json": piece}) for piece in thirds(made.text))


def thirds(text: str) -> Iterator[str]:
    """A text in three pieces or fewer."""
    size = max(1, -(-len(text) // 3))
    return (text[start : start + size] for start in range(0, len(text), size))


def event(kind: str, data: dict[str, Any]) -> Event:
    """One event, its name in both places."""
    return named_event(kind, {"type": kind, **data})


def _headers(call: Call) -> Headers:
    return (("request-id", f"req_sandbox_{call.number}"),)
