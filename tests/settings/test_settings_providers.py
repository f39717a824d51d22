"""Which providers are on: by a key, by an address, by name; and what is said of those that cannot be."""

from dataclasses import replace

import pytest

from orcestator.errors import StartupProblem
from orcestator.providers.rows import ROWS
from orcestator.providers.secret import Secret
from orcestator.settings import WITHHELD, child_environment, load, spoken_variables

KEYED = [row for row in ROWS if row.key_env and not row.only_named and not row.fills]
LOCAL = [row for row in ROWS if row.is_local]


def names(settings):
    return [provider.row.name for provider in settings.providers]


@pytest.mark.parametrize("row", KEYED, ids=lambda row: row.name)
def test_a_key_switches_its_provider_on(loaded, row):
    found = loaded({row.key_env: "key-0123456789"})
    assert names(found) == [row.name]
    assert found.providers[0].keys == (Secret("key-0123456789"),)
    assert found.providers[0].base_url == row.base_url
    assert not found.sandbox_fallback


@pytest.mark.parametrize("row", LOCAL, ids=lambda row: row.name)
def test_an_address_switches_a_local_server_on(loaded, row):
    found = loaded({row.base_url_env: "http://gpu:9999"})
    assert names(found) == [row.name]
    assert found.providers[0].base_url == "http://gpu:9999/v1"
    assert found.providers[0].keys == ()


def test_with_none_the_sandbox_answers(loaded):
    found = loaded()
    assert names(found) == ["sandbox"]
    assert found.sandbox_fallback
    assert found.starts_sandbox
    moved = found.with_sandbox_at("http://127.0.0.1:1/v1")
    assert moved.providers[0].base_url == "http://127.0.0.1:1/v1"
    assert not moved.starts_sandbox


def test_the_sandbox_is_on_beside_others_when_it_is_named(loaded):
    found = loaded({"OPENAI_API_KEY": "k"}, yaml="providers: {sandbox: {enabled: true}}\n")
    assert names(found) == ["openai", "sandbox"]
    assert found.starts_sandbox
    assert not found.sandbox_fallback


def test_an_address_alone_does_not_switch_a_service_on(loaded):
    assert names(loaded({"OPENAI_BASE_URL": "https://proxy.example/v1"})) == ["sandbox"]


def test_several_stand_in_their_order_and_can_be_put_in_another(loaded):
    keys = {"OPENAI_API_KEY": "a", "OR_API_KEY": "b", "GROQ_API_KEY": "c"}
    assert names(loaded(keys)) == ["openai", "groq", "openrouter"]
    orders = [provider.order for provider in loaded(keys).providers]
    assert orders == sorted(set(orders))
    # A worker that has one of the keys gives its provider the same place.
    assert sorted(loaded({name: key}).providers[0].order for name, key in keys.items()) == orders
    assert names(loaded({**keys, "OR_PROVIDER_ORDER": "openrouter,openai"})) == ["openrouter", "openai", "groq"]
    assert names(loaded(keys, yaml="providers: {groq: {order: 1}}\n")) == ["groq", "openai", "openrouter"]


def test_only_those_that_are_named(loaded):
    assert names(loaded({"OPENAI_API_KEY": "a", "GROQ_API_KEY": "b"}, only_providers=["groq"])) == ["groq"]


def test_openrouters_key_has_two_names(loaded, refusal):
    assert names(loaded({"OR_API_KEY": "k"})) == ["openrouter"]
    assert names(loaded({"OR_API_KEY": "k", "OPENROUTER_API_KEY": "k"})) == ["openrouter"]
    assert refusal({"OR_API_KEY": "k-one", "OPENROUTER_API_KEY": "k-two"}) == (
        "environment: OPENROUTER_API_KEY and OR_API_KEY are the same key and are set to different ones."
    )


