"""How a new configuration changes the links: what did not change is not touched."""

from collections.abc import Iterable
from dataclasses import replace

from orcestator.cluster import factory
from orcestator.cluster.links import Links, Make
from orcestator.providers.rows import find_row
from orcestator.providers.secret import Secret
from orcestator.routing.state.quota import QuotaBook
from orcestator.settings import Settings
from orcestator.settings.choices import ProviderSetting
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.provider_client import ProviderClient


def provider(name: str, order: int = 1, key: str = "key-1", **more: object) -> ProviderSetting:
    row = find_row(name)
    assert row is not None
    return replace(ProviderSetting(row, row.base_url, (Secret(key),), order), **more)  # type: ignore[arg-type]


def maker(settings: Settings) -> Make:
    """What makes real links, which are never used here."""
    return factory.provider_client_maker(settings, UpstreamClient(), QuotaBook(0.0))


def links_of(*providers: ProviderSetting) -> Links:
    return Links(maker(Settings()), providers)


def names(links: Iterable[ProviderClient]) -> list[str]:
    return [link.row.name for link in links]


def test_what_did_not_change_is_kept() -> None:
    """The same object: its connections, its vault and what it knows of models."""
    links = links_of(provider("openai"), provider("groq", 2))
    before = list(links.current)

    assert links.apply_settings([provider("openai"), provider("groq", 2)]) == []
    assert all(now is then for now, then in zip(links.current, before, strict=True))


def test_what_changed_is_made_anew_and_nothing_else() -> None:
    """A key, an address, limits, a place in the order: each belongs to the link."""
    changes: list[dict[str, object]] = [
        {"key": "key-2"}, {"base_url": "https://other.example/v1"}, {"order": 7}, {"limits": {"rpm": 3.0}},
        {"model_limits": {"m": {"rpm": 3.0}}}, {"keys": (Secret("key-1"), Secret("key-2"))},
    ]  # fmt: skip
    for change in changes:
        links = links_of(provider("openai"), provider("groq", 2))
        openai, groq = links.current
        fresh = links.apply_settings([provider("openai", **change), provider("groq", 2)])  # type: ignore[arg-type]
        assert names(fresh) == ["openai"], change
        assert links.current == [fresh[0], groq]
        assert fresh[0] is not openai
        assert links.named("openai") is fresh[0]


def test_what_is_gone_is_gone() -> None:
    links = links_of(provider("openai"), provider("groq", 2))
    groq = links.named("groq")

    assert links.apply_settings([provider("groq", 2)]) == []
    assert links.current == [groq]
    assert links.named("openai") is None
    assert links.apply_settings([]) == []
    assert links.current == []


def test_what_comes_back_is_another_link() -> None:
    """Of one that is gone nothing is kept: it may be closed by then."""
    links = links_of(provider("openai"))
    before = links.named("openai")
    links.apply_settings([])
    (fresh,) = links.apply_settings([provider("openai")])
    assert fresh is not before


def test_new_ones_are_told_and_stand_in_the_order_given() -> None:
    links = links_of(provider("openai"))
    fresh = links.apply_settings([provider("groq", 2), provider("openai"), provider("mistral", 3)])
    assert names(fresh) == ["groq", "mistral"]
    assert names(links.current) == ["groq", "openai", "mistral"]


def test_the_list_is_the_same_one_for_ever() -> None:
    """Whoever was given it at the start sees every change."""
    links = links_of(provider("openai"))
    seen = links.current
    links.apply_settings([provider("groq")])
    assert seen is links.current
    assert names(seen) == ["groq"]


def test_with_another_maker_all_are_made_anew() -> None:
    """Time-outs are the maker's: they change for those that stay, too, and for those that come later."""
    links = links_of(provider("openai"), provider("groq", 2))
    before = list(links.current)
    slower = Settings(first_token_timeout_seconds=99.0)
    fresh = links.apply_settings([provider("openai"), provider("groq", 2)], maker(slower))
    assert names(fresh) == ["openai", "groq"]
    assert not set(fresh) & set(before)

    assert links.apply_settings([provider("openai"), provider("groq", 2)]) == []
    made = []
    counted = Links(lambda setting: made.append(setting.row.name) or maker(slower)(setting), [])  # type: ignore[func-returns-value]
    counted.apply_settings([provider("openai")])
    assert made == ["openai"]


def test_a_replaced_link_is_left_to_those_who_use_it() -> None:
    """It still has its key and address: a stream that began on it goes on."""
    links = links_of(provider("openai"))
    (used,) = links.current
    links.apply_settings([provider("openai", base_url="https://other.example/v1")])
    assert used.address == provider("openai").base_url
    assert used.offer.provider == "openai"
