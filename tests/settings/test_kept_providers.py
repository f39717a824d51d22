"""Providers that were added over HTTP: kept with their keys, read with the configuration, and never in its way."""

import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from orcestator.errors import StartupProblem
from orcestator.providers.secret import Secret
from orcestator.settings import load
from orcestator.settings.kept_providers import (
    AlreadyKept,
    KeptProvider,
    forget,
    keep,
    keep_new,
    kept_named,
    kept_titles,
)
from orcestator.store.documents import open_documents
from tests.settings.conftest import Load

KEY = "key-0123456789"
ADDRESS = "https://api.mine.example/v1"
STATE = ".orcestator"
ALPHA = 'providers:\n  alpha: {base_url: "https://api.alpha.example/v1", api_key: alpha-key, order: 50}\n'


def kept(directory: Path, name: str = "mine", kind: str = "", fallback_order: int = 1, **entries: Any) -> Path:
    """Keep one where ``loaded`` looks for it; its file."""
    given = {"api_key": KEY, "base_url": ADDRESS, **entries}
    keep(open_documents(str(directory / STATE)), KeptProvider(name, kind, given, fallback_order=fallback_order))
    return directory / STATE / f"added_provider.{name}.json"


def test_it_comes_back_as_it_was_given(tmp_path: Path) -> None:
    given = KeptProvider("mine", "openai", {"api_key": KEY, "models": ["m"]}, "My Own", 4)
    documents = open_documents(str(tmp_path))
    keep(documents, given)
    assert kept_named(documents, "mine") == given
    assert kept_titles(documents) == {"mine": "My Own"}
    assert KEY not in repr(given)
    forget(documents, "mine")
    forget(documents, "mine")
    assert kept_named(documents, "mine") is None
    assert list(tmp_path.iterdir()) == []


def test_a_new_one_takes_nobody_s_place(tmp_path: Path) -> None:
    """Of two processes that are asked for the same at once one is told so."""
    documents = open_documents(str(tmp_path))
    first, second = (KeptProvider("mine", "openai", {"api_key": key}) for key in ("first-key", "second-key"))
    keep_new(documents, first)
    with pytest.raises(AlreadyKept, match="mine"):
        keep_new(documents, second)
    assert kept_named(documents, "mine") == first


@pytest.mark.skipif(sys.platform == "win32", reason="files there have no mode")
def test_its_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    assert stat.S_IMODE(kept(tmp_path).stat().st_mode) == 0o600
    assert stat.S_IMODE(kept(tmp_path, models=["other"]).stat().st_mode) == 0o600


def test_it_is_on_as_if_it_were_configured(loaded: Load, tmp_path: Path) -> None:
    """With the known models of whom it is like, and in the words of the configuration."""
    kept(tmp_path, limits={"rpm": 3}, models=["m1"])
    kept(tmp_path, "second", "groq", base_url="https://api.second.example/v1")
    found = loaded(yaml=ALPHA + "models:\n  - {name: small, provider: mine, model: m1, weight: 7}\n")
    mine = next(provider for provider in found.providers if provider.row.name == "mine")
    assert (mine.base_url, mine.keys, mine.limits) == (ADDRESS, (Secret(KEY),), {"rpm": 3})
    assert next(facts for facts in mine.row.models if facts.id == "m1").weight == 7
    second = next(provider for provider in found.providers if provider.row.name == "second")
    assert second.row.known == loaded({"GROQ_API_KEY": KEY}).providers[0].row.known
    assert found.notices == ()
    assert KEY in found.secrets()


def test_it_comes_instead_of_the_sandbox(loaded: Load, tmp_path: Path) -> None:
    kept(tmp_path)
    found = loaded()
    assert [provider.row.name for provider in found.providers] == ["mine"]
    assert not found.sandbox_fallback


@pytest.mark.parametrize(
    ("entries", "place"),
    [({}, "behind"), ({"order": 49}, "before"), ({"order": 50}, "behind"), ({"order": 51}, "behind")],
)
def test_its_order_is_that_of_the_configuration(
    loaded: Load, tmp_path: Path, entries: dict[str, int], place: str
) -> None:
    """The lower, the earlier; of equals the configured one first."""
    kept(tmp_path, **entries)
    names = [provider.row.name for provider in loaded(yaml=ALPHA).providers]
    assert names == (["mine", "alpha"] if place == "before" else ["alpha", "mine"])


