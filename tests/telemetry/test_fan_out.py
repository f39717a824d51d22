"""Every subscriber gets every event."""

from collections.abc import Callable

from orcestator.routing.events import Event, RequestEnded
from orcestator.telemetry.fan_out import fan_out


def test_every_sink_gets_every_event_in_order(request_ended: Callable[..., RequestEnded]) -> None:
    seen: list[tuple[str, Event]] = []
    emit = fan_out([lambda event: seen.append(("first", event)), lambda event: seen.append(("second", event))])
    event = request_ended()
    emit(event)
    assert seen == [("first", event), ("second", event)]
