"""The rows: complete, unambiguous, and each with the page that says so."""

import re

import pytest

from orcestator.providers.rows import ENDPOINTS, QUIRKS, ROWS, SANDBOX, Provider, find_row
from orcestator.upstream.origin import Origin

ASKED_FOR = (
    *("openai", "openrouter", "deepseek", "groq", "mistral", "xai", "together", "fireworks", "cerebras", "nvidia"),
    *("github", "yandex", "ollama", "lmstudio", "vllm", "llamacpp", "sandbox", "gemini", "anthropic"),
)
EVERY_ROW = pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])


def test_every_provider_that_was_asked_for_has_a_row():
    assert sorted(row.name for row in ROWS) == sorted(ASKED_FOR)


@pytest.mark.parametrize("kind", ["name", "base_url", "base_url_env", "order", "title"])
def test_rows_differ(kind):
    values = [getattr(row, kind) for row in ROWS]
    assert len(set(values)) == len(values)


def test_rows_stand_in_the_order_in_which_they_are_tried():
    assert [row.order for row in ROWS] == sorted(row.order for row in ROWS)


def test_no_variable_is_the_key_of_two_providers():
    names = [name for row in ROWS for name in (row.key_env, row.also_key_env) if name]
    assert len(set(names)) == len(names)


@EVERY_ROW
def test_a_row_can_be_called(row: Provider):
    assert Origin.from_url(row.base_url)[0].host
    assert not row.base_url.endswith("/")
    assert row.dialect == "openai"
    assert "chat" in row.endpoints
    assert row.endpoints <= ENDPOINTS
    assert row.quirks <= QUIRKS


@EVERY_ROW
def test_a_row_says_where_its_claims_come_from(row: Provider):
    assert re.fullmatch(r"20\d\d-\d\d", row.checked)
    assert row.source.startswith("https://") or row.name == SANDBOX


@EVERY_ROW
def test_a_service_has_a_key_and_a_default_model_and_a_local_server_has_neither(row: Provider):
    assert bool(row.key_env) == (not row.is_local and row.name != SANDBOX)
    assert bool(row.default_model) == (not row.is_local)
    if row.models:
        assert row.default_model in {facts.id for facts in row.models}


@EVERY_ROW
def test_only_local_servers_are_reached_in_the_clear(row: Provider):
    assert row.base_url.startswith("https://") == (not row.is_local and row.name != SANDBOX)


def test_a_row_is_found_by_its_name():
    assert find_row("groq") is next(row for row in ROWS if row.name == "groq")
    assert find_row("nobody") is None
