"""What api.openai.com and api.deepseek.com refuse in a chat body and this sandbox's other models take. Pure.

Sources (checked 2026-11): https://platform.openai.com/docs/api-reference/chat and error bodies that people posted
("Unknown parameter: 'messages[0].tool_calls'.", code unknown_parameter);
https://api-docs.deepseek.com/guides/thinking_mode and anomalyco/opencode#24083 for DeepSeek.
"""

from collections.abc import Mapping
from typing import Any

from orcestator.json_text import Json
from orcestator.sandbox.problem import Refused

FIELDS = frozenset(
    {
        *("model", "messages", "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs"),
        *("max_completion_tokens", "max_tokens", "metadata", "modalities", "moderation", "n", "parallel_tool_calls"),
        *("prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"),
        *(
            "reasoning_effort",
            "response_format",
            "safety_identifier",
            "seed",
            "service_tier",
            "stop",
            "store",
            "stream",
        ),
        *("stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity"),
        "web_search_options",
    }
)
MESSAGE_FIELDS: Mapping[str, frozenset[str]] = {
    "system": frozenset({"role", "content", "name"}),
    "developer": frozenset({"role", "content", "name"}),
    "user": frozenset({"role", "content", "name"}),
    "assistant": frozenset({"role", "content", "name", "refusal", "audio", "tool_calls", "function_call"}),
    "tool": frozenset({"role", "content", "tool_call_id"}),
    "function": frozenset({"role", "content", "name"}),
}
PART_FIELDS: Mapping[str, frozenset[str]] = {
    "text": frozenset({"type", "text"}),
    "image_url": frozenset({"type", "image_url"}),
    "input_audio": frozenset({"type", "input_audio"}),
    "file": frozenset({"type", "file"}),
    "refusal": frozenset({"type", "refusal"}),
}
CALL_FIELDS = frozenset({"id", "type", "function", "custom"})
TOOL_FIELDS = frozenset({"type", "function", "custom"})
FUNCTION_FIELDS = frozenset({"name", "description", "parameters", "strict"})


def check_strict(body: Json) -> None:
    """Refuse every field there is none of, and tool messages out of place. Raises ``Refused`` (400)."""
    for name in body:
        if name not in FIELDS:
            raise Refused(400, f"Unrecognized request argument supplied: {name}")
    for place, message in enumerate(body["messages"]):
        _check_message(message, f"messages[{place}]")
    for place, tool in enumerate(body.get("tools") or []):
        _known(tool, TOOL_FIELDS, f"tools[{place}]")
        _known(tool.get("function") or {}, FUNCTION_FIELDS, f"tools[{place}].function")
    _check_pairs(body["messages"])


def check_deepseek(body: Json) -> None:
    """Refuse a tool call whose reasoning did not come back while thinking is on. Raises ``Refused`` (400)."""
    if not thinks(body):
        return
    for message in body["messages"]:
        if message.get("role") == "assistant" and message.get("tool_calls") and "reasoning_content" not in message:
            raise Refused(
                400,
                "The `reasoning_content` in the thinking mode must be passed back to the API.",
                code="invalid_request_error",
            )


def thinks(body: Json) -> bool:
    """Whether DeepSeek's thinking mode is on, as it is by default."""
    return (body.get("thinking") or {}).get("type") != "disabled" and body.get("reasoning_effort") != "none"


def _check_message(message: Json, path: str) -> None:
    role = str(message.get("role"))
    if role not in MESSAGE_FIELDS:
        names = ", ".join(f"'{name}'" for name in MESSAGE_FIELDS)
        raise Refused(
            400,
            f"Invalid value: '{role}'. Supported values are: {names}.",
            param=f"{path}.role",
            code="invalid_value",
        )
    _known(message, MESSAGE_FIELDS[role], path)
    content = message.get("content")
    for place, part in enumerate(content if isinstance(content, list) else []):
        inner = f"{path}.content[{place}]"
        kind = str(part.get("type")) if isinstance(part, dict) else ""
        if kind not in PART_FIELDS:
            raise Refused(400, f"Invalid value: '{kind}'.", param=f"{inner}.type", code="invalid_value")
        _known(part, PART_FIELDS[kind], inner)
    for place, made in enumerate(message.get("tool_calls") or []):
        _known(made, CALL_FIELDS, f"{path}.tool_calls[{place}]")
        _known(made.get("function") or {}, frozenset({"name", "arguments"}), f"{path}.tool_calls[{place}].function")


def _known(value: Any, fields: frozenset[str], path: str) -> None:
    for name in value:
        if name not in fields:
            param = f"{path}.{name}"
            raise Refused(400, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")


def _check_pairs(messages: list[Json]) -> None:
    """Each call has its tool message before anybody else speaks, and no tool message stands alone."""
    waiting: list[str] = []
    for place, message in enumerate(messages):
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                raise Refused(
                    400,
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
                    "'tool_calls'.",
                    param=f"messages[{place}].role",
                )
            waiting.remove(message["tool_call_id"])
            continue
        _nobody_waits(waiting, place)
        waiting = [made["id"] for made in message.get("tool_calls") or []]
    _nobody_waits(waiting, len(messages))


def _nobody_waits(waiting: list[str], place: int) -> None:
    if waiting:
        raise Refused(
            400,
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
            f"The following tool_call_ids did not have response messages: {', '.join(waiting)}",
            param=f"messages[{place}].role",
        )
