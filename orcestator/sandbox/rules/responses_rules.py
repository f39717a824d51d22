"""What the Responses API refuses, in its own words. Pure but for the memory it looks into.

Sources (checked 2026-11): the types of openai-python 3.51 (``openai/types/responses``) for the fields; the sentences are
those of error bodies that people posted, such as continuedev/continue#10092, TanStack/ai#1212, BerriAI/litellm#13420.
"""

import re
from collections.abc import Mapping
from typing import Any

from orcestator.json_text import Json
from orcestator.sandbox import seals
from orcestator.sandbox.call import Call
from orcestator.sandbox.problem import Refused

FIELDS = frozenset(
    {
        *("access_programs", "background", "context_management", "conversation", "image", "include", "input"),
        *("instructions", "max_output_tokens", "max_tool_calls", "metadata", "model", "moderation"),
        *("parallel_tool_calls", "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_options"),
        *("prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store", "stream"),
        *("stream_options", "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation"),
        *("user", "client_metadata"),
    }
)
ITEM_FIELDS: Mapping[str, frozenset[str]] = {
    "message": frozenset({"type", "id", "role", "content", "status", "phase"}),
    "function_call": frozenset({"type", "id", "call_id", "name", "arguments", "status", "namespace", "caller"}),
    "function_call_output": frozenset({"type", "id", "call_id", "output", "status", "name", "namespace", "caller"}),
    "reasoning": frozenset({"type", "id", "summary", "content", "encrypted_content", "status"}),
}
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "message": ("role", "content"),
    "function_call": ("call_id", "name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "reasoning": ("summary",),
}
ID_PREFIXES: Mapping[str, str] = {"message": "msg", "function_call": "fc", "reasoning": "rs"}
FREE_ITEMS = frozenset(
    {
        *("item_reference", "custom_tool_call", "custom_tool_call_output", "web_search_call", "file_search_call"),
        *("computer_call", "computer_call_output", "image_generation_call", "code_interpreter_call", "compaction"),
        *("local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output", "apply_patch_call"),
        *("apply_patch_call_output", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "mcp_call"),
        *("tool_search_call", "tool_search_output", "additional_tools", "compaction_trigger", "program"),
        "program_output",
    }
)
"""Items that are taken as they are."""
ROLES = ("assistant", "system", "developer", "user")
PARTS: Mapping[str, tuple[str, ...]] = {
    "assistant": ("output_text", "refusal"),
    **dict.fromkeys(("system", "developer", "user"), ("input_text", "input_image", "input_file")),
}
PART_FIELDS: Mapping[str, frozenset[str]] = {
    "input_text": frozenset({"type", "text", "prompt_cache_breakpoint"}),
    "input_image": frozenset({"type", "image_url", "file_id", "detail", "prompt_cache_breakpoint"}),
    "input_file": frozenset(
        {"type", "file_id", "filename", "file_data", "file_url", "detail", "prompt_cache_breakpoint"}
    ),
    "output_text": frozenset({"type", "text", "annotations", "logprobs"}),
    "refusal": frozenset({"type", "refusal"}),
}
FUNCTION_FIELDS = frozenset(
    {"type", "name", "description", "parameters", "strict", "defer_loading", "allowed_callers", "output_schema"}
)
NAME = r"^[a-zA-Z0-9_-]+$"
LEAST_TOKENS = 16
ENCRYPTED = "reasoning.encrypted_content"


def unknown(param: str) -> Refused:
    """The refusal of a field there is none of."""
    return Refused(400, f"Unknown parameter: '{param}'.", param=param, code="unknown_parameter")


