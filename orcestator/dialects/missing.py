"""What a 404 says is missing: the model, something that this one request named, or the path itself.

Only the first concerns anybody but the caller who got it, so it needs evidence: a code or a parameter that names the model, or
words that do. The forms are those of OpenAI, Azure, Anthropic, Gemini, Ollama, vLLM, LM Studio, llama.cpp, Mistral, Cohere, Groq,
Fireworks, Together, xAI, OpenRouter and Cloudflare (gathered from their documentation and from public issues, 2026-11).
"""

import re
from collections.abc import Sequence
from typing import Any, Literal

Json = dict[str, Any]
Missing = Literal["model", "another model", "path", "request"]

LONGEST_PLAIN = 300
"""Plain text that is longer is a page of some server's, not a word on a model."""
_MODEL_CODE = re.compile(
    r"(?:unknown|invalid|no_such)_?model|model_?(?:is_?)?not_?(?:found|exist\w*|available|supported|deployed)"
    r"|deployment_?not_?found",
    re.IGNORECASE,
)
"""``model_not_found`` of OpenAI and those like it, ``DeploymentNotFound`` of Azure, ``invalid_model`` of Mistral."""
_ABSENT = (
    r"(?:not (?:be )?(?:found|exist|available|supported|deployed|recogni[sz]ed|loaded|installed|valid|a valid)"
    r"|(?:does|do)n.t exist|unknown|unavailable|no longer|deprecated|decommissioned|retired)"
)
_NAME = r"[`'\"]([^`'\"]{1,200})[`'\"]"
_ABOUT_MODEL = re.compile(
    rf"\b(?:model|deployment)s?\b[^.!?\n]{{0,200}}?\b{_ABSENT}"
    rf"|\bmodels/[^\s]{{1,200}} (?:is|was) {_ABSENT}"
    r"|\b(?:no such|unknown|invalid|unsupported|(?:un|not )able to (?:access|find|load)|(?:could|can) ?not find|no) (?:the )?(?:model|deployment)\b"
    r"|\b(?:not found|does not exist)\b[^.!?\n]{0,20}\bmodel\b\s*[:=]?\s*[`'\"]"
    r"|\bno endpoints found for\b",
    re.IGNORECASE,
)
_ONLY_THE_NAME = re.compile(r"\s*model\s*[:=]\s*\S+\s*", re.IGNORECASE)
"""Anthropic's whole message: ``model: claude-x`` (platform.claude.com/docs/en/api/errors)."""
_ABOUT_ELSE = re.compile(
    r"\b(?:items?|files?|responses?|previous_response_id|conversations?|threads?|messages?|tools?|functions?|containers?|vector stores?"
    r"|batch(?:es)?|assistants?|prompts?|cache[ds]?(?: ?contents?)?|images?|uploads?|jobs?|sessions?|documents?|skills?|connectors?)\b",
    re.IGNORECASE,
)
"""What a request may name beside its model."""
_NAMED = re.compile(rf"\b(?:models?|deployments?)\b[:\s]*{_NAME}", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_NO_PATH = re.compile(
    r"^\W*(?:404\W*)?(?:(?:the )?(?:requested )?(?:page|path|route|file|url|endpoint|resource)\s+(?:was |is )?)?not found\W*$"
    r"|invalid url|unknown (?:request )?(?:url|path|route|endpoint)|(?:unexpected|no such|unsupported|invalid) (?:endpoint|route|path|url)"
    r"|no route|cannot (?:get|post|put)\b|requested (?:url|resource|path)|(?:endpoint|route|path|page|url)[^.]{0,80}(?:not found|does not exist|not exist)",
    re.IGNORECASE,
)
"""What servers say of an address that leads nowhere: Go's "404 page not found", FastAPI's "Not Found", Express's "Cannot POST /v1",
OpenAI's "Invalid URL (POST /v1/x)", Groq's "Unknown request URL", LM Studio's "Unexpected endpoint", llama.cpp's "File Not Found"."""


def missing_in(detail: Json, words: Sequence[str], text: str, model: str) -> Missing:
    """What a 404 is about. ``detail`` is its error object, ``words`` the code and type in it, ``text`` its message, ``model`` the
    name that was asked for, "" where that is not known."""
    if not detail:
        return "model" if len(text) <= LONGEST_PLAIN and _says_model(text, model) else "path"
    param = detail.get("param")
    if isinstance(param, str) and param not in ("", "model"):
        return "request"
    if param == "model" or any(_MODEL_CODE.fullmatch(word) for word in words) or _says_model(text, model):
        return "another model" if _names_another(text, model) else "model"
    if _ABOUT_ELSE.search(text) and not _NO_PATH.search(text):
        return "request"
    return "path" if not text.strip() or _NO_PATH.search(text) else "request"


def _says_model(text: str, model: str) -> bool:
    if _ONLY_THE_NAME.fullmatch(text):
        return True
    for sentence in _SENTENCE.split(text):
        found = _ABOUT_MODEL.search(sentence)
        if found is None and model and model.lower() in sentence.lower():
            found = re.search(rf"\b{_ABSENT}", sentence, re.IGNORECASE)
        if found is not None and not _ABOUT_ELSE.search(_without_name(sentence[: found.end()], model)):
            return True
    return False


def _without_name(sentence: str, model: str) -> str:
    """A model may be called ``my-files`` or ``image-2``."""
    return re.sub(_NAME if not model else f"{_NAME}|{re.escape(model)}", " ", sentence, flags=re.IGNORECASE)


def _names_another(text: str, model: str) -> bool:
    """Whether it is another model's name that is quoted: one of a tool's, say."""
    named = _NAMED.search(text)
    return (
        bool(model and named) and not _is_same(named[1] if named else "", model) and model.lower() not in text.lower()
    )


def _is_same(named: str, model: str) -> bool:
    """Whether a name is this model's, with or without what stands before it in a path or behind it as a tag."""
    ours, theirs = model.lower(), named.lower()
    return ours in theirs or theirs in ours
