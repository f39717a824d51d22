"""The faults that only one dialect has (D-A Anthropic, D-G Gemini, D-R Responses, D-Y Yandex, D-C Cohere, D-O Ollama,
D-S DeepSeek): its own ways to fail, in its own words. Pure.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import orjson

from orcestator.json_text import Json
from orcestator.sandbox.call import Call
from orcestator.sandbox.dialects import anthropic, chat, cohere, gemini, ollama, responses, yandex
from orcestator.sandbox.dialects.chat import KEEP_ALIVE, chunk_choice
from orcestator.sandbox.dialects.envelope import anthropic_error, gemini_error, yandex_error
from orcestator.sandbox.faults.faults_transport import Spoil
from orcestator.sandbox.problem import error_body
from orcestator.sandbox.rules.responses_rules import items_of
from orcestator.sandbox.turn import Said, say
from orcestator.sandbox.wire.script import (
    DONE,
    Answer,
    Content,
    Event,
    HangUp,
    Headers,
    Raw,
    Step,
    event,
    json_answer,
    line,
    paced,
    whole,
)

AFTER = 3
KEEP_ALIVES = 20
BROKEN = "The sandbox was told to break this stream."
FILTERED = "There is a lot about this topic on the web. Have a look at what a search finds."
"""What a filter puts in the place of a text."""

Scripted = Callable[[Call, Said], Iterator[Step]]
"""The steps of a spoiled stream."""


def begun(call: Call, steps: Iterable[Step]) -> Iterator[Step]:
    """The steps up to ``?after`` pieces of content."""
    after = call.model.options.after
    return opened(steps, AFTER if after is None else after)


def opened(steps: Iterable[Step], content: int = 0) -> Iterator[Step]:
    """The steps up to so many pieces of content."""
    seen = 0
    for step in steps:
        seen += isinstance(step, Content)
        if seen > content:
            return
        yield step


def cut(call: Call, steps: Iterable[Step]) -> Iterator[Step]:
    """The steps up to ``?after`` pieces of content, then half a chunk and FIN."""
    yield from begun(call, steps)
    half = b'data: {"this": "half is'
    yield Raw(b"%x\r\n%s" % (len(half) + 20, half))
    yield HangUp()


def _stream(hear: Callable[[Call], Said], script: Scripted, call: Call, answer: Answer) -> Answer:
    """The answer with other steps, at the call's pace."""
    return replace(answer, steps=paced(script(call, hear(call)), call.settings.tokens_per_second))


# Anthropic


def _anthropic_said(call: Call) -> Said:
    return say(call, anthropic.hear(call))


def _anthropic_error(
    kind: str, where: Callable[[Call, Iterable[Step]], Iterator[Step]], call: Call, said: Said
) -> Iterator[Step]:
    yield from where(call, anthropic.steps(call, said))
    yield anthropic.event("error", anthropic_error(kind, BROKEN, call.number))


def _anthropic_stop(reason: str, call: Call, said: Said) -> Iterator[Step]:
    """A stream that ends in its middle, properly."""
    yield from begun(call, anthropic.steps(call, said))
    yield anthropic.event("content_block_stop", {"index": 0})
    ending = {"stop_reason": reason, "stop_sequence": None}
    yield anthropic.event("message_delta", {"delta": ending, "usage": anthropic.usage(call, said, AFTER)})
    yield anthropic.event("message_stop", {})


def _without_last(call: Call, said: Said) -> Iterator[Step]:
    return iter(list(anthropic.steps(call, said))[:-1])


def _pings(call: Call, said: Said) -> Iterator[Step]:
    for step in anthropic.steps(call, said):
        yield anthropic.event("ping", {})
        yield step


def _unknown_events(call: Call, said: Said) -> Iterator[Step]:
    for step in anthropic.steps(call, said):
        yield step
        if isinstance(step, Content):
            yield anthropic.event("content_block_delta", {"index": 0, "delta": {"type": "mood_delta", "mood": "calm"}})
            yield anthropic.event("weather_report", {"weather": "fine"})


def _anthropic_status(status: int, kind: str, headers: Headers, call: Call, answer: Answer) -> Answer:
    body = anthropic_error(kind, f"The sandbox was told to answer {status}.", call.number)
    return json_answer(body, status=status, headers=headers)


