"""What the tests of this room write: events that a request leaves."""

from tests.recorded_events import attempt_ended, request_ended

__all__ = ["attempt_ended", "request_ended"]
