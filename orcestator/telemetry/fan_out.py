"""Hands each event to every subscriber. Must never do more than that: it runs on the event loop."""

from collections.abc import Iterable

from orcestator.routing.events import Event, EventSink


def fan_out(sinks: Iterable[EventSink]) -> EventSink:
    """One sink that calls all ``sinks``, in their order."""
    every = tuple(sinks)

    def emit(event: Event) -> None:
        for sink in every:
            sink(event)

    return emit
