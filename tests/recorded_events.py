"""Events with every field set, so that a test names only what it is about."""

from collections.abc import Callable
from typing import Any

import pytest

from orcestator.routing.events import AttemptEnded, RequestEnded
from orcestator.usage import Usage

REQUEST = RequestEnded(
    request_id="r1",
    started_at=1_763_706_792.125,
    route="chat",
    streamed=False,
    outcome="ok",
    status=200,
    error="",
    message="",
    caller="",
    requested_model="orcestator",
    provider="openai",
    model="gpt-4o",
    user_text="hello",
    assistant_text="hi",
    served_by="attempt",
    usage=Usage(3, 5),
    nano_usd=55_000,
    latency_s=0.2,
    first_content_s=0.1,
    attempts=1,
    fallbacks=0,
    parse_s=0.00001,
    plan_s=0.00001,
    relay_s=0.00001,
)
ATTEMPT = AttemptEnded(
    number=1,
    provider="openai",
    model="gpt-4o",
    worker="",
    credential="",
    name="orcestator",
    kind="",
    is_probe=False,
    error="",
    cause="",
    upstream_status=200,
    verdict="",
    started_s=0.0,
    latency_s=0.1,
    total_s=0.2,
    maybe_billed=False,
    usage=Usage(3, 5),
    nano_usd=55_000,
)


@pytest.fixture
def request_ended() -> Callable[..., RequestEnded]:
    """A request that went well, but for what is given."""

    def build(**fields: Any) -> RequestEnded:
        return REQUEST._replace(**fields)

    return build


@pytest.fixture
def attempt_ended() -> Callable[..., AttemptEnded]:
    """An attempt that went well, but for what is given."""

    def build(**fields: Any) -> AttemptEnded:
        return ATTEMPT._replace(**fields)

    return build
