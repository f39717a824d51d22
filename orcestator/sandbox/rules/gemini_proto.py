"""Google's JSON as its protocol buffers read it: unknown names and wrong types, each with its path. Pure.

Fields are those that google-genai 3.4 sends to the Gemini API (``google/genai/models.py``, the ``_to_mldev`` functions)
and https://ai.google.dev/api/generate-content, checked 2026-11. Names count in camelCase and in snake_case.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from orcestator.json_text import Json
from orcestator.sandbox.problem import Refused

Shape = Mapping[str, str]
"""Field to kind: a scalar's name, ``any``, ``object``, a message's name, ``[kind]`` for a list, ``{kind}`` for a map."""

SCHEMA: Shape = {
    **dict.fromkeys(("type", "format", "title", "description", "pattern"), "string"),
    **dict.fromkeys(("minimum", "maximum"), "number"),
    **dict.fromkeys(("maxItems", "minItems", "minProperties", "maxProperties", "minLength", "maxLength"), "integer"),
    "nullable": "bool",
    "enum": "[string]",
    "required": "[string]",
    "propertyOrdering": "[string]",
    "properties": "{Schema}",
    "items": "Schema",
    "anyOf": "[Schema]",
    "default": "any",
    "example": "any",
}
MESSAGES: Mapping[str, Shape] = {
    "Request": {
        "model": "string",
        "contents": "[Content]",
        "systemInstruction": "Content",
        "tools": "[Tool]",
        "toolConfig": "ToolConfig",
        "safetySettings": "[SafetySetting]",
        "generationConfig": "GenerationConfig",
        "cachedContent": "string",
        "labels": "object",
        "serviceTier": "any",
        "store": "bool",
        "continuationToken": "string",
    },
    "CountRequest": {"contents": "[Content]", "generateContentRequest": "Request"},
    "Content": {"role": "string", "parts": "[Part]"},
    "Part": {
        "text": "string",
        "thought": "bool",
        "thoughtSignature": "bytes",
        "inlineData": "Blob",
        "fileData": "FileData",
        "functionCall": "FunctionCall",
        "functionResponse": "FunctionResponse",
        **dict.fromkeys(("executableCode", "codeExecutionResult", "videoMetadata", "partMetadata"), "object"),
        **dict.fromkeys(("toolCall", "toolResponse", "mediaResolution", "mediaProcessing"), "object"),
    },
    "Blob": {"mimeType": "string", "data": "bytes", "displayName": "string"},
    "FileData": {"mimeType": "string", "fileUri": "string", "displayName": "string"},
    "FunctionCall": {"id": "string", "name": "string", "args": "object"},
    "FunctionResponse": {
        "id": "string",
        "name": "string",
        "response": "object",
        "parts": "[ResponsePart]",
        "willContinue": "bool",
        "scheduling": "string",
    },
    "ResponsePart": {"inlineData": "Blob", "fileData": "FileData"},
    "Tool": {
        "functionDeclarations": "[FunctionDeclaration]",
        **dict.fromkeys(("googleSearch", "googleSearchRetrieval", "codeExecution", "urlContext"), "object"),
        **dict.fromkeys(("googleMaps", "computerUse", "fileSearch"), "object"),
        "mcpServers": "any",
    },
    "FunctionDeclaration": {
        "name": "string",
        "description": "string",
        "parameters": "Schema",
        "parametersJsonSchema": "any",
        "response": "Schema",
        "responseJsonSchema": "any",
        "behavior": "string",
    },
    "Schema": SCHEMA,
    "ToolConfig": {
        "functionCallingConfig": "FunctionCallingConfig",
        "retrievalConfig": "object",
        "includeServerSideToolInvocations": "bool",
    },
    "FunctionCallingConfig": {"mode": "string", "allowedFunctionNames": "[string]"},
    "SafetySetting": {"category": "string", "threshold": "string"},
    "GenerationConfig": {
        **dict.fromkeys(("temperature", "topP", "topK", "presencePenalty", "frequencyPenalty"), "number"),
        **dict.fromkeys(("candidateCount", "maxOutputTokens", "logprobs", "seed"), "integer"),
        "stopSequences": "[string]",
        "responseLogprobs": "bool",
        "responseMimeType": "string",
        "responseSchema": "Schema",
        "responseJsonSchema": "any",
        "responseModalities": "[string]",
        "mediaResolution": "string",
        "speechConfig": "object",
        "imageConfig": "object",
        "thinkingConfig": "ThinkingConfig",
        "enableEnhancedCivicAnswers": "bool",
        "audioTranscriptionConfig": "object",
    },
    "ThinkingConfig": {"includeThoughts": "bool", "thinkingBudget": "integer", "thinkingLevel": "string"},
}
PYTHON_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "bool": (bool,),
    "number": (int, float),
    "object": (dict,),
}
TYPE_NAMES = {"string": "STRING", "bool": "BOOL", "number": "DOUBLE", "integer": "INT32", "bytes": "BYTES"}


def parsed(body: Json, message: str) -> Json:
    """The body in camelCase. Raises ``Refused`` (400) that names every field there is none of."""
    violations: list[tuple[str, str]] = []
    value = _message(body, message, "", violations)
    if violations:
        fields = [{"field": path, "description": text} if path else {"description": text} for path, text in violations]
        details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": fields}]
        raise Refused(400, "\n".join(text for _, text in violations), details=details)
    return value


def snake(name: str) -> str:
    """``functionCall`` as ``function_call``."""
    return re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), name)


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


def _message(value: Json, message: str, path: str, violations: list[tuple[str, str]]) -> Json:
    shape = MESSAGES[message]
    found: Json = {}
    for name, field in value.items():
        kind = shape.get(_camel(name))
        if kind is None:
            at = f" at '{path}'" if path else ""
            violations.append((path, f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'))
        elif field is not None:
            inner = f"{path}.{snake(_camel(name))}" if path else snake(_camel(name))
            found[_camel(name)] = _field(field, kind, inner, violations)
    return found


def _field(value: Any, kind: str, path: str, violations: list[tuple[str, str]]) -> Any:
    if kind.startswith("["):
        return _list(value, kind[1:-1], path, violations)
    if isinstance(value, list) and kind != "any":
        parent, _, name = path.rpartition(".")
        complaint = f"Unknown name \"{name}\" at '{parent}': Proto field is not repeating, cannot start list."
        violations.append((path, f"Invalid JSON payload received. {complaint}"))
        return None
    if kind.startswith("{"):
        return _map(value, kind[1:-1], path, violations)
    if kind in MESSAGES and isinstance(value, dict):
        return _message(value, kind, path, violations)
    if kind != "any" and not _is_scalar(value, kind):
        violations.append((path, _wrong(value, kind, path)))
    return value


def _list(value: Any, kind: str, path: str, violations: list[tuple[str, str]]) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    return [_field(one, kind, f"{path}[{place}]", violations) for place, one in enumerate(values)]


def _map(value: Any, kind: str, path: str, violations: list[tuple[str, str]]) -> Json:
    if not isinstance(value, dict):
        violations.append((path, f"Invalid value at '{path}' (Map), {_shown(value)}"))
        return {}
    return {
        name: _field(one, kind, f"{path}[{place}].value", violations) for place, (name, one) in enumerate(value.items())
    }


def _is_scalar(value: Any, kind: str) -> bool:
    if kind in MESSAGES:
        return False
    if kind == "bytes":
        return isinstance(value, str) and _is_base64(value)
    if kind == "integer":
        is_text = isinstance(value, str) and re.fullmatch(r"-?\d+", value) is not None
        return is_text or (isinstance(value, int | float) and not isinstance(value, bool) and value == int(value))
    return isinstance(value, PYTHON_TYPES[kind]) and (kind == "bool" or not isinstance(value, bool))


def _is_base64(text: str) -> bool:
    """Standard or URL-safe, padded or not: that is how Google reads bytes."""
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _wrong(value: Any, kind: str, path: str) -> str:
    if kind == "bytes" and isinstance(value, str):
        return f"Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for {_shown(value)}"
    return f"Invalid value at '{path}' ({'TYPE_' + TYPE_NAMES[kind] if kind in TYPE_NAMES else kind}), {_shown(value)}"


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def schemas(schema: Json, path: str) -> Iterator[tuple[str, Json]]:
    """A parsed schema and all within it, each with the path that Google's second check names."""
    yield path, schema
    for name, part in (schema.get("properties") or {}).items():
        yield from schemas(part or {}, f"{path}.properties[{name}]")
    if isinstance(schema.get("items"), dict):
        yield from schemas(schema["items"], f"{path}.items")
    for place, part in enumerate(schema.get("anyOf") or []):
        yield from schemas(part or {}, f"{path}.any_of[{place}]")
