"""Finish reasons: clients accept five words and treat any other as "no choices" (VS Code, checked 2026-11).

Upstreams say them in words of their own, also where they speak OpenAI's dialect: Gemini's compatible endpoint gives its native
words in capitals, some with a filter in front (``function_call_filter: MALFORMED_FUNCTION_CALL``; public reports, 2026-11).
"""

import re

KNOWN = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_RENAMED = {
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "safety": "content_filter",
    "recitation": "content_filter",
    "refusal": "content_filter",
    "sensitive": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "image_safety": "content_filter",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
FAILED = "error"
"""OpenRouter's word for a model that broke while answering, and ours."""
_FAILURE = re.compile(
    r"error|abort|cancel|fail|time_?d?_?out|unavailable|overload|insufficient_system_resource|interrupt|disconnect"
    r"|malformed|unexpected_|too_many_|missing_|function_call_filter|\A(?:image_)?other\Z|\Ano_image\Z",
    re.IGNORECASE,
)
"""Reasons for which nobody may take the answer for whole: DeepSeek's ``insufficient_system_resource`` (its API reference,
checked 2026-11), Gemini's and Bedrock's for a call or an answer that the model got wrong, and the words that servers and
gateways use for an answer that was broken off."""
MAY_CUT = frozenset({"length", "content_filter"})
"""The reasons that tell of an end in the middle: only under these may the arguments of a call be half."""


def has_finished(wire: object) -> bool:
    """Whether this is a reason at all: some upstreams send ``""`` or ``"null"`` until the last chunk."""
    return bool(wire) and wire != "null"


def is_failure(wire: object) -> bool:
    """Whether the reason says that the model broke while answering."""
    return isinstance(wire, str) and wire not in KNOWN and _FAILURE.search(wire) is not None


def reason_beside(reason: str, *, calls: bool, legacy_call: bool) -> str:
    """The reason as it has to be beside what was said: ``tool_calls`` exactly where there are tool calls.

    OpenAI itself says ``stop`` beside a call that ``tool_choice`` names
    (https://platform.openai.com/docs/guides/function-calling, checked 2026-11), others do so always; agents that go by the
    reason then stop instead of running the call, and those that go by the calls do not look at it.
    ``legacy_call``: ``function_call``, which came before tools.
    """
    if reason in MAY_CUT:
        return reason
    if calls:
        return "tool_calls"
    return "function_call" if legacy_call and reason != "stop" else "stop"


def finish_reason(wire: object) -> str:
    """The nearest of the five words; an unknown one means that the model stopped."""
    if isinstance(wire, str):
        if wire in KNOWN:
            return wire
        word = wire.partition(":")[0].strip().lower()
        return _RENAMED.get(word, word if word in KNOWN else "stop")
    return "stop"
