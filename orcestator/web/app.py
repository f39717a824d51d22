"""The API server's application: which path is served by what. Raw ASGI; unknown paths go to the stock FastChat app."""

import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from orcestator.errors import OrcestatorError, RouteNotFound
from orcestator.gateway.cors import mark_for_page, preflight
from orcestator.gateway.error_reply import send_failure
from orcestator.gateway.exchange import Exchange
from orcestator.gateway.gateway import Gateway, Route
from orcestator.server.asgi import App, Receive, Scope, Send, header_map
from orcestator.server.json_body import CallerLeft
from orcestator.server.request_id import request_id_of
from orcestator.server.route_table import ANY, NAME, PUBLIC, Asked, Door, Endpoint, Group, Reply, RouteTable, Takeover
from orcestator.web.admin.health import Health
from orcestator.web.admin.status_routes import StatusRoutes
from orcestator.web.catalog_routes import CatalogRoutes
from orcestator.web.response_routes import ResponseRoutes
from orcestator.web.routes import MODEL_ROWS, ModelRow, caller_at

logger = logging.getLogger(__name__)

STOCK_PATHS = ("/api/v1/token_check", "/v1/engines/{}")
"""What the stock API server offers and we do not replace (contract C4)."""
MODEL, CALLER = "model", "caller"
"""The doors of model calls, which let their callers in themselves, and of everything else that callers may ask."""


class ApiApp:
    """``stock`` gives the stock FastChat application when one of its routes is asked for, or None without it.

    ``status`` is for everybody who may call; ``management`` has a door of its own.
    """

    def __init__(
        self,
        gateway: Gateway,
        health: Health,
        stock: Callable[[], Awaitable[App | None]],
        status: StatusRoutes,
        management: Group,
    ) -> None:
        self._gateway = gateway
        self._stock = stock
        # Claude Code looks at ``/api/hello`` whether anybody is at home.
        welcome = [Endpoint("GET", path, self._welcome) for path in ("/", "/api/hello")]
        others = (CatalogRoutes(gateway), ResponseRoutes(gateway.conversations), status)
        self._table = RouteTable(
            (
                Group(Door(MODEL), [Takeover("POST", row.path, partial(self._call, row)) for row in MODEL_ROWS]),
                Group(PUBLIC, [*welcome, *health.endpoints()]),
                Group(
                    Door(CALLER, gateway.admission.admit),
                    [
                        *(row for routes in others for row in routes.endpoints()),
                        *(Takeover(ANY, path, self._stock_route) for path in STOCK_PATHS),
                    ],
                ),
                management,
            ),
            " The API is under /v1; /v1/models lists the models.",
        )
        self._admin = management.door
        self._model_routes: Mapping[str, Route] = {row.path: row.route for row in MODEL_ROWS if NAME not in row.path}
        """The table's rows for most requests, by their path alone."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Serve one request. Of most it is the exchange itself that is awaited."""
        if scope["method"] == "POST":
            route = self._model_routes.get(scope["path"])
            if route is not None:
                return Exchange(self._gateway, route, scope, send).serve(receive)
        return self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        headers = header_map(scope["headers"])
        origin = headers.get(b"origin")
        try:
            if origin is not None and not self._answers_pages(path, scope["method"], headers):
                mark_for_page(origin, self._gateway.admission, send)
                if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
                    await preflight(origin, headers, self._gateway.admission, send)
                    return
            await self._table.serve(scope, receive, send)
        except CallerLeft:
            return
        except OrcestatorError as error:
            await send_failure(send, error, request_id_of(headers), caller=caller_at(path, scope["method"]))
        except Exception as error:
            request_id = request_id_of(headers)
            logger.exception("a bug ended a request", extra={"request_id": request_id})
            inside = OrcestatorError(f"orcestator failed inside ({type(error).__name__}); the log has more.")
            await send_failure(send, inside, request_id, caller=caller_at(path, scope["method"]))

    def serves(self, path: str) -> bool:
        """Whether there is anything at the path, whatever the method."""
        return self._table.serves(path)

    def _answers_pages(self, path: str, method: str, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the answer says by itself what pages may read of it: a model call's does, and management's is for none."""
        if self._table.door_of(path) is self._admin:
            return True
        found = self._table.found(path, method, headers)
        return found is not None and found.door.name == MODEL

    async def _call(self, row: ModelRow, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        route = row.route_for(scope["query_string"])
        await Exchange(self._gateway, route, scope, send, row.body_fields(name)).serve(receive)

    async def _stock_route(self, scope: Scope, receive: Receive, send: Send, _name: str) -> None:
        stock = await self._stock()
        if stock is None:
            raise RouteNotFound(f"There is nothing at {scope['path'][:200]}: FastChat is not installed.")
        await stock(scope, receive, send)

    async def _welcome(self, _asked: Asked) -> Reply:
        routes = self._table.paths(MODEL, PUBLIC.name, CALLER)
        return Reply({"name": "orcestator", "api": "/v1", "routes": routes})


class UnderBasePath:
    """The application under a path of its own as well, for a reverse proxy that hands whole paths on.

    ``base_path`` begins with a slash and ends in none. A path that the application serves as it is stays as it is: with
    ``/api`` the routes under ``/api/v1`` are those they always were.
    """

    def __init__(self, app: ApiApp, base_path: str) -> None:
        self._app = app
        self._base_path = base_path
        self._prefix = f"{base_path}/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path: str = scope["path"]
        if path == self._base_path:
            path += "/"
        if path.startswith(self._prefix) and not self._app.serves(path):
            # In place: the edge reads from this very scope what the application puts into it.
            scope["path"] = path[len(self._base_path) :]
        await self._app(scope, receive, send)