def test_a_token_that_is_there_for_other_reasons_is_not_used_unasked(loaded):
    token = {"GITHUB_TOKEN": "ghp_x"}
    assert names(loaded(token)) == ["sandbox"]
    for found in (
        loaded(token, yaml="providers: {github: {}}\n"),
        loaded({**token, "OR_PROVIDER_ORDER": "github"}),
        loaded(token, only_providers=["github"]),
    ):
        assert names(found) == ["github"]
        assert "retired on 2026-07-30" in found.notices[0]


def test_yandex_needs_its_folder(loaded, refusal):
    found = loaded({"YANDEX_API_KEY": "k"})
    assert (names(found), found.notices) == (["sandbox"], ("yandex is off: YANDEX_FOLDER_ID is not set.",))
    on = loaded({"YANDEX_API_KEY": "k", "YANDEX_FOLDER_ID": "b1g"}).providers[0].row
    assert on.default_model == on.models[0].id == "gpt://b1g/yandexgpt/latest"
    assert on.headers == (("OpenAI-Project", "b1g"),)
    assert refusal({"YANDEX_API_KEY": "k"}, only_providers=["yandex"]) == (
        "yandex is switched on but cannot be used: set YANDEX_FOLDER_ID."
    )


@pytest.mark.parametrize(
    "how",
    [{"yaml": "providers: {groq: {enabled: true}}\n"}, {"only_providers": ["groq"]}],
    ids=["file", "command line"],
)
def test_one_that_is_asked_for_and_has_no_key_stops_the_start(refusal, how):
    assert refusal(**how) == "groq is switched on but has no key: set GROQ_API_KEY."


def test_a_key_that_is_not_set_leaves_its_provider_off_and_says_so(loaded):
    found = loaded(yaml="providers:\n  deepseek: {enabled: true, apiKey: '${DEEPSEEK_API_KEY}'}\n")
    assert (names(found), found.notices) == (["sandbox"], ("deepseek is off: DEEPSEEK_API_KEY is not set.",))


def test_one_that_is_switched_off_stays_off(loaded):
    assert names(loaded({"OPENAI_API_KEY": "k"}, yaml="providers: {openai: {enabled: false}}\n")) == ["sandbox"]


def test_the_file_changes_a_known_provider(loaded):
    text = """
providers:
  openai:
    apiKey: sk-from-file
    baseUrl: https://proxy.example/openai
    defaultModel: gpt-x
    models: [gpt-x, {id: gpt-y, contextSize: 10, maxOutputTokens: 5}]
    endpoints: [chat, embeddings]
"""
    provider = loaded({"OPENAI_API_KEY": "sk-environment"}, yaml=text).providers[0]
    assert (provider.keys, provider.base_url) == ((Secret("sk-from-file"),), "https://proxy.example/openai")
    assert (provider.row.default_model, provider.row.endpoints) == ("gpt-x", {"chat", "embeddings"})
    assert [(m.id, m.context_length, m.max_output_tokens) for m in provider.row.models] == [
        ("gpt-x", None, None),
        ("gpt-y", 10, 5),
    ]


