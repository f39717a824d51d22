"""The rows: complete, unambiguous, and each with the page that says so."""

import re

import pytest

from orcestator.providers.rows import (
    BEARER,
    CHAT,
    DIALECT_AUTH,
    ENDPOINTS,
    QUIRKS,
    ROWS,
    SANDBOX,
    Auth,
    Provider,
    find_row,
    joined,
)
from orcestator.upstream.http.origin import Origin

ASKED_FOR = (
    *("openai", "openrouter", "deepseek", "groq", "mistral", "xai", "together", "fireworks", "cerebras", "nvidia"),
    *("github", "yandex", "ollama", "lmstudio", "vllm", "llamacpp", "sandbox", "gemini", "anthropic"),
    *("azure", "cohere", "perplexity", "sambanova", "huggingface", "cloudflare", "moonshot", "zai", "dashscope"),
    *("minimax", "deepinfra", "nebius", "novita", "scaleway", "vercel", "gemini-openai", "yandex-native"),
)
OWN_NAMES = {"azure"}
"""Services whose models have names that their users gave them."""
EVERY_ROW = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])


def test_every_provider_that_was_asked_for_has_a_row():
    assert {row.name for row in ROWS} >= set(ASKED_FOR)
    assert len(ROWS) > 40


@pytest.mark.parametrize("kind", ["name", "base_url", "base_url_env", "order", "title"])
def test_rows_differ(kind):
    values = [getattr(row, kind) for row in ROWS]
    assert len(set(values)) == len(values)


def test_rows_stand_in_the_order_in_which_they_are_tried():
    assert [row.order for row in ROWS] == sorted(row.order for row in ROWS)


def test_no_variable_switches_two_providers_on():
    """One that must be named may share the variable of another."""
    names = [
        name for row in ROWS if not row.only_named for name in (row.key_env, row.also_key_env, row.token_env) if name
    ]
    assert len(set(names)) == len(names)


@EVERY_ROW
def test_a_row_can_be_called(row: Provider):
    assert Origin.from_url(re.sub(r"\{\w+\}", "x", row.base_url))[0].host
    assert not row.base_url.endswith("/")
    assert "chat" in row.endpoints
    assert row.endpoints <= ENDPOINTS
    assert row.quirks <= QUIRKS
    assert row.list_path().startswith("/")
    assert row.query == ""


@EVERY_ROW
def test_a_row_speaks_dialects_that_there_are_each_once(row: Provider):
    assert set(row.dialects) <= set(DIALECT_AUTH)
    assert len(set(row.dialects)) == len(row.dialects)
    assert {dialect for dialect, _ in row.also_auth} <= {*row.dialects, "openai"}


@EVERY_ROW
def test_endpoints_other_than_chat_are_openais_and_have_their_place(row: Provider):
    if row.dialect != "openai" and row.endpoints != {CHAT}:
        assert row.other_prefix == row.prefix_of("openai")


@EVERY_ROW
def test_every_word_in_braces_has_its_variable(row: Provider):
    texts = (row.base_url, row.default_model, *(m.id for m in row.models), *(text for _, text in row.headers))
    used = {word for text in texts for word in re.findall(r"\{(\w+)\}", text)}
    assert used == {word for word, _ in row.fills}


@EVERY_ROW
def test_a_row_says_where_its_claims_come_from(row: Provider):
    assert re.fullmatch(r"20\d\d-\d\d", row.checked)
    assert row.source.startswith("https://") or row.name == SANDBOX


@EVERY_ROW
def test_a_service_has_a_key_and_a_default_model_and_a_local_server_has_neither(row: Provider):
    assert bool(row.key_env) == (not row.is_local and row.name != SANDBOX)
    assert bool(row.default_model) == (not row.is_local and row.name not in OWN_NAMES)
    if row.models:
        assert row.default_model in {facts.id for facts in row.models}


