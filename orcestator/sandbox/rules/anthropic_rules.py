"""What the Anthropic API refuses, in its own words. Pure.

Sources (checked 2026-11): https://docs.claude.com/en/api/messages and the types of anthropic-sdk-python 2.12 for the
fields; https://docs.claude.com/en/docs/build-with-claude/extended-thinking for thinking; the sentences are those of
error bodies that people posted, such as anthropics/claude-code#12894, #8210, #18947, maximhq/bifrost#5097.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from orcestator.json_text import Json
from orcestator.sandbox import seals
from orcestator.sandbox.call import Call
from orcestator.sandbox.problem import Refused

MOST_TOKENS = 128_000
LEAST_BUDGET = 1_024
MOST_CACHE_MARKS = 4
FIELDS = frozenset(
    {
        *("model", "messages", "max_tokens", "system", "stream", "temperature", "top_p", "top_k", "stop_sequences"),
        *(
            "metadata",
            "tools",
            "tool_choice",
            "thinking",
            "output_config",
            "service_tier",
            "container",
            "cache_control",
        ),
        *("diagnostics", "inference_geo", "speed"),
    }
)
BETA_FIELDS: Mapping[str, str] = {
    "context_management": "context-management",
    "mcp_servers": "mcp-client",
    "output_format": "structured-outputs",
    "compaction": "compact",
    "fallbacks": "fallback",
    "betas": "never",
}
"""Fields that exist only for a request whose ``anthropic-beta`` header names them."""
COUNTED_FIELDS = frozenset(
    {
        *("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control", "speed"),
        *("context_management", "mcp_servers"),
    }
)
BLOCK_FIELDS: Mapping[str, frozenset[str]] = {
    "text": frozenset({"text", "cache_control", "citations"}),
    "image": frozenset({"source", "cache_control", "transformations"}),
    "document": frozenset({"source", "cache_control", "citations", "context", "title"}),
    "search_result": frozenset({"content", "source", "title", "cache_control", "citations"}),
    "thinking": frozenset({"thinking", "signature"}),
    "redacted_thinking": frozenset({"data"}),
    "tool_use": frozenset({"id", "name", "input", "cache_control", "caller", "toolset_name"}),
    "tool_result": frozenset({"tool_use_id", "content", "is_error", "cache_control", "toolset_name"}),
}
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "text": ("text",),
    "image": ("source",),
    "document": ("source",),
    "search_result": ("content", "source", "title"),
    "thinking": ("signature", "thinking"),
    "redacted_thinking": ("data",),
    "tool_use": ("id", "input", "name"),
    "tool_result": ("tool_use_id",),
}
ROLE_BLOCKS: Mapping[str, frozenset[str]] = {
    "user": frozenset({"text", "image", "document", "search_result", "tool_result"}),
    "assistant": frozenset({"text", "thinking", "redacted_thinking", "tool_use"}),
    "system": frozenset({"text"}),
}
RESULT_BLOCKS = frozenset({"text", "image", "document", "search_result"})
IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
TOOL_FIELDS = frozenset(
    {
        *("name", "description", "input_schema", "type", "cache_control", "strict", "defer_loading"),
        *("allowed_callers", "input_examples", "eager_input_streaming"),
    }
)
TOOL_NAME = "^[a-zA-Z0-9_-]{1,128}$"
TOOL_ID = "^[a-zA-Z0-9_-]+$"
PROPERTY_NAME = "^[a-zA-Z0-9_.-]{1,64}$"
THINKING_PAGE = "https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
UNSUPPORTED_KEYS: Mapping[str, frozenset[str]] = {
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}),
    "string": frozenset({"minLength", "maxLength"}),
    "array": frozenset({"maxItems", "uniqueItems"}),
}


def invalid(message: str) -> Refused:
    """A 400 in Anthropic's words."""
    return Refused(400, message)


def check_headers(headers: Mapping[str, str], key: str) -> None:
    """Raises ``Refused``: 401 without a good key, 400 without a version."""
    if not key:
        raise Refused(401, "x-api-key header is required")
    version = headers.get("anthropic-version")
    if version is None:
        raise invalid("anthropic-version: header is required")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", version):
        raise invalid(f'anthropic-version: "{version}" is not a valid version')


def check(call: Call) -> None:
    """Refuse what the Messages API refuses. Raises ``Refused`` (400)."""
    body = call.body
    _known(body, FIELDS | _allowed_betas(call), "")
    _check_limit(body)
    _check_sampling(body)
    _check_shared(call)


