"""Why an answer ended, in both vocabularies.

https://ai.google.dev/api/generate-content#FinishReason and python-genai 3.4.0, types.FinishReason (checked 2026-11).
"""

from orcestator.errors import UpstreamBroken

_BLOCKED = frozenset(
    {
        "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "MODEL_ARMOR", "ESCALATION", "PUP_LIMITED_DISABLED",
    }
)  # fmt: skip
_CUT = frozenset({"MAX_TOKENS", "CONTINUATION"})
_FAILED = frozenset(
    {
        "OTHER", "IMAGE_OTHER", "NO_IMAGE", "MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE",
    }
)  # fmt: skip
"""The model or the service broke: what came before is no whole answer, and another candidate may do better."""
UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
_WELL = frozenset({"STOP", UNSPECIFIED})
_WIRE = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}


def canonical_finish(reason: str, provider: str, *, called: bool) -> str:
    """The canonical word; one that nobody knows goes on as it is. ``called``: tool calls are part of the answer.

    Raises UpstreamBroken when the model broke, whatever it had said by then.
    """
    if reason in _FAILED:
        raise UpstreamBroken(f"{provider} broke off with {reason} before its answer was whole.", cause=reason.lower())
    if reason in _BLOCKED:
        return "content_filter"
    if reason in _CUT:
        return "length"
    if reason not in _WELL:
        return reason
    return "tool_calls" if called else "stop"


def wire_finish(reason: object) -> str:
    """Gemini's word; a call of tools is a plain stop there."""
    return _WIRE.get(reason, "STOP") if isinstance(reason, str) else "STOP"
