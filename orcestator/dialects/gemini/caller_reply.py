"""A canonical reply to a GenerateContentResponse (https://ai.google.dev/api/generate-content, checked 2026-11)."""

from orcestator.dialects.canonical import WriteTerms
from orcestator.dialects.gemini.answer_facts import wire_finish, wire_logprobs, wire_usage
from orcestator.dialects.gemini.caller_config import shows_thoughts
from orcestator.dialects.gemini.caller_parts import call_part, said_parts
from orcestator.json_text import Json


def wire_reply(reply: Json, terms: WriteTerms) -> Json:
    """The caller's body of a whole answer."""
    shown = shows_thoughts(terms.call)
    choices = [choice for choice in reply.get("choices", []) if isinstance(choice, dict)]
    return {
        "candidates": [_candidate(choice, index, shown) for index, choice in enumerate(choices)],
        "usageMetadata": wire_usage(reply.get("usage")),
        "modelVersion": terms.model,
        "responseId": response_id(terms),
    }


def response_id(terms: WriteTerms) -> str:
    """The id that an answer carries."""
    return terms.request_id or terms.new_id("response_")


def _candidate(choice: Json, index: int, shown: bool) -> Json:
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    calls = message.get("tool_calls")
    parts = said_parts(message, shows_thoughts=shown)
    parts += [
        part
        for call in (calls if isinstance(calls, list) else [])
        if isinstance(call, dict) and (part := call_part(call))
    ]
    candidate: Json = {
        "content": {"parts": parts or [{"text": ""}], "role": "model"},
        "finishReason": wire_finish(choice.get("finish_reason")),
        "index": index,
    }
    return candidate | wire_logprobs(choice.get("logprobs"))
