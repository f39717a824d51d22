"""What the sandbox said to a request, before any dialect gave it a shape: the measure of every crossing."""

from dataclasses import dataclass
from urllib.parse import quote

import orjson

from orcestator.json_text import Json
from orcestator.sandbox.call import Call
from orcestator.sandbox.dialects import anthropic, chat, cohere, gemini, ollama, responses, yandex
from orcestator.sandbox.routes import find
from orcestator.sandbox.rules import responses_rules
from orcestator.sandbox.settings import SandboxSettings
from orcestator.sandbox.turn import Said, say
from orcestator.sandbox.wire.http import Request
from orcestator.sandbox.wire.records import Record

REPLY_TOOL = "orcestator_reply_as_json"
_HEARING = {
    "anthropic": anthropic.hear,
    "gemini": gemini.hear,
    "yandex": yandex.hear,
    "cohere": cohere.hear,
    "ollama": ollama.hear,
}


@dataclass(frozen=True)
class Truth:
    """An answer. ``usage`` are prompt and completion tokens, reasoning included."""

    text: str
    thought: str
    calls: tuple[tuple[str, Json], ...]
    finish: str
    usage: tuple[int, int]


def truth_of(record: Record) -> Truth:
    """What the request of a record was answered."""
    route = find(record.path)
    assert route is not None, record.path
    request = Request(record.method, quote(record.path, safe="/:"), record.headers, record.body, True)
    call = route.call(request, record.number, SandboxSettings())
    if route.dialect == "openai":
        return _of_chat(call)
    heard = responses.hear(call, responses_rules.check(call)) if route.dialect == "responses" else None
    return _of_said(say(call, heard or _HEARING[route.dialect](call)))


def _of_said(said: Said) -> Truth:
    calls = tuple((made.name, made.arguments) for made in said.calls)
    usage = (said.prompt_tokens, said.tokens)
    if calls and calls[0][0] == REPLY_TOOL:
        # The tool stands for a form of the answer that this upstream has not.
        return Truth(orjson.dumps(calls[0][1]).decode(), said.thought, (), "stop", usage)
    return Truth(said.text, said.thought, calls, said.finish, usage)


def _of_chat(call: Call) -> Truth:
    done = chat.complete(call)
    choice = done.choices[0]
    calls = tuple((made["function"]["name"], orjson.loads(made["function"]["arguments"])) for made in choice.tool_calls)
    return Truth(
        "".join(choice.pieces), "".join(choice.reasoning), calls, choice.finish, (done.prompt_tokens, done.tokens)
    )
