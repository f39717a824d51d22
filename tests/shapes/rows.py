"""What the rows of the table share. Where a right value is disputable, the row says which was chosen and why."""

from tests.shapes.forms import (
    FORMS,
    PLAIN,
    UPSTREAMS,
    Form,
)  # fmt: skip
from tests.shapes.shape import Right

W, BEFORE, AFTER, REFUSED, EITHER, EITHER_AFTER = Right
SSE = tuple(name for name in UPSTREAMS if FORMS[name].is_sse)
LINES = ("ollama", "yandex")
TALK = 3
"""So many words have gone out when something happens in the middle of a stream."""
LATE = 2.4
"""Seconds to the first content: more than a pause later may last, less than the first content may take."""


def text_until(form: Form, words: int) -> list[bytes]:
    """The events of a stream up to so many words."""
    return form.events(PLAIN)[: form.opening + words]
