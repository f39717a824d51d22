"""What ``orcestator doctor --probe`` wrote is believed before what rows and lists claim."""

import json
from pathlib import Path

import pytest

from orcestator.providers.secret import Secret
from orcestator.settings import load
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.provider_client import ProviderClient, ProviderTimeouts

SEEN = {"checked": "2026-11-21", "supported_parameters": ["tools"], "input_modalities": ["text"]}


def loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Settings with one known provider, whose state is kept in the folder."""
    monkeypatch.chdir(folder)
    return load(environ={"OPENAI_API_KEY": "k", "OR_STATE_DIR": str(folder)})


def test_a_probed_model_has_the_facts_that_were_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sizes stay what was known; a model of another provider with a similar name is not meant."""
    (tmp_path / "probed.json").write_text(json.dumps({"openai/gpt-4o": SEEN, "openaix/gpt-4o-mini": SEEN}), "utf-8")
    (provider,) = loaded(tmp_path, monkeypatch).providers  # type: ignore[attr-defined]
    link = ProviderClient(provider.row, provider.base_url, (Secret("k"),), 1, UpstreamClient(), ProviderTimeouts())
    facts = link.offer.models["gpt-4o"]
    assert facts["supported_parameters"] == ["tools"]
    assert facts["input_modalities"] == ["text"]
    assert facts["context_length"] == 128_000
    assert "image" in link.offer.models["gpt-4o-mini"]["input_modalities"]


@pytest.mark.parametrize("text", ["", "[]", "{", "7"])
def test_a_file_that_is_none_of_ours_is_named_and_not_used(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start goes on."""
    (tmp_path / "probed.json").write_text(text, "utf-8")
    settings = loaded(tmp_path, monkeypatch)
    assert "probed.json" in "".join(settings.notices)  # type: ignore[attr-defined]


@pytest.mark.parametrize("entry", [None, 7, {}, {"supported_parameters": 3, "input_modalities": [None, 5]}])
def test_an_entry_of_another_shape_says_nothing(entry: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known stays."""
    (tmp_path / "probed.json").write_text(json.dumps({"openai/gpt-4o": entry}), "utf-8")
    (provider,) = loaded(tmp_path, monkeypatch).providers  # type: ignore[attr-defined]
    link = ProviderClient(provider.row, provider.base_url, (), 1, UpstreamClient(), ProviderTimeouts())
    assert "tools" in link.offer.models["gpt-4o"]["supported_parameters"]
