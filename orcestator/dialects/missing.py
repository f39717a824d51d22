"""What a 404 says is missing: the model, something that this one request named, or the path itself.

Only the first concerns anybody but the caller who got it, so it needs evidence: a code or a parameter that names the model, or
words that do. The forms are those of OpenAI, Azure, Anthropic, Gemini, Ollama, vLLM, LM Studio, llama.cpp, Mistral, Cohere, Groq,
Fireworks, Together, xAI, OpenRouter and Cloudflare (gathered from their documentation and from public issues, 2026-11).
"""

import re
from collections.abc import Sequence
from typing import Literal

from orcestator.json_text import Json

Missing = Literal["model", "perhaps the model", "path", "request"]
"""``perhaps the model``: another model, or what this request asks of it; the next provider may be better, and nothing is held
against this one."""

LONGEST_PLAIN = 300
"""Plain text that is longer is a page of some server's, not a word on a model."""
_MODEL_CODE = re.compile(
    r"(?:unknown|invalid|no_such)_?model|model_?(?:is_?)?not_?(?:found|exist\w*|available|supported|deployed)"
    r"|deployment_?not_?found",
    re.IGNORECASE,
)
"""``model_not_found`` of OpenAI and those like it, ``DeploymentNotFound`` of Azure, ``invalid_model`` of Mistral."""
_ABSENT = (
    r"(?:(?:not|isn.t|aren.t|wasn.t) (?:be )?(?:found|exist|available|supported|deployed|served|recogni[sz]ed|loaded|installed|valid|a valid)"
    r"|(?:does|do)n.t exist|unknown|unavailable|no longer|deprecated|decommissioned|retired|end of life)"
)
_GONE = r"(?:(?:not|isn.t|wasn.t) (?:be )?(?:found|exist|a valid model)|(?:does|do)n.t exist|decommissioned|retired|end of life)"
_NAME = r"[`'\"]([^`'\"]{1,200})[`'\"]"
_ABOUT_MODEL = re.compile(
    rf"\b(?:model|deployment)s?\b[^.!?\n]{{0,200}}?\b{_ABSENT}"
    rf"|\bmodels/[^\s]{{1,200}} (?:is|was) {_ABSENT}"
    r"|\b(?:no such|unknown|invalid|unsupported|(?:un|not )able to (?:access|find|load)|(?:could|can) ?not find|no) (?:the )?(?:model|deployment)\b"
    r"|\b(?:not found|does not exist)\b[^.!?\n]{0,20}\bmodel\b\s*[:=]?\s*[`'\"]"
    r"|\bno endpoints found for\b",
    re.IGNORECASE,
)
_MODEL_IS_GONE = re.compile(
    rf"\bmodels?\b[^.!?\n]{{0,200}}?\b{_GONE}|\bnot a valid model\b|\b(?:no such|unknown|invalid) model\b",
    re.IGNORECASE,
)
_OF_A_MODEL = re.compile(
    r"(?<!endpoints found )\b(?:for|with|by|in|of) (?:(?:the|this|that|your|requested|selected|specified) ){0,2}models?\b",
    re.IGNORECASE,
)
"""What something else has to do with a model: a voice that is not found for it, a parameter that it does not take."""
_NOT_SO_USED = re.compile(r"\bonly supported\b|\bsupported (?:in|with|by|on)\b|(?:not|n.t) support\b", re.IGNORECASE)
_A_MODEL = re.compile(r"\bmodel(?:l|le|lo|o|os|s)?\b|\bmodèles?\b|модел|模型|モデル|모델", re.IGNORECASE)
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
    r"|no route|cannot (?:get|post|put)\b|requested (?:url|resource|path)",
    re.IGNORECASE,
)
_PERHAPS_NO_PATH = re.compile(
    r"(?:endpoint|route|path|page|url)[^.]{0,80}(?:not found|does not exist|not exist)", re.IGNORECASE
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
    if param == "model" or any(map(_MODEL_CODE.fullmatch, (*words, text))) or _says_model(text, model):
        return "perhaps the model" if _names_another(text, model) or _is_about_its_use(text, model) else "model"
    is_about_else = _ABOUT_ELSE.search(_without_name(text, model)) is not None
    if not text.strip() or _NO_PATH.search(text) or (not is_about_else and _PERHAPS_NO_PATH.search(text)):
        return "path"
    names_it = _A_MODEL.search(text) or (model and model.lower() in text.lower())
    return "perhaps the model" if names_it and not is_about_else else "request"


def is_model_gone(detail: Json, words: Sequence[str], text: str, model: str) -> bool:
    """Whether a refusal that is no 404 says that there is no such model: DeepSeek, Groq, Mistral, OpenRouter and xAI answer 400."""
    if isinstance(detail.get("param"), str) and detail["param"] not in ("", "model"):
        return False
    says_so = any(map(_MODEL_CODE.fullmatch, words)) or _MODEL_IS_GONE.search(text)
    return bool(says_so) and not _ABOUT_ELSE.search(_without_name(text, model)) and not _is_about_its_use(text, model)


def _is_about_its_use(text: str, model: str) -> bool:
    """Whether the model is there, and what was asked of it is not."""
    plain = _without_name(text, model) if model else text
    of_it = model and re.search(
        rf"\b(?<!endpoints found )(?:for|with|by|in|of) [`'\"]?{re.escape(model)}", text, re.IGNORECASE
    )
    if of_it or _OF_A_MODEL.search(plain):
        return True
    return _NOT_SO_USED.search(plain) is not None and not re.search(_GONE, plain, re.IGNORECASE)


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
