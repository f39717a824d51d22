"""Chat answers: what the models say, as one body and as chunks (OpenAI chat completions, checked 2026-11).

Pure but for the clock in ``created``. ``tokens=N`` means N content chunks; role, finish, usage and ``[DONE]`` come on top.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import orjson

from orcestator.sandbox import schema, tools
from orcestator.sandbox.call import Call, nonce_of, text_of
from orcestator.sandbox.problem import Json, Refused
from orcestator.sandbox.script import DONE, STREAM_TYPE, Answer, Step, event, json_answer, paced

FRAME = (
    "You said: {text}\n\nThis is the orcestator sandbox: it answers without any provider. Set OPENROUTER_API_KEY "
    "(or another provider's key) and start again to reach a real model."
)
TOOL_ANSWERED = "The tool answered: {text}"
REASONING = "The caller wrote something and I only have to say it back. "
ECHOED_CHARACTERS = 4_000
MOST_CHOICES = 128


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
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.tokens,
            "total_tokens": self.prompt_tokens + self.tokens,
            "completion_tokens_details": {"reasoning_tokens": sum(len(choice.reasoning) for choice in self.choices)},
        }


def answer(call: Call) -> Answer:
    """The whole answer, streaming or not as the call asks."""
    done = complete(call)
    if call.streams:
        return streamed(call, events(done))
    pace = call.settings.tokens_per_second
    return json_answer(body(done), headers=(request_id(call),), delay_seconds=done.tokens / pace if pace else 0)


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
    prompt = "\n".join(text_of(message.get("content")) for message in messages)
    choice = _choice(call, messages, prompt)
    return Completion(call, (choice,) * choice_count(call.body), max(1, len(prompt) // 4))


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
        yield event(chunk)
    yield DONE


def chunks(done: Completion) -> Iterator[Json]:
    """The answer as chunks: several choices take turns; usage comes last and only when it was asked for."""
    options = done.call.body.get("stream_options")
    wants_usage = isinstance(options, dict) and bool(options.get("include_usage"))
    frame = done.frame("chat.completion.chunk") | ({"usage": None} if wants_usage else {})
    streams = [_chunk_choices(done.call, index, choice) for index, choice in enumerate(done.choices)]
    for turn in zip_longest(*streams):
        yield from ({**frame, "choices": [choice]} for choice in turn if choice is not None)
    if wants_usage:
        yield {**frame, "choices": [], "usage": done.usage()}


def cut(call: Call, text: str, nonce: str) -> tuple[tuple[str, ...], str]:
    """A text in pieces, with ``tokens``, ``stop``, ``max_tokens`` and the nonce applied, and the finish_reason."""
    pieces = _counted(_words(_before_stop(text, call.body.get("stop"))), call.settings.tokens)
    limit = call.body.get("max_completion_tokens") or call.body.get("max_tokens")
    is_cut = isinstance(limit, int) and 0 < limit < len(pieces)
    kept = pieces[:limit] if is_cut else pieces
    return _marked(kept, nonce), "length" if is_cut else "stop"


def words_said(call: Call, text: str, frame: str = FRAME) -> str:
    """The answer to ``text``: the set one, or the friendly frame."""
    wanted = call.settings.answer
    return (frame if wanted is None else wanted).replace("{text}", text[:ECHOED_CHARACTERS])


def _choice(call: Call, messages: list[Json], prompt: str) -> Choice:
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
    return Choice(pieces, finish, reasoning=_marked(_words(REASONING), nonce) if reasons else ())


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


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\s*\S+\s*", text)) or (text,)


def _before_stop(text: str, stop: object) -> str:
    stops = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
    places = [text.find(one) for one in stops if isinstance(one, str) and one and one in text]
    return text[: min(places)] if places else text


def _counted(pieces: tuple[str, ...], tokens: int | None) -> tuple[str, ...]:
    """Exactly ``tokens`` pieces: the words again and again, or as many as are wanted."""
    if tokens is None:
        return pieces
    spaced = tuple(piece if piece[-1:].isspace() else f"{piece} " for piece in pieces)
    return tuple(spaced[place % len(spaced)] for place in range(tokens))


def _marked(pieces: tuple[str, ...], nonce: str) -> tuple[str, ...]:
    return tuple(f"{nonce} {piece}" for piece in pieces) if nonce else pieces


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
