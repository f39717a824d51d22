"""What Yandex's native text generation answers, as a canonical reply or chunks.

https://yandex.cloud/en/docs/ai-studio/text-generation/api-ref/TextGeneration/completion (checked 2026-11). Both a whole
answer and each line of a stream are ``{"result": {...}}``. In a stream the text grows: every line repeats all of it.
Errors are those of a gRPC gateway: ``{"error": {"grpcCode", "httpCode", "message", "httpStatus", "details"}}`` or the
status itself, ``{"code", "message", "details"}``.
"""

from typing import Any

from orcestator.dialects.canonical import ReadTerms
from orcestator.dialects.failures import error_in_answer
from orcestator.dialects.split_characters import CharacterJoiner
from orcestator.errors import UpstreamBroken
from orcestator.json_text import Forgiven, Json, dumps, loads_event

CALLS = b'"toolCallList"'
"""What every answer with a tool call holds, whose arguments are an object here."""

_FINISH = {
    "ALTERNATIVE_STATUS_FINAL": "stop",
    "ALTERNATIVE_STATUS_TRUNCATED_FINAL": "length",
    "ALTERNATIVE_STATUS_CONTENT_FILTER": "content_filter",
    "ALTERNATIVE_STATUS_TOOL_CALLS": "tool_calls",
}
_GRPC: dict[int, tuple[str, int]] = {
    1: ("CANCELLED", 499), 2: ("UNKNOWN", 500), 3: ("INVALID_ARGUMENT", 400), 4: ("DEADLINE_EXCEEDED", 504),
    5: ("NOT_FOUND", 404), 6: ("ALREADY_EXISTS", 409), 7: ("PERMISSION_DENIED", 403), 8: ("RESOURCE_EXHAUSTED", 429),
    9: ("FAILED_PRECONDITION", 400), 10: ("ABORTED", 409), 11: ("OUT_OF_RANGE", 400), 12: ("UNIMPLEMENTED", 501),
    13: ("INTERNAL", 500), 14: ("UNAVAILABLE", 503), 15: ("DATA_LOSS", 500), 16: ("UNAUTHENTICATED", 401),
}  # fmt: skip
"""Names and HTTP statuses of gRPC's codes (https://cloud.google.com/apis/design/errors, checked 2026-11)."""
_LONGEST_COUNT = 12


def reply(wire: Json, terms: ReadTerms) -> Json:
    """The canonical reply. Raises UpstreamError for an error or for what has no alternatives."""
    if not isinstance(wire, dict):
        raise UpstreamBroken(f"{terms.provider} answered 200 with JSON that is not an object.", cause="not_json")
    _raise_error(wire, terms)
    result = _result(wire)
    alternative = _alternative(result)
    if alternative is None:
        raise UpstreamBroken(f"{terms.provider} answered without alternatives.", cause="empty")
    calls = _tool_calls(alternative, terms)
    text = _text(alternative)
    message: Json = {"role": "assistant", "content": None if calls and not text else text or ""}
    if calls:
        message["tool_calls"] = calls
    return {
        "id": terms.new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": terms.created,
        "choices": [{"index": 0, "message": message, "finish_reason": _finish(alternative, bool(calls)) or "stop"}],
        **_version(result),
        **_usage(result),
    }


class CompletionReader:
    """A stream of lines whose text is cumulative."""

    def __init__(self, terms: ReadTerms) -> None:
        self._terms = terms
        self._sent = ""
        self._finished = self._filtered = False

    def read(self, data: bytes) -> str | list[Json] | None:
        """What one line adds. A text that does not begin with what was sent cannot be taken back: that is a filter."""
        try:
            line = loads_event(data, exactly=CALLS in data)
        except Forgiven as odd:
            # The next line repeats the text, with the rest of a character that it ends in the middle of.
            line = CharacterJoiner().joined(odd.value)
        if not isinstance(line, dict):
            raise ValueError("a line that is not an object")
        _raise_error(line, self._terms)
        result = _result(line)
        alternative = _alternative(result)
        if self._filtered or alternative is None:
            usage = _usage(result)
            if not usage and not self._filtered and "alternatives" not in result:
                return [line]
            return [{"choices": [], **usage}] if usage else []
        calls = bool(_wire_calls(alternative))
        text = _text(alternative)
        if text is None or (calls and not text.startswith(self._sent)):
            text = self._sent
        if not text.startswith(self._sent):
            self._filtered = True
            return self._end("content_filter", result)
        more, self._sent = text[len(self._sent) :], text
        finish = _finish(alternative, calls)
        if finish is None:
            return more or []
        calls_told = [] if self._finished else self._call_chunks(alternative)
        return [*_content(more), *calls_told, *self._end(finish, result)]

    def _call_chunks(self, alternative: Json) -> list[Json]:
        calls = enumerate(_tool_calls(alternative, self._terms))
        return [{"choices": [{"index": 0, "delta": {"tool_calls": [{"index": k, **call}]}}]} for k, call in calls]

    def _end(self, finish: str, result: Json) -> list[Json]:
        self._finished = True
        choice = {"index": 0, "delta": {}, "finish_reason": finish}
        return [{**_version(result), "choices": [choice], **_usage(result)}]


