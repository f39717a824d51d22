"""``python3 scripts/refresh_facts.py [WHEEL]``: writes ``orcestator/providers/facts.json``, for maintainers.

Beside it ``tests/docs/retired_models.json``: the models that their providers have switched off, with the dates; the documentation,
the examples and the rows are held against it. It reads litellm's map of models out of the package's wheel, which pip downloads unless one is named; nothing of the
package is installed or run. Why this package and no other: ``docs/decisions/0016-facts-and-prices.md``.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from orcestator.providers.known import FACTS_FILE  # noqa: E402 - the checkout is not installed
from orcestator.providers.rows import find_row  # noqa: E402

Json = dict[str, Any]
PACKAGE = "litellm"
MAP = "litellm/model_prices_and_context_window_backup.json"
RETIRED_FILE = "tests/docs/retired_models.json"
LARGEST_FILE = 400_000
"""Bytes. What the program reads at each start must stay small."""


class Source(NamedTuple):
    """Where the map has a provider's models: its name there, and what names begin with only there."""

    name: str
    prefix: str = ""
    only: str = ""
    """What a model's name must begin with, prefix aside."""
    modes: tuple[str, ...] = ("chat", "responses")


SOURCES = {
    "openai": Source("openai"),
    "azure": Source("azure", "azure/"),
    "anthropic": Source("anthropic"),
    "gemini": Source("gemini", "gemini/"),
    "xai": Source("xai", "xai/"),
    "mistral": Source("mistral", "mistral/"),
    "deepseek": Source("deepseek", "deepseek/"),
    "groq": Source("groq", "groq/"),
    "cerebras": Source("cerebras", "cerebras/"),
    "together": Source("together_ai", "together_ai/"),
    "fireworks": Source("fireworks_ai", "fireworks_ai/", "accounts/"),
    "cohere": Source("cohere_chat"),
    "perplexity": Source("perplexity", "perplexity/", modes=("responses",)),
    "sambanova": Source("sambanova", "sambanova/"),
    "cloudflare": Source("cloudflare", "cloudflare/"),
    "moonshot": Source("moonshot", "moonshot/"),
    "zai": Source("zai", "zai/"),
    "dashscope": Source("dashscope", "dashscope/"),
    "minimax": Source("minimax", "minimax/"),
    "deepinfra": Source("deepinfra", "deepinfra/"),
    "nebius": Source("nebius", "nebius/"),
    "novita": Source("novita", "novita/"),
    "scaleway": Source("scaleway", "scaleway/"),
    "ovhcloud": Source("ovhcloud", "ovhcloud/"),
    "inception": Source("inception", "inception/"),
    "vercel": Source("vercel_ai_gateway", "vercel_ai_gateway/"),
}
SAME = {"gemini-openai": "gemini", "cohere-native": "cohere"}
"""Rows for another address of the same models."""
TAKES = {
    "supports_function_calling": ("tools",),
    "supports_tool_choice": ("tool_choice",),
    "supports_parallel_function_calling": ("parallel_tool_calls",),
    "supports_response_schema": ("response_format", "structured_outputs"),
    "supports_reasoning": ("reasoning_effort",),
    "supports_adaptive_thinking": ("adaptive_thinking",),
    "supports_assistant_prefill": ("prefill",),
}
REFUSES = {"supports_sampling_params": ("temperature", "top_p", "top_k")}
SEES = {
    "supports_vision": "image",
    "supports_pdf_input": "file",
    "supports_audio_input": "audio",
    "supports_video_input": "video",
}
PRICES = (
    "input_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "output_cost_per_token",
)
"""In the order of ``orcestator.prices.CLASSES``."""


class Words:
    """The words of all lists, each kept once."""

    def __init__(self) -> None:
        self.known: list[str] = []

    def indexes(self, words: list[str]) -> list[int]:
        """Where the words stand."""
        self.known += [word for word in words if word not in self.known]
        return [self.known.index(word) for word in words]


def downloaded(folder: Path) -> Path:
    """The newest wheel of the package, through pip."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--dest", str(folder), PACKAGE], check=True)
    return next(folder.glob("*.whl"))


def document_of(wheel: Path, today: str) -> Json:
    """The document for a wheel. Raises ValueError when the map has none of a provider's models."""
    with zipfile.ZipFile(wheel) as archive:
        listed: dict[str, Json] = json.loads(archive.read(MAP))
    words = Words()
    providers: dict[str, Any] = {}
    for provider, source in SOURCES.items():
        providers[provider] = {
            name: entry_of(provider, facts, words) for name, facts in models_of(source, listed, today)
        }
        if not providers[provider]:
            raise ValueError(f"{wheel.name} has no models of {source.name}: see SOURCES")
    return {
        "source": f"{PACKAGE} {wheel.name.split('-')[1]}, {MAP} (MIT)",
        "date": today,
        "words": words.known,
        "providers": providers | {name: providers[other] for name, other in SAME.items()},
    }


