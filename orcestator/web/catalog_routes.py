"""What is on offer, in the words of each dialect: model lists, one model, and what a request would count to."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from orcestator.dialects.anthropic.spoken_names import meant_name
from orcestator.dialects.gemini.models import model_card as gemini_card
from orcestator.dialects.gemini.models import model_list as gemini_list
from orcestator.dialects.ollama import catalog as ollama
from orcestator.errors import InvalidRequest
from orcestator.gateway.gateway import Gateway
from orcestator.json_text import Json
from orcestator.routing.planning.catalog import Catalog
from orcestator.server.json_body import parse_object
from orcestator.server.route_table import Asked, Endpoint, Reply
from orcestator.web.counting import Counting
from orcestator.web.models import model_card, model_list
from orcestator.web.routes import GEMINI_PREFIXES, GEMINI_VERBS


class CatalogRoutes:
    """The routes that ask nothing of a model."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._counting = Counting(gateway)

    def endpoints(self) -> Sequence[Endpoint]:
        """The rows of the table."""
        return (
            Endpoint("GET", "/v1/models", self._models),
            Endpoint("GET", "/v1/models/{}", self._model),
            Endpoint("GET", "/api/version", self._plainly(lambda: {"version": ollama.VERSION})),
            Endpoint("GET", "/api/tags", self._plainly(lambda: ollama.tags(self._catalog.cards()))),
            Endpoint("GET", "/api/ps", self._plainly(lambda: ollama.running(self._catalog.cards()))),
            Endpoint("POST", "/api/show", self._show),
            Endpoint("POST", "/v1/messages/count_tokens", self._count_messages),
            Endpoint("GET", "/v1beta/models", self._plainly(lambda: gemini_models(self._catalog))),
            Endpoint("GET", "/v1beta/models/{}", self._gemini_model),
            Endpoint("GET", "/v1alpha/models/{}", self._gemini_model),
            *(Endpoint("POST", prefix + "{}:countTokens", self._count_contents) for prefix in GEMINI_PREFIXES),
            *(Endpoint("POST", prefix + "{}:*", _refuse_verb) for prefix in GEMINI_PREFIXES),
        )

    @property
    def _catalog(self) -> Catalog:
        return self._gateway.catalog()

    def _plainly(self, make: Callable[[], Json]) -> Callable[[Asked], Any]:
        async def answer(_asked: Asked) -> Reply:
            return Reply(make())

        return answer

    async def _models(self, asked: Asked) -> Reply:
        headers = asked.headers
        if b"x-goog-api-key" in headers:
            return Reply(gemini_models(self._catalog))
        is_claude = b"anthropic-version" in headers or headers.get(b"user-agent", b"").startswith(b"claude-")
        return Reply(model_list(self._catalog, for_claude=is_claude))

    async def _model(self, asked: Asked) -> Reply:
        return Reply(model_card(self._catalog, meant_name(asked.name)))

    async def _gemini_model(self, asked: Asked) -> Reply:
        name, _, facts = self._catalog.card(asked.name)
        return Reply(gemini_card(name, facts))

    async def _count_messages(self, asked: Asked) -> Reply:
        return Reply(await self._counting.messages(await self._body(asked), asked.headers, asked.who.name))

    async def _count_contents(self, asked: Asked) -> Reply:
        body = await self._body(asked)
        return Reply(await self._counting.contents(asked.name, body, asked.headers, asked.who.name))

    async def _show(self, asked: Asked) -> Reply:
        body = parse_object(await self._body(asked), max_depth=self._gateway.policy.max_json_depth)
        name = body.get("model", body.get("name"))
        if not isinstance(name, str) or not name:
            raise InvalidRequest("'model' must be the name of a model; GET /api/tags lists them.", param="model")
        shown, _, facts = self._catalog.card(name.removesuffix(":latest"))
        return Reply(ollama.show(shown, facts))

    async def _body(self, asked: Asked) -> bytes:
        return await asked.read(self._gateway.policy.max_body_bytes)


def gemini_models(catalog: Catalog) -> Json:
    """The list of models as Gemini has it."""
    return gemini_list([(name, facts) for name, _, facts in catalog.cards()])


async def _refuse_verb(asked: Asked) -> NoReturn:
    """Behind a colon stands what is asked of a model."""
    verb = asked.scope["path"].rpartition(":")[2]
    raise InvalidRequest(
        f"'{verb}' is not offered here: use {', '.join(GEMINI_VERBS[:-1])} or {GEMINI_VERBS[-1]}.", param="model"
    )