def missing(param: str) -> Refused:
    """The refusal of a body that lacks a field."""
    return Refused(400, f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def wrong_value(param: str, value: Any, supported: tuple[str, ...]) -> Refused:
    """The refusal of a word that is none of these."""
    names = ", ".join(f"'{one}'" for one in supported[:-1]) + f", and '{supported[-1]}'"
    message = f"Invalid value: '{value}'. Supported values are: {names}."
    return Refused(400, message, param=param, code="invalid_value")


def wrong_type(param: str, wanted: str, value: Any) -> Refused:
    """The refusal of a value of another type."""
    message = f"Invalid type for '{param}': expected {wanted}, but got {type(value).__name__} instead."
    return Refused(400, message, param=param, code="invalid_type")


def items_of(call: Call) -> list[Json]:
    """All items of the conversation: those behind ``previous_response_id``, then the request's own. Raises ``Refused``."""
    given = call.body.get("input")
    own = [{"type": "message", "role": "user", "content": given}] if isinstance(given, str) else given
    if own is None:
        raise missing("input")
    if not isinstance(own, list):
        raise wrong_type("input", "one of a string or an array", own)
    own = [item if isinstance(item, dict) else {} for item in own]
    return [*_stored(call), *({"type": "message", **item} if "role" in item else item for item in own)]


def _stored(call: Call) -> list[Json]:
    id = call.body.get("previous_response_id")
    if id is None:
        return []
    items = call.memory.recall(id) if isinstance(id, str) else None
    if items is None:
        raise Refused(
            400,
            f"Previous response with id '{id}' not found.",
            param="previous_response_id",
            code="previous_response_not_found",
        )
    return items


def check(call: Call) -> list[Json]:
    """Refuse what the API refuses; the conversation's items otherwise. Raises ``Refused`` (400, 404)."""
    body = call.body
    for name in body:
        if name not in FIELDS:
            raise unknown(name)
    _check_numbers(body)
    _check_tools(body)
    items = items_of(call)
    stored = len(items) - (1 if isinstance(body.get("input"), str) else len(body["input"]))
    for place, item in enumerate(items[stored:]):
        _check_item(item, f"input[{place}]")
    _check_pairs(items)
    _check_reasoning(call, items, stored)
    _check_text(body, items)
    return items


def _check_numbers(body: Json) -> None:
    limit = body.get("max_output_tokens")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool)):
        raise wrong_type("max_output_tokens", "an integer", limit)
    if limit is not None and limit < LEAST_TOKENS:
        raise Refused(
            400,
            f"Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {LEAST_TOKENS}, but got "
            f"{limit} instead.",
            param="max_output_tokens",
            code="integer_below_min_value",
        )
    for name, most in (("temperature", 2), ("top_p", 1)):
        number = body.get(name)
        if number is not None and not (isinstance(number, int | float) and 0 <= number <= most):
            raise Refused(
                400, f"Invalid '{name}': expected a number from 0 to {most}.", param=name, code="invalid_value"
            )
    reasoning = body.get("reasoning") or {}
    efforts = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
    if reasoning.get("effort") not in (None, *efforts):
        raise wrong_value("reasoning.effort", reasoning["effort"], efforts)
    for name in reasoning:
        if name not in ("effort", "summary", "generate_summary", "context", "mode"):
            raise unknown(f"reasoning.{name}")
    for place, name in enumerate(body.get("include") or []):
        if not isinstance(name, str) or "." not in name:
            raise wrong_value(f"include[{place}]", name, (ENCRYPTED, "message.output_text.logprobs"))


def _check_tools(body: Json) -> None:
    for place, tool in enumerate(body.get("tools") or []):
        path = f"tools[{place}]"
        if not isinstance(tool, dict) or "type" not in tool:
            raise missing(f"{path}.type")
        if tool["type"] != "function":
            continue
        if "name" not in tool:
            raise missing(f"{path}.name")
        for name in tool:
            if name not in FUNCTION_FIELDS:
                raise unknown(f"{path}.{name}")
        _check_name(tool["name"], f"{path}.name")
        if tool.get("strict"):
            _check_strict(tool.get("parameters") or {}, tool["name"], f"{path}.parameters")
    _check_choice(body.get("tool_choice"), [tool.get("name") for tool in body.get("tools") or []])


def _check_choice(choice: Any, names: list[Any]) -> None:
    if choice is None or choice in ("none", "auto"):
        return
    if isinstance(choice, str) and choice != "required":
        raise wrong_value("tool_choice", choice, ("none", "auto", "required"))
    if isinstance(choice, dict) and choice.get("type") == "function":
        if "name" not in choice:
            raise missing("tool_choice.name")
        if choice["name"] not in names:
            raise Refused(400, f"Tool choice '{choice['name']}' not found in 'tools' parameter.", param="tool_choice")
    elif not names:
        raise Refused(400, "Tool choice 'required' must be specified with 'tools' parameter.", param="tool_choice")


def _check_name(name: Any, path: str) -> None:
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        message = (
            f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '{NAME}'."
        )
        raise Refused(400, message, param=path, code="invalid_value")
    if len(name) > 64:
        message = f"Invalid '{path}': string too long. Expected a string with maximum length 64, but got a string with length {len(name)} instead."
        raise Refused(400, message, param=path, code="string_above_max_length")


def _check_strict(schema: Json, name: str, path: str) -> None:
    """Strict functions close every object and require all its properties."""
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        said = "'additionalProperties' is required to be supplied and to be false."
        raise _bad_schema(name, said, path)
    lacking = sorted(set(schema.get("properties") or {}) - set(schema.get("required") or []))
    if lacking:
        said = (
            "'required' is required to be supplied and to be an array including every key in properties. "
            f"Missing '{lacking[0]}'."
        )
        raise _bad_schema(name, said, path)
    for part in (schema.get("properties") or {}).values():
        _check_strict(part, name, path)
    if isinstance(schema.get("items"), dict):
        _check_strict(schema["items"], name, path)


def _bad_schema(name: str, said: str, path: str) -> Refused:
    message = f"Invalid schema for function '{name}': In context=(), {said}"
    return Refused(400, message, param=path, code="invalid_function_parameters")


