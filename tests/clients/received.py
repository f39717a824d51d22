"""What a request to an upstream holds, read in the shape of its dialect."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orcestator.json_text import Json


@dataclass(frozen=True)
class Upstream:
    """A dialect as the sandbox serves it: ``path`` under its root, ``route`` of a streamed and ``whole`` of any other chat.

    ``tools`` gives the names of the tools on offer, ``results`` what each tool call was answered with.
    """

    name: str
    path: str
    routes: tuple[str, ...]
    tools: Callable[[Json], Iterator[str]]
    results: Callable[[Json], Iterator[str]]

    def __str__(self) -> str:
        return self.name


def _openai_tools(body: Json) -> Iterator[str]:
    for tool in body.get("tools", []):
        yield tool[tool["type"]]["name"]


def _openai_results(body: Json) -> Iterator[str]:
    for message in body["messages"]:
        if message["role"] == "tool":
            yield text_of(message["content"])


def _responses_tools(body: Json) -> Iterator[str]:
    for tool in body.get("tools", []):
        yield tool.get("name") or tool["type"]


def _responses_results(body: Json) -> Iterator[str]:
    for item in body["input"]:
        if item.get("type") in ("function_call_output", "custom_tool_call_output"):
            yield text_of(item["output"])


def _anthropic_tools(body: Json) -> Iterator[str]:
    for tool in body.get("tools", []):
        yield tool["name"]


def _anthropic_results(body: Json) -> Iterator[str]:
    for message in body["messages"]:
        blocks = message["content"] if isinstance(message["content"], list) else []
        yield from (text_of(block.get("content")) for block in blocks if block["type"] == "tool_result")


def _gemini_tools(body: Json) -> Iterator[str]:
    for tool in body.get("tools", []):
        yield from (declared["name"] for declared in tool.get("functionDeclarations", []))


def _gemini_results(body: Json) -> Iterator[str]:
    for content in body["contents"]:
        for part in content["parts"]:
            if "functionResponse" in part:
                yield json.dumps(part["functionResponse"]["response"], ensure_ascii=False)


def text_of(content: Any) -> str:
    """The text of a result, which may be a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [])


UPSTREAMS: Mapping[str, Upstream] = {
    row.name: row
    for row in (
        Upstream("openai", "/v1", ("/v1/chat/completions",), _openai_tools, _openai_results),
        Upstream("responses", "/v1", ("/v1/responses",), _responses_tools, _responses_results),
        Upstream("anthropic", "/v1", ("/v1/messages",), _anthropic_tools, _anthropic_results),
        Upstream(
            "gemini",
            "/v1beta",
            tuple(
                f"/v1beta/models/{model}:{verb}"
                for model in ("echo", "agent")
                for verb in ("generateContent", "streamGenerateContent")
            ),
            _gemini_tools,
            _gemini_results,
        ),
    )
}