def test_a_provider_of_ones_own(loaded):
    text = (
        "providers:\n  our-gpu: {baseUrl: 'http://10.0.0.5:8000/v1/', dialect: openai, defaultModel: q, models: [q]}\n"
    )
    provider = loaded(yaml=text).providers[0]
    assert (provider.row.name, provider.base_url, provider.keys) == ("our-gpu", "http://10.0.0.5:8000/v1", ())
    assert provider.row.endpoints == {"chat", "completions", "embeddings"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"ANTHROPIC_BASE_URL": "https://api.anthropic.com", "ANTHROPIC_API_KEY": "k"}, "https://api.anthropic.com/v1"),
        ({"ANTHROPIC_BASE_URL": "https://api.anthropic.com/v1/", "ANTHROPIC_API_KEY": "k"}, "https://api.anthropic.com/v1"),
        ({"GOOGLE_BASE_URL": "https://generativelanguage.googleapis.com/v1", "GOOGLE_API_KEY": "k"}, "https://generativelanguage.googleapis.com/v1beta"),
        ({"GOOGLE_BASE_URL": "https://generativelanguage.googleapis.com/v1beta/openai/", "GOOGLE_API_KEY": "k"}, "https://generativelanguage.googleapis.com/v1beta"),
        ({"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com/", "AZURE_OPENAI_API_KEY": "k"}, "https://r.openai.azure.com/openai/v1"),
        ({"AZURE_RESOURCE_NAME": "r", "AZURE_OPENAI_API_KEY": "k"}, "https://r.openai.azure.com/openai/v1"),
        ({"OLLAMA_BASE_URL": "http://localhost:11434/"}, "http://localhost:11434/v1"),
        ({"GROQ_BASE_URL": "https://proxy.example", "GROQ_API_KEY": "k"}, "https://proxy.example/openai/v1"),
        ({"DEEPSEEK_BASE_URL": "https://proxy.example", "DEEPSEEK_API_KEY": "k"}, "https://proxy.example"),
        ({"OPENAI_BASE_URL": "https://proxy.example/x/y", "OPENAI_API_KEY": "k"}, "https://proxy.example/x/y"),
    ],
)  # fmt: skip
def test_an_address_may_be_the_one_that_the_providers_tools_use(loaded, environ, expected):
    assert loaded(environ).providers[0].base_url == expected


