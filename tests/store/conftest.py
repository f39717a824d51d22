"""Events with every field set, so that a test names only what it is about."""

from collections.abc import Callable
from typing import Any

import pytest

from orcestator.routing.events import AttemptEnded, RequestEnded

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
    prompt_tokens=3,
    completion_tokens=5,
    tokens_estimated=False,
    latency_s=0.2,
    first_content_s=0.1,
    attempts=1,
    fallbacks=0,
    parse_s=0.00001,
    plan_s=0.00001,
    relay_s=0.00001,
)
ATTEMPT = AttemptEnded("r1", 1, "openai", "gpt-4o", "", "", 200, "", 0.1, False)


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
