"""What a worker offers, and the candidates made of it. Plain immutable data that crosses process borders as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from orcestator.json_text import Json

WorkerKind = Literal["proxy", "stock"]


@dataclass(frozen=True, slots=True)
class Offer:
    """One provider behind one worker.

    ``worker`` is the worker's address, empty when it lives in this process. ``models`` maps the upstream's model
    names to the facts shown in ``/v1/models``. A name that starts with one of ``prefixes`` is taken although it is
    not listed. ``takes_any`` says that the list is not known, so that any name is worth an attempt. ``dialects``
    are those the upstream speaks, the one it speaks best first. ``credentials`` are the ids of the provider's keys (never the
    keys): "" is the first or only one. ``check`` is what the worker's background checks found last, empty before the first.
    ``since`` is when the provider was set up as it is (epoch seconds): with other keys it begins anew. ``listed`` is when its own list
    of models was last read (epoch seconds), 0.0 for never. ``resets`` are when a person had forgotten what is held against a model (epoch
    seconds), by its name, "" for all.
    """

    provider: str
    order: int
    endpoints: frozenset[str]
    models: Mapping[str, Json]
    default_model: str = ""
    prefixes: tuple[str, ...] = ()
    takes_any: bool = False
    worker: str = ""
    kind: WorkerKind = "proxy"
    dialects: tuple[str, ...] = ("openai",)
    credentials: tuple[str, ...] = ("",)
    check: Mapping[str, Any] = field(default_factory=dict)
    since: float = 0.0
    listed: float = 0.0
    resets: Mapping[str, float] = field(default_factory=dict)

    def to_wire(self) -> Json:
        """The JSON form that travels in a worker's registration."""
        return {
            "provider": self.provider,
            "order": self.order,
            "endpoints": sorted(self.endpoints),
            "models": dict(self.models),
            "default_model": self.default_model,
            "prefixes": list(self.prefixes),
            "takes_any": self.takes_any,
            "dialects": list(self.dialects),
            "credentials": list(self.credentials),
            "check": dict(self.check),
            "since": self.since,
            "listed": self.listed,
            "resets": dict(self.resets),
        }

    @classmethod
    def from_wire(cls, wire: Json, worker: str) -> "Offer":
        """Read the JSON form; raises KeyError, TypeError or ValueError on a foreign shape."""
        return cls(
            provider=str(wire["provider"]),
            order=int(wire["order"]),
            endpoints=frozenset(map(str, wire["endpoints"])),
            models={str(name): dict(facts) for name, facts in dict(wire["models"]).items()},
            default_model=str(wire["default_model"]),
            prefixes=tuple(map(str, wire["prefixes"])),
            takes_any=bool(wire["takes_any"]),
            dialects=tuple(map(str, wire["dialects"])),
            credentials=tuple(map(str, wire["credentials"])),
            check=dict(wire["check"]),
            since=float(wire["since"]),
            listed=float(wire.get("listed", 0.0)),
            resets={str(model): float(at) for model, at in dict(wire.get("resets", {})).items()},
            worker=worker,
        )


def stock_offer(worker: str, model_names: list[str], order: int = 1000) -> Offer:
    """The offer of an unmodified FastChat worker: its model names, chat and text completion, embeddings."""
    return Offer(
        provider="fastchat",
        order=order,
        endpoints=frozenset({"chat", "completions", "embeddings"}),
        models={name: {} for name in model_names},
        default_model=model_names[0] if model_names else "",
        worker=worker,
        kind="stock",
    )


class Deployment(NamedTuple):
    """A deployment that may serve this request, with one of its provider's credentials: a key of records by itself."""

    provider: str
    model: str
    worker: str
    kind: WorkerKind
    dialects: tuple[str, ...] = ("openai",)
    credential: str = ""
