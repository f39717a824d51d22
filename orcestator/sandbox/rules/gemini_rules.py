"""What the Gemini API refuses, in its own words. Pure.

Sources (checked 2026-11): https://ai.google.dev/api/generate-content, https://ai.google.dev/api/caching#Schema,
https://ai.google.dev/gemini-api/docs/thought-signatures; the sentences are those of error bodies that people posted,
such as browser-use/browser-use#3786, danny-avila/LibreChat#6971, google-gemini/gemini-cli#3814 and #26486.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orcestator.json_text import Json
from orcestator.sandbox import seals
from orcestator.sandbox.call import Call
from orcestator.sandbox.problem import Refused
from orcestator.sandbox.rules.gemini_proto import schemas

FUNCTION_NAME = r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}"
BAD_NAME = (
    "Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), "
    "underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 128."
)
SKIPPED = "skip_thought_signature_validator"
DATA_FIELDS = frozenset(
    {
        *("text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode"),
        *("codeExecutionResult", "toolCall", "toolResponse"),
    }
)
TYPES = frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"})
MODES = frozenset({"MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"})
LEVELS = frozenset({"THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"})
MOST_CANDIDATES = 8
MOST_STOPS = 5
SIGNING_BASES = frozenset({"agent", "reasoner"})


def invalid(message: str) -> Refused:
    """A 400 INVALID_ARGUMENT."""
    return Refused(400, message)


def bad_key() -> Refused:
    """How a wrong API key is refused: with 400, not 401."""
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }
    return Refused(400, "API key not valid. Please pass a valid API key.", details=[info])


def no_key() -> Refused:
    """How a request without any key is refused."""
    return Refused(
        403,
        "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other "
        "form of API consumer identity to call this API.",
    )


def signs(call: Call) -> bool:
    """Whether the model gives thought signatures and wants them back: Gemini 3, or one that reasons."""
    return generation(call) >= 3 or call.model.base in SIGNING_BASES


def generation(call: Call) -> float:
    """The number in a name like ``gemini-3-agent``; 0 for a plain one."""
    found = re.match(r"(?:models/)?gemini-(\d+(?:\.\d+)?)-", call.model.text)
    return float(found[1]) if found else 0


def check(call: Call) -> None:
    """Refuse what ``generateContent`` refuses, of a body already in camelCase. Raises ``Refused`` (400)."""
    body = call.body
    complaints = [*_content_complaints(body), *_tool_complaints(body), *_config_complaints(body)]
    if complaints:
        raise invalid("".join(f"* GenerateContentRequest.{one}\n" for one in complaints))
    _check_config(call, body.get("generationConfig") or {})
    _check_function_config(body)
    contents = _turns(body["contents"])
    _check_turns(contents)
    check_signatures(call, contents)


def _turns(contents: list[Json]) -> list[Json]:
    """The contents with those of the model in a row as one turn: Google's SDK sends a streamed turn so (3.4.0)."""
    turns: list[Json] = []
    for content in contents:
        if turns and content.get("role") == turns[-1].get("role") == "model":
            turns[-1] = {**turns[-1], "parts": [*turns[-1]["parts"], *content["parts"]]}
        else:
            turns.append(content)
    return turns


def parts_of(content: Json, name: str) -> list[Json]:
    """The parts of a content that hold this field."""
    return [part for part in content.get("parts") or [] if name in part]


def _content_complaints(body: Json) -> Iterator[str]:
    if not body.get("contents"):
        yield "contents: contents is not specified"
    named = [(f"contents[{place}]", one) for place, one in enumerate(body.get("contents") or [])]
    if body.get("systemInstruction") is not None:
        named.append(("system_instruction", body["systemInstruction"]))
    for path, content in named:
        if content.get("role") not in (None, "user", "model", "function", "system" if path[0] == "s" else "user"):
            raise invalid("Please use a valid role: user, model.")
        if not content.get("parts"):
            yield f"{path}.parts: contents.parts must not be empty."
        for index, part in enumerate(content.get("parts") or []):
            yield from _part_complaints(part or {}, f"{path}.parts[{index}]")


def _part_complaints(part: Json, path: str) -> Iterator[str]:
    held = part.keys() & DATA_FIELDS
    if not held:
        yield f"{path}.data: required oneof field 'data' must have one initialized field"
    if len(held) > 1:
        yield f"{path}.data: oneof field 'data' is already set"
    for name, path_name in (("functionCall", "function_call"), ("functionResponse", "function_response")):
        if name in part and not part[name].get("name"):
            yield f"{path}.{path_name}.name: Name cannot be empty."
        elif name in part and not re.fullmatch(FUNCTION_NAME, part[name]["name"]):
            yield f"{path}.{path_name}.name: [FIELD_INVALID] {BAD_NAME}"
    if "functionResponse" in part and "response" not in part["functionResponse"]:
        yield f"{path}.function_response.response: must be set"
    if "inlineData" in part and not part["inlineData"].get("mimeType"):
        yield f"{path}.inline_data.mime_type: must be set"


