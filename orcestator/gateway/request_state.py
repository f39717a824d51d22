"""What is known of one request while it lives: each stage reads what those before it found, and adds its own."""

from collections.abc import Callable, Mapping

from orcestator.errors import OrcestatorError
from orcestator.gateway.caller import ANONYMOUS, Caller
from orcestator.gateway.continuing import Continuing
from orcestator.gateway.gateway import Gateway, Route
from orcestator.gateway.seams import TextGuard
from orcestator.json_text import Json
from orcestator.routing.attempts.loop import Tally
from orcestator.routing.events import Outcome
from orcestator.routing.planning.plan import Plan
from orcestator.routing.reading.preferences import NO_PREFERENCES, Preferences
from orcestator.upstream.call import Answer, UpstreamCall


class RequestState:
    """One request; what is not known yet is empty. It refers to no stage, so that it never is part of a cycle."""

    __slots__ = (
        "answer", "arrived_at", "caller", "continuing", "error", "first_content", "from_path", "gateway", "guards", "headers", "model",
        "names", "order", "outcome", "parsed", "plan", "planned", "preferences", "relay", "request_id", "route", "served_by",
        "started", "status", "streamed", "tally", "user_text",
    )  # fmt: skip

    def __init__(
        self, gateway: Gateway, route: Route, headers: Mapping[bytes, bytes], request_id: str, from_path: Json | None
    ) -> None:
        self.gateway = gateway
        self.route = route
        self.headers = headers
        self.from_path = from_path
        """Fields of the body that this dialect puts into the path (``model``, ``stream``)."""
        self.request_id = request_id
        self.arrived_at = gateway.wall()
        """Epoch seconds by the wall clock; the other moments are monotonic seconds."""
        self.started = self.parsed = self.planned = gateway.attempts.now()
        """When it came, when its body was understood, and when it had its plan."""
        self.caller: Caller = ANONYMOUS
        self.model = self.user_text = ""
        """``model`` is the name that the answer shows, the first of ``names``."""
        self.names: tuple[str, ...] = ()
        self.preferences: Preferences = NO_PREFERENCES
        self.streamed = False
        self.order: UpstreamCall | None = None
        self.plan: Plan | None = None
        self.tally = Tally()
        self.answer: Answer | None = None
        self.served_by = ""
        """The middleware that answered in place of the attempts."""
        self.guards: tuple[Callable[[], TextGuard], ...] = ()
        """What watches the texts of its answer."""
        self.continuing: Continuing | None = None
        """Where the answer may go on with another model after it broke."""
        self.error: OrcestatorError | None = None
        self.outcome: Outcome = "ok"
        self.status = 0
        """What the caller was told; 0 while it was told nothing."""
        self.first_content = -1.0
        """Seconds from its start to the first content of its answer."""
        self.relay = 0.0
        """Seconds that sending a whole answer took."""

    @property
    def shown_model(self) -> str:
        """The model's name in the answer: as the caller gave it, and of several names the one that led to the answer."""
        served = self.tally.served
        return self.model if served is None or len(self.names) == 1 else served.name
