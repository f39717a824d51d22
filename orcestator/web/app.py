"""The API server's application: which path is served by what. Raw ASGI; unknown paths go to the stock FastChat app."""

import logging
from collections.abc import Awaitable, Callable

from orcestator.dialects.anthropic.spoken_names import meant_name
from orcestator.errors import MethodNotAllowed, OrcestatorError, RouteNotFound
from orcestator.gateway.cors import preflight, readable_by
from orcestator.gateway.error_reply import send_failure
from orcestator.gateway.exchange import Exchange
from orcestator.gateway.gateway import Gateway
from orcestator.routing.planning.catalog import Catalog
from orcestator.server.asgi import App, Receive, Scope, Send, header_map, send_json
from orcestator.server.json_body import CallerLeft
from orcestator.server.request_id import request_id_of
from orcestator.server.route_table import RouteGroup, RouteTable
from orcestator.web.admin.health import Health
from orcestator.web.admin.status_routes import StatusRoutes
from orcestator.web.catalog_routes import CatalogRoutes, gemini_models
from orcestator.web.models import model_card, model_list
from orcestator.web.response_routes import PREFIX as RESPONSES_PREFIX
from orcestator.web.response_routes import serve_response
from orcestator.web.routes import MODEL_ROUTES, caller_at, match

logger = logging.getLogger(__name__)

STOCK_PREFIXES = ("/api/v1/token_check", "/v1/engines/")
"""What the stock API server offers and we do not replace (contract C4)."""

MODELS_PREFIX = "/v1/models/"

PlainRoute = Callable[[Scope, Send], Awaitable[None]]


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
        management: RouteGroup,
    ) -> None:
        self._gateway = gateway
        self._stock = stock
        self._management = management
        self._plain: dict[str, PlainRoute] = {
            "/": self._welcome,
            # Claude Code looks here whether anybody is at home.
            "/api/hello": self._welcome,
            "/health": health.health,
            "/api/v1/health": health.health,
            "/ready": health.ready,
            "/v1/models": self._models,
        }
        self._groups: tuple[RouteGroup, ...] = (
            management,
            RouteTable(status.endpoints(), gateway.admission.admit),
            CatalogRoutes(gateway),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path: str = scope["path"]
        matched = match(path, scope["query_string"])
        if matched is not None and scope["method"] == "POST":
            await Exchange(self._gateway, matched.route, scope, send, matched.from_path).serve(receive)
            return
        headers = header_map(scope["headers"])
        origin = headers.get(b"origin")
        try:
            if origin is not None and not self._management.serves(path):
                send = readable_by(origin, self._gateway.admission, send)
                if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
                    await preflight(origin, headers, self._gateway.admission, send)
                    return
            await self._other(path, scope, receive, send)
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
        return (
            match(path, b"") is not None
            or path in self._plain
            or path.startswith((RESPONSES_PREFIX, MODELS_PREFIX, *STOCK_PREFIXES))
            or any(group.serves(path) for group in self._groups)
        )

    async def _other(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if path.startswith(RESPONSES_PREFIX):
            owner = self._gateway.admission.admit(scope, header_map(scope["headers"]))
            await serve_response(self._gateway.conversations, owner, scope, send)
            return
        if match(path, b"") is not None:
            raise MethodNotAllowed(f"{path} takes POST.", headers={"allow": "POST"})
        for group in self._groups:
            if group.serves(path):
                await group.serve(scope, receive, send)
                return
        plain = self._plain.get(path) or (self._model if path.startswith(MODELS_PREFIX) else None)
        if plain is not None:
            if scope["method"] not in ("GET", "HEAD"):
                raise MethodNotAllowed(f"{path} takes GET.", headers={"allow": "GET, HEAD"})
            await plain(scope, send)
            return
        if path.startswith(STOCK_PREFIXES):
            self._admit(scope)
            stock = await self._stock()
            if stock is not None:
                await stock(scope, receive, send)
                return
        raise RouteNotFound(f"There is nothing at {path[:200]}. The API is under /v1; /v1/models lists the models.")

    def _admit(self, scope: Scope) -> None:
        self._gateway.admission.admit(scope, header_map(scope["headers"]))

    def _catalog(self) -> Catalog:
        return self._gateway.catalog()

    async def _welcome(self, _scope: Scope, send: Send) -> None:
        routes = sorted([*MODEL_ROUTES, *self._plain])
        await send_json(send, 200, {"name": "orcestator", "api": "/v1", "routes": routes})

    async def _models(self, scope: Scope, send: Send) -> None:
        self._admit(scope)
        headers = header_map(scope["headers"])
        if b"x-goog-api-key" in headers:
            await send_json(send, 200, gemini_models(self._catalog()))
        else:
            is_claude = b"anthropic-version" in headers or headers.get(b"user-agent", b"").startswith(b"claude-")
            await send_json(send, 200, model_list(self._catalog(), for_claude=is_claude))

    async def _model(self, scope: Scope, send: Send) -> None:
        self._admit(scope)
        name = meant_name(scope["path"].removeprefix(MODELS_PREFIX))
        await send_json(send, 200, model_card(self._catalog(), name))


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
