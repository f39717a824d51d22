"""No class of what was used is lost between an upstream and the record: whole and streamed, relayed and translated, and once more
behind a worker of ours, which tells it in OpenAI's dialect."""

from collections.abc import Mapping
from typing import Any

import pytest

from orcestator.dialects.anthropic.caller import CALLER as ANTHROPIC
from orcestator.dialects.canonical import CallerDialect
from orcestator.dialects.gemini.caller import CALLER as GEMINI
from orcestator.dialects.responses.caller import CALLER as RESPONSES
from orcestator.json_text import Json, dumps
from orcestator.upstream.answer_reader import _decoder, whole_answer_of
from orcestator.upstream.call import UpstreamCall
from orcestator.upstream.dialect_table import UPSTREAM_DIALECTS
from orcestator.upstream.upstream_request import PLAIN, UpstreamRequest
from orcestator.usage import Usage

CALLERS: Mapping[str, CallerDialect] = {"anthropic": ANTHROPIC, "gemini": GEMINI, "responses": RESPONSES}
USED: Mapping[str, Usage] = {
    "openai": Usage(100, 50, False, 40, 0, 0, 30, 8, 9),
    "anthropic": Usage(100, 50, False, 40, 20, 10, 30, 0, 0, 0, 2),
    "gemini": Usage(100, 50, False, 40, 0, 0, 30, 8, 9),
    "responses": Usage(100, 50, False, 40, 20, 0, 30, 0, 0, 0, 1),
}
DETAILS: Json = {
    "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 9},
}
OPENAI_USAGE: Json = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150, **DETAILS}
ANTHROPIC_USAGE: Json = {
    "input_tokens": 30,
    "output_tokens": 50,
    "cache_read_input_tokens": 40,
    "cache_creation_input_tokens": 30,
    "cache_creation": {"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 10},
    "output_tokens_details": {"thinking_tokens": 30},
    "server_tool_use": {"web_search_requests": 2},
}
GEMINI_USAGE: Json = {
    "promptTokenCount": 100,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 30,
    "totalTokenCount": 150,
    "cachedContentTokenCount": 40,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 90}, {"modality": "AUDIO", "tokenCount": 10}],
    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}],
    "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 9}],
}
SAID = {
    "type": "message",
    "id": "m",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "hi", "annotations": []}],
}
RESPONSE: Json = {
    "id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed",
    "output": [{"type": "web_search_call", "id": "w", "status": "completed"}, SAID],
    "usage": {
        "input_tokens": 100, "output_tokens": 50, "total_tokens": 150,
        "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 20},
        "output_tokens_details": {"reasoning_tokens": 30},
    },
}  # fmt: skip
WHOLE: Mapping[str, Json] = {
    "openai": {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": OPENAI_USAGE,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    },
    "anthropic": {
        "id": "a", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": ANTHROPIC_USAGE,
    },
    "gemini": {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": GEMINI_USAGE, "modelVersion": "m",
    },
    "responses": RESPONSE,
}  # fmt: skip


def _head(**more: Any) -> Json:
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", **more}


STREAMED: Mapping[str, list[Json]] = {
    "openai": [
        _head(choices=[{"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": None}]),
        _head(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]),
        _head(choices=[], usage=OPENAI_USAGE),
    ],
    "anthropic": [
        {
            "type": "message_start",
            "message": {
                **WHOLE["anthropic"],
                "content": [],
                "stop_reason": None,
                "usage": {**ANTHROPIC_USAGE, "output_tokens": 1},
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 50, "output_tokens_details": {"thinking_tokens": 30}},
        },
        {"type": "message_stop"},
    ],
    "gemini": [WHOLE["gemini"]],
    "responses": [
        {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": [], "usage": None}},
        {"type": "response.output_text.delta", "item_id": "m", "output_index": 1, "content_index": 0, "delta": "hi"},
        {"type": "response.completed", "response": RESPONSE},
    ],
}


def call(caller: str, *, streamed: bool) -> UpstreamCall:
    return UpstreamCall(
        endpoint="chat",
        path="/chat/completions",
        body=b"{}",
        call={},
        content_type="application/json",
        shown_model="shown",
        streamed=streamed,
        include_usage=True,
        request_id="r",
        deadline=0.0,
        text_cap=100,
        created=1,
        new_id=lambda prefix: prefix + "1",
        dialect=caller,
        caller=CALLERS.get(caller),
    )


def used(wire: bytes, upstream: str, caller: str, *, streamed: bool) -> tuple[Usage, bytes]:
    """What is recorded of an answer, and the answer as it goes on."""
    order = call(caller, streamed=streamed)
    speech = PLAIN
    if upstream != "openai":
        speech = UpstreamRequest(dialect=UPSTREAM_DIALECTS[upstream], relays=caller == upstream)
    if not streamed:
        answer = whole_answer_of(wire, order, "p", speech)
        return answer.usage, answer.body
    decoder = _decoder(order, "p", speech, 1 << 20)
    decoder.feed(wire)
    if not decoder.done:
        decoder.end()
    return decoder.usage_so_far, decoder.take()


def wire_of(upstream: str, *, streamed: bool) -> bytes:
    if not streamed:
        return dumps(WHOLE[upstream])
    ends = b"data: [DONE]\n\n" if upstream == "openai" else b""
    return b"".join(b"data: %b\n\n" % dumps(event) for event in STREAMED[upstream]) + ends


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("caller", ["openai", *CALLERS])
@pytest.mark.parametrize("upstream", USED)
def test_no_class_is_lost(upstream: str, caller: str, streamed: bool) -> None:
    usage, _ = used(wire_of(upstream, streamed=streamed), upstream, caller, streamed=streamed)
    assert usage == USED[upstream]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("upstream", USED)
def test_what_a_worker_made_of_it_tells_the_same(upstream: str, streamed: bool) -> None:
    _, told = used(wire_of(upstream, streamed=streamed), upstream, "openai", streamed=streamed)
    assert used(told, "openai", "openai", streamed=streamed)[0] == USED[upstream]


def test_pictures_are_counted() -> None:
    wire: Json = {"created": 1, "data": [{"url": "u"}, {"url": "v"}]}
    order = call("openai", streamed=False)
    order.endpoint, order.path = "images", "/images/generations"
    answer = whole_answer_of(dumps(wire), order, "p", PLAIN)
    assert (answer.usage.images, answer.usage.tokens_estimated) == (2, True)
