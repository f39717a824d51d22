"""A canonical call to a generateContent request.

https://ai.google.dev/api/generate-content (checked 2026-11). Models before Gemini 3 refuse JSON output beside tools
("Function calling with a response mime type: 'application/json' is unsupported"): there the wish becomes an
instruction.
"""

from orcestator.dialects.canonical import Target, WireCall
from orcestator.dialects.canonical_call import answer_format
from orcestator.dialects.fitting import fitted
from orcestator.dialects.gemini.model_traits import ModelTraits, traits_of
from orcestator.dialects.gemini.upstream_config import generation_config, response_form
from orcestator.dialects.gemini.upstream_contents import Contents
from orcestator.dialects.gemini.upstream_tools import tool_fields
from orcestator.dialects.url_path import segment
from orcestator.errors import InvalidRequest
from orcestator.json_text import Json, dumps

VERTEX = "vertex"
JSON_ONLY = "When you answer instead of calling a tool, answer with one JSON value and nothing around it."
JSON_SCHEMA = " It must be valid against this JSON Schema: "
_TOLD = frozenset(
    {
        "model", "messages", "stream", "stream_options", "temperature", "top_p", "top_k", "seed", "presence_penalty",
        "frequency_penalty", "max_tokens", "max_completion_tokens", "n", "logprobs", "top_logprobs", "stop",
        "modalities", "reasoning", "reasoning_effort", "response_format", "tools", "tool_choice", "parallel_tool_calls",
    }
)  # fmt: skip


def path_to(model: str, streamed: bool) -> str:
    """Where a request for a model goes, after a base URL that ends in the API's version. Raises InvalidRequest."""
    return _method_path(model, "streamGenerateContent?alt=sse" if streamed else "generateContent")


def count_path(model: str) -> str:
    """Where the tokens of a request for a model are counted. Raises InvalidRequest."""
    return _method_path(model, "countTokens")


def embed_path(model: str) -> str:
    """Where texts are embedded. Raises InvalidRequest."""
    return _method_path(model, "batchEmbedContents")


def _method_path(model: str, method: str) -> str:
    return f"/models/{segment(model.removeprefix('models/'))}:{method}"


def wire_call(call: Json, target: Target) -> WireCall:
    """The request for a target. Raises InvalidRequest for a call without messages."""
    traits = traits_of(target.model)
    call, changed = fitted(call, target.facts)
    contents = _contents(call, target, traits)
    contents.dropped += changed
    dropped = contents.dropped
    tools = tool_fields(call, traits, dropped)
    config = generation_config(call, traits, target.facts, dropped)
    loosened: list[str] = []
    wanted = answer_format(call)
    form = response_form(wanted, traits, loosened)
    if form and tools and not traits.joins_json_and_tools:
        _instruct(contents, wanted.schema, traits)
    else:
        config |= form
        dropped += loosened
    body: Json = {"contents": contents.contents}
    if contents.system:
        body["systemInstruction"] = {"parts": contents.system}
    body |= tools
    if config:
        body["generationConfig"] = config
    dropped += [name for name, value in call.items() if name not in _TOLD and value is not None]
    return WireCall(path_to(target.model, target.streamed), body, tuple(dict.fromkeys(dropped)))


def _contents(call: Json, target: Target, traits: ModelTraits) -> Contents:
    contents = Contents(traits, keeps_ids=target.provider != VERTEX)
    messages = call.get("messages")
    contents.read([message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else [])
    if not contents.contents:
        raise InvalidRequest(
            'messages says nothing; add a message with text, for example {"role": "user", "content": "Hello"}.',
            param="messages",
        )
    return contents


def _instruct(contents: Contents, schema: Json | None, traits: ModelTraits) -> None:
    text = JSON_ONLY + (JSON_SCHEMA + dumps(schema).decode() if schema is not None else "")
    if traits.takes_system:
        contents.system.append({"text": text})
    else:
        contents.contents[0]["parts"].insert(0, {"text": text})
