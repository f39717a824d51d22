"""Where the proxy of calls to providers comes from."""

from pathlib import Path

import pytest

from orcestator.cluster import factory
from orcestator.errors import StartupProblem
from orcestator.routing.state.quota import QuotaBook
from orcestator.settings import load
from orcestator.upstream.http.client import UpstreamClient

KEYS = {"GROQ_API_KEY": "k", "OLLAMA_BASE_URL": "http://localhost:11434"}
CONFIG = """
providers:
  groq: {proxy: "http://ada:s3cret@own:1"}
  mistral: {proxy: none}
"""


def used(config: str = "", tmp_path: Path | None = None, **variables: str) -> dict[str, str]:
    """The proxy of each provider."""
    path = None
    if tmp_path is not None:
        path = str(tmp_path / "config.yaml")
        Path(path).write_text(config, "utf-8")
    settings = load({**KEYS, **variables}, config_path=path, dotenv_path=None)
    make = factory.provider_client_maker(settings, UpstreamClient(), QuotaBook())
    links = [make(provider) for provider in settings.providers]
    return {link.row.name: f"{link.proxy.host}:{link.proxy.port}" if link.proxy else "" for link in links}


@pytest.mark.parametrize("name", ["OR_UPSTREAM_PROXY", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_every_usual_variable_counts_and_what_is_near_is_called_directly(name: str) -> None:
    """A cloud behind a proxy beside Ollama on this machine."""
    assert used(**{name: "http://proxy:3128"}) == {"groq": "proxy:3128", "ollama": ""}


@pytest.mark.parametrize("name", ["OR_UPSTREAM_NO_PROXY", "NO_PROXY", "no_proxy"])
def test_what_is_spared_is_called_directly(name: str) -> None:
    """By the variable that other programs read, or by ours."""
    assert used(HTTPS_PROXY="http://proxy:3128", **{name: "a.example,.groq.com"})["groq"] == ""


def test_our_own_setting_comes_first() -> None:
    """Another proxy, or none."""
    assert used(OR_UPSTREAM_PROXY="http://ours:1", HTTPS_PROXY="http://proxy:3128")["groq"] == "ours:1"
    assert used(OR_UPSTREAM_PROXY="none", HTTPS_PROXY="http://proxy:3128")["groq"] == ""
    assert used(HTTP_PROXY="http://proxy:3128")["groq"] == ""


def test_a_provider_has_its_own(tmp_path: Path) -> None:
    """Or none, whatever holds for the others."""
    found = used(CONFIG, tmp_path, MISTRAL_API_KEY="k", DEEPSEEK_API_KEY="k", HTTPS_PROXY="http://proxy:3128")
    assert found == {"groq": "own:1", "mistral": "", "deepseek": "proxy:3128", "ollama": ""}


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("HTTPS_PROXY", "socks5://u:s3cret@proxy:1080", "SOCKS"),
        ("OR_UPSTREAM_PROXY", "https://u:s3cret@proxy", "http://HOST:PORT"),
        ("all_proxy", "http://u:s3cret@proxy:99999", "http://HOST:PORT"),
    ],
)
def test_a_message_names_the_variable_and_never_the_password(name: str, text: str, word: str) -> None:
    """So that somebody knows what to change."""
    with pytest.raises(StartupProblem) as refused:
        load({**KEYS, name: text}, dotenv_path=None)
    assert name in refused.value.message
    assert word in refused.value.message
    assert "s3cret" not in refused.value.message


def test_a_message_names_the_place_in_the_file(tmp_path: Path) -> None:
    """File, line and key."""
    with pytest.raises(StartupProblem, match=r"config.yaml, line 3: providers.groq.proxy names a SOCKS proxy"):
        used("providers:\n  groq:\n    proxy: socks5://s3cret:1\n", tmp_path)


def test_a_password_is_shown_nowhere(tmp_path: Path) -> None:
    """Neither that of everybody's proxy nor that of a provider's own."""
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG, "utf-8")
    settings = load({**KEYS, "HTTPS_PROXY": "http://u:hidden@proxy:1"}, config_path=str(path), dotenv_path=None)
    assert "s3cret" not in repr(settings)
    assert "hidden" not in repr(settings)
    assert {"http://u:hidden@proxy:1", "http://ada:s3cret@own:1"} <= set(settings.secrets())
