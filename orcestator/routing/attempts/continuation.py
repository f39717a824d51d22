"""Whether another model may go on with a stream of plain text that broke, and what it is asked then.

Only where the caller or the configuration wants it: two models' text in one answer is never a surprise. Nothing but plain text can
be cut and continued: half a tool call, half a JSON document or half a thought cannot.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from orcestator.json_text import Json
from orcestator.routing.planning.catalog import Candidate

CHARACTERS_PER_TOKEN = 4
"""A usual figure for English text, by which a limit of tokens is shortened."""
PREFIX_MARK = "prefix"
"""Mistral continues a last message of the assistant only with this mark, and answers 400 without it ("Expected last role User or
Tool (or Assistant with prefix True)", https://github.com/huggingface/smolagents/issues/757, and ``AssistantMessage.prefix`` of its
OpenAPI document, checked 2026-11). Translators to other dialects leave it out."""
NOT_AT_THIS_ADDRESS = frozenset({"deepseek"})
"""Providers whose models continue text only at another address than the usual one: DeepSeek's ``/beta``
(https://api-docs.deepseek.com/guides/chat_prefix_completion, checked 2026-11). At the usual one they would begin anew."""
TRIMS_TEXT = "anthropic"
"""The dialect that takes no white space at the end of what is continued ("final assistant content cannot end with trailing
whitespace", https://github.com/langchain-ai/langchain/issues/35071, checked 2026-11)."""
_LIMITS = ("max_tokens", "max_completion_tokens")
_ENDS_IT = ("tools", "functions", "audio", "logprobs", "reasoning", "thinking")


def can_continue(call: Mapping[str, Any], text: str, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Those of ``candidates`` that can go on with this canonical call after ``text``, which is all that the caller has of it."""
    if not text or not _is_plain(call) or not _has_tokens_left(call, text):
        return ()
    is_trimmed = text == text.rstrip()
    return tuple(candidate for candidate in candidates if _continues(candidate, is_trimmed=is_trimmed))


def continued_call(call: Json, text: str) -> Json:
    """The call that asks for the rest of an answer that has come as far as ``text``; ``call`` stays as it is."""
    beginning = {"role": "assistant", "content": text, PREFIX_MARK: True}
    said = _tokens(text)
    limits = {name: call[name] - said for name in _LIMITS if type(call.get(name)) is int}
    return {**call, **limits, "messages": [*call["messages"], beginning]}


def _continues(candidate: Candidate, *, is_trimmed: bool) -> bool:
    deployment = candidate.deployment
    if not candidate.traits.continues_text or deployment.provider in NOT_AT_THIS_ADDRESS:
        return False
    return is_trimmed or deployment.dialects[0] != TRIMS_TEXT


def _is_plain(call: Mapping[str, Any]) -> bool:
    """Whether the answer is one text and nothing else, after a turn that is not the assistant's own."""
    wanted = call.get("response_format")
    messages = call.get("messages")
    return (
        not any(call.get(name) for name in _ENDS_IT)
        and call.get("reasoning_effort") in (None, "none")
        and call.get("n") in (None, 1)
        and (wanted is None or (isinstance(wanted, dict) and wanted.get("type") == "text"))
        and isinstance(messages, list)
        and bool(messages)
        and messages[-1].get("role") != "assistant"
    )


def _has_tokens_left(call: Mapping[str, Any], text: str) -> bool:
    return all(call[name] > _tokens(text) for name in _LIMITS if type(call.get(name)) is int)


def _tokens(text: str) -> int:
    return len(text) // CHARACTERS_PER_TOKEN
