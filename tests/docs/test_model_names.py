"""No example, document or row names a model that its provider has switched off: who copies it would get 404s."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from orcestator.providers.rows import ROWS
from tests.docs.pages import ROOT

RETIRED: dict[str, dict[str, str]] = json.loads((ROOT / "tests" / "docs" / "retired_models.json").read_text())["models"]
"""By provider: each model with the day of its end, as ``scripts/refresh_facts.py`` found it."""
ELSEWHERE = {"groq": {"llama-3.1-8b-instant": "2026-08-16", "llama-3.3-70b-versatile": "2026-08-16"}}
"""What that source does not know (https://github.com/mozilla-ai/any-llm/issues/1172, checked 2026-11)."""
FACTS = json.loads((ROOT / "orcestator" / "providers" / "facts.json").read_text())["providers"]
PAGES = sorted(
    path
    for pattern in ("*.md", "*.yaml", ".env.example", "docs/**/*.md", "docs/**/*.yaml", "orcestator/connect/**/*.py")
    for path in ROOT.glob(pattern)
)
_ENTRY = re.compile(r"provider:\s*['\"]?(?P<provider>[\w-]+)['\"]?[\s,]+model:\s*['\"]?(?P<model>[\w./:-]+)")


def ended(provider: str, model: str) -> str:
    """The day of a model's end at a provider; "" for one that is there as far as anybody knows."""
    return RETIRED.get(provider, {}).get(model) or ELSEWHERE.get(provider, {}).get(model, "")


def is_somewhere(model: str) -> bool:
    """Whether any provider still has a model of that name."""
    bare = model.rpartition("/")[2].lower()
    return any(name.rpartition("/")[2].lower() == bare for models in FACTS.values() for name in models)


def switched_off(text: str) -> Iterator[str]:
    """The models in a text that are gone: where it names their provider, or that nobody has any more."""
    for entry in _ENTRY.finditer(text):
        if ended(entry["provider"], entry["model"]):
            yield f"{entry['provider']}/{entry['model']}"
    for provider, models in {**RETIRED, "groq": {**RETIRED.get("groq", {}), **ELSEWHERE["groq"]}}.items():
        for model in models:
            name = re.escape(model)
            if re.search(rf"(?<![\w./-]){provider}/{name}(?![\w-]|\.\d)", text):
                yield f"{provider}/{model}"
            elif not is_somewhere(model) and re.search(rf"(?<![\w.-]){name}(?![\w-]|\.\d)", text):
                yield model


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_names_only_models_that_are_there(path: Path) -> None:
    assert list(switched_off(path.read_text("utf-8"))) == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_names_only_models_that_are_there(row) -> None:
    named = [row.default_model, *(facts.id for facts in row.models)]
    assert [model for model in named if ended(row.name, model)] == []


def test_a_model_that_is_gone_is_found() -> None:
    """Whichever way a text names it."""
    for text in (
        "- {name: a, provider: deepseek, model: deepseek-chat}",
        "provider: deepseek\n    model: deepseek-chat\n",
        "model = deepseek/deepseek-chat",
        '"models": ["llama-3.3-70b-versatile"]',
    ):
        assert list(switched_off(text)), text
    assert not list(switched_off("- {name: a, provider: groq, model: openai/gpt-oss-20b}, gpt-4o, gpt-4.1"))