@EVERY_ROW
def test_only_local_servers_are_reached_in_the_clear(row: Provider):
    assert row.base_url.startswith("https://") == (not row.is_local and row.name != SANDBOX)


def test_a_row_is_found_by_its_name():
    assert find_row("groq") is next(row for row in ROWS if row.name == "groq")
    assert find_row("nobody") is None


@pytest.mark.parametrize(
    ("name", "dialect", "path", "auth"),
    [
        ("openai", "openai", "/v1/chat/completions", BEARER),
        ("openai", "responses", "/v1/responses", BEARER),
        ("anthropic", "anthropic", "/v1/messages", Auth("x-api-key", "")),
        ("anthropic", "openai", "/v1/chat/completions", BEARER),
        ("gemini", "gemini", "/v1beta/models/m:generateContent", Auth("x-goog-api-key", "")),
        ("gemini", "openai", "/v1beta/openai/chat/completions", BEARER),
        ("deepseek", "anthropic", "/anthropic/v1/messages", Auth("x-api-key", "")),
        ("moonshot", "anthropic", "/anthropic/v1/messages", BEARER),
        ("zai", "anthropic", "/api/anthropic/v1/messages", BEARER),
        ("dashscope", "anthropic", "/apps/anthropic/v1/messages", Auth("x-api-key", "")),
        ("minimax", "anthropic", "/anthropic/v1/messages", Auth("x-api-key", "")),
        ("perplexity", "responses", "/v1/responses", BEARER),
        ("azure", "responses", "/openai/v1/responses", Auth("api-key", "")),
        ("yandex-native", "yandex", "/foundationModels/v1/completion", Auth("Authorization", "Api-Key")),
        ("cohere", "openai", "/compatibility/v1/chat/completions", BEARER),
        ("cohere", "cohere", "/v2/chat", BEARER),
        ("cohere-native", "cohere", "/v2/chat", BEARER),
        ("ollama", "ollama", "/api/chat", BEARER),
        ("ollama", "anthropic", "/v1/messages", BEARER),
        ("openrouter", "anthropic", "/api/v1/messages", BEARER),
    ],
)
def test_where_a_chat_goes_and_how_the_key_is_shown(name: str, dialect: str, path: str, auth: Auth):
    own_paths = {
        "openai": "/chat/completions",
        "responses": "/responses",
        "anthropic": "/messages",
        "gemini": "/models/m:generateContent",
        "yandex": "/foundationModels/v1/completion",
        "cohere": "/chat",
        "ollama": "/api/chat",
    }
    row = find_row(name)
    assert row is not None
    base = Origin.from_url(row.base_url.replace("{resource}", "r"))[1]
    assert joined(base, row.prefix_of(dialect) + own_paths[dialect]) == path
    assert row.auth_of(dialect) == auth


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("openai", "/v1/models"),
        ("anthropic", "/v1/models?limit=1000"),
        ("gemini", "/v1beta/models?pageSize=1000"),
        ("cohere", "/v1/models?page_size=1000&endpoint=chat"),
        ("cohere-native", "/v1/models?page_size=1000&endpoint=chat"),
    ],
)
def test_where_the_models_are_listed(name: str, path: str):
    row = find_row(name)
    assert row is not None
    assert joined(Origin.from_url(row.base_url)[1], row.list_path()) == path


def test_a_dialect_brings_the_headers_it_cannot_do_without_once():
    for name in ("anthropic", "deepseek", "openrouter"):
        row = find_row(name)
        assert row is not None
        headers = [header for header, _ in row.headers_of("anthropic")]
        assert headers.count("anthropic-version") == 1
    assert row.headers_of("openai") == (("X-Title", "orcestator"),)


def test_only_a_path_that_begins_by_going_up_goes_up():
    assert joined("/a/b", "/../c") == "/a/c"
    assert joined("/a", "/../../c") == "/c"
    assert joined("", "/..") == ""
    assert joined("/a", "/models/../../x") == "/a/models/../../x"
