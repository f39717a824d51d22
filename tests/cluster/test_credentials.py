"""Several keys of one provider: one that is refused or limited is left alone, and the request goes on with the next."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from orcestator.sandbox.faults.hidden_limits import HiddenLimit
from orcestator.sandbox.problem import Refused
from orcestator.sandbox.server import SandboxServer
from tests.cluster.harness import WIRINGS, Cluster, SandboxThread, chat, streamed, text_of, until

REFUSED, LIMITED, GOOD = "refused-key", "limited-key", "good-key"
TOKEN = "the-admin-token-1"
HOURS = 7200.0
REQUESTS = 6


@dataclass(slots=True)
class Doorman(HiddenLimit):
    """Answers 401 to some keys and a bare 429 to others, by how they are called."""

    requests: int = 0
    asked: list[str] = field(default_factory=list)

    def takes(self, key: str, model: str, now: float) -> bool:
        """Whether this key is let in."""
        if key.startswith(REFUSED):
            raise Refused(401, "Incorrect API key provided.", kind="authentication_error", code="invalid_api_key")
        return not key.startswith(LIMITED)


class House(NamedTuple):
    """A cluster and the upstream behind all its providers."""

    cluster: Cluster
    upstream: SandboxThread

    def keys(self) -> list[str]:
        """The key of every chat that the upstream was asked for, as it came over the wire."""
        calls = [record for record in self.upstream.records if record.method == "POST"]
        return [record.headers["authorization"].removeprefix("Bearer ") for record in calls]

    def asks(self, model: str) -> tuple[Any, list[str]]:
        """One request: its answer, and the keys that the upstream was shown for it."""
        before = len(self.keys())
        answer = self.cluster.post("/v1/chat/completions", chat(model=model))
        return answer, self.keys()[before:]


def config(address: str) -> str:
    """Each provider is for one test: what it learns of its keys stays."""
    keys = {
        "refuses": [f"{REFUSED}-1", f"{GOOD}-2", f"{GOOD}-3"],
        "streams": [f"{REFUSED}-4", f"{REFUSED}-5", f"{GOOD}-6"],
        "limits": [f"{LIMITED}-1", f"{GOOD}-2", f"{GOOD}-3"],
        "locked": [f"{REFUSED}-7", f"{REFUSED}-8", f"{REFUSED}-9"],
        "echoes": [f"{GOOD}-10", f"{GOOD}-11"],
        "well": [f"{GOOD}-0"],
    }
    rows = "\n".join(
        f'  {name}: {{base_url: "{address}", api_keys: [{", ".join(held)}], default_model: echo, order: {place}}}'
        for place, (name, held) in enumerate(keys.items(), 1)
    )
    return f"""
providers:
{rows}
aliases:
  then-well: [locked/echo, well/echo]
verdicts:
  - {{when: {{status: 429}}, then: {{cooldown_seconds: {HOURS:.0f}}}}}
