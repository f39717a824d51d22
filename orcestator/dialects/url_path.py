"""Names of callers as parts of an upstream's URL: the one place that puts one there."""

from urllib.parse import quote

from orcestator.errors import InvalidRequest


def segment(name: str, param: str = "model") -> str:
    """``name`` as one segment of a path, whatever is in it: it can neither end the segment nor begin a query.

    Raises InvalidRequest that names ``param`` for what must not get as far as an upstream even when it is escaped: a dot
    segment, since some servers take ``%2F`` back before they resolve ``..`` (RFC 3986, 5.2.4 and 7.3), a control character, and
    half of a surrogate pair, which no URL can hold.
    """
    if not name or not {".", ".."}.isdisjoint(name.replace("\\", "/").split("/")):
        raise InvalidRequest(f"'{param}' must be a name without the parts '.' and '..'.", param=param)
    if any(char < " " or "\x7f" <= char < "\xa0" or "\ud800" <= char <= "\udfff" for char in name):
        raise InvalidRequest(f"'{param}' must be a name without control characters.", param=param)
    return quote(name, safe="")
