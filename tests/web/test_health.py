"""``/health``: our components as objects, and those of other orchestrators as the words that they have for them."""

import asyncio
from typing import Any

import orjson
import pytest

from orcestator.web.drain import Drain
from orcestator.web.health import Health

Json = dict[str, Any]


def health(*, works: bool, drains: bool = False) -> tuple[int, Json]:
    """The status and the answer."""
    drain = Drain()
    drain.is_draining = drains
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Health(drain, {"providers": lambda: (works, {"names": ["alpha"]})}).health({}, send))
    return sent[0]["status"], orjson.loads(sent[1]["body"])


@pytest.mark.parametrize(
    ("works", "drains", "status", "told", "manager", "balancer"),
    [
        (True, False, 200, "healthy", "up", "up"),
        (True, True, 200, "healthy", "up", "down"),
        (False, False, 503, "unhealthy", "down", "up"),
    ],
)
def test_what_health_tells(works: bool, drains: bool, status: int, told: str, manager: str, balancer: str) -> None:
    """One component that is needed and does not work makes it unhealthy."""
    answered, body = health(works=works, drains=drains)
    assert (answered, body["status"]) == (status, told)
    assert body["components"] == {
        "providers": {"status": "up" if works else "down", "names": ["alpha"]},
        "model_manager": manager,
        "load_balancer": balancer,
    }
