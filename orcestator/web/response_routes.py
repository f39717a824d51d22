"""Kept responses by their id, and the one thing about them that is not offered: a WebSocket."""

import re
from typing import Any
from urllib.parse import parse_qs

from orcestator.errors import ClientError, InvalidRequest, MethodNotAllowed
from orcestator.gateway.conversations import Conversations
from orcestator.server.asgi import Scope, Send, send_json

Json = dict[str, Any]
PREFIX = "/v1/responses"
_PATH = re.compile(r"/v1/responses/(?P<id>[\w.-]{1,256})(?P<more>/input_items|/cancel)?")


class UpgradeRefused(ClientError):
    """A WebSocket was asked for. Codex goes on over HTTP at once on this status, and retries on others."""

    status = 426
    default_code = "websocket_not_offered"


async def serve_response(conversations: Conversations, owner: str, scope: Scope, send: Send) -> None:
    """GET, DELETE or list what is kept. Raises OrcestatorError."""
    path, method = scope["path"], scope["method"]
    if path.rstrip("/") == PREFIX:
        _refuse_upgrade(scope)
        raise MethodNotAllowed(f"{PREFIX} takes POST.", headers={"allow": "POST"})
    found = _PATH.fullmatch(path)
    if found is None:
        raise InvalidRequest("A response's id looks like 'resp_…'.", param="response_id")
    if found["more"] == "/cancel":
        raise InvalidRequest("Only responses made with 'background' can be cancelled, which is not offered here.")
    if method == "DELETE" and not found["more"]:
        await conversations.remove(owner, found["id"])
        await send_json(send, 200, {"id": found["id"], "object": "response", "deleted": True})
    elif method != "GET":
        raise MethodNotAllowed(f"{path} takes GET and DELETE.", headers={"allow": "GET, DELETE"})
    elif found["more"]:
        page = _page(scope["query_string"])
        await send_json(send, 200, await conversations.input_items(owner, found["id"], **page))
    else:
        await send_json(send, 200, await conversations.response(owner, found["id"]))


def _refuse_upgrade(scope: Scope) -> None:
    """The edge refuses an upgrade itself; one that a proxy in front of us took the word out of comes as far as here."""
    if any(name == b"sec-websocket-key" for name, _ in scope["headers"]):
        raise UpgradeRefused("There is no WebSocket here: send the request with POST.", headers={"upgrade": "HTTP/1.1"})


def _page(query: bytes) -> Json:
    """What part of a list is wanted. Raises InvalidRequest."""
    asked = {name: values[-1] for name, values in parse_qs(query.decode("latin-1")).items()}
    page: Json = {"newest_first": asked.get("order") != "asc"}
    if "after" in asked:
        page["after"] = asked["after"]
    if "limit" in asked:
        if not asked["limit"].isdigit():
            raise InvalidRequest("'limit' must be a whole number from 1 to 100.", param="limit")
        page["limit"] = int(asked["limit"])
    return page
