"""A caller's ``POST /v1/messages`` to the canonical call.

platform.claude.com/docs/en/api/messages, types of anthropic-sdk-python 2.12, and requests of Claude Code 2.1,
opencode 1.18, VS Code and the Copilot CLI (checked 2026-11).
"""

from typing import Any

from orcestator.dialects.anthropic.caller_fields import (
    flag,
    integer,
    listing,
    mapping,
    missing,
    number,
    text,
    wrong,
)
from orcestator.dialects.anthropic.caller_messages import canonical_messages
from orcestator.dialects.anthropic.caller_tools import canonical_tools
from orcestator.dialects.anthropic.dropped import Dropped
from orcestator.dialects.anthropic.spoken_names import meant_name
from orcestator.dialects.canonical import ReadCall
from orcestator.dialects.fitting import stable_user
from orcestator.json_text import Json

SCHEMA_NAME = "answer"
"""What the schema of an answer is called: OpenAI demands a name where Anthropic has none."""
_TRANSLATED = frozenset(
    {
        "model", "messages", "system", "max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences", "tools",
        "tool_choice", "metadata", "thinking", "output_config", "output_format",
    }
)  # fmt: skip
_BOOKKEEPING = frozenset(
    {
        "context_management", "cache_control", "diagnostics", "betas", "anthropic_beta", "service_tier", "inference_geo",
        "user_profile_id", "workspace_id", "speed",
    }
)  # fmt: skip
"""About Anthropic's own service, not about the answer."""
_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_THINKING_TYPES = frozenset({"enabled", "adaptive", "disabled", "between_tools"})


def read_call(body: Json) -> ReadCall:
    """The canonical call. Raises InvalidRequest with the field as the caller spelled it."""
    dropped = Dropped()
    mapping(body, "body")
    call: Json = {"model": _model(body), "messages": canonical_messages(body, dropped), "max_tokens": _max_tokens(body)}
    if body.get("stream") is not None:
        call["stream"] = flag(body["stream"], "stream")
    call |= _sampling(body) | canonical_tools(body, dropped) | _thinking(body, dropped)
    call |= _response_format(body, dropped) | _user(body, dropped)
    for name, value in body.items():
        if name not in _TRANSLATED and name not in _BOOKKEEPING and value not in (None, [], {}):
            dropped.add(name)
    return ReadCall(call, dropped.names())


def _model(body: Json) -> str:
    if body.get("model") is None:
        raise missing("model", "Give the name of a model.")
    return meant_name(text(body["model"], "model"))


def _max_tokens(body: Json) -> int:
    if body.get("max_tokens") is None:
        raise missing("max_tokens", "Give the most tokens that the answer may have.")
    return integer(body["max_tokens"], "max_tokens", 1)


def _sampling(body: Json) -> Json:
    made: Json = {name: number(body[name], name) for name in ("temperature", "top_p") if body.get(name) is not None}
    if body.get("top_k") is not None:
        made["top_k"] = integer(body["top_k"], "top_k", 0)
    if body.get("stop_sequences"):
        given = listing(body["stop_sequences"], "stop_sequences")
        made["stop"] = [text(one, f"stop_sequences[{index}]") for index, one in enumerate(given)]
    return made


def _thinking(body: Json, dropped: Dropped) -> Json:
    """``reasoning`` and ``reasoning_effort``: an effort without thinking is still how hard the model shall try."""
    reasoning = _reasoning(body.get("thinking"))
    effort = _effort(body)
    if effort is None:
        return {"reasoning": reasoning} if reasoning else {}
    if reasoning.get("enabled") is False:
        dropped.add("output_config.effort")
        return {"reasoning": reasoning}
    reasoning.pop("enabled", None)
    return {"reasoning_effort": effort, **({"reasoning": reasoning} if reasoning else {})}


def _reasoning(given: Any) -> Json:
    if given is None:
        return {}
    thinking = mapping(given, "thinking")
    kind = thinking.get("type")
    if not isinstance(kind, str) or kind not in _THINKING_TYPES:
        raise wrong(
            "thinking.type",
            "Input should be 'enabled', 'adaptive', 'disabled' or 'between_tools'",
            "Give one of these.",
        )
    if kind in ("disabled", "between_tools"):
        return {"enabled": False}
    hidden = {"exclude": True} if thinking.get("display") == "omitted" else {}
    if kind == "adaptive":
        return {"enabled": True, **hidden}
    return {"max_tokens": integer(thinking.get("budget_tokens"), "thinking.budget_tokens", 1), **hidden}


def _effort(body: Json) -> str | None:
    effort = _output_config(body).get("effort")
    if effort is None:
        return None
    if not isinstance(effort, str) or effort not in _EFFORTS:
        raise wrong(
            "output_config.effort", "Input should be 'low', 'medium', 'high', 'xhigh' or 'max'", "Give one of these."
        )
    return effort


def _response_format(body: Json, dropped: Dropped) -> Json:
    config = _output_config(body)
    for name, value in config.items():
        if name not in ("effort", "format") and value is not None:
            dropped.add(f"output_config.{name}")
    field = "output_config.format" if config.get("format") is not None else "output_format"
    given = config.get("format") or body.get("output_format")
    if given is None:
        return {}
    wanted = mapping(given, field)
    if wanted.get("type") != "json_schema":
        raise wrong(f"{field}.type", "Input should be 'json_schema'", "Give this type.")
    schema = mapping(wanted.get("schema"), f"{field}.schema")
    return {"response_format": {"type": "json_schema", "json_schema": {"name": SCHEMA_NAME, "schema": schema}}}


def _output_config(body: Json) -> Json:
    given = body.get("output_config")
    return {} if given is None else mapping(given, "output_config")


def _user(body: Json, dropped: Dropped) -> Json:
    """Who it is for, without the session that Claude Code writes beside it."""
    if body.get("metadata") is None:
        return {}
    given = mapping(body["metadata"], "metadata").get("user_id")
    if given is None:
        return {}
    user = stable_user(text(given, "metadata.user_id"))
    if user != given:
        dropped.add("metadata.user_id")
    return {"user": user} if user else {}