def _check_item(item: Json, path: str) -> None:
    kind = str(item.get("type") or "")
    if kind in FREE_ITEMS:
        return
    if kind not in ITEM_FIELDS:
        raise wrong_value(f"{path}.type" if kind else path, kind, (*ITEM_FIELDS, "item_reference"))
    for name in REQUIRED[kind]:
        if name not in item:
            raise missing(f"{path}.{name}")
    for name in item:
        if name not in ITEM_FIELDS[kind]:
            raise unknown(f"{path}.{name}")
    _check_id(item, ID_PREFIXES.get(kind, ""), path)
    if kind == "message":
        _check_message(item, path)
    elif kind == "function_call":
        _check_call(item, path)
    elif kind == "function_call_output" and not isinstance(item["output"], str | list):
        raise wrong_type(f"{path}.output", "one of a string or an array", item["output"])


def _check_id(item: Json, prefix: str, path: str) -> None:
    id = item.get("id")
    if id is not None and not str(id).startswith(prefix):
        message = f"Invalid '{path}.id': '{id}'. Expected an ID that begins with '{prefix}'."
        raise Refused(400, message, param=f"{path}.id", code="invalid_value")


def _check_call(item: Json, path: str) -> None:
    _check_name(item["name"], f"{path}.name")
    if not isinstance(item["arguments"], str):
        raise wrong_type(f"{path}.arguments", "a string", item["arguments"])


def _check_message(item: Json, path: str) -> None:
    role, content = item["role"], item["content"]
    if role not in ROLES:
        raise wrong_value(f"{path}.role", role, ROLES)
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise wrong_type(f"{path}.content", "one of a string or an array", content)
    for place, part in enumerate(content):
        inner = f"{path}.content[{place}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in PARTS[role]:
            raise wrong_value(inner, kind, PARTS[role])
        for name in part:
            if name not in PART_FIELDS[kind]:
                raise unknown(f"{inner}.{name}")


def _check_pairs(items: list[Json]) -> None:
    called = {item["call_id"] for item in items if item.get("type") == "function_call"}
    answered = {item["call_id"] for item in items if item.get("type") == "function_call_output"}
    for item in items:
        if item.get("type") == "function_call_output" and item["call_id"] not in called:
            message = f"No tool call found for function call output with call_id {item['call_id']}."
            raise Refused(400, message, param="input")
        if item.get("type") == "function_call" and item["call_id"] not in answered:
            raise Refused(400, f"No tool output found for function call {item['call_id']}.", param="input")


def _check_reasoning(call: Call, items: list[Json], stored: int) -> None:
    """Reasoning of ours, sealed when it was not stored, and in front of what came of it."""
    ids = {item.get("id") for item in items if item.get("type") == "reasoning"}
    for place, item in enumerate(items):
        kind, id = item.get("type"), str(item.get("id") or "")
        if kind == "reasoning":
            _check_seal(item, is_stored=place < stored or call.memory.knows(id), path=f"input[{place - stored}]")
            if items[place + 1 : place + 2] == [] or items[place + 1].get("type") not in ("message", "function_call"):
                raise Refused(
                    400,
                    f"Item '{id}' of type 'reasoning' was provided without its required following item.",
                    param="input",
                )
        needed = id.replace("fc_", "rs_", 1).rpartition("_")[0] if id.startswith("fc_reasoned") else ""
        if needed and needed not in ids:
            raise Refused(
                400,
                f"Item '{id}' of type 'function_call' was provided without its required 'reasoning' item: '{needed}'.",
                param="input",
            )


def _check_seal(item: Json, *, is_stored: bool, path: str) -> None:
    sealed = item.get("encrypted_content")
    if sealed is None and is_stored:
        return
    if sealed is None:
        message = (
            f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to false. Try again "
            "with `store` set to true, or remove this item from your input."
        )
        raise Refused(404, message, param="input")
    if not seals.is_ours("responses", "", sealed):
        message = (
            f"The encrypted content for item {item.get('id')} could not be verified. Reason: Encrypted content could not "
            "be decrypted or parsed."
        )
        raise Refused(400, message, param=f"{path}.encrypted_content", code="invalid_encrypted_content")


def _check_text(body: Json, items: list[Json]) -> None:
    text = body.get("text") or {}
    for name in text:
        if name not in ("format", "verbosity"):
            raise unknown(f"text.{name}")
    wanted = text.get("format") or {}
    kind = wanted.get("type")
    if kind not in (None, "text", "json_object", "json_schema"):
        raise wrong_value("text.format.type", kind, ("text", "json_object", "json_schema"))
    if kind == "json_schema":
        for name in ("name", "schema"):
            if name not in wanted:
                raise missing(f"text.format.{name}")
    if kind == "json_object" and "json" not in repr(items).lower():
        raise Refused(
            400,
            "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.",
            param="input",
        )
