"""A provider that is added by a request: read as the configuration would read it, and with nothing of this machine in it."""

from typing import Any

import pytest

from orcestator.errors import StartupProblem
from orcestator.providers.rows import DIALECT_AUTH, ROWS, find_row
from orcestator.providers.secret import Secret
from orcestator.settings.added_provider import added_provider, check_added_address
from orcestator.settings.provider_choice import DIALECTS

KEY = "key-0123456789"
ADDRESS = "https://api.mine.example/v1"
KEYED = [row for row in ROWS if row.key_env and not row.fills]
LIKE = [row for row in KEYED if row.name not in DIALECTS]


def refusal(name: str, kind: str = "", **entries: Any) -> str:
    """The sentence with which it is refused: it names what is wrong, and never shows a key."""
    with pytest.raises(StartupProblem) as refused:
        added_provider(name, kind, entries)
    message = refused.value.message
    assert KEY not in message
    assert message.endswith((".", "?"))
    return message


@pytest.mark.parametrize("row", KEYED, ids=lambda row: row.name)
def test_a_known_name_with_a_key_is_enough(row: Any) -> None:
    """Address, dialect and models are known."""
    found = added_provider(row.name, "", {"api_key": KEY})
    assert (found.row.name, found.base_url, found.keys) == (row.name, row.base_url, (Secret(KEY),))
    assert (found.row.dialect, found.row.auth_header, found.row.quirks) == (row.dialect, row.auth_header, row.quirks)
    assert {facts.id for facts in found.row.models} == {facts.id for facts in row.models}


@pytest.mark.parametrize("kind", ["OPENAI", "OPENROUTER"])
def test_a_known_name_may_say_its_type(kind: str) -> None:
    """As the provider orchestrator's callers do, in capitals."""
    assert added_provider(kind.lower(), kind, {"api_key": KEY}) == added_provider(kind.lower(), "", {"api_key": KEY})


@pytest.mark.parametrize("kind", ["OPENAI", "OPENROUTER"])
def test_a_second_one_of_a_known_type(kind: str) -> None:
    """Under a name of its own, at the address that is known, with a key of its own."""
    known = find_row(kind.lower())
    assert known is not None
    found = added_provider("second", kind, {"api_key": KEY})
    assert (found.row.name, found.base_url, found.row.dialect) == ("second", known.base_url, known.dialect)
    assert found.keys == (Secret(KEY),)


@pytest.mark.parametrize("row", LIKE, ids=lambda row: row.name)
def test_one_that_is_like_another_is_spoken_to_like_it(row: Any) -> None:
    """With its headers and its peculiarities: without them its requests would be refused."""
    found = added_provider("mine", row.name.upper(), {"api_key": KEY})
    assert found.base_url == row.base_url
    for name in ("dialect", "auth_header", "auth_scheme", "headers", "quirks", "query", "models_path"):
        assert getattr(found.row, name) == getattr(row, name), name


def test_an_address_of_ones_own_goes_before_the_types() -> None:
    found = added_provider("mine", "OPENROUTER", {"api_key": KEY, "base_url": ADDRESS})
    assert found.base_url == ADDRESS


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_type_may_be_a_dialect(dialect: str) -> None:
    """Of a service that nobody knows: it needs an address then."""
    found = added_provider("mine", dialect.upper(), {"api_key": KEY, "base_url": ADDRESS})
    auth = DIALECT_AUTH[dialect]
    assert (found.row.dialect, found.row.auth_header, found.row.auth_scheme) == (dialect, auth.header, auth.scheme)
    assert found.base_url == ADDRESS


def test_yandex_of_the_orchestrators_types() -> None:
    """Its own API at an address of one's own; without one the part of its address that only a person knows is named."""
    found = added_provider("mine", "YANDEX", {"api_key": KEY, "base_url": ADDRESS})
    assert (found.row.dialect, found.row.auth_scheme) == ("yandex", "Api-Key")
    for name in ("yandex", "mine"):
        assert "YANDEX_FOLDER_ID" in refusal(name, "YANDEX", api_key=KEY)


@pytest.mark.parametrize("row", [row for row in ROWS if row.fills], ids=lambda row: row.name)
def test_a_type_whose_words_nobody_fills_in_is_refused(row: Any) -> None:
    """Rather than asked with ``{account}`` in its address."""
    for name in (row.name, "mine"):
        message = refusal(name, row.name, api_key=KEY)
        assert any(variable in message for _, variable in row.fills), message


@pytest.mark.parametrize("row", [row for row in ROWS if row.fills], ids=lambda row: row.name)
@pytest.mark.parametrize("name", ["", "mine"])
def test_those_words_may_be_given_with_it(row: Any, name: str) -> None:
    """By the names of the variables that the environment has them in."""
    words = {variable: "filled-in" for _, variable in row.fills}
    found = added_provider(name or row.name, row.name, {"api_key": KEY, "models": ["m"], **words})
    assert "{" not in found.base_url + found.row.default_model
    assert found.row.filled == tuple((word, "filled-in") for word, _ in row.fills)


