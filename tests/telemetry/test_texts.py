"""What of a text is kept."""

from orcestator.telemetry.texts import text_policy


def masked(text: str) -> str:
    return text.replace("secret", "*")


def test_full_keeps_the_text_and_takes_secrets_out() -> None:
    assert text_policy("full", 3, masked)("a long secret text") == "a long * text"


def test_short_keeps_the_first_characters_and_shows_that_it_cut() -> None:
    policy = text_policy("short", 3, masked)
    assert policy("abcdef") == "abc…"
    assert policy("abc") == "abc"


def test_short_takes_secrets_out_before_it_cuts() -> None:
    assert text_policy("short", 3, masked)("secret") == "*"


def test_none_keeps_nothing() -> None:
    assert text_policy("none", 3, masked)("abc") == ""