def test_of_several_of_one_order_the_fallback_order_counts(loaded: Load, tmp_path: Path) -> None:
    kept(tmp_path, "b", fallback_order=2, order=7)
    kept(tmp_path, "a", fallback_order=3, order=7)
    kept(tmp_path, "c", fallback_order=1, order=7)
    kept(tmp_path, "d", fallback_order=9, order=6)
    assert [provider.row.name for provider in loaded().providers] == ["d", "c", "b", "a"]
    named = loaded(provider_order=["a", "b"])
    assert [provider.row.name for provider in named.providers] == ["a", "b", "d", "c"]


@pytest.mark.parametrize("where", ["section", "switched off", "environment"])
def test_the_configuration_wins(loaded: Load, tmp_path: Path, where: str) -> None:
    """And it is said which of the two is used."""
    kept(tmp_path, "groq")
    off = "enabled: false, " if where == "switched off" else ""
    text = f"providers:\n  groq: {{{off}api_key: its-own-key}}\n"
    found = loaded({"GROQ_API_KEY": "its-own-key"}) if where == "environment" else loaded(yaml=text)
    keys = {provider.row.name: provider.keys for provider in found.providers}
    assert keys.get("groq") == (None if off else (Secret("its-own-key"),))
    assert any("groq" in notice and "added" in notice for notice in found.notices)


def test_only_those_that_are_wanted(loaded: Load, tmp_path: Path) -> None:
    """A worker of one provider asks for it alone, an added one as well as a configured one."""
    kept(tmp_path, "groq")
    for only in ("alpha", "groq"):
        found = loaded(yaml=ALPHA, only_providers=[only])
        assert [provider.row.name for provider in found.providers] == [only]
        assert found.notices == ()


def test_every_process_gives_the_same_places(loaded: Load, tmp_path: Path) -> None:
    kept(tmp_path, order=3)
    kept(tmp_path, "groq", order=4)
    together = {provider.row.name: provider.order for provider in loaded(yaml=ALPHA).providers}
    alone = {name: loaded(yaml=ALPHA, only_providers=[name]).providers[0].order for name in together}
    assert alone == together


def test_a_program_without_keys_knows_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API server reads aliases and rules that speak of it."""
    kept(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("models: [{name: m, provider: mine, model: m1}]\n", "utf-8")
    found = load({}, config_path="config.yaml", with_providers=False)
    assert found.providers == ()
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", ("added_provider.mine.json", "cannot be read")),
        (b"[]", ("added_provider.mine.json", "cannot be read")),
        (b'{"type": "", "title": "", "fallback_order": 1}', ("added_provider.mine.json", "cannot be read")),
        (b'{"type": "nope", "title": "", "fallback_order": 1, "entries": {}}', ("nope",)),
    ],
)
def test_one_that_cannot_be_used_stops_nothing(
    loaded: Load, tmp_path: Path, content: bytes, words: tuple[str, ...]
) -> None:
    kept(tmp_path).write_bytes(content)
    kept(tmp_path, "other")
    found = loaded()
    assert [provider.row.name for provider in found.providers] == ["other"]
    (notice,) = found.notices
    assert all(word in notice for word in ("'mine'", *words)), notice


def test_a_private_address_needs_the_setting(loaded: Load, tmp_path: Path) -> None:
    """Also when it was on while the provider was added."""
    kept(tmp_path, base_url="http://127.0.0.1:11434/v1")
    (notice,) = loaded(yaml=ALPHA).notices
    assert "OR_ADDED_PROVIDERS_ALLOW_PRIVATE=true" in notice
    found = loaded({"OR_ADDED_PROVIDERS_ALLOW_PRIVATE": "true"}, yaml=ALPHA)
    assert {provider.row.name for provider in found.providers} == {"alpha", "mine"}


def test_our_own_address_is_left_out(loaded: Load, tmp_path: Path) -> None:
    """A port that was changed to that of a provider must not stop the start."""
    kept(tmp_path, base_url="http://127.0.0.1:8123/v1")
    environment = {"OR_ADDED_PROVIDERS_ALLOW_PRIVATE": "true", "OR_PORT": "8123"}
    found = loaded(environment, yaml=ALPHA)
    assert [provider.row.name for provider in found.providers] == ["alpha"]
    assert any("own address" in notice for notice in found.notices)


def test_a_title_is_for_people(tmp_path: Path) -> None:
    found = KeptProvider("mine", "", {"api_key": KEY, "base_url": ADDRESS}, "My Own").read()
    assert (found.row.name, found.row.title) == ("mine", "My Own")
    with pytest.raises(StartupProblem):
        KeptProvider("Not A Name", "", {"api_key": KEY, "base_url": ADDRESS}).read()
