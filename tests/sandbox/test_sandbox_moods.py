"""Failures by share, by count and by time, as an SDK sees them, and the same in every run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import BadRequestError, InternalServerError, OpenAI

from orcestator.sandbox.faults.moods import Mood, mood_of, read_spells
from orcestator.sandbox.settings import SandboxSettings, Spell
from tests.sandbox.running_sandbox import RunningSandbox, StartSandbox


def outcome(client: OpenAI, model: str) -> str:
    try:
        reply = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
    except InternalServerError as error:
        return str(error.status_code)
    return reply.choices[0].message.content or ""


def outcomes(client: OpenAI, model: str, count: int) -> list[str]:
    return [outcome(client, model)[:3] for _ in range(count)]


def test_some_requests_fail_and_the_same_ones_in_every_run(sandbox: RunningSandbox, openai: OpenAI) -> None:
    first = outcomes(openai, "echo?flaky=0.4", 30)
    sandbox.server.reset()
    assert outcomes(openai, "echo?flaky=0.4", 30) == first
    assert 4 <= first.count("500") <= 20
    assert outcomes(openai, "echo?flaky=0.4&seed=7", 30) != first


def test_an_outage_by_the_number_of_the_request(openai: OpenAI) -> None:
    assert outcomes(openai, "echo?down=2-3,5-5", 6) == ["You", "503", "503", "You", "503", "You"]


def test_an_outage_by_time_begins_anew_with_a_reset(sandbox: RunningSandbox, openai: OpenAI) -> None:
    assert outcomes(openai, "echo?down=0s-9999s", 2) == ["503", "503"]
    assert outcomes(openai, "echo?down=9000s-9999s", 2) == ["You", "You"]


def test_each_model_name_is_counted_by_itself(openai: OpenAI) -> None:
    assert outcome(openai, "echo?down=1-1") == "503"
    assert outcome(openai, "tools?down=1-1") == "503"
    assert outcomes(openai, "echo?down=1-1", 1) == ["You"]


def test_a_named_fault_happens_to_those_requests_only(openai: OpenAI) -> None:
    assert [one.isdigit() and one for one in outcomes(openai, "fault:H1:529?down=2-2", 3)] == [False, "529", False]


def test_slow_answers_come_and_are_told_by_the_settings(openai: OpenAI) -> None:
    assert outcomes(openai, "echo?slow=1&slow_seconds=0.01", 2) == ["You", "You"]


def test_the_server_s_own_settings_hold_for_every_request(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(settings=SandboxSettings(down=read_spells("1-1")))
    with sandbox.client() as client:
        assert outcomes(client, "echo", 2) == ["503", "You"]
        assert outcomes(client, "echo?down=", 1) == ["You"]


def test_in_an_outage_by_time_not_even_the_models_are_listed(start_sandbox: StartSandbox) -> None:
    out, counted = (start_sandbox(settings=SandboxSettings(down=read_spells(text))) for text in ("0s-9999s", "1-9"))
    with out.client() as client, pytest.raises(InternalServerError, match="out of service"):
        client.models.list()
    with counted.client() as client:
        assert client.models.list().data


@pytest.mark.parametrize("model", ["echo?flaky=2", "echo?down=5", "echo?down=2s-5", "echo?slow=often", "echo?slow=-1"])
def test_an_impossible_mood_is_refused(openai: OpenAI, model: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        outcome(openai, model)
    assert model[5:].partition("=")[0] in str(refused.value)


def test_moods_are_pure() -> None:
    settings = SandboxSettings(slow=0.05, slow_seconds=3.0, flaky=0.1, down=(Spell(5, 6), Spell(1.5, 2.0, True)))
    assert mood_of(settings, "m", 5, 0.0) == Mood(True, 503, mood_of(settings, "m", 5, 100.0).delay_seconds)
    assert mood_of(settings, "m", 100, 1.7).status == 503
    many = [mood_of(settings, "m", number, 100.0) for number in range(7, 2007)]
    assert 60 <= sum(mood.delay_seconds == 3.0 for mood in many) <= 140
    assert 150 <= sum(mood.fails for mood in many) <= 250


@given(st.text(alphabet="0123456789.s-, x", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        spells = read_spells(text)
    except ValueError:
        return
    assert all(isinstance(spell, Spell) for spell in spells)
