"""Good bodies, routes and headers of each dialect, for the tests to spoil one thing at a time."""

import json
from dataclasses import dataclass
from typing import Any

from orcestator.json_text import Json
from tests.sandbox.running_sandbox import RunningSandbox
from tests.sandbox.sandbox_wire import Wire, ask

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
GOOGLE_CITY = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}
NAMES = ("get_weather", "get_time")
HEADERS = {
    "anthropic": "x-api-key: k\r\nanthropic-version: 2023-06-01\r\n",
    "gemini": "x-goog-api-key: k\r\n",
    "gemini-openai": "authorization: Bearer k\r\n",
    "yandex": "authorization: Api-Key k\r\nx-folder-id: b1g\r\n",
    "cohere": "authorization: Bearer k\r\n",
}
PATHS = {
    "anthropic": "/v1/messages",
    "gemini-openai": "/v1beta/openai/chat/completions",
    "responses": "/v1/responses",
    "yandex": "/foundationModels/v1/completion",
    "cohere": "/v2/chat",
    "ollama": "/api/chat",
    "openai": "/v1/chat/completions",
}
DIALECTS = ("anthropic", "gemini", "gemini-openai", "responses", "yandex", "cohere", "ollama")


@dataclass
class Asker:
    """A sandbox asked in one dialect."""

    sandbox: RunningSandbox
    dialect: str

    def __call__(self, body: Json, model: str = "echo", *, stream: bool = False, headers: str | None = None) -> Wire:
        path = PATHS.get(self.dialect) or gemini_path(model, stream=stream)
        own = HEADERS.get(self.dialect, "") if headers is None else headers
        whole = body if self.dialect == "gemini" else shaped(self.dialect, body, model, stream=stream)
        return ask(self.sandbox.base_url, path, whole, headers=f"connection: close\r\n{own}")

    def refusal(self, body: Json, model: str = "echo", **how: Any) -> tuple[int, Any]:
        """The status and the error body."""
        wire = self(body, model, **how)
        return wire.status, wire.json


def gemini_path(model: str, *, stream: bool) -> str:
    quoted = model.replace("?", "%3F")
    return (
        f"/v1beta/models/{quoted}:streamGenerateContent?alt=sse"
        if stream
        else f"/v1beta/models/{quoted}:generateContent"
    )


def shaped(dialect: str, body: Json, model: str, *, stream: bool) -> Json:
    if dialect == "yandex":
        options = {**body.get("completionOptions", {}), "stream": stream}
        return {"modelUri": f"gpt://b1g/{model}/latest", **body, "completionOptions": options}
    return {"model": model, "stream": stream, **body}


def says(dialect: str, text: str = "Hello nonce:walnut", *, tools: bool = False) -> Json:
    """A good first request."""
    body: Json = {"messages": [{"role": "user", "content": text}]}
    if dialect == "anthropic":
        body["max_tokens"] = 4000
    if dialect == "gemini":
        body = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    if dialect == "responses":
        body = {"input": [{"type": "message", "role": "user", "content": text}]}
    if dialect == "yandex":
        body = {"messages": [{"role": "user", "text": text}]}
    return body | ({"tools": offered(dialect)} if tools else {})


def offered(dialect: str) -> list[Json]:
    """Two tools on offer."""
    if dialect == "anthropic":
        return [{"name": name, "input_schema": CITY} for name in NAMES]
    if dialect == "gemini":
        return [{"functionDeclarations": [{"name": name, "parameters": GOOGLE_CITY} for name in NAMES]}]
    if dialect == "responses":
        return [{"type": "function", "name": name, "parameters": CITY, "strict": False} for name in NAMES]
    if dialect == "yandex":
        return [{"function": {"name": name, "description": name, "parameters": CITY}} for name in NAMES]
    return [{"type": "function", "function": {"name": name, "parameters": CITY}} for name in NAMES]


def answered(dialect: str, body: Json, reply: Any, results: tuple[str, ...]) -> Json:
    """The next request of a tool loop: the reply's calls unchanged, then their results."""
    if dialect == "anthropic":
        uses = [block for block in reply["content"] if block["type"] == "tool_use"]
        blocks = [
            {"type": "tool_result", "tool_use_id": use["id"], "content": text}
            for use, text in zip(uses, results, strict=True)
        ]
        return _more(
            body, "messages", {"role": "assistant", "content": reply["content"]}, {"role": "user", "content": blocks}
        )
    if dialect == "gemini":
        content = reply["candidates"][0]["content"]
        calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
        parts = [
            {"functionResponse": {**{k: call[k] for k in ("id", "name") if k in call}, "response": {"output": text}}}
            for call, text in zip(calls, results, strict=True)
        ]
        return _more(body, "contents", content, {"role": "user", "parts": parts})
    if dialect == "responses":
        calls = [item for item in reply["output"] if item["type"] == "function_call"]
        outputs = [
            {"type": "function_call_output", "call_id": call["call_id"], "output": text}
            for call, text in zip(calls, results, strict=True)
        ]
        return _more(body, "input", *reply["output"], *outputs)
    if dialect == "yandex":
        message = reply["result"]["alternatives"][0]["message"]
        calls = message["toolCallList"]["toolCalls"]
        given = [
            {"functionResult": {"name": call["functionCall"]["name"], "content": text}}
            for call, text in zip(calls, results, strict=True)
        ]
        return _more(body, "messages", message, {"role": "user", "toolResultList": {"toolResults": given}})
    message = reply["message"] if "message" in reply else reply["choices"][0]["message"]
    tools = [
        {"role": "tool", "tool_call_id": call["id"], "content": text}
        for call, text in zip(message["tool_calls"], results, strict=True)
    ]
    return _more(body, "messages", message, *tools)


def text_of(dialect: str, reply: Any) -> str:
    """The text of a whole reply."""
    if dialect == "anthropic":
        return "".join(block["text"] for block in reply["content"] if block["type"] == "text")
    if dialect == "gemini":
        parts = reply["candidates"][0]["content"]["parts"]
        return "".join(part["text"] for part in parts if "text" in part and not part.get("thought"))
    if dialect == "responses":
        return "".join(
            part["text"] for item in reply["output"] if item["type"] == "message" for part in item["content"]
        )
    if dialect == "yandex":
        return str(reply["result"]["alternatives"][0]["message"].get("text", ""))
    if dialect == "cohere":
        return "".join(part["text"] for part in reply["message"].get("content", []) if part["type"] == "text")
    return str((reply["message"] if "message" in reply else reply["choices"][0]["message"]).get("content") or "")


def streamed_text(dialect: str, wire: Wire) -> str:
    """The text of a stream."""
    if dialect in ("yandex", "ollama"):
        lines = [json.loads(one) for one in wire.body.decode().splitlines()]
        return (
            text_of("yandex", lines[-1]) if dialect == "yandex" else "".join(one["message"]["content"] for one in lines)
        )
    pieces = {
        "anthropic": lambda one: one.get("delta", {}).get("text", ""),
        "gemini": lambda one: text_of("gemini", one),
        "gemini-openai": lambda one: one["choices"][0]["delta"].get("content") or "",
        "responses": lambda one: one["delta"] if one["type"] == "response.output_text.delta" else "",
        "cohere": lambda one: one["delta"]["message"]["content"]["text"] if one["type"] == "content-delta" else "",
    }[dialect]
    return "".join(pieces(one) for one in wire.parsed)


def _more(body: Json, field: str, *items: Any) -> Json:
    return {**body, field: [*body[field], *items]}