def error_detail(parsed: Any) -> Json:
    """Message, gRPC's word, status and wait of an error body; {} when it is none."""
    if not isinstance(parsed, dict):
        return {}
    detail = parsed.get("error", parsed)
    if isinstance(detail, str):
        return {"message": detail}
    if not isinstance(detail, dict):
        return {}
    number = detail.get("grpcCode", detail.get("code"))
    word, status = _GRPC.get(number, (None, None)) if type(number) is int else (None, None)
    status = detail["httpCode"] if type(detail.get("httpCode")) is int else status
    found = {
        "message": detail.get("message"),
        "type": word,
        "code": status,
        "retry_after": _wait(detail.get("details")),
    }
    return {name: value for name, value in found.items() if value is not None}


def _wait(details: Any) -> float | None:
    """The seconds of a ``google.rpc.RetryInfo`` (``"retryDelay": "3.5s"``)."""
    for detail in details if isinstance(details, list) else []:
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s") and delay[:-1].replace(".", "", 1).isdecimal():
            return float(delay[:-1])
    return None


def _raise_error(wire: Json, terms: ReadTerms) -> None:
    if wire.get("error"):
        raise error_in_answer(terms.provider, error_detail(wire) or None)


def _result(wire: Json) -> Json:
    result = wire.get("result")
    return result if isinstance(result, dict) else wire


def _alternative(result: Json) -> Json | None:
    alternatives = result.get("alternatives")
    first = alternatives[0] if isinstance(alternatives, list) and alternatives else None
    return first if isinstance(first, dict) and isinstance(first.get("message"), dict) else None


def _text(alternative: Json) -> str | None:
    text = alternative["message"].get("text")
    return text if text is None or isinstance(text, str) else dumps(text).decode()


def _wire_calls(alternative: Json) -> list[Json]:
    listed = alternative["message"].get("toolCallList")
    calls = listed.get("toolCalls") if isinstance(listed, dict) else None
    parts = [call.get("functionCall") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    return [part for part in parts if isinstance(part, dict)]


def _tool_calls(alternative: Json, terms: ReadTerms) -> list[Json]:
    """The calls under ids of ours: the API has none."""
    made = []
    for part in _wire_calls(alternative):
        name, arguments = part.get("name"), part.get("arguments")
        if not isinstance(name, str) or not name:
            raise UpstreamBroken(f"{terms.provider} called a tool without naming it.", cause="nameless_tool_call")
        text = arguments if isinstance(arguments, str) and arguments else dumps(arguments or {}).decode()
        made.append({"id": terms.new_id("call_"), "type": "function", "function": {"name": name, "arguments": text}})
    return made


def _finish(alternative: Json, calls: bool) -> str | None:
    status = alternative.get("status")
    finish = _FINISH.get(status) if isinstance(status, str) else None
    return "tool_calls" if calls and finish == "stop" else finish


def _content(text: str) -> list[Json]:
    return [{"choices": [{"index": 0, "delta": {"content": text}}]}] if text else []


def _version(result: Json) -> Json:
    version = result.get("modelVersion")
    return {"system_fingerprint": version} if isinstance(version, str) and version else {}


def _usage(result: Json) -> Json:
    """The canonical usage under its key; {} when the numbers are missing."""
    wire = result.get("usage")
    wire = wire if isinstance(wire, dict) else {}
    prompt, completion = _count(wire.get("inputTextTokens")), _count(wire.get("completionTokens"))
    if prompt is None or completion is None:
        return {}
    total = _count(wire.get("totalTokens"))
    usage: Json = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion if total is None else total,
    }
    details = wire.get("completionTokensDetails")
    reasoning = _count(details.get("reasoningTokens")) if isinstance(details, dict) else None
    if reasoning is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return {"usage": usage}


def _count(value: Any) -> int | None:
    """A 64-bit count, which travels as a string."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= _LONGEST_COUNT:
        return int(value)
    return value if type(value) is int and value >= 0 else None
