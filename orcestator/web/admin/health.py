"""``/health`` tells how each component is; ``/ready`` tells whether to send requests here. Both answer from memory."""

from collections.abc import Callable, Mapping, Sequence

from orcestator import __version__
from orcestator.json_text import Json
from orcestator.server.asgi import Scope
from orcestator.server.drain import Drain
from orcestator.server.route_table import Asked, Endpoint, Reply

Component = Callable[[], tuple[bool, Json]]
"""Gives whether the component works, and facts about it."""


class Health:
    """``needed`` are the components without which no request is served, ``beside`` those without which each is.

    The service is healthy while all of them work, degraded while one beside does not, and unhealthy while a needed one does not. It is
    ready while all needed ones work and it is not draining. ``is_insider`` says whether somebody may see more than the status.
    """

    def __init__(
        self,
        drain: Drain,
        needed: Mapping[str, Component],
        beside: Mapping[str, Component],
        is_insider: Callable[[Scope], bool] = lambda _scope: True,
    ) -> None:
        self._is_insider = is_insider
        self._drain = drain
        self._needed = dict(needed)
        self._beside = dict(beside)

    def endpoints(self) -> Sequence[Endpoint]:
        """The rows of the table."""
        return (
            Endpoint("GET", "/health", self.health),
            Endpoint("GET", "/api/v1/health", self.health),
            Endpoint("GET", "/ready", self.ready),
        )

    async def health(self, asked: Asked) -> Reply:
        """200 with every component's state; 503 when one that is needed does not work. A stranger sees the status alone."""
        needed = {name: component() for name, component in self._needed.items()}
        beside = {name: component() for name, component in self._beside.items()}
        works = all(ok for ok, _ in needed.values())
        is_whole = all(ok for ok, _ in beside.values())
        body = {
            "status": ("healthy" if is_whole else "degraded") if works else "unhealthy",
            "version": __version__,
            "draining": self._drain.is_draining,
            "active_requests": len(self._drain.active),
            "components": {
                **{name: {"status": _word(ok), **facts} for name, (ok, facts) in (needed | beside).items()},
                # What other orchestrators call the whole, in their form: a word in place of an object.
                "model_manager": _word(works),
                "load_balancer": _word(not self._drain.is_draining),
            },
        }
        shown = body if self._is_insider(asked.scope) else {"status": body["status"]}
        return Reply(shown, 200 if works else 503)

    async def ready(self, _asked: Asked) -> Reply:
        """200 when new requests are welcome and can be served, else 503 with Retry-After."""
        if self._drain.is_draining:
            return Reply({"status": "draining"}, 503, headers=[(b"retry-after", b"5")])
        if not all(component()[0] for component in self._needed.values()):
            return Reply({"status": "starting"}, 503, headers=[(b"retry-after", b"1")])
        return Reply({"status": "ready"})


def _word(is_well: bool) -> str:
    return "up" if is_well else "down"
