"""No secret passes, ordinary text does, and no text takes more than linear time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.telemetry.redaction import MASK, Redactor

CANARY = 'c4n4ry/with"odd\\characters+é'

SHAPES = [
    "sk-abcdefghijklmnop1234",
    "sk-proj-abc_DEF-ghijklmnop1234",
    "sk-or-v1-0123456789abcdef0123456789abcdef",
    "sk-ant-api03-abcdefghij-klmnop_1234",
    "AIzaSyA1234567890abcdefghijklmnopqrstuvw",
    "AQVN1234567890abcdefghijklmnopqrstuvwxyz",
    "gsk_1234567890abcdefghijklmnop",
    "xai-1234567890abcdefghijklmnop",
    "eyJhbGciOiJIUzI1NiJ9abc.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
]
CONTEXTS = [
    ("Authorization: Bearer {}", "q7Zk1LmN0pQr"),
    ("authorization: Basic {}", "dXNlcjpwYXNz"),
    ("Authorization: Api-Key {}", "q7Zk1LmN0pQr"),
    ('{{"authorization": "Bearer {}", "a": 1}}', "q7Zk1LmN0pQr"),
    ("{{'x-api-key': '{}'}}", "q7Zk1LmN0pQr"),
    ("x-goog-api-key: {}", "q7Zk1LmN0pQr"),
    ("api_key={}&x=1", "q7Zk1LmN0pQr"),
    ("(b'x-api-key', b'{}')", "q7Zk1LmN0pQr"),
    ("Cookie: session={}; theme=dark", "q7Zk1LmN0pQr"),
    ("Set-Cookie: session={}", "q7Zk1LmN0pQr"),
    ("https://host/v1?key={}&alt=sse", "q7Zk1LmN0pQr"),
    ("https://host/v1?a=1&token={}", "q7Zk1LmN0pQr"),
    ("postgresql://user:{}@host:5432/db", "p4ss"),
    ("redis://:{}@host", "p4ss@w0rd"),
]


@pytest.mark.parametrize("key", SHAPES)
@pytest.mark.parametrize("around", ["{}", "key is {}.", '"{}"', "a={}", "[{}]", "https://h/{}/x", "_{}"])
def test_what_looks_like_a_provider_key_is_masked(key: str, around: str) -> None:
    shown = Redactor([])(around.format(key))
    assert MASK in shown
    assert key[6:] not in shown


@pytest.mark.parametrize(("around", "secret"), CONTEXTS)
def test_what_stands_where_a_secret_stands_is_masked(around: str, secret: str) -> None:
    shown = Redactor([])(around.format(secret))
    assert secret not in shown
    assert MASK in shown


def test_the_rest_of_the_text_stays() -> None:
    shown = Redactor([])('{"authorization": "Bearer q7Zk1LmN0pQr", "model": "gpt-4o"}')
    assert shown == '{"authorization": "[redacted]", "model": "gpt-4o"}'


@pytest.mark.parametrize(
    "text",
    [
        "risk-based-authentication-of-users and task-management-systems",
        "Send your key in the Authorization header as a Bearer token.",
        "http://localhost:8000/v1/models?limit=20",
        "the monkey ate cookies, the api key was missing",
        "max_tokens=4096&n=1",
        "me@example.com said: hello",
        "",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert Redactor(["a-real-secret"])(text) is text


@given(st.text(), st.text())
def test_a_known_secret_never_passes(before: str, after: str) -> None:
    redactor = Redactor([CANARY])
    assert CANARY not in redactor(before + CANARY + after)


def test_a_known_secret_is_found_in_json_and_in_urls() -> None:
    redactor = Redactor([CANARY])
    assert redactor('{"a": "c4n4ry/with\\"odd\\\\characters+é"}') == '{"a": "[redacted]"}'
    assert redactor("/c4n4ry%2Fwith%22odd%5Ccharacters%2B%C3%A9/") == f"/{MASK}/"


def test_a_secret_that_begins_another_leaves_no_rest() -> None:
    assert Redactor(["abcdefgh", "abcdefgh-ijklmnop"])("abcdefgh-ijklmnop") == MASK


def test_a_word_given_as_a_key_does_not_garble_every_line() -> None:
    assert Redactor(["", "ollama"])("ollama serves") == "ollama serves"


@pytest.mark.parametrize(
    "unit",
    [
        "sk-",
        "eyJ",
        "eyJaaaaaaaaaaaaaaaaaaaa.",
        "bearer ",
        "authorization",
        "api-key: ",
        "://a:",
        "?key=",
        "x" * 20,
        "'\" \\:=",
    ],
)
def test_no_text_takes_more_than_linear_time(unit: str) -> None:
    """Quadratic time would take hours for this length: the time-out of every test is the judge."""
    assert Redactor([])(f"sk- eyJ bearer authorization key ://{unit * (2_000_000 // len(unit))}")


def test_a_secret_is_learned_later_and_the_old_ones_stay_secret() -> None:
    redact = Redactor(["an-old-password"])
    redact.learn(["a-new-password"])
    assert redact("a-new-password and an-old-password") == "[redacted] and [redacted]"