def test_only_its_own_words_may_be_given() -> None:
    assert "YANDEX_FOLDER_ID" in refusal("groq", api_key=KEY, YANDEX_FOLDER_ID="b1g")
    assert "YANDEX_FOLDER_ID" in refusal("yandex", api_key=KEY, YANDEX_FOLDER_ID=5)


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        ("https://api.mine.example/v1", True),
        ("http://127.0.0.1:11434/v1", False),
        ("http://localhost:1234", False),
        ("http://ollama:11434", False),
        ("https://10.0.0.1/v1", False),
        ("https://[::1]/v1", False),
    ],
)
def test_a_private_address_has_to_be_allowed(address: str, is_allowed: bool) -> None:
    """The refusal names the setting."""
    check_added_address(address, private=True)
    if is_allowed:
        check_added_address(address, private=False)
        return
    with pytest.raises(StartupProblem, match="OR_ADDED_PROVIDERS_ALLOW_PRIVATE=true"):
        check_added_address(address, private=False)


@pytest.mark.parametrize("address", ["http://169.254.169.254/latest", "https://0.0.0.0/v1", "https://[fe80::1]/v1"])
def test_a_special_address_is_never_allowed(address: str) -> None:
    """A cloud's metadata are no provider."""
    for private in (False, True):
        with pytest.raises(StartupProblem, match="special"):
            check_added_address(address, private=private)


@pytest.mark.parametrize("kind", ["", "GROQ"])
def test_a_known_name_without_a_key_is_refused(kind: str) -> None:
    assert "api_key" in refusal("groq", kind)


@pytest.mark.parametrize("name", ["second", "mine"])
def test_one_like_a_service_that_needs_a_key_needs_one_too(name: str) -> None:
    assert "api_key" in refusal(name, "GROQ")


def test_the_sandbox_is_not_added_for_want_of_anything_else() -> None:
    """A configuration in which nothing is on starts one; a request does not."""
    assert "base_url" in refusal("sandbox")
    assert added_provider("sandbox", "", {"base_url": ADDRESS}).base_url == ADDRESS


def test_one_of_a_dialect_alone_needs_no_key() -> None:
    """It may be a server that asks for none."""
    assert added_provider("mine", "openai", {"base_url": ADDRESS}).keys == ()


def test_an_unknown_type_is_refused_with_those_that_are_known() -> None:
    message = refusal("mine", "NOPE", api_key=KEY)
    assert "'nope'" in message
    assert all(dialect in message for dialect in DIALECTS)


def test_an_unknown_name_needs_a_type_or_an_address() -> None:
    assert "base_url" in refusal("mine", api_key=KEY)
    assert added_provider("mine", "", {"api_key": KEY, "base_url": ADDRESS}).row.dialect == "openai"


@pytest.mark.parametrize("name", ["Bad Name", "../x", "a: b", "x" * 33, "{x}"])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    assert "must be a name" in refusal(name, "GROQ", api_key=KEY)


@pytest.mark.parametrize("name", ["null", "true", "1", "0x10"])
def test_a_name_is_a_name_whatever_yaml_would_make_of_it(name: str) -> None:
    assert added_provider(name, "", {"api_key": KEY, "base_url": ADDRESS}).row.name == name


def test_no_variable_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller of the API may not read this program's environment into a request to an address of its own."""
    monkeypatch.setenv("THEIR_SECRET", "the-secret-of-this-machine")
    for entries in (
        {"api_key": "${THEIR_SECRET}", "base_url": ADDRESS},
        {"api_key": KEY, "base_url": "https://${THEIR_SECRET}.example/v1"},
        {"api_key": "${THEIR_SECRET:-other}", "base_url": ADDRESS},
    ):
        try:
            found = added_provider("mine", "openai", entries)
        except StartupProblem as problem:
            said = problem.message
        else:
            said = found.base_url + "".join(key.reveal() for key in found.keys)
        assert "the-secret-of-this-machine" not in said


def test_the_environments_keys_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the program was started with is for the configuration to switch on."""
    monkeypatch.setenv("GROQ_API_KEY", KEY)
    monkeypatch.setenv("GROQ_BASE_URL", ADDRESS)
    assert "api_key" in refusal("groq")


def test_everything_that_a_section_takes() -> None:
    found = added_provider(
        "groq",
        "",
        {
            "api_keys": [KEY, "key-9876543210"],
            "limits": {"rpm": 30},
            "default_model": "m2",
            "models": ["m1", {"id": "m2", "context_length": 8000}],
            "query": "?v=1",
        },
    )
    assert [key.reveal() for key in found.keys] == [KEY, "key-9876543210"]
    assert found.limits == {"rpm": 30}
    assert (found.row.default_model, found.row.query) == ("m2", "?v=1")
    assert {facts.id: facts.context_length for facts in found.row.models} == {"m1": None, "m2": 8000}


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"apikey": KEY}, ("apikey", "api_key")),
        ({"api_key": [KEY]}, ("api_key", "api_keys")),
        ({"api_key": "two words of a key"}, ("api_key", "spaces")),
        ({"api_key": KEY, "limits": {"rpm": -1}}, ("limits", "rpm")),
        ({"api_key": KEY, "limits": {"rph": 1}}, ("limits", "rph")),
        ({"api_key": KEY, "dialect": "klingon"}, ("dialect", "klingon")),
        ({"api_key": KEY, "base_url": "ftp://api.example"}, ("base_url",)),
        ({"api_key": KEY, "models": {"m": 1}}, ("models", "list")),
        ({"api_key": KEY, "enabled": False}, ("enabled",)),
    ],
)
def test_what_a_section_does_not_take_is_named(entries: dict[str, Any], words: tuple[str, ...]) -> None:
    message = refusal("groq", **entries)
    assert all(word in message for word in words), message
