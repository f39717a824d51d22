"""What a body is by its first bytes, whatever its label says."""

BLANK = b" \t\r\n\xef\xbb\xbf"
"""White space and the bytes of a byte-order mark: they say nothing, and some upstreams send blank lines while they work."""
_EVENT_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_PAGES = (b"<!doctype", b"<html", b"<?xml")


def begins_as_json(body: bytes) -> bool:
    """Whether it can only be a JSON object or array."""
    return body.lstrip(BLANK)[:1] in (b"{", b"[")


def begins_as_events(body: bytes) -> bool:
    """Whether it begins with a line of server-sent events."""
    return body.lstrip(BLANK).startswith(_EVENT_FIELDS)


def begins_as_page(body: bytes) -> bool:
    """Whether it is a page for people: what a proxy or a portal in between answers."""
    return body.lstrip(BLANK)[:16].lower().startswith(_PAGES)


def is_text(body: bytes) -> bool:
    """Whether the bytes can be text: pictures and sound have control characters or no valid UTF-8 at their beginning."""
    head = body[:512]
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as problem:
        if len(head) - problem.start >= 4:  # else it is a character that was cut
            return False
        text = head[: problem.start].decode("utf-8")
    return all(char.isprintable() or char.isspace() for char in text)
