"""Chat answers: what the models say, as one body and as chunks (OpenAI chat completions, checked 2026-11).

Pure but for the clock in ``created``. ``tokens=N`` means N content chunks; role, finish, usage and ``[DONE]`` come on top.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest

import orjson

from orcestator.json_text import Json
from orcestator.sandbox import seals, speech, tools, turn
from orcestator.sandbox.call import Call, nonce_of, text_of
from orcestator.sandbox.problem import Refused
from orcestator.sandbox.rules import gemini_rules, openai_rules, schema
from orcestator.sandbox.speech import FRAME, REASONING, TOOL_ANSWERED
from orcestator.sandbox.wire.script import DONE, STREAM_TYPE, Answer, Content, Step, event, json_answer, paced

MOST_CHOICES = 128
KEEP_ALIVE = b": keep-alive\n\n"
BLANK_LINES = b"\n\n\n"


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice: its content, reasoning and tool calls, and why it ended."""

    pieces: tuple[str, ...]
    finish: str
    reasoning: tuple[str, ...] = ()
    tool_calls: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """Everything one call is answered with, before it takes the shape of a body or of chunks."""

    call: Call
    choices: tuple[Choice, ...]
    prompt_tokens: int

    @property
    def tokens(self) -> int:
        """How many tokens were produced, reasoning included."""
        return sum(len(choice.pieces) + len(choice.reasoning) + 8 * len(choice.tool_calls) for choice in self.choices)

    def frame(self, kind: str) -> Json:
        """The fields that a body and each chunk share."""
        number = self.call.number
        return {"id": f"chatcmpl-{number}", "object": kind, "created": int(time.time()), "model": self.call.model.text}

    def chunk(self, *choices: Json) -> Json:
        """A chunk with these choices."""
        return {**self.frame("chat.completion.chunk"), "choices": list(choices)}

    def usage(self) -> Json:
        """The token counts; four characters of a prompt count as one token."""
        usage: Json = {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.tokens,
            "total_tokens": self.prompt_tokens + self.tokens,
            "completion_tokens_details": {"reasoning_tokens": sum(len(choice.reasoning) for choice in self.choices)},
        }
        if is_deepseek(self.call):
            hit = self.prompt_tokens // 4
            usage |= {"prompt_cache_hit_tokens": hit, "prompt_cache_miss_tokens": self.prompt_tokens - hit}
        return usage


def answer(call: Call) -> Answer:
    """The whole answer, streaming or not as the call asks."""
    done = complete(call)
    if call.streams:
        return streamed(call, events(done))
    whole = json_answer(body(done), headers=(request_id(call),), delay_seconds=call.delay(done.tokens))
    return with_blank_lines(whole) if is_deepseek(call) else whole


def is_deepseek(call: Call) -> bool:
    """Whether the answer is DeepSeek's."""
    return call.model.base == "deepseek"


def with_blank_lines(answer: Answer) -> Answer:
    """The answer with DeepSeek's keep-alive in front of its body."""
    headers = tuple(
        (name, str(int(value) + len(BLANK_LINES)) if name == "content-length" else value)
        for name, value in answer.headers
    )
    return replace(answer, headers=headers, steps=(BLANK_LINES, *answer.steps))


def streamed(call: Call, steps: Iterator[Step]) -> Answer:
    """The steps as an event stream at the call's pace."""
    headers = (("content-type", STREAM_TYPE), ("cache-control", "no-cache"), request_id(call))
    return Answer(headers=headers, steps=paced(steps, call.settings.tokens_per_second), chunked=True)


def request_id(call: Call) -> tuple[str, str]:
    """The header that names this request."""
    return "x-request-id", f"req_sandbox_{call.number}"


