"""What is on offer, in the words of each dialect: model lists, one model, and what a request would count to."""

from collections.abc import Callable, Mapping
from typing import Any

from orcestator.dialects.gemini.models import model_card as gemini_card
from orcestator.dialects.gemini.models import model_list as gemini_list
from orcestator.dialects.ollama import catalog as ollama
from orcestator.errors import InvalidRequest, MethodNotAllowed
from orcestator.gateway.gateway import Gateway
from orcestator.routing.planning.catalog import Catalog
from orcestator.server.asgi import Receive, Scope, Send, header_map, send_json
from orcestator.server.json_body import parse_object, read_body
from orcestator.server.request_id import request_id_of
from orcestator.web.counting import Counting
from orcestator.web.models import model_card
from orcestator.web.routes import GEMINI_PATH, GEMINI_VERBS

Json = dict[str, Any]
SHOW = "/api/show"
COUNT_MESSAGES = "/v1/messages/count_tokens"
_POSTS = (SHOW, COUNT_MESSAGES)


class CatalogRoutes:
    """The routes of other dialects than OpenAI's that ask nothing of a model."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._gets: Mapping[str, Callable[[], Json]] = {
            "/api/version": lambda: {"version": ollama.VERSION},
            "/api/tags": lambda: ollama.tags(self._catalog.cards()),
            "/api/ps": lambda: ollama.running(self._catalog.cards()),
            "/v1beta/models": lambda: gemini_models(self._catalog),
        }
        self._counting = Counting(gateway)

    def serves(self, path: str) -> bool:
        """Whether a path is one of these."""
        if path in self._gets or path in _POSTS or path.startswith(("/v1beta/models/", "/v1alpha/models/")):
            return True
        # Google's SDK has said v1 since its third version, which is where OpenAI's callers look up one model.
        return path.startswith("/v1/models/") and GEMINI_PATH.fullmatch(path) is not None

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one of them. Raises OrcestatorError."""
        path, method = scope["path"], scope["method"]
        headers = header_map(scope["headers"])
        who = self._gateway.admission.admit(scope, headers), request_id_of(headers)
        if path in self._gets:
            _require(path, method, "GET")
            await send_json(send, 200, self._gets[path]())
        elif path == SHOW:
            _require(path, method, "POST")
            body = parse_object(await self._body(receive), max_depth=self._gateway.policy.max_json_depth)
            await send_json(send, 200, self._show(body))
        elif path == COUNT_MESSAGES:
            _require(path, method, "POST")
            await send_json(send, 200, await self._counting.messages(await self._body(receive), scope, *who))
        else:
            await send_json(send, 200, await self._gemini(path, method, receive, scope, who))

    @property
    def _catalog(self) -> Catalog:
        return self._gateway.catalog()

    async def _body(self, receive: Receive) -> bytes:
        return await read_body(receive, self._gateway.policy.max_body_bytes)

    async def _gemini(self, path: str, method: str, receive: Receive, scope: Scope, who: tuple[str, str]) -> Json:
        # Behind a colon stands what is asked of a model, or else a part of its name.
        found = None if method in ("GET", "HEAD") else GEMINI_PATH.fullmatch(path)
        if found is None:
            _require(path, method, "GET")
            asked = path.partition("/models/")[2]
            if path.startswith("/v1/"):
                return model_card(self._catalog, asked)
            name, _, facts = self._catalog.card(asked)
            return gemini_card(name, facts)
        if found["verb"] != "countTokens":
            raise InvalidRequest(
                f"'{found['verb']}' is not offered here: use {', '.join(GEMINI_VERBS[:-1])} or {GEMINI_VERBS[-1]}.",
                param="model",
            )
        _require(path, method, "POST")
        return await self._counting.contents(found["model"], await self._body(receive), scope, *who)

    def _show(self, body: Json) -> Json:
        name = body.get("model", body.get("name"))
        if not isinstance(name, str) or not name:
            raise InvalidRequest("'model' must be the name of a model; GET /api/tags lists them.", param="model")
        shown, _, facts = self._catalog.card(name.removesuffix(":latest"))
        return ollama.show(shown, facts)


def gemini_models(catalog: Catalog) -> Json:
    """The list of models as Gemini has it."""
    return gemini_list([(name, facts) for name, _, facts in catalog.cards()])


def _require(path: str, method: str, wanted: str) -> None:
    if method != wanted and not (wanted == "GET" and method == "HEAD"):
        raise MethodNotAllowed(f"{path} takes {wanted}.", headers={"allow": wanted})