"""


@pytest.fixture(scope="module", params=WIRINGS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    upstream = SandboxThread()
    upstream.server = SandboxServer(hidden_limit=Doorman())
    with upstream:
        directory = tmp_path_factory.mktemp("credentials")
        # The strategy that is the default draws lots among keys, and may draw the same one six times in a row.
        in_order = {"OR_STRATEGY": "priority"}
        with Cluster(directory, config(upstream.base_url), request.param, in_order) as cluster:
            yield House(cluster, upstream)


@pytest.mark.parametrize(("provider", "bad"), [("refuses", f"{REFUSED}-1"), ("limits", f"{LIMITED}-1")])
def test_a_key_that_fails_is_shown_once(house: House, provider: str, bad: str) -> None:
    """In the request that finds it out the next key answers; after that the others take turns without it."""
    shown = []
    for _ in range(REQUESTS):
        answer, keys = house.asks(f"{provider}/echo")
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-orcestator-provider"] == provider
        assert answer.headers["x-orcestator-attempts"] == str(len(keys))
        assert keys[-1].startswith(GOOD)
        shown.append(keys)
    assert [keys for keys in shown if len(keys) > 1] == [[bad, keys[-1]] for keys in shown if keys[0] == bad]
    assert sum(keys.count(bad) for keys in shown) == 1
    assert {keys[-1] for keys in shown} == {f"{GOOD}-2", f"{GOOD}-3"}


def test_a_stream_goes_on_with_the_next_key(house: House) -> None:
    """Two are refused before its first content: its caller sees nothing of that."""
    before = len(house.keys())
    status, events, is_whole = streamed(house.cluster, chat("hello", model="streams/echo"))
    assert (status, is_whole, events[-1]) == (200, True, "[DONE]")
    assert text_of(events)
    keys = house.keys()[before:]
    assert keys[-1] == f"{GOOD}-6"
    assert set(keys[:-1]) <= {f"{REFUSED}-4", f"{REFUSED}-5"}
    assert len(keys) == len(set(keys))


def test_with_every_key_refused_the_next_provider_answers(house: House) -> None:
    """However many keys the first one has: they never use up what is left for another. Each of them is shown once."""
    shown = []
    for _ in range(4):
        answer, keys = house.asks("then-well")
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-orcestator-provider"] == "well"
        shown += keys
    assert keys == [f"{GOOD}-0"]
    assert sorted(set(shown)) == [f"{GOOD}-0", *(f"{REFUSED}-{number}" for number in (7, 8, 9))]
    assert len(shown) == 4 + 3


def test_a_caller_is_not_told_that_its_own_key_is_wrong(house: House) -> None:
    """With nobody else behind it the provider's refusal is ours to answer for: no 401, and no key in it."""
    answer, _ = house.asks("locked/echo")
    assert answer.status_code == 424, answer.text
    assert REFUSED not in answer.text
    error = answer.json()["error"]
    assert error["code"] == "invalid_api_key" or "key" in error["message"]
    assert REFUSED not in house.cluster.program.output()
    assert REFUSED not in "".join(house.cluster.traffic())


def test_a_provider_that_repeats_our_key_does_not_show_it(house: House) -> None:
    """OpenAI's 401 has the key in its message; no caller of ours may read it there, whatever keys look like."""
    answer, keys = house.asks("echoes/fault:H1:401:echo")
    status, events, _ = streamed(house.cluster, chat(model="echoes/fault:H1:401:echo"))
    assert (answer.status_code, status, sorted(keys)) == (424, 424, [f"{GOOD}-10", f"{GOOD}-11"])
    shown = answer.text + "".join(events) + house.cluster.program.output() + "".join(house.cluster.traffic())
    assert GOOD not in shown
    assert REFUSED not in shown


@pytest.mark.parametrize("wiring", WIRINGS)
def test_a_key_that_was_put_right_is_used_at_once(wiring: str, tmp_path: Path) -> None:
    """What was held against the one before it is not held against it."""
    upstream = SandboxThread()
    upstream.server = SandboxServer(hidden_limit=Doorman())

    def text(key: str) -> str:
        return f"""
providers:
  alpha: {{base_url: "{upstream.base_url}", api_key: "{key}", default_model: echo, order: 1}}
  beta: {{base_url: "{upstream.base_url}", api_key: "{GOOD}-b", default_model: echo, order: 2}}
aliases:
  both: [alpha/echo, beta/echo]
"""

    def served(cluster: Cluster) -> str:
        answer = cluster.post("/v1/chat/completions", chat(model="both"))
        assert answer.status_code == 200, answer.text
        return str(answer.headers["x-orcestator-provider"])

    with upstream, Cluster(tmp_path, text(f"{REFUSED}-1"), wiring, {"OR_ADMIN_TOKEN": TOKEN}) as cluster:
        assert [served(cluster) for _ in range(2)] == ["beta", "beta"]
        (tmp_path / "config.yaml").write_text(text(f"{GOOD}-1"), "utf-8")
        reloaded = cluster.post("/admin/reload", {}, headers={"authorization": f"Bearer {TOKEN}"})
        assert reloaded.status_code == 200, reloaded.text
        until(lambda: served(cluster) == "alpha", "the new key is used")
