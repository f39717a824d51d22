"""Every line parses back to what was written, and no program sees more or fewer than one line."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orcestator.telemetry.traffic_codec import TrafficLine, format_line, parse_line

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)  # lone surrogates too
NASTY_TEXT = st.text(st.sampled_from("\\|px0a \n\r\x00\x1b\x7f\x85\u2028\u2029\ud800\udc00é😀"), max_size=30)
TEXT = ANY_TEXT | NASTY_TEXT
NUMBER = st.integers(min_value=0, max_value=10**9)
LINES = st.builds(TrafficLine, TEXT, TEXT, TEXT, NUMBER, NUMBER, NUMBER, TEXT, TEXT)


def line(**fields: object) -> TrafficLine:
    return TrafficLine("2026-11-21T06:33:12.123Z", "u", "a", 1, 2, 3, "orcestator", "openai/gpt-4o")._replace(**fields)


@given(LINES)
def test_a_line_parses_back_to_what_was_written(written: TrafficLine) -> None:
    assert parse_line(format_line(written)) == written


@given(LINES)
def test_a_line_is_one_line_for_every_splitter(written: TrafficLine) -> None:
    text = format_line(written)
    assert len((text + "\n").splitlines()) == 1
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029]", text)
    text.encode()


@given(LINES)
def test_a_line_survives_being_stripped(written: TrafficLine) -> None:
    fields = [field.strip(" ") for field in format_line(written).split(" | ")]
    assert parse_line(" | ".join(fields)) == written


def test_the_columns_and_their_escapes() -> None:
    text = format_line(line(user="two\nlines | a \\ and\u2028more ", assistant="\x1b[31m\ud800"))
    assert text == (
        "2026-11-21T06:33:12.123Z | two\\x0alines \\p a \\\\ and\\u2028more\\x20 | \\x1b[31m\\ud800 | 1 | 2 | 3 | "
        "orcestator | openai/gpt-4o"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a | b",
        "t | u | a | 1 | 2 | 3 | m | o | extra",
        "t | u | a | one | 2 | 3 | m | o",
        "t | bad \\q escape | a | 1 | 2 | 3 | m | o",
        "t | cut \\x0 | a | 1 | 2 | 3 | m | o",
        "t | end \\ | a | 1 | 2 | 3 | m | o",
    ],
)
def test_what_is_not_a_line_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fields|escape|invalid literal"):
        parse_line(text)