def models_of(source: Source, listed: Mapping[str, Json], today: str) -> Iterator[tuple[str, Json]]:
    """The models of a provider that chat and are still there, by the name that the provider takes."""
    found: dict[str, Json] = {}
    for full_name, facts in listed.items():
        name = full_name.removeprefix(source.prefix)
        if facts.get("litellm_provider") != source.name or facts.get("mode") not in source.modes:
            continue
        if not name.startswith(source.only) or name.startswith("ft:") or is_regional(name, source):
            continue
        if str(facts.get("deprecation_date") or "9999") > today:
            found.setdefault(name, facts)
    yield from sorted(found.items())


def retired_of(wheel: Path, today: str) -> Json:
    """The models of our providers that are no longer there, each with the day of its end."""
    with zipfile.ZipFile(wheel) as archive:
        listed: dict[str, Json] = json.loads(archive.read(MAP))
    models = {
        provider: dict(sorted(gone_of(source, listed, today)))
        for provider, source in SOURCES.items()
        if source.name != "azure"
    }
    return {"date": today, "models": {provider: found for provider, found in models.items() if found}}


def gone_of(source: Source, listed: Mapping[str, Json], today: str) -> Iterator[tuple[str, str]]:
    """The models of a provider that are gone, of whatever kind, by the name that the provider took."""
    for full_name, facts in listed.items():
        ended = str(facts.get("deprecation_date") or "9999")
        if facts.get("litellm_provider") == source.name and full_name.startswith(source.prefix) and ended <= today:
            name = full_name.removeprefix(source.prefix)
            if name.startswith(source.only) and not name.startswith("ft:"):
                yield name, ended


def is_regional(name: str, source: Source) -> bool:
    """Whether a name stands for the same model in a region only (azure/eu/gpt-4o)."""
    return source.name == "azure" and "/" in name


def entry_of(provider: str, facts: Json, words: Words) -> Json:
    """What ``orcestator.providers.known`` reads; what is not known is left out."""
    takes = [word for flag, named in TAKES.items() if facts.get(flag) is True for word in named]
    refuses = [word for flag, named in REFUSES.items() if facts.get(flag) is False for word in named]
    sees = ["text", *(word for flag, word in SEES.items() if facts.get(flag) is True)]
    entry: Json = {
        "context": size(facts.get("max_input_tokens")),
        "output": size(facts.get("max_output_tokens")),
        "takes": words.indexes(takes),
        "sees": words.indexes(sees),
        "refuses": words.indexes(refuses),
        "dialect": dialect_of(provider, facts),
        "prices": prices_of(facts),
    }
    return {name: value for name, value in entry.items() if value}


def size(value: Any) -> int | None:
    """A number of tokens."""
    return int(value) if isinstance(value, int | float) and value > 0 else None


def dialect_of(provider: str, facts: Json) -> str:
    """``responses`` for a model that its provider has only there."""
    row = find_row(provider)
    endpoints = facts.get("supported_endpoints") or ()
    only_there = facts.get("mode") == "responses" and "/v1/chat/completions" not in endpoints
    speaks = row is not None and row.dialect != "responses" and "responses" in row.dialects
    return "responses" if only_there and speaks else ""


def prices_of(facts: Json) -> list[float | None]:
    """US dollars for a million tokens by class, without the unknown ones at the end.

    A price of nothing for everything says in the map that nobody knows it; a cache's 0 that it has no price of its own.
    """
    found = [facts.get(name) for name in PRICES]
    if not (found[0] or found[-1]):
        return []
    return [
        round(price * 1e6, 6) if isinstance(price, int | float) and (price or name in (PRICES[0], PRICES[-1])) else None
        for name, price in zip(PRICES, found, strict=True)
    ]


def main() -> None:
    """Writes the file and says what is in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", nargs="?", type=Path, help="a wheel that was downloaded before")
    wheel = parser.parse_args().wheel
    today = datetime.now(UTC).date().isoformat()
    with tempfile.TemporaryDirectory() as folder:
        wheel = wheel or downloaded(Path(folder))
        document, retired = document_of(wheel, today), retired_of(wheel, today)
    text = json.dumps(document, separators=(",", ":")).replace('},"', '},\n"') + "\n"
    if len(text) > LARGEST_FILE:
        raise SystemExit(f"{FACTS_FILE} would have {len(text)} bytes; {LARGEST_FILE} are allowed")
    (ROOT / "orcestator" / "providers" / FACTS_FILE).write_text(text, encoding="utf-8")
    (ROOT / RETIRED_FILE).write_text(json.dumps(retired, indent=1) + "\n", encoding="utf-8")
    count = sum(map(len, document["providers"].values()))
    print(f"{document['source']}: {count} models of {len(document['providers'])} providers, {len(text)} bytes")


if __name__ == "__main__":
    main()
