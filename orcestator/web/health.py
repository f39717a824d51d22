"""``/health`` tells how each component is; ``/ready`` tells whether to send requests here. Both answer from memory."""

from collections.abc import Callable, Mapping
from typing import Any

from orcestator import __version__
from orcestator.web.asgi import Scope, Send, send_json
from orcestator.web.drain import Drain

Json = dict[str, Any]
Component = Callable[[], tuple[bool, Json]]
"""Gives whether the component works, and facts about it."""


class Health:
    """``components`` by name; the service is healthy while each of them works, and ready while it is not draining."""

    def __init__(
        self,
        drain: Drain,
        components: Mapping[str, Component],
        is_insider: Callable[[Scope], bool] = lambda _scope: True,
    ) -> None:
        """``is_insider``: whether somebody may see more than the status."""
        self._is_insider = is_insider
        self._drain = drain
        self._components = dict(components)

    async def health(self, scope: Scope, send: Send) -> None:
        """200 with every component's state; 503 when one that is needed does not work. A stranger sees the status alone."""
        states = {name: component() for name, component in self._components.items()}
        works = all(ok for ok, _ in states.values())
        body = {
            "status": "healthy" if works else "unhealthy",
            "version": __version__,
            "draining": self._drain.is_draining,
            "active_requests": len(self._drain.active),
            "components": {
                **{name: {"status": _word(ok), **facts} for name, (ok, facts) in states.items()},
                # What other orchestrators call the whole, in their form: a word in place of an object.
                "model_manager": _word(works),
                "load_balancer": _word(not self._drain.is_draining),
            },
        }
        await send_json(send, 200 if works else 503, body if self._is_insider(scope) else {"status": body["status"]})

    async def ready(self, _scope: Scope, send: Send) -> None:
        """200 when new requests are welcome, else 503 with Retry-After."""
        if self._drain.is_draining:
            await send_json(send, 503, {"status": "draining"}, [(b"retry-after", b"5")])
            return
        await send_json(send, 200, {"status": "ready"})


def _word(is_well: bool) -> str:
    return "up" if is_well else "down"