def complete(call: Call) -> Completion:
    """What the call is answered with. Raises ``Refused`` (400) when the messages or ``n`` make no sense."""
    messages = call.body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise Refused(400, "The field 'messages' must be a list of at least one message.", param="messages")
    _check(call)
    prompt = "\n".join(text_of(message.get("content")) for message in messages)
    choice = _choice(call, messages, prompt)
    return Completion(call, (choice,) * choice_count(call.body), max(1, len(prompt) // 4))


def _check(call: Call) -> None:
    if call.model.base == "strict":
        openai_rules.check_strict(call.body)
    if is_deepseek(call):
        openai_rules.check_deepseek(call.body)


def choice_count(body: Json) -> int:
    """The field ``n``. Raises ``Refused`` (400)."""
    count = body.get("n") or 1
    if not isinstance(count, int) or not 1 <= count <= MOST_CHOICES:
        raise Refused(400, f"The field 'n' must be from 1 to {MOST_CHOICES}.", param="n")
    return count


def body(done: Completion) -> Json:
    """The answer as one body."""
    choices = [_whole_choice(done.call, index, choice) for index, choice in enumerate(done.choices)]
    return {**done.frame("chat.completion"), "choices": choices, "usage": done.usage()}


def events(done: Completion) -> Iterator[Step]:
    """The answer as events, ``[DONE]`` included."""
    for chunk in chunks(done):
        if is_deepseek(done.call):
            yield KEEP_ALIVE
        made = event(chunk)
        yield Content(made) if _has_content(chunk) else made
    yield DONE


def _has_content(chunk: Json) -> bool:
    deltas = [choice["delta"] for choice in chunk["choices"]]
    return any(delta.get(name) for delta in deltas for name in ("content", "reasoning_content", "tool_calls"))


def chunks(done: Completion) -> Iterator[Json]:
    """The answer as chunks: several choices take turns; usage comes last and only when it was asked for."""
    options = done.call.body.get("stream_options")
    wants_usage = isinstance(options, dict) and bool(options.get("include_usage"))
    frame = done.frame("chat.completion.chunk") | ({"usage": None} if wants_usage else {})
    streams = [_chunk_choices(done.call, index, choice) for index, choice in enumerate(done.choices)]
    for at_once in zip_longest(*streams):
        yield from ({**frame, "choices": [choice]} for choice in at_once if choice is not None)
    if wants_usage:
        yield {**frame, "choices": [], "usage": done.usage()}


def cut(call: Call, text: str, nonce: str) -> tuple[tuple[str, ...], str]:
    """A text in pieces, with ``tokens``, ``stop``, ``max_tokens`` and the nonce applied, and the finish_reason."""
    done = speech.cut(text, call.settings, nonce, stops=_stops(call.body), limit=_limit(call.body))
    return done.pieces, done.finish


def words_said(call: Call, text: str, frame: str = FRAME) -> str:
    """The answer to ``text``: the set one, or the friendly frame."""
    return speech.said(call.settings, text, frame)


def _stops(body: Json) -> tuple[str, ...]:
    stop = body.get("stop")
    stops = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    return tuple(one for one in stops if isinstance(one, str))


def _limit(body: Json) -> int | None:
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    return limit if isinstance(limit, int) else None


def _choice(call: Call, messages: list[Json], prompt: str) -> Choice:
    if call.model.base in turn.MODELS_THAT_CALL:
        return _turn_choice(call, turn.say(call, _heard(call, messages, prompt)))
    said = _last_user_text(messages)
    nonce = nonce_of(prompt)
    if call.model.base == "tools" and (made := tools.calls(call.body, nonce or said, number=call.number)):
        return Choice((), "tool_calls", tool_calls=tuple(made))
    if (value := _json_value(call.body, words_said(call, said, "{text}"), nonce)) is not None:
        pieces, finish = cut(call, value, "")
        return Choice((value,) if nonce or call.settings.tokens else pieces, finish)
    from_tool = messages[-1].get("role") == "tool"
    heard, frame = (text_of(messages[-1].get("content")), TOOL_ANSWERED) if from_tool else (said, FRAME)
    pieces, finish = cut(call, words_said(call, heard, frame), nonce)
    reasons = call.model.base == "reasoner"
    return Choice(pieces, finish, reasoning=speech.marked(speech.words(REASONING), nonce) if reasons else ())


def _turn_choice(call: Call, said: turn.Said) -> Choice:
    made = tuple(_tool_call(call, one) for one in said.calls)
    return Choice(said.pieces, said.finish, reasoning=said.reasoning, tool_calls=made)


def _tool_call(call: Call, made: turn.Made) -> Json:
    """One call; Gemini's own endpoint of this dialect signs the first of several."""
    function = {"name": made.name, "arguments": made.text}
    whole: Json = {"id": f"call_{call.number}_{made.place}", "type": "function", "function": function}
    if call.dialect != "gemini-openai" or made.place or not gemini_rules.signs(call):
        return whole
    sealed = seals.seal("gemini", f"call:{made.name}", call.number)
    return whole | {"extra_content": {"google": {"thought_signature": sealed}}}


def _heard(call: Call, messages: list[Json], prompt: str) -> turn.Heard:
    """The conversation as the models that call tools again and again hear it."""
    body = call.body
    choice, wanted = body.get("tool_choice"), body.get("response_format") or {}
    offered = [tool["function"] for tool in body.get("tools") or [] if isinstance(tool.get("function"), dict)]
    start = max((place for place, one in enumerate(messages) if one.get("role") == "user"), default=-1)
    since = messages[start + 1 :]
    is_named = isinstance(choice, dict) and "function" in choice
    return turn.Heard(
        said=_last_user_text(messages),
        prompt=prompt,
        results=tuple(text_of(one.get("content")) for one in since if one.get("role") == "tool"),
        rounds=sum(bool(one.get("tool_calls")) for one in since),
        tools=tuple(turn.Tool(function["name"], function.get("parameters")) for function in offered),
        may_call=choice != "none",
        must_call=choice == "required" or is_named,
        only=(choice["function"]["name"],) if is_named and isinstance(choice, dict) else (),
        parallel=body.get("parallel_tool_calls") is not False,
        limit=_limit(body),
        stops=_stops(body),
        wants_json=wanted.get("type") in ("json_object", "json_schema"),
        value_schema=(wanted.get("json_schema") or {}).get("schema"),
        reasons=_reasons(call),
    )


def _reasons(call: Call) -> bool:
    if is_deepseek(call):
        return openai_rules.thinks(call.body)
    return call.model.base in turn.MODELS_THAT_REASON and call.body.get("reasoning_effort") != "none"


def _json_value(body: Json, text: str, nonce: str) -> str | None:
    """The JSON text that ``response_format`` asks for; None when it asks for none."""
    wanted = body.get("response_format")
    if not isinstance(wanted, dict):
        return None
    kind = wanted.get("type")
    said = nonce or text
    if kind == "json_object":
        return orjson.dumps({"answer": said}).decode()
    if kind == "json_schema":
        return orjson.dumps(schema.example((wanted.get("json_schema") or {}).get("schema"), said)).decode()
    return None


def _last_user_text(messages: list[Json]) -> str:
    return next((text_of(one.get("content")) for one in reversed(messages) if one.get("role") == "user"), "")


def _whole_choice(call: Call, index: int, choice: Choice) -> Json:
    message: Json = {"role": "assistant", "content": None if choice.tool_calls else "".join(choice.pieces)}
    message["refusal"] = None
    if choice.reasoning:
        message["reasoning_content"] = "".join(choice.reasoning)
    if choice.tool_calls:
        message["tool_calls"] = list(choice.tool_calls)
    logprobs = _logprobs(call, choice.pieces)
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": choice.finish}


def _chunk_choices(call: Call, index: int, choice: Choice) -> Iterator[Json]:
    yield chunk_choice(index, {"role": "assistant", "content": None if choice.tool_calls else ""})
    for piece in choice.reasoning:
        yield chunk_choice(index, {"reasoning_content": piece})
    for piece in choice.pieces:
        yield chunk_choice(index, {"content": piece}) | {"logprobs": _logprobs(call, (piece,))}
    for place, made in enumerate(choice.tool_calls):
        for delta in tools.deltas(made, place):
            yield chunk_choice(index, {"tool_calls": [delta]})
    yield chunk_choice(index, {}, choice.finish)


def chunk_choice(index: int, delta: Json, finish: str | None = None) -> Json:
    """The one entry of a chunk's ``choices``."""
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _logprobs(call: Call, pieces: tuple[str, ...]) -> Json | None:
    if not call.body.get("logprobs"):
        return None
    others = call.body.get("top_logprobs") or 0
    tokens = [{"token": piece, "logprob": -0.1, "bytes": list(piece.encode())} for piece in pieces]
    return {"content": [token | {"top_logprobs": [token] * min(int(others), 1)} for token in tokens]}