RATE_HEADERS: Headers = (
    ("retry-after", "7"),
    ("anthropic-ratelimit-requests-limit", "50"),
    ("anthropic-ratelimit-requests-remaining", "0"),
    ("anthropic-ratelimit-requests-reset", "2999-12-31T23:59:59Z"),
)
ANTHROPIC_SCRIPTS: Mapping[tuple[str, str], Scripted] = {
    ("D-A1", "before"): partial(_anthropic_error, "overloaded_error", lambda call, steps: opened(steps)),
    ("D-A1", "after"): partial(_anthropic_error, "overloaded_error", begun),
    ("D-A3", "before"): partial(_anthropic_error, "api_error", lambda call, steps: opened(steps)),
    ("D-A3", "after"): partial(_anthropic_error, "api_error", begun),
    ("D-A4", "cut"): lambda call, said: cut(call, anthropic.steps(call, said)),
    ("D-A4", "no-delta"): lambda call, said: begun(call, anthropic.steps(call, said)),
    ("D-A4", "no-stop"): _without_last,
    ("D-A5", "pings"): _pings,
    ("D-A5", "unknown"): _unknown_events,
    ("D-A6", "refusal"): partial(_anthropic_stop, "refusal"),
    ("D-A6", "context"): partial(_anthropic_stop, "model_context_window_exceeded"),
    ("D-A6", "pause"): partial(_anthropic_stop, "pause_turn"),
}


# Gemini


def _gemini_stream(script: Scripted, call: Call, answer: Answer) -> Answer:
    """Spoiled before it becomes an array, if it becomes one."""
    steps = script(call, say(call, gemini.hear(call)))
    shaped = steps if gemini.is_sse(call.query) else gemini.as_array(steps)
    return replace(answer, steps=paced(shaped, call.settings.tokens_per_second))


def _gemini_end(reason: str, call: Call, said: Said) -> Iterator[Step]:
    yield from begun(call, gemini.steps(call, said))
    yield event(gemini.chunk(call, [], gemini.usage(said, AFTER, 0), reason))


def _gemini_only(body: Callable[[Call, Said], Json], call: Call, answer: Answer) -> Answer:
    """One body, or a stream of this one event."""
    made = body(call, say(call, gemini.hear(call)))
    if call.streams:
        return _gemini_stream(lambda call, said: iter([event(made)]), call, answer)
    return json_answer(made, headers=gemini.headers(call))


def _no_parts(reason: str, call: Call, said: Said) -> Json:
    candidate = {"content": {}, "finishReason": reason, "finishMessage": f"The sandbox was told: {reason}.", "index": 0}
    return {"candidates": [candidate], "usageMetadata": gemini.usage(said, 0, 0), **gemini.frame(call)}


def _blocked(call: Call, said: Said) -> Json:
    ratings = [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": True}]
    feedback = {"blockReason": "SAFETY", "safetyRatings": ratings}
    return {"promptFeedback": feedback, "usageMetadata": gemini.usage(said, 0, 0), **gemini.frame(call)}


def _quota(per: str, *, is_array: bool = False) -> Spoil:
    quota = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
        "quotaId": f"GenerateRequests{per}PerProjectPerModel-FreeTier",
        "quotaDimensions": {"location": "global", "model": "sandbox"},
        "quotaValue": "20",
    }
    start = "type.googleapis.com/google.rpc."
    link = {
        "description": "Learn more about Gemini API quotas",
        "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
    }
    details: list[Json] = [
        {"@type": f"{start}Help", "links": [link]},
        {"@type": f"{start}QuotaFailure", "violations": [quota]},
        {"@type": f"{start}RetryInfo", "retryDelay": "52s"},
    ]
    message = "You exceeded your current quota, please check your plan and billing details."
    body = gemini_error(429, message, details)
    return lambda call, answer: json_answer([body] if is_array else body, status=429)


def _gemini_error(where: Callable[[Call, Iterable[Step]], Iterator[Step]], call: Call, said: Said) -> Iterator[Step]:
    yield from where(call, gemini.steps(call, said))
    yield event(gemini_error(503, "The model is overloaded. Please try again later."))


GEMINI_SCRIPTS: Mapping[tuple[str, str], Scripted] = {
    ("D-G1", "malformed-after"): partial(_gemini_end, "MALFORMED_FUNCTION_CALL"),
    ("D-G2", "safety"): partial(_gemini_end, "SAFETY"),
    ("D-G2", "recitation"): partial(_gemini_end, "RECITATION"),
    ("D-G4", "before"): partial(_gemini_error, lambda call, steps: opened(steps)),
    ("D-G4", "after"): partial(_gemini_error, begun),
    ("D-G5", "no-finish"): lambda call, said: begun(call, gemini.steps(call, said)),
    ("D-G5", "cut"): lambda call, said: cut(call, gemini.steps(call, said)),
}