def _tool_complaints(body: Json) -> Iterator[str]:
    seen: set[str] = set()
    for place, tool in enumerate(body.get("tools") or []):
        if not tool:
            yield f"tools[{place}].tool_type: required one_of 'tool_type' must have one initialized field"
        for index, function in enumerate(tool.get("functionDeclarations") or []):
            path = f"tools[{place}].function_declarations[{index}]"
            name = function.get("name") or ""
            if not re.fullmatch(FUNCTION_NAME, name):
                yield f"{path}.name: {BAD_NAME}"
            if name in seen:
                raise invalid(f"Duplicate function declaration found: {name}")
            seen.add(name)
            if "parameters" in function and "parametersJsonSchema" in function:
                yield f"{path}: parameters and parameters_json_schema must not be set both"
            if isinstance(function.get("parameters"), dict):
                yield from schema_complaints(function["parameters"], f"{path}.parameters")


def schema_complaints(schema: Json, path: str) -> Iterator[str]:
    """What is wrong with a schema whose fields are all known."""
    for inner, part in schemas(schema, path):
        for name, broken in SCHEMA_RULES.items():
            if (complaint := broken(part)) is not None:
                yield f"{inner}.{name}: {complaint}" if not complaint.startswith("[") else f"{inner}.{name}{complaint}"


def _type(part: Json) -> str:
    return str(part.get("type") or "").upper()


def _type_rule(part: Json) -> str | None:
    if part.get("type") is None:
        return None if part.get("anyOf") else "must be specified when not using one_of, any_of or all_of fields"
    return None if _type(part) in TYPES else "unknown type"


def _properties_rule(part: Json) -> str | None:
    if _type(part) == "OBJECT" and not part.get("properties") and not part.get("anyOf"):
        return "should be non-empty for OBJECT type"
    return "only allowed for OBJECT type" if part.get("properties") and _type(part) not in ("", "OBJECT") else None


def _items_rule(part: Json) -> str | None:
    if _type(part) == "ARRAY" and part.get("items") is None:
        return "missing field."
    return "field predicate failed: $type == Type.ARRAY" if part.get("items") and _type(part) != "ARRAY" else None


def _required_rule(part: Json) -> str | None:
    properties = part.get("properties") or {}
    unknown = [place for place, name in enumerate(part.get("required") or []) if name not in properties]
    return f"[{unknown[0]}]: property is not defined" if unknown else None


def _enum_rule(part: Json) -> str | None:
    values = part.get("enum") or []
    if values and _type(part) != "STRING":
        return "only allowed for STRING type"
    return f"[{values.index('')}]: cannot be empty" if "" in values else None


def _format_rule(part: Json) -> str | None:
    if _type(part) == "STRING" and part.get("format") not in (None, "enum", "date-time"):
        return "only 'enum' and 'date-time' are supported for STRING type"
    return None


SCHEMA_RULES: Mapping[str, Callable[[Json], str | None]] = {
    "type": _type_rule,
    "properties": _properties_rule,
    "items": _items_rule,
    "required": _required_rule,
    "enum": _enum_rule,
    "format": _format_rule,
}


def _config_complaints(body: Json) -> Iterator[str]:
    config = body.get("generationConfig") or {}
    path = "generation_config"
    if not 0 <= (config.get("temperature") or 0) <= 2:
        yield f"{path}.temperature: temperature must be in the range [0.0, 2.0]."
    if not 0 <= (config.get("topP") or 0) <= 1:
        yield f"{path}.top_p: top_p must be in the range [0.0, 1.0]."
    if not 1 <= int(config.get("candidateCount") or 1) <= MOST_CANDIDATES:
        yield f"{path}.candidate_count: candidateCount must be in the range [1, {MOST_CANDIDATES}]."
    if int(config.get("maxOutputTokens", 1)) < 1:
        yield f"{path}.max_output_tokens: max_output_tokens must be positive."
    if len(config.get("stopSequences") or []) > MOST_STOPS:
        yield f"{path}.stop_sequences: at most {MOST_STOPS} stop sequences may be specified."
    if isinstance(config.get("responseSchema"), dict):
        yield from schema_complaints(config["responseSchema"], f"{path}.response_schema")


def _check_config(call: Call, config: Json) -> None:
    has_schema = "responseSchema" in config or "responseJsonSchema" in config
    if "responseSchema" in config and "responseJsonSchema" in config:
        raise invalid("Only one of response_schema and response_json_schema may be set.")
    wants_json = config.get("responseMimeType") == "application/json"
    if has_schema and not wants_json:
        raise invalid("Response schema is only supported with response mime type 'application/json'.")
    if config.get("responseMimeType") not in (None, "text/plain", "application/json", "text/x.enum"):
        raise invalid("`response_mime_type` must be one of 'text/plain', 'application/json', 'text/x.enum'.")
    if wants_json and call.body.get("tools") and 0 < generation(call) < 3:
        raise invalid("Function calling with a response mime type: 'application/json' is unsupported")
    _check_thinking(call, config.get("thinkingConfig") or {})