@pytest.mark.parametrize(
    "address",
    ["ftp://x/v1", "x", "https://", "https://u:sk-canary@x.example", "https://x.example/v1?a=1", "https://x y", "http://x.example/v1", "https://x:0"],
)  # fmt: skip
def test_an_address_that_cannot_be_used_stops_the_start(refusal, address):
    for sentence in (
        refusal({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": address}),
        refusal(yaml=f"providers:\n  own: {{base_url: '{address}'}}\n"),
    ):
        assert "is not an address that can be used" in sentence
        assert sentence.startswith(("environment: OPENAI_BASE_URL", "config.yaml, line 2: providers.own.base_url"))
        assert "canary" not in sentence


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_we_do_not_become_our_own_provider(refusal, loaded, host):
    own = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"http://{host}:8000/v1"}
    assert "is orcestator's own address; change OR_PORT or OPENAI_BASE_URL." in refusal(own)
    assert names(loaded({**own, "OR_PORT": "8080"})) == ["openai"]
    assert names(loaded(own, only_providers=["openai"])) == ["openai"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("providers:\n  gorq: {enabled: true}\n", "config.yaml, line 2: providers.gorq is not a known provider and has no base_url; the nearest is groq."),
        ("providers:\n  groq: {apikey: x}\n", "config.yaml, line 2: providers.groq.apikey is not a key that is known here; the nearest is api_key."),
        ("providers:\n  groq: on\n", "config.yaml, line 2: providers.groq must be a section with enabled, api_key, base_url …."),
        ("providers:\n  Bad Name: {base_url: 'https://x.example'}\n", "config.yaml, line 2: providers.Bad Name must be a name of"),
        ("providers:\n  groq: {enabled: maybe}\n", "config.yaml, line 2: providers.groq.enabled must be true or false, not 'maybe'."),
        ("providers:\n  groq: {api_key: [a]}\n", "config.yaml, line 2: providers.groq.api_key must be one value, not a list; api_keys takes several."),
        ("providers:\n  groq: {dialect: anthropic}\n", "config.yaml, line 2: providers.groq.dialect must be one of openai, responses, not 'anthropic'"),
        ("providers:\n  own: {base_url: 'https://x.example', dialect: gemni}\n", "config.yaml, line 2: providers.own.dialect must be one of openai, anthropic, gemini, responses, yandex, cohere, ollama, not 'gemni'; the nearest is gemini."),
        ("providers:\n  groq: {query: 'a b'}\n", "config.yaml, line 2: providers.groq.query must be a query such as ?api-version=2024-10-21, not 'a b'."),
        ("providers:\n  groq: {models: [{id: x, dialect: ollama}]}\n", "config.yaml, line 2: providers.groq.models[0].dialect must be one of openai, responses, not 'ollama'"),
        ("providers:\n  groq: {order: -1}\n", "config.yaml, line 2: providers.groq.order must be a whole number from 0 up, not '-1'."),
        ("providers:\n  groq: {endpoints: [chta]}\n", "config.yaml, line 2: providers.groq.endpoints must be one of"),
        ("providers:\n  groq: {models: x}\n", "config.yaml, line 2: providers.groq.models must be a list of models."),
        ("providers:\n  groq: {models: [{id: x, size: 1}]}\n", "config.yaml, line 2: providers.groq.models[0].size is not a key"),
        ("providers:\n  own: {base_url: '${NOBODY}'}\n", "config.yaml, line 2: providers.own.base_url refers to ${NOBODY}, which is not set."),
        ("providers:\n  a: {base_url: 'https://x.example'}\n  a: {}\n", "config.yaml, line 3: providers.a is there a second time"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_section_is_named(refusal, text, expected):
    assert refusal(yaml=text).startswith(expected)


AUTH = {
    "openai": ("Authorization", "Bearer"),
    "anthropic": ("x-api-key", ""),
    "gemini": ("x-goog-api-key", ""),
    "responses": ("Authorization", "Bearer"),
    "yandex": ("Authorization", "Api-Key"),
    "cohere": ("Authorization", "Bearer"),
    "ollama": ("Authorization", "Bearer"),
}


@pytest.mark.parametrize("dialect", AUTH)
def test_a_provider_of_ones_own_may_speak_any_dialect(loaded, dialect):
    text = f"providers:\n  own: {{base_url: 'https://x.example/v1', dialect: {dialect}, api_key: k}}\n"
    row = loaded(yaml=text).providers[0].row
    assert (row.dialect, row.also) == (dialect, ())
    assert (row.auth_header, row.auth_scheme) == row.auth_of(dialect) == AUTH[dialect]
    assert dict(row.headers) == ({"anthropic-version": "2023-06-01"} if dialect == "anthropic" else {})
    assert (row.endpoints == {"chat"}) == (dialect != "openai")


def test_a_known_provider_may_be_spoken_to_in_another_of_its_dialects(loaded):
    found = loaded({"GOOGLE_API_KEY": "k"}, yaml="providers: {gemini: {dialect: openai}}\n").providers[0]
    assert found.base_url == "https://generativelanguage.googleapis.com/v1beta/openai"
    assert (found.row.dialects, found.row.auth_of("openai"), found.row.list_path()) == (
        ("openai",),
        ("Authorization", "Bearer"),
        "/models",
    )
    assert (found.row.other_prefix, found.row.endpoints) == ("", {"chat", "embeddings", "images"})
    local = loaded({"OLLAMA_BASE_URL": "http://gpu:1"}, yaml="providers: {ollama: {dialect: ollama}}\n").providers[0]
    assert (local.base_url, local.row.list_path(), local.row.endpoints) == ("http://gpu:1", "/api/tags", {"chat"})
    claude = loaded({"DEEPSEEK_API_KEY": "k"}, yaml="providers: {deepseek: {dialect: anthropic}}\n").providers[0]
    assert claude.base_url == "https://api.deepseek.com/anthropic/v1"
    assert claude.row.auth_of("anthropic") == ("x-api-key", "")
    assert ("anthropic-version", "2023-06-01") in claude.row.headers


def test_its_own_dialect_changes_nothing_but_that_it_is_the_only_one(loaded):
    (plain,) = loaded({"OPENAI_API_KEY": "k"}).providers
    (spoken,) = loaded({"OPENAI_API_KEY": "k"}, yaml="providers: {openai: {dialect: openai}}\n").providers
    assert spoken == replace(plain, row=replace(plain.row, also=()))


def test_a_query_is_kept(loaded):
    text = "providers:\n  own: {base_url: 'https://r.example/openai/deployments/d', query: '?api-version=2024-10-21'}\n"
    assert loaded(yaml=text).providers[0].row.query == "?api-version=2024-10-21"


def test_azure_needs_its_address(loaded, refusal):
    missing = "AZURE_OPENAI_ENDPOINT or AZURE_RESOURCE_NAME"
    found = loaded({"AZURE_OPENAI_API_KEY": "k"})
    assert (names(found), found.notices) == (["sandbox"], (f"azure is off: {missing} is not set.",))
    assert refusal({"AZURE_OPENAI_API_KEY": "k"}, only_providers=["azure"]) == (
        f"azure is switched on but cannot be used: set {missing}."
    )
    assert refusal({"AZURE_OPENAI_API_KEY": "k", "AZURE_RESOURCE_NAME": "a b"}).startswith(
        "environment: AZURE_RESOURCE_NAME is not an address that can be used"
    )
    row = loaded({"AZURE_OPENAI_API_KEY": "k", "AZURE_RESOURCE_NAME": "r"}).providers[0].row
    assert (row.auth_of("openai"), row.auth_of("responses")) == (("api-key", ""), ("api-key", ""))


def test_a_token_is_used_when_there_is_no_key(loaded):
    azure = {"AZURE_RESOURCE_NAME": "r", "AZURE_OPENAI_AD_TOKEN": "t"}
    found = loaded(azure).providers[0]
    assert (found.keys[0].reveal(), found.row.auth_of("openai")) == ("t", ("Authorization", "Bearer"))
    found = loaded({**azure, "AZURE_OPENAI_API_KEY": "k"}).providers[0]
    assert (found.keys[0].reveal(), found.row.auth_of("openai")) == ("k", ("api-key", ""))


@pytest.mark.parametrize(("variable", "scheme"), [("YANDEX_API_KEY", "Api-Key"), ("YANDEX_IAM_TOKEN", "Bearer")])
def test_yandexs_own_api_is_used_when_it_is_named(loaded, variable, scheme):
    environ = {variable: "k", "YANDEX_FOLDER_ID": "b1g"}
    assert names(loaded(environ)) == ["yandex"]
    found = loaded(environ, only_providers=["yandex-native"]).providers[0]
    assert found.row.auth_of("yandex") == ("Authorization", scheme)
    assert found.row.headers == (("x-folder-id", "b1g"),)
    assert found.row.filled == (("folder", "b1g"),)


def test_cloudflares_account_is_part_of_its_address(loaded):
    environ = {"CLOUDFLARE_API_KEY": "k", "CLOUDFLARE_ACCOUNT_ID": "acc"}
    assert names(loaded(environ)) == ["sandbox"]
    found = loaded(environ, yaml="providers: {cloudflare: {}}\n").providers[0]
    assert found.base_url == "https://api.cloudflare.com/client/v4/accounts/acc/ai/v1"


def test_what_the_package_knows_fills_in_a_row_and_is_kept_for_later(loaded):
    row = loaded({"OPENAI_API_KEY": "k"}).providers[0].row
    first = next(facts for facts in row.models if facts.id == "gpt-4o")
    assert (first.context_length, first.max_output_tokens) == (128_000, 16_384)
    assert "tools" in first.supported_parameters
    assert first.prices["output"] > first.prices["input"] > 0
    assert {facts.id: facts.dialect for facts in row.known}["gpt-5.5-pro"] == "responses"


def test_the_configuration_comes_before_what_the_package_knows(loaded):
    text = """
providers:
  openai:
    models: [{id: gpt-4o, context_length: 10, supported_parameters: [seed], input_modalities: [text], dialect: responses}]
"""
    (facts,) = loaded({"OPENAI_API_KEY": "k"}, yaml=text).providers[0].row.models
    assert (facts.context_length, facts.supported_parameters, facts.input_modalities) == (10, ("seed",), ("text",))
    assert (facts.dialect, facts.max_output_tokens) == ("responses", 16_384)


def test_the_sandbox_alone_has_no_facts(loaded):
    assert loaded().providers[0].row.known == ()


def test_the_dialect_that_is_asked_for_is_the_only_one(loaded):
    """Also where it is the provider's own: a proxy in front of it may know no other."""
    yaml = "providers:\n  deepseek: {api_key: k, dialect: openai}\n"
    assert [provider.row.dialects for provider in loaded(yaml=yaml).providers] == [("openai",)]
    without = loaded(yaml="providers:\n  deepseek: {api_key: k}\n").providers
    assert "anthropic" in without[0].row.dialects


def keys_of(found):
    return [[key.reveal() for key in provider.keys] for provider in found.providers]


def test_a_provider_may_have_several_keys_in_the_environment(loaded, refusal):
    keys = {"OPENAI_API_KEY": "a", "OPENAI_API_KEY_2": "b", "OPENAI_API_KEY_4": "c", "OPENAI_API_KEY_3": "a"}
    assert keys_of(loaded(keys)) == [["a", "b", "c"]]
    assert keys_of(loaded({"OPENAI_API_KEY_2": "b"})) == [["b"]]
    assert keys_of(loaded({"OR_API_KEY": "a", "OR_API_KEY_2": "b", "OPENROUTER_API_KEY_2": "b"})) == [["a", "b"]]
    assert "OR_API_KEY_2 are the same key" in refusal({"OR_API_KEY_2": "x", "OPENROUTER_API_KEY_2": "y"})
    assert "OR_API_KEY_99 is not a setting" in refusal({"OR_API_KEY_99": "x"})


def test_a_provider_may_have_several_keys_in_the_file(loaded, refusal):
    text = "providers: {openai: {apiKey: '${ONE}', apiKeys: ['${TWO}', three, '${ONE}']}}\n"
    found = loaded({"ONE": "one", "TWO": "two", "OPENAI_API_KEY": "not this"}, yaml=text)
    assert keys_of(found) == [["one", "two", "three"]]
    assert set(found.secrets()) == {"one", "two", "three"}
    found = loaded({"TWO": "two"}, yaml=text)
    assert (keys_of(found), found.notices) == ([["two", "three"]], ("openai has fewer keys: ONE is not set.",))
    found = loaded(yaml="providers: {openai: {apiKeys: ['${ONE}', '${TWO}']}}\n")
    assert (names(found), found.notices) == (["sandbox"], ("openai is off: ONE, TWO are not set.",))
    assert refusal(yaml="providers: {openai: {apiKeys: [[a]]}}\n") == (
        "config.yaml, line 1: providers.openai.apiKeys[0] must be a single value."
    )
    assert refusal(yaml="providers: {openai: {apiKeys: [a, 'b c']}}\n").startswith(
        "config.yaml, line 1: providers.openai.apiKeys[1] must be printable ASCII without spaces"
    )


def test_a_child_has_no_key_of_another_provider(loaded, tmp_path, monkeypatch):
    keys = {"OPENAI_API_KEY": "a1", "OPENAI_API_KEY_2": "a2", "GROQ_API_KEY": "g1", "SPARE": "g2"}
    text = "providers: {groq: {apiKeys: ['${GROQ_API_KEY}', '${SPARE}']}}\n"
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    found = loaded(keys, yaml=text)
    spoken = spoken_variables(None)
    own = child_environment(found, spoken, {}, keys_of="groq")
    assert {name for name in keys if name in own} == {"GROQ_API_KEY", "SPARE"}
    none = child_environment(found, spoken, {}, keys_of=None)
    assert not {name for name in keys if name in none}


def test_a_child_has_no_secret_of_callers_however_short(loaded):
    """And every setting that is none, whatever a key happens to be."""
    spoken = {
        "OR_CALLER_KEYS": "abc, 8000 ,longer-than-eight", "OR_ADMIN_TOKEN": "adm1n", "OR_WEBHOOK_SECRET": "w", "MINE": "abc",
        "OR_PORT": "8000", "OR_DEFAULT_MODEL": "ollama", "GROQ_API_KEY": "ollama", "OR_WORKER_SECRET": "w0rker", "OTHER": "8000x",
    }  # fmt: skip
    found = loaded(spoken)
    kept = {"OR_PORT", "OR_DEFAULT_MODEL", "OR_WORKER_SECRET", "OTHER"}
    worker = child_environment(found, spoken, {}, keys_of="groq", serves_callers=False)
    assert worker.keys() == kept | {"GROQ_API_KEY"}
    assert child_environment(found, spoken, {}, keys_of=None, serves_callers=False).keys() == kept
    callers = {"OR_CALLER_KEYS", "OR_ADMIN_TOKEN", "OR_WEBHOOK_SECRET", "MINE"}
    assert child_environment(found, spoken, {}, keys_of=None).keys() == kept | callers


def test_a_child_has_its_key_although_another_provider_has_the_same(loaded):
    keys = {"COHERE_API_KEY": "c-0123456789"}
    found = loaded(keys, yaml="providers: {cohere: {}, cohere-native: {enabled: true}}\n")
    assert names(found) == ["cohere", "cohere-native"]
    assert child_environment(found, keys, {}, keys_of="cohere") == keys
    assert child_environment(found, keys, {}, keys_of=None) == {}


PROXIED = """
caller_keys: ["${TEAM_KEY}", plain]
adminToken: ${ADMIN_SECRET}
webhook_url: ${HOOK}
notify: ["${CHAT}"]
database_url: ${ROWS}
upstream_proxy: ${OUT}
providers: {groq: {proxy: "${GROQ_OUT}"}, mistral: {proxy: "${MISTRAL_OUT}"}}
"""


@pytest.mark.parametrize("keys_of", ["groq", None])
def test_a_child_misses_no_secret_that_it_has_no_use_for(loaded, keys_of):
    """It keeps the proxies that it calls through, and what others alone need it is not given."""
    spoken = {
        "GROQ_API_KEY": "g-0123456789", "MISTRAL_API_KEY": "m-0123456789", "TEAM_KEY": "team-0123456789", "CHAT": "slack://A/B/C",
        "ADMIN_SECRET": "admin-0123456789", "HOOK": "http://hook.example/1", "ROWS": "postgres://u:p@rows/1",
        "OUT": "http://u:p@out:1", "GROQ_OUT": "http://u:p@groq-out:1", "MISTRAL_OUT": "http://u:p@mistral-out:1",
    }  # fmt: skip
    found = loaded(spoken, yaml=PROXIED)
    given = child_environment(found, spoken, {}, keys_of=keys_of, serves_callers=False)
    assert set(given) == ({"GROQ_API_KEY", "OUT", "GROQ_OUT"} if keys_of else {"OUT"})
    child = load(
        given, config_path="config.yaml", overrides={"only_providers": keys_of and [keys_of]},
        with_providers=bool(keys_of), withheld=WITHHELD,
    )  # fmt: skip
    assert child.upstream_proxy.reveal() == spoken["OUT"]
    assert [provider.proxy.reveal() for provider in child.providers] == [spoken["GROQ_OUT"]] * bool(keys_of)
    with pytest.raises(StartupProblem, match="TEAM_KEY"):
        load(given, config_path="config.yaml", with_providers=False)


def test_limits_of_a_provider(loaded):
    found = loaded(
        {"GROQ_API_KEY": "k"},
        yaml="providers: {groq: {limits: {rpm: 30, tpd: 200000, usdPerDay: 0.5, usdPerMonth: 9}}}\n",
    )
    assert found.providers[0].limits == {"rpm": 30.0, "tpd": 200000.0, "usd_per_day": 0.5, "usd_per_month": 9.0}


@pytest.mark.parametrize("path", ["/chat/completions", "/chat/completions/", "/responses", "/messages", "/models"])
def test_the_address_of_one_call_is_told_with_the_remedy(refusal, path):
    said = refusal(yaml=f"providers:\n  own: {{base_url: 'https://x.example/v1{path}'}}\n")
    assert f"leave out '{path.rstrip('/')}'" in said
    assert "https://x.example/v1" in said