# Responses


def _responses_said(call: Call) -> Said:
    return say(call, responses.hear(call, items_of(call)))


def _responses_end(
    kind: str, data: Callable[[Call], Json], content: int | None, call: Call, said: Said
) -> Iterator[Step]:
    """A stream that ends in this event, before any content (0) or after ``?after`` pieces (None)."""
    steps = responses.steps(call, said)
    sent = list(begun(call, steps) if content is None else opened(steps, content))
    yield from sent
    yield responses.event(kind, data(call), len(sent))


def _failed(code: str, call: Call) -> Json:
    error = {"code": code, "message": BROKEN}
    return {"response": responses.frame(call, "failed") | {"error": error}}


def _filtered(call: Call) -> Json:
    return {"response": responses.frame(call, "incomplete") | {"incomplete_details": {"reason": "content_filter"}}}


def _error_event(call: Call) -> Json:
    return {"code": "server_error", "message": BROKEN, "param": None}


def _with_done(call: Call, said: Said) -> Iterator[Step]:
    yield from responses.steps(call, said)
    yield DONE


RESPONSES_SCRIPTS: Mapping[tuple[str, str], Scripted] = {
    ("D-R1", "before"): partial(_responses_end, "response.failed", partial(_failed, "server_error"), 0),
    ("D-R1", "after"): partial(_responses_end, "response.failed", partial(_failed, "server_error"), None),
    ("D-R1", "rate-limit"): partial(_responses_end, "response.failed", partial(_failed, "rate_limit_exceeded"), 0),
    ("D-R2", "filter"): partial(_responses_end, "response.incomplete", _filtered, None),
    ("D-R3", "before"): partial(_responses_end, "error", _error_event, 0),
    ("D-R3", "after"): partial(_responses_end, "error", _error_event, None),
    ("D-R4", "no-completed"): lambda call, said: begun(call, responses.steps(call, said)),
    ("D-R4", "cut"): lambda call, said: cut(call, responses.steps(call, said)),
    ("D-R5", "done"): _with_done,
}


# Yandex, Cohere, Ollama


def _yandex_said(call: Call) -> Said:
    return say(call, yandex.hear(call))


def _replaced(call: Call, answer: Answer) -> Answer:
    """The filter's text in the place of what was said."""
    said = _yandex_said(call)
    last = yandex.result({"role": "assistant", "text": FILTERED}, "CONTENT_FILTER", said, AFTER)
    if not call.streams:
        return json_answer(last)
    return _stream(_yandex_said, lambda call, said: _then(call, yandex.steps(said), line(last)), call, answer)


def _then(call: Call, steps: Iterable[Step], last: Event) -> Iterator[Step]:
    yield from begun(call, steps)
    yield last


def _at_once(steps: Iterable[Step], last: Event) -> Iterator[Step]:
    yield from opened(steps)
    yield last


def _grpc_status(status: int, message: str, call: Call, answer: Answer) -> Answer:
    return json_answer(yandex_error(status, message), status=status)


YANDEX_ERROR = line(yandex_error(503, BROKEN))
YANDEX_SCRIPTS: Mapping[tuple[str, str], Scripted] = {
    ("D-Y3", "before"): lambda call, said: _at_once(yandex.steps(said), YANDEX_ERROR),
    ("D-Y3", "after"): lambda call, said: _then(call, yandex.steps(said), YANDEX_ERROR),
    ("D-Y4", "no-final"): lambda call, said: begun(call, yandex.steps(said)),
    ("D-Y4", "cut"): lambda call, said: cut(call, yandex.steps(said)),
}


def _cohere_said(call: Call) -> Said:
    return say(call, cohere.hear(call))


def _cohere_end(said: Said) -> Event:
    delta = {"finish_reason": "ERROR", "error": BROKEN, "usage": cohere.usage(said)}
    return cohere.event("message-end", {"delta": delta})


COHERE_SCRIPTS: Mapping[tuple[str, str], Scripted] = {
    ("D-C1", "before"): lambda call, said: _at_once(cohere.steps(call, said), _cohere_end(said)),
    ("D-C1", "after"): lambda call, said: _then(call, cohere.steps(call, said), _cohere_end(said)),
    ("D-C2", "no-end"): lambda call, said: begun(call, cohere.steps(call, said)),
    ("D-C2", "cut"): lambda call, said: cut(call, cohere.steps(call, said)),
}