def check_counted(call: Call) -> None:
    """Refuse what token counting refuses. Raises ``Refused`` (400)."""
    _known(call.body, COUNTED_FIELDS, "")
    _check_shared(call)


def thinks(body: Json) -> bool:
    """Whether thinking is on."""
    return isinstance(body.get("thinking"), dict) and body["thinking"].get("type") in ("enabled", "adaptive")


def blocks_of(content: Any) -> list[Json]:
    """Content as blocks, whichever of its two shapes it has."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or [])


def _check_shared(call: Call) -> None:
    body = call.body
    messages = _check_messages(body)
    _check_system(body.get("system"))
    _check_tools(body)
    _check_thinking(body)
    _check_output(body.get("output_config"))
    _check_pairs(messages)
    _check_thoughts(body, messages)
    _check_cache_marks(body)
    if messages[-1]["role"] == "assistant":
        _check_prefill(call, messages[-1])


def _allowed_betas(call: Call) -> frozenset[str]:
    sent = call.headers.get("anthropic-beta", "")
    return frozenset(name for name, word in BETA_FIELDS.items() if word in sent)


def _known(value: Json, fields: frozenset[str], path: str) -> None:
    for name in value:
        if name not in fields:
            raise invalid(f"{path}{name}: Extra inputs are not permitted")


def _require(value: Json, names: tuple[str, ...], path: str) -> None:
    for name in names:
        if name not in value:
            raise invalid(f"{path}.{name}: Field required")


def _check_limit(body: Json) -> None:
    limit = body.get("max_tokens")
    if "max_tokens" not in body:
        raise invalid("max_tokens: Field required")
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise invalid("max_tokens: Input should be a valid integer")
    if limit < 1:
        raise invalid("max_tokens: Input should be greater than or equal to 1")
    if limit > MOST_TOKENS:
        name = body.get("model")
        raise invalid(
            f"max_tokens: {limit} > {MOST_TOKENS}, which is the maximum allowed number of output tokens for {name}"
        )


def _check_sampling(body: Json) -> None:
    for name in ("temperature", "top_p"):
        number = body.get(name)
        if number is None:
            continue
        if not isinstance(number, int | float) or isinstance(number, bool):
            raise invalid(f"{name}: Input should be a valid number")
        if number < 0:
            raise invalid(f"{name}: Input should be greater than or equal to 0")
        if number > 1:
            raise invalid(f"{name}: Input should be less than or equal to 1")
    stops = body.get("stop_sequences") or []
    if not isinstance(stops, list) or not all(isinstance(one, str) for one in stops):
        raise invalid("stop_sequences: Input should be a valid list")
    if any(not one.strip() for one in stops):
        raise invalid("stop_sequences: each stop sequence must contain non-whitespace")


def _check_messages(body: Json) -> list[Json]:
    messages = body.get("messages")
    if "messages" not in body:
        raise invalid("messages: Field required")
    if not isinstance(messages, list):
        raise invalid("messages: Input should be a valid list")
    if not messages:
        raise invalid("messages: at least one message is required")
    for place, message in enumerate(messages):
        _check_message(message, place, is_last=place == len(messages) - 1)
    if messages[0]["role"] != "user":
        raise invalid('messages: first message must use the "user" role')
    return messages


def _check_message(message: Any, place: int, *, is_last: bool) -> None:
    path = f"messages.{place}"
    if not isinstance(message, dict):
        raise invalid(f"{path}: Input should be a valid dictionary or object to extract fields from")
    role, content = str(message.get("role")), message.get("content")
    if role not in ROLE_BLOCKS:
        raise invalid(f"{path}.role: Input should be 'user' or 'assistant'")
    _require(message, ("content",), path)
    _known(message, frozenset({"role", "content"}), f"{path}.")
    if not isinstance(content, str | list):
        raise invalid(f"{path}.content: Input should be a valid list")
    if not content and not (is_last and role == "assistant"):
        raise invalid(
            f"{path}: all messages must have non-empty content except for the optional final assistant message"
        )
    if isinstance(content, list):
        for index, block in enumerate(content):
            check_block(block, f"{path}.content.{index}", ROLE_BLOCKS[role])


def check_block(block: Any, path: str, allowed: frozenset[str]) -> None:
    """Refuse a block that is unknown here, lacks a field or has one too many. Raises ``Refused`` (400)."""
    kind = block.get("type") if isinstance(block, dict) else None
    if kind not in allowed:
        names = ", ".join(f"'{name}'" for name in sorted(allowed))
        raise invalid(f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {names}")
    _require(block, REQUIRED[kind], f"{path}.{kind}")
    _known(block, BLOCK_FIELDS[kind] | {"type"}, f"{path}.{kind}.")
    if kind == "text":
        _check_text(block["text"], path)
    elif kind == "image":
        _check_image(block["source"], f"{path}.image.source")
    elif kind == "tool_use":
        _check_use(block, f"{path}.tool_use")
    elif kind == "tool_result":
        _check_result(block, f"{path}.tool_result")


def _check_text(text: Any, path: str) -> None:
    if not isinstance(text, str):
        raise invalid(f"{path}.text.text: Input should be a valid string")
    if not text:
        raise invalid("messages: text content blocks must be non-empty")
    if not text.strip():
        raise invalid("messages: text content blocks must contain non-whitespace text")


def _check_image(source: Any, path: str) -> None:
    kind = source.get("type") if isinstance(source, dict) else None
    if kind not in ("base64", "url", "file"):
        raise invalid(f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags")
    if kind == "base64" and source.get("media_type") not in IMAGE_TYPES:
        raise invalid(
            f"{path}.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'"
        )
    if not source.get({"base64": "data", "url": "url", "file": "file_id"}[kind]):
        raise invalid(f"{path}.{kind}: image cannot be empty")


def _check_use(block: Json, path: str) -> None:
    _matches(block["id"], TOOL_ID, f"{path}.id")
    _matches(block["name"], TOOL_NAME, f"{path}.name")
    if not isinstance(block["input"], dict):
        raise invalid(f"{path}.input: Input should be a valid dictionary")


def _check_result(block: Json, path: str) -> None:
    _matches(block["tool_use_id"], TOOL_ID, f"{path}.tool_use_id")
    content = block.get("content", "")
    if not isinstance(content, str | list):
        raise invalid(f"{path}.content: Input should be a valid string")
    for index, part in enumerate(content if isinstance(content, list) else []):
        check_block(part, f"{path}.content.{index}", RESULT_BLOCKS)
    if block.get("is_error") and not content:
        raise invalid(f"{path}: content cannot be empty if `is_error` is true")


def _matches(value: Any, pattern: str, path: str) -> None:
    if not isinstance(value, str):
        raise invalid(f"{path}: Input should be a valid string")
    if not re.fullmatch(pattern, value):
        raise invalid(f"{path}: String should match pattern '{pattern}'")


def _check_system(system: Any) -> None:
    if system is None or isinstance(system, str):
        return
    if not isinstance(system, list):
        raise invalid("system: Input should be a valid list")
    for place, block in enumerate(system):
        check_block(block, f"system.{place}", frozenset({"text"}))


def _check_tools(body: Json) -> None:
    tools = body.get("tools")
    if tools is not None and not isinstance(tools, list):
        raise invalid("tools: Input should be a valid list")
    for place, tool in enumerate(tools or []):
        if not isinstance(tool, dict):
            raise invalid(f"tools.{place}: Input should be a valid dictionary")
        if tool.get("type") in (None, "custom"):
            _check_tool(tool, f"tools.{place}.custom")
    names = [tool.get("name") for tool in tools or []]
    if len(set(names)) != len(names):
        raise invalid("tools: Tool names must be unique.")
    _check_choice(body.get("tool_choice"), names)


def _check_tool(tool: Json, path: str) -> None:
    _require(tool, ("name", "input_schema"), path)
    _known(tool, TOOL_FIELDS, f"{path}.")
    _matches(tool["name"], TOOL_NAME, f"{path}.name")
    schema = tool["input_schema"]
    if not isinstance(schema, dict):
        raise invalid(f"{path}.input_schema: Input should be a valid dictionary")
    if "type" not in schema:
        raise invalid(f"{path}.input_schema.type: Field required")
    if schema["type"] != "object":
        raise invalid(f"{path}.input_schema.type: Input should be 'object'")
    if schema.keys() & {"oneOf", "allOf", "anyOf"}:
        raise invalid(f"{path}.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level")
    for name in schema.get("properties") or {}:
        if not re.fullmatch(PROPERTY_NAME, name):
            raise invalid(f"{path}.input_schema.properties: Property keys should match pattern '{PROPERTY_NAME}'")
    if tool.get("strict"):
        _check_strict_schema(schema, f"{path}.input_schema")


def _check_choice(choice: Any, names: list[Any]) -> None:
    if choice is None:
        return
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind not in ("auto", "any", "tool", "none"):
        raise invalid(
            f"tool_choice: Input tag '{kind}' found using 'type' does not match any of the expected tags: "
            "'any', 'auto', 'none', 'tool'"
        )
    allowed = {"auto": {"disable_parallel_tool_use"}, "any": {"disable_parallel_tool_use"}, "none": set[str]()}
    _known(
        choice, frozenset(allowed.get(kind, {"disable_parallel_tool_use", "name"})) | {"type"}, f"tool_choice.{kind}."
    )
    if not names:
        raise invalid("tool_choice may only be specified while providing tools.")
    if kind == "tool":
        _require(choice, ("name",), "tool_choice.tool")
        if choice["name"] not in names:
            raise invalid(f"Tool '{choice['name']}' not found in provided tools")


def _check_thinking(body: Json) -> None:
    thinking = body.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in ("enabled", "adaptive", "disabled"):
        raise invalid(
            f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected tags: "
            "'adaptive', 'disabled', 'enabled'"
        )
    fields = {"enabled": {"budget_tokens", "display"}, "adaptive": {"display"}, "disabled": set[str]()}[kind]
    _known(thinking, frozenset(fields) | {"type"}, f"thinking.{kind}.")
    if kind == "enabled":
        _check_budget(thinking, body.get("max_tokens"))
    if kind != "disabled":
        _check_beside_thinking(body)


def _check_budget(thinking: Json, limit: Any) -> None:
    _require(thinking, ("budget_tokens",), "thinking.enabled")
    budget = thinking["budget_tokens"]
    if not isinstance(budget, int):
        raise invalid("thinking.enabled.budget_tokens: Input should be a valid integer")
    if budget < LEAST_BUDGET:
        raise invalid(f"thinking.enabled.budget_tokens: Input should be greater than or equal to {LEAST_BUDGET}")
    if isinstance(limit, int) and budget >= limit:
        raise invalid(
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at "
            f"{THINKING_PAGE}#max-tokens-and-context-window-size"
        )


def _check_beside_thinking(body: Json) -> None:
    considerations = (
        f"Please consult our documentation at {THINKING_PAGE}#important-considerations-when-using-extended-thinking"
    )
    if body.get("temperature") not in (None, 1):
        raise invalid(f"`temperature` may only be set to 1 when thinking is enabled. {considerations}")
    if body.get("top_k") is not None:
        raise invalid(f"`top_k` must be unset when thinking is enabled. {considerations}")
    if body.get("top_p") is not None and body["top_p"] < 0.95:
        raise invalid(
            f"`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled. {considerations}"
        )
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")


def _check_output(config: Any) -> None:
    if config is None:
        return
    if not isinstance(config, dict):
        raise invalid("output_config: Input should be a valid dictionary")
    _known(config, frozenset({"effort", "format", "task_budget"}), "output_config.")
    if config.get("effort") not in (None, "low", "medium", "high", "xhigh", "max"):
        raise invalid("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
    wanted = config.get("format")
    if wanted is None:
        return
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        raise invalid("output_config.format.type: Input should be 'json_schema'")
    _require(wanted, ("schema",), "output_config.format")
    _known(wanted, frozenset({"type", "schema"}), "output_config.format.")
    _check_strict_schema(wanted["schema"], "output_config.format.schema")


def _check_strict_schema(schema: Any, path: str) -> None:
    """Structured outputs compile a part of JSON Schema only."""
    for part in _schemas(schema):
        kinds = part.get("type")
        for kind in kinds if isinstance(kinds, list) else [kinds]:
            if kind == "object" and part.get("additionalProperties") is not False:
                raise invalid(f"{path}: For 'object' type, 'additionalProperties' must be explicitly set to false")
            unsupported = sorted(part.keys() & UNSUPPORTED_KEYS.get(str(kind), frozenset()))
            if unsupported:
                raise invalid(f"{path}: For '{kind}' type, properties {', '.join(unsupported)} are not supported")


def _schemas(schema: Any) -> Iterator[Json]:
    if not isinstance(schema, dict):
        return
    yield schema
    for name in ("properties", "$defs", "definitions"):
        for part in (schema.get(name) or {}).values():
            yield from _schemas(part)
    for name in ("anyOf", "allOf", "oneOf"):
        for part in schema.get(name) or []:
            yield from _schemas(part)
    yield from _schemas(schema.get("items"))


def _check_pairs(messages: list[Json]) -> None:
    """Each call is answered in the next message, before anything else there, and once."""
    seen: set[str] = set()
    for place, message in enumerate(messages):
        uses = _ids(message, "tool_use", "id")
        if len(set(uses)) != len(uses) or seen & set(uses):
            raise invalid(f"messages.{place}: `tool_use` ids must be unique")
        seen |= set(uses)
        _check_results(message, place, _ids(messages[place - 1], "tool_use", "id") if place else [])
        answered = _leading_results(messages[place + 1]) if place + 1 < len(messages) else []
        missing = [id for id in uses if id not in answered]
        if missing:
            raise invalid(
                f"messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )


def _ids(message: Json, kind: str, name: str) -> list[str]:
    return [block[name] for block in blocks_of(message["content"]) if block["type"] == kind]


def _leading_results(message: Json) -> list[str]:
    found: list[str] = []
    for block in blocks_of(message["content"]):
        if block["type"] != "tool_result":
            break
        found.append(block["tool_use_id"])
    return found


def _check_results(message: Json, place: int, called: list[str]) -> None:
    found: set[str] = set()
    for index, block in enumerate(blocks_of(message["content"])):
        if block["type"] != "tool_result":
            continue
        id = block["tool_use_id"]
        if id not in called:
            raise invalid(
                f"messages.{place}.content.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each "
                "`tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        if id in found:
            raise invalid(
                f"messages.{place}.content.{index}: each tool_use must have a single result. Found multiple "
                f"`tool_result` blocks with id: {id}"
            )
        found.add(id)


def _check_thoughts(body: Json, messages: list[Json]) -> None:
    for place, message in enumerate(messages):
        for index, block in enumerate(blocks_of(message["content"])):
            _check_seal(block, f"messages.{place}.content.{index}")
    if not thinks(body):
        return
    for place, message in enumerate(messages):
        kinds = [block["type"] for block in blocks_of(message["content"])]
        if {"thinking", "redacted_thinking"} & set(kinds) and kinds[0] not in ("thinking", "redacted_thinking"):
            raise invalid(
                f"messages.{place}.content.0: If an assistant message contains any thinking blocks, the first block "
                f"must be `thinking` or `redacted_thinking`. Found `{kinds[0]}`."
            )
    if body["thinking"]["type"] == "enabled":
        _check_loop(messages)


def _check_seal(block: Json, path: str) -> None:
    if block["type"] == "thinking" and not seals.is_ours("anthropic", str(block["thinking"]), block["signature"]):
        raise invalid(f"{path}: Invalid `signature` in `thinking` block")
    if block["type"] == "redacted_thinking" and not seals.is_ours("anthropic-redacted", "", block["data"]):
        raise invalid(f"{path}: Invalid `data` in `redacted_thinking` block")


def _check_loop(messages: list[Json]) -> None:
    """A loop of tools that is still open has to begin with what was thought (adaptive thinking does not ask for it)."""
    place = len(messages) - 1
    if messages[place]["role"] != "assistant":
        is_loop = bool(_ids(messages[place], "tool_result", "tool_use_id"))
        place -= 1
        if not is_loop:
            return
    kinds = [block["type"] for block in blocks_of(messages[place]["content"])]
    if kinds and kinds[0] not in ("thinking", "redacted_thinking"):
        raise invalid(
            f"messages.{place}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{kinds[0]}`. When "
            "`thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding the "
            "lastmost set of `tool_use` and `tool_result` blocks). We recommend you include thinking blocks from "
            "previous turns. To avoid this requirement, disable `thinking`. Please consult our documentation at "
            f"{THINKING_PAGE}"
        )


def _check_cache_marks(body: Json) -> None:
    blocks = [*(body.get("tools") or []), *(body["system"] if isinstance(body.get("system"), list) else [])]
    for message in body["messages"]:
        blocks += blocks_of(message["content"])
    count = sum(bool(block.get("cache_control")) for block in blocks)
    if count > MOST_CACHE_MARKS:
        raise invalid(f"A maximum of {MOST_CACHE_MARKS} blocks with cache_control may be provided. Found {count}.")


def _check_prefill(call: Call, message: Json) -> None:
    if call.model.base == "noprefill":
        raise invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    texts = [block["text"] for block in blocks_of(message["content"])[-1:] if block["type"] == "text"]
    if texts and texts[-1] != texts[-1].rstrip():
        raise invalid("messages: final assistant content cannot end with trailing whitespace")
