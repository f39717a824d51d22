"""Each provider over a real connection: fine, refused, unreachable, wrong, slow to agree on the time."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from orcestator.cluster import factory
from orcestator.doctor.finding import OK, PROBLEM, WARNING
from orcestator.doctor.progress import Waiting
from orcestator.doctor.providers import ProviderCheck, after_probe, check_all, clock_finding
from orcestator.providers.models import MOST_MODELS
from orcestator.providers.rows import Provider
from orcestator.providers.secret import Secret
from orcestator.settings import ProviderSetting, Settings
from tests.cluster.harness import SandboxThread, free_port
from tests.doctor.scripted_provider import answering

SECRET = "sk-canary-6bc1bee22e409f96"


def provider(base_url: str, *, key: str = SECRET, default_model: str = "") -> ProviderSetting:
    """A provider of one's own at an address."""
    row = Provider(
        "mine", "mine", base_url, "MINE_BASE_URL", "", 1, key_env="MINE_API_KEY", default_model=default_model
    )
    return ProviderSetting(row, base_url, (Secret(key),) if key else (), 1)


def looked_at(*providers: ProviderSetting) -> list[ProviderCheck]:
    """What the doctor finds at them."""

    async def look() -> list[ProviderCheck]:
        settings = Settings(providers=tuple(providers))
        client = factory.make_upstream_client(settings)
        try:
            return await check_all(settings, client, Waiting([found.row.name for found in providers]))
        finally:
            await client.close()

    return asyncio.run(look())


def test_one_that_is_well() -> None:
    """How many models, how fast, the clock."""
    with SandboxThread() as sandbox:
        (found,) = looked_at(provider(sandbox.base_url, default_model="echo"))
    assert (found.finding.state, found.finding.remedy) == (OK, "")
    assert f"{sandbox.base_url} lists {len(found.link.offer.models)} models in " in found.finding.says


def test_one_with_too_many_models() -> None:
    """Those beyond are named by their provider."""
    listing = {"data": [{"id": f"m{number}"} for number in range(MOST_MODELS + 3)]}
    with answering(200, json.dumps(listing).encode()) as url:
        (found,) = looked_at(provider(url))
    assert found.finding.says.endswith(" s, and 3 more, which are asked for as mine/NAME only")


def test_one_whose_default_model_is_gone() -> None:
    """A provider lists other models than the one that is asked for by default."""
    with answering(200, b'{"data": [{"id": "new"}]}') as url:
        (found,) = looked_at(provider(url, default_model="old"))
    assert found.finding.state == WARNING
    assert "default model old" in found.finding.says


@pytest.mark.parametrize(
    ("status", "body", "state", "says", "remedy"),
    [
        (401, b"{}", PROBLEM, "refuses the key", "MINE_API_KEY"),
        (403, b"{}", PROBLEM, "refuses the key", "MINE_API_KEY"),
        (402, b"{}", PROBLEM, "no money left", "Top it up"),
        (429, b"{}", WARNING, "too many requests", "limit"),
        (503, b"{}", WARNING, "error of its own", "Wait"),
        (404, b"{}", PROBLEM, "answers 404", "MINE_BASE_URL"),
        (200, b"<html>hello</html>", PROBLEM, "not with a list of models", "MINE_BASE_URL"),
        (301, b"{}", PROBLEM, "answers 301", "MINE_BASE_URL"),
    ],
)
def test_one_that_answers_otherwise(status: int, body: bytes, state: str, says: str, remedy: str) -> None:
    """What it means and what to do; the key is not in it."""
    with answering(status, body) as url:
        (found,) = looked_at(provider(url))
    assert (found.finding.state, says in found.finding.says, remedy in found.finding.remedy) == (state, True, True)
    assert SECRET not in str(found.finding)


def test_one_that_wants_a_key() -> None:
    """None was given."""
    with answering(401) as url:
        (found,) = looked_at(provider(url, key=""))
    assert "wants a key" in found.finding.says


def test_one_that_is_not_there() -> None:
    """Nobody listens."""
    (found,) = looked_at(provider(f"http://127.0.0.1:{free_port()}/v1"))
    assert (found.finding.state, "cannot be reached" in found.finding.says) == (PROBLEM, True)
    assert "Is the server running" in found.finding.remedy


def test_one_that_speaks_no_tls() -> None:
    """https to a plain port."""
    with answering(200) as url:
        (found,) = looked_at(provider(url.replace("http:", "https:")))
    assert (found.finding.state, "cannot be reached" in found.finding.says) == (PROBLEM, True)


@pytest.mark.parametrize(
    ("ahead", "state", "says"),
    [
        ((0.0,), OK, "agrees"),
        ((-300.0,), WARNING, "behind"),
        ((300.0,), WARNING, "ahead of"),
        ((300.0, 0.0), OK, "agrees"),
    ],
)
def test_the_clock(ahead: Sequence[float], state: str, says: str) -> None:
    """Ours beside theirs: one provider with a wrong clock proves nothing."""
    looked = []
    for seconds in ahead:
        with answering(200, b'{"data": [{"id": "m"}]}', at=time.time() - seconds) as url:
            looked += looked_at(provider(url))
    finding = clock_finding(looked)
    assert finding is not None
    assert (finding.state, says in finding.says) == (state, True)


def test_no_clock_to_compare_with() -> None:
    """Nobody answered."""
    assert clock_finding(looked_at(provider(f"http://127.0.0.1:{free_port()}/v1"))) is None


def test_one_without_a_list_that_answers_calls_is_well() -> None:
    with answering(404) as url:
        (found,) = looked_at(provider(url))
    assert after_probe(found).state == PROBLEM
    found.link.served += 1
    assert after_probe(found).state == OK


def test_one_behind_a_proxy() -> None:
    """Through which one it is called, without the password; and what to do about one that does not help."""
    far = provider("http://10.9.8.7:1/v1")
    with answering(200, b'{"data": [{"id": "new"}]}') as url:
        address = url.removeprefix("http://").partition("/")[0]
        (found,) = looked_at(replace(far, proxy=Secret(f"http://ada:{SECRET}@{address}")))
    assert found.finding.says.startswith(f"http://10.9.8.7:1/v1 through the proxy {address} lists 1 model in ")
    closed = f"127.0.0.1:{free_port()}"
    (lost,) = looked_at(replace(far, proxy=Secret(f"http://ada:{SECRET}@{closed}")))
    assert (lost.finding.state, f"through the proxy {closed}" in lost.finding.says) == (PROBLEM, True)
    assert "OR_UPSTREAM_PROXY" in lost.finding.remedy
    with answering(407, b"{}") as url:
        address = url.removeprefix("http://").partition("/")[0]
        (unknown,) = looked_at(replace(far, proxy=Secret(f"http://ada:{SECRET}@{address}")))
    assert (unknown.finding.state, "OR_UPSTREAM_PROXY" in unknown.finding.remedy) == (PROBLEM, True), unknown.finding
    assert SECRET not in f"{found.finding} {lost.finding} {unknown.finding}"