def _ollama_said(call: Call) -> Said:
    return say(call, ollama.hear(call))


OLLAMA_ERROR = line({"error": "an error was encountered while running the model: unexpected EOF"})
OLLAMA_SCRIPTS: Mapping[tuple[str, str], Scripted] = {
    ("D-O1", "before"): lambda call, said: _at_once(ollama.steps(call, said), OLLAMA_ERROR),
    ("D-O1", "after"): lambda call, said: _then(call, ollama.steps(call, said), OLLAMA_ERROR),
    ("D-O2", "no-done"): lambda call, said: begun(call, ollama.steps(call, said)),
    ("D-O2", "cut"): lambda call, said: cut(call, ollama.steps(call, said)),
}


def _busy(call: Call, answer: Answer) -> Answer:
    return json_answer({"error": "server busy, please try again.  maximum pending requests exceeded"}, status=503)


# DeepSeek, on the OpenAI route


def _kept_alive(call: Call, answer: Answer) -> Answer:
    """Signs of life first; then the good answer."""
    count = KEEP_ALIVES if call.model.options.count is None else call.model.options.count
    if call.streams:
        return chat.streamed(call, _comments_first(call, count))
    return whole(b"\n" * count + orjson.dumps(chat.body(chat.complete(call))))


def _comments_first(call: Call, count: int) -> Iterator[Step]:
    yield from [KEEP_ALIVE] * count
    yield from chat.events(chat.complete(call))


def _must_come_back(call: Call, answer: Answer) -> Answer:
    message = "The `reasoning_content` in the thinking mode must be passed back to the API."
    return json_answer(error_body(message, code="invalid_request_error"), status=400)


def _no_resource(call: Call, answer: Answer) -> Answer:
    done = chat.complete(call)
    last = event(done.chunk(chunk_choice(0, {}, "insufficient_system_resource")))
    return chat.streamed(call, _ended(_then(call, chat.events(done), last)))


def _ended(steps: Iterator[Step]) -> Iterator[Step]:
    yield from steps
    yield DONE


def _failed_body(call: Call, answer: Answer) -> Answer:
    return json_answer(_failed("server_error", call)["response"])


def _scripts(said: Callable[[Call], Said], scripts: Mapping[tuple[str, str], Scripted]) -> dict[tuple[str, str], Spoil]:
    return {fault: partial(_stream, said, script) for fault, script in scripts.items()}


DIALECT_SPOILS: Mapping[tuple[str, str], Spoil] = {
    **_scripts(_anthropic_said, ANTHROPIC_SCRIPTS),
    ("D-A2", "529"): partial(_anthropic_status, 529, "overloaded_error", ()),
    ("D-A2", "429"): partial(_anthropic_status, 429, "rate_limit_error", RATE_HEADERS),
    **{fault: partial(_gemini_stream, script) for fault, script in GEMINI_SCRIPTS.items()},
    ("D-G1", "malformed"): partial(_gemini_only, partial(_no_parts, "MALFORMED_FUNCTION_CALL")),
    ("D-G1", "unexpected"): partial(_gemini_only, partial(_no_parts, "UNEXPECTED_TOOL_CALL")),
    ("D-G2", "blocked"): partial(_gemini_only, _blocked),
    ("D-G3", "per-minute"): _quota("PerMinute"),
    ("D-G3", "per-day"): _quota("PerDay"),
    ("D-G3", "array"): _quota("PerMinute", is_array=True),
    ("D-G6", "empty"): partial(_gemini_only, partial(_no_parts, "STOP")),
    **_scripts(_responses_said, RESPONSES_SCRIPTS),
    ("D-R1", "plain"): _failed_body,
    **_scripts(_yandex_said, YANDEX_SCRIPTS),
    ("D-Y1", "filter"): _replaced,
    ("D-Y2", "429"): partial(
        _grpc_status,
        429,
        "ai.textGenerationCompletionSessionsCount.count gauge quota limit exceed: allowed 10 requests",
    ),
    ("D-Y2", "503"): partial(_grpc_status, 503, "upstream connect error"),
    **_scripts(_cohere_said, COHERE_SCRIPTS),
    **_scripts(_ollama_said, OLLAMA_SCRIPTS),
    ("D-O3", "busy"): _busy,
    ("D-S1", "keep-alive"): _kept_alive,
    ("D-S1", "refused"): _must_come_back,
    ("D-S2", "resource"): _no_resource,
}
