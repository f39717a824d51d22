"""The API server's application: which path is served by what. Raw ASGI; unknown paths go to the stock FastChat app."""

from collections.abc import Awaitable, Callable

from orcestator.errors import MethodNotAllowed, OrcestatorError, RouteNotFound
from orcestator.routing.catalog import Catalog
from orcestator.web.admission import header_map
from orcestator.web.asgi import App, Receive, Scope, Send, send_error, send_json
from orcestator.web.exchange import Exchange, Gateway, Route
from orcestator.web.health import Health
from orcestator.web.models import model_card, model_list
from orcestator.web.request_id import request_id_of

MODEL_ROUTES: dict[str, Route] = {
    "/v1/chat/completions": Route("chat", "chat", "/chat/completions"),
    "/v1/completions": Route("completions", "completions", "/completions"),
    "/v1/embeddings": Route("embeddings", "embeddings", "/embeddings"),
    "/v1/images/generations": Route("images", "images", "/images/generations"),
    "/v1/moderations": Route("moderations", "moderations", "/moderations"),
    "/v1/audio/speech": Route("audio", "audio", "/audio/speech"),
    "/v1/audio/transcriptions": Route("audio", "audio", "/audio/transcriptions", multipart=True),
    "/v1/audio/translations": Route("audio", "audio", "/audio/translations", multipart=True),
}
STOCK_PREFIXES = ("/api/v1/token_check", "/v1/engines/")
"""What the stock API server offers and we do not replace (contract C4)."""
MODEL_ROUTES |= {f"/api{path}": route for path, route in MODEL_ROUTES.items()}
"""``/api/v1/…`` is where FastChat's own chat route is, and where other routers put theirs: the same as ``/v1/…``."""

PlainRoute = Callable[[Scope, Send], Awaitable[None]]


class ApiApp:
    """``stock`` gives the stock FastChat application when one of its routes is asked for, or None without it."""

    def __init__(self, gateway: Gateway, health: Health, stock: Callable[[], Awaitable[App | None]]) -> None:
        self._gateway = gateway
        self._stock = stock
        self._plain: dict[str, PlainRoute] = {
            "/": self._welcome,
            "/health": health.health,
            "/ready": health.ready,
            "/v1/models": self._models,
            "/api/v1/models": self._models,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path: str = scope["path"]
        route = MODEL_ROUTES.get(path)
        if route is not None and scope["method"] == "POST":
            await Exchange(self._gateway, route, send).serve(scope, receive)
            return
        try:
            await self._other(path, route, scope, receive, send)
        except OrcestatorError as error:
            await send_error(send, error, request_id_of(header_map(scope["headers"])))

    async def _other(self, path: str, route: Route | None, scope: Scope, receive: Receive, send: Send) -> None:
        if route is not None:
            raise MethodNotAllowed(f"{path} takes POST.", headers={"allow": "POST"})
        plain = self._plain.get(path) or (self._model if path.startswith("/v1/models/") else None)
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
        await send_json(send, 200, model_list(self._catalog()))

    async def _model(self, scope: Scope, send: Send) -> None:
        self._admit(scope)
        name = scope["path"].removeprefix("/v1/models/")
        await send_json(send, 200, model_card(self._catalog(), name))