def _check_thinking(call: Call, config: Json) -> None:
    if "thinkingBudget" in config and "thinkingLevel" in config:
        raise invalid("You can only set only one of thinking budget and thinking level.")
    if "thinkingLevel" in config:
        if str(config["thinkingLevel"]).upper() not in LEVELS:
            raise invalid(
                "Invalid value at 'generation_config.thinking_config.thinking_level' (type.googleapis.com/"
                "google.ai.generativelanguage.v1beta.GenerationConfig.ThinkingConfig.ThinkingLevel), "
                f'"{config["thinkingLevel"]}"'
            )
        if 0 < generation(call) < 3:
            raise invalid("Thinking level is not supported for this model.")
    if int(config.get("thinkingBudget", -1)) < -1:
        raise invalid("The thinking budget is invalid. Please choose a value of -1 or more.")


def _check_function_config(body: Json) -> None:
    config = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    mode = str(config.get("mode", "AUTO")).upper()
    if mode not in MODES:
        raise invalid(
            "Invalid value at 'tool_config.function_calling_config.mode' (type.googleapis.com/"
            f'google.ai.generativelanguage.v1beta.FunctionCallingConfig.Mode), "{config["mode"]}"'
        )
    allowed = config.get("allowedFunctionNames") or []
    if allowed and mode not in ("ANY", "VALIDATED"):
        raise invalid("Function calling config is set with allowed_function_names but mode is not ANY or VALIDATED.")
    declared = {one.get("name") for tool in body.get("tools") or [] for one in tool.get("functionDeclarations") or []}
    if mode == "ANY" and not declared:
        raise invalid("Function calling config is set without function_declarations.")
    for name in allowed:
        if name not in declared:
            raise invalid(f"allowed_function_names contains a name that is not declared: {name}")


def _check_turns(contents: list[Json]) -> None:
    """Calls after the user or a response, responses right after their calls and as many as those."""
    for place, content in enumerate(contents):
        calls, responses = parts_of(content, "functionCall"), parts_of(content, "functionResponse")
        before = contents[place - 1] if place else {}
        if calls and (content.get("role") != "model" or before.get("role", "user") == "model" or not place):
            raise invalid(
                "Please ensure that function call turn comes immediately after a user turn or after a function response "
                "turn."
            )
        called = parts_of(before, "functionCall")
        if responses and (content.get("role") == "model" or not called):
            raise invalid("Please ensure that function response turn comes immediately after a function call turn.")
        if called and len(called) != len(responses):
            raise invalid(
                "Please ensure that the number of function response parts is equal to the number of function call parts "
                "of the function call turn."
            )
        if responses:
            _check_answers(called, responses)
    if contents and parts_of(contents[-1], "functionCall"):
        raise invalid("Please ensure that function call turn is followed by a function response turn.")


def _check_answers(called: list[Json], responses: list[Json]) -> None:
    """Each response has the name of its call, and its id where it has one."""
    names = sorted(part["functionCall"]["name"] for part in called)
    ids = {part["functionCall"].get("id") for part in called} - {None}
    answered = sorted(part["functionResponse"]["name"] for part in responses)
    given = {part["functionResponse"].get("id") for part in responses} - {None}
    if names != answered or (ids and given - ids):
        raise invalid(
            "Please ensure that function response turn comes immediately after a function call turn. The names and ids "
            "of function responses must be those of their function calls."
        )


def check_signatures(call: Call, contents: list[Json]) -> None:
    """Known signatures wherever there is one; one on the first call of each step of the current turn."""
    for content in contents:
        for part in content.get("parts") or []:
            sealed = part.get("thoughtSignature")
            if sealed not in (None, SKIPPED) and not seals.is_ours("gemini", sealed_text(part), sealed):
                raise invalid("Corrupted thought signature.")
    if not signs(call):
        return
    for place in range(_turn_start(contents), len(contents)):
        calls = parts_of(contents[place], "functionCall")
        if calls and "thoughtSignature" not in calls[0]:
            raise missing_signature(calls[0]["functionCall"]["name"], place)


def missing_signature(name: str, place: int) -> Refused:
    """The refusal of a call that came back without its signature."""
    return invalid(
        "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
        "correctly, and missing thought_signature may lead to degraded model performance. Additional data, function "
        f"call `default_api:{name}` , position {place + 1}. Please refer to "
        "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
    )


def sealed_text(part: Json) -> str:
    """What a part's signature is about."""
    return f"call:{part['functionCall']['name']}" if "functionCall" in part else "text"


def _turn_start(contents: list[Any]) -> int:
    """Where the current turn begins: the last content of the user that is no function response."""
    starts = [
        place
        for place, content in enumerate(contents)
        if content.get("role") != "model" and not parts_of(content, "functionResponse")
    ]
    return starts[-1] if starts else 0
