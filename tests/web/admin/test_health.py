"""``/health``: our components as objects, and those of other orchestrators as the words that they have for them."""

import pytest

from orcestator.json_text import Json
from orcestator.server.drain import Drain
from orcestator.server.route_table import PUBLIC, Group
from orcestator.web.admin.health import Health
from tests.web.admin.management_parts import ask


def health(*, works: bool, drains: bool = False, writes: bool = True) -> tuple[int, Json]:
    """The status and the answer."""
    drain = Drain()
    drain.is_draining = drains
    needed = {"providers": lambda: (works, {"names": ["alpha"]})}
    shown = Health(drain, needed, {"records": lambda: (writes, {})})
    answer = ask(Group(PUBLIC, shown.endpoints()), "GET", "/health")
    return answer.status, answer.json


@pytest.mark.parametrize(
    ("works", "drains", "writes", "status", "told", "manager", "balancer"),
    [
        (True, False, True, 200, "healthy", "up", "up"),
        (True, True, True, 200, "healthy", "up", "down"),
        (True, False, False, 200, "degraded", "up", "up"),
        (False, False, True, 503, "unhealthy", "down", "up"),
        (False, False, False, 503, "unhealthy", "down", "up"),
    ],
)
def test_what_health_tells(
    works: bool, drains: bool, writes: bool, status: int, told: str, manager: str, balancer: str
) -> None:
    """One component that is needed and does not work makes it unhealthy, records that cannot be written only degraded."""
    answered, body = health(works=works, drains=drains, writes=writes)
    assert (answered, body["status"]) == (status, told)
    assert body["components"] == {
        "providers": {"status": "up" if works else "down", "names": ["alpha"]},
        "records": {"status": "up" if writes else "down"},
        "model_manager": manager,
        "load_balancer": balancer,
    }
