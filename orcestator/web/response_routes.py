"""Kept responses by their id, and the one thing about them that is not offered: a WebSocket."""

import re
from collections.abc import Mapping, Sequence
from typing import NoReturn

from orcestator.errors import ClientError, InvalidRequest
from orcestator.gateway.conversations import Conversations
from orcestator.json_text import Json
from orcestator.server.route_table import UPGRADE, Asked, Endpoint, Reply

PREFIX = "/v1/responses"
_ID = re.compile(r"[\w.-]{1,256}")


class UpgradeRefused(ClientError):
    """A WebSocket was asked for. Codex goes on over HTTP at once on this status, and retries on others."""

    status = 426
    default_code = "websocket_not_offered"


class ResponseRoutes:
    """What callers may do with the responses that were kept for them."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    def endpoints(self) -> Sequence[Endpoint]:
        """The rows of the table."""
        return (
            Endpoint("GET", PREFIX + "/{}", self._response),
            Endpoint("DELETE", PREFIX + "/{}", self._remove),
            Endpoint("GET", PREFIX + "/{}/input_items", self._input_items),
            Endpoint("POST", PREFIX + "/{}/cancel", _refuse_to_cancel),
            Endpoint(UPGRADE, PREFIX, _refuse_upgrade),
        )

    async def _response(self, asked: Asked) -> Reply:
        return Reply(await self._conversations.response(asked.who.id, _id_in(asked)))

    async def _remove(self, asked: Asked) -> Reply:
        await self._conversations.remove(asked.who.id, _id_in(asked))
        return Reply({"id": asked.name, "object": "response", "deleted": True})

    async def _input_items(self, asked: Asked) -> Reply:
        page = _page(asked.query)
        return Reply(await self._conversations.input_items(asked.who.id, _id_in(asked), **page))


async def _refuse_to_cancel(_asked: Asked) -> NoReturn:
    raise InvalidRequest("Only responses made with 'background' can be cancelled, which is not offered here.")


async def _refuse_upgrade(_asked: Asked) -> NoReturn:
    """The edge refuses an upgrade itself; one that a proxy in front of us took the word out of comes as far as here."""
    raise UpgradeRefused("There is no WebSocket here: send the request with POST.", headers={"upgrade": "HTTP/1.1"})


def _id_in(asked: Asked) -> str:
    if not _ID.fullmatch(asked.name):
        raise InvalidRequest("A response's id looks like 'resp_…'.", param="response_id")
    return asked.name


def _page(query: Mapping[str, str]) -> Json:
    """What part of a list is wanted. Raises InvalidRequest."""
    page: Json = {"newest_first": query.get("order") != "asc"}
    if query.get("after"):
        page["after"] = query["after"]
    if query.get("limit"):
        if not query["limit"].isdigit():
            raise InvalidRequest("'limit' must be a whole number from 1 to 100.", param="limit")
        page["limit"] = int(query["limit"])
    return page
