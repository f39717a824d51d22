"""What the models say to a conversation, whatever dialect it came in: reasoning, calls, text. Pure.

Each dialect's file reads its messages into ``Heard`` and writes ``Said`` in its own shape; nothing here knows a wire.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from orcestator.sandbox import speech
from orcestator.sandbox.call import Call, nonce_of
from orcestator.sandbox.rules import schema

ROUNDS = 2
"""How many times the agent calls tools before it speaks, when ``?rounds=`` does not say."""

MODELS_THAT_REASON = frozenset({"agent", "reasoner", "deepseek"})
MODELS_THAT_CALL = frozenset({"agent", "deepseek", "strict"})
"""Those that call tools again and again; ``tools`` calls once."""

TOOLS_ANSWERED = "The tools answered: {text}"


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool on offer; ``schema`` is that of its arguments, None for any."""

    name: str
    schema: Any = None


@dataclass(frozen=True, slots=True)
class Heard:
    """A conversation understood.

    ``said`` are the caller's last words, ``prompt`` is every text (for the nonce and the count), ``results`` what tools
    answered since those last words and ``rounds`` how often they were called since. ``must_call`` leaves the model no
    choice, ``only`` names the tools it may call. ``value_schema`` asks for a JSON value; ``wants_json`` for any.
    """

    said: str
    prompt: str
    results: tuple[str, ...] = ()
    rounds: int = 0
    tools: tuple[Tool, ...] = ()
    may_call: bool = True
    must_call: bool = False
    only: tuple[str, ...] = ()
    parallel: bool = True
    limit: int | None = None
    stops: tuple[str, ...] = ()
    wants_json: bool = False
    value_schema: Any = None
    reasons: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """One tool call; ``place`` counts within the answer."""

    place: int
    name: str
    arguments: dict[str, Any]

    @property
    def text(self) -> str:
        """The arguments as JSON text."""
        return orjson.dumps(self.arguments).decode()


@dataclass(frozen=True, slots=True)
class Said:
    """An answer before it has a shape. ``finish`` is ``stop``, ``length`` or ``tool_calls``; ``met`` the stop sequence."""

    pieces: tuple[str, ...]
    reasoning: tuple[str, ...]
    calls: tuple[Made, ...]
    finish: str
    prompt_tokens: int
    met: str | None = None

    @property
    def text(self) -> str:
        """The text in one piece."""
        return "".join(self.pieces)

    @property
    def thought(self) -> str:
        """The reasoning in one piece."""
        return "".join(self.reasoning)

    @property
    def spoken_tokens(self) -> int:
        """The tokens of text and calls."""
        return len(self.pieces) + 8 * len(self.calls)

    @property
    def tokens(self) -> int:
        """All tokens produced, reasoning included."""
        return self.spoken_tokens + len(self.reasoning)

    @property
    def cached_tokens(self) -> int:
        """How much of the prompt counts as read from a cache: a quarter, so that the number can be followed."""
        return self.prompt_tokens // 4


def say(call: Call, heard: Heard) -> Said:
    """What the call's model answers."""
    nonce = nonce_of(heard.prompt)
    reasoning = speech.marked(speech.words(speech.REASONING), nonce) if heard.reasons else ()
    tokens = max(1, len(heard.prompt) // 4)
    if _calls_now(call, heard):
        return Said((), reasoning, _made(heard, nonce or heard.said), "tool_calls", tokens)
    if heard.wants_json:
        value = _value(call, heard, nonce)
        whole = speech.cut(value, call.settings, "", limit=heard.limit)
        pieces = (value,) if nonce or call.settings.tokens else whole.pieces
        return Said(pieces, reasoning, (), whole.finish, tokens)
    done = speech.cut(_text(call, heard), call.settings, nonce, stops=heard.stops, limit=heard.limit)
    return Said(done.pieces, reasoning, (), done.finish, tokens, done.met)


def current_turn(
    messages: list[dict[str, Any]], text: Callable[[dict[str, Any]], str]
) -> tuple[str, tuple[str, ...], int]:
    """The user's last words, what tools answered since, and how often they were called since: for dialects whose
    messages have roles ``user`` and ``tool`` and a list ``tool_calls``. ``text`` reads one message."""
    results: list[str] = []
    rounds = 0
    for one in reversed(messages):
        rounds += bool(one.get("tool_calls"))
        if one["role"] == "tool":
            results.insert(0, text(one))
        if one["role"] == "user":
            return text(one), tuple(results), rounds
    return "", tuple(results), rounds


def rounds_wanted(call: Call) -> int:
    """How many times this model calls tools before it speaks."""
    if call.model.base == "tools":
        return 1
    wanted = call.model.options.rounds
    return ROUNDS if wanted is None else wanted


def _calls_now(call: Call, heard: Heard) -> bool:
    if not heard.tools or not heard.may_call:
        return False
    calls = call.model.base in MODELS_THAT_CALL or call.model.base == "tools"
    return heard.must_call or (calls and heard.rounds < rounds_wanted(call))


def _made(heard: Heard, text: str) -> tuple[Made, ...]:
    """Two calls at once when that is allowed: of the first two tools, or of the only one twice."""
    offered = [tool for tool in heard.tools if not heard.only or tool.name in heard.only] or list(heard.tools)
    chosen = (offered * 2)[:2] if heard.parallel else offered[:1]
    return tuple(Made(place, tool.name, _arguments(tool, text)) for place, tool in enumerate(chosen))


def _arguments(tool: Tool, text: str) -> dict[str, Any]:
    value = schema.example(tool.schema if isinstance(tool.schema, dict) else {"type": "object"}, text)
    return value if isinstance(value, dict) else {}


def _value(call: Call, heard: Heard, nonce: str) -> str:
    text = nonce or speech.said(call.settings, heard.said, "{text}")
    value = {"answer": text} if heard.value_schema is None else schema.example(heard.value_schema, text)
    return orjson.dumps(value).decode()


def _text(call: Call, heard: Heard) -> str:
    if not heard.results:
        return speech.said(call.settings, heard.said)
    frame = speech.TOOL_ANSWERED if len(heard.results) == 1 else TOOLS_ANSWERED
    return speech.said(call.settings, " | ".join(heard.results), frame)
