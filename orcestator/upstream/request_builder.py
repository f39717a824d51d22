"""What is said to an upstream in one attempt: in which dialect, with which bytes, and what had to be left out.

A body whose dialect the upstream speaks goes through as it came; any other is translated from the canonical call.
"""

from collections.abc import Callable, Mapping
from functools import partial

from orcestator.dialects.canonical import Target, UpstreamDialect
from orcestator.dialects.custom_tools import emulated_custom_tools
from orcestator.dialects.embeddings import Embedder, size_in, texts_in
from orcestator.dialects.fitting import within_output_limit
from orcestator.dialects.multipart import with_model_field
from orcestator.dialects.openai.adapt import adapted
from orcestator.dialects.openai.foreign import DETAILS_BACK, REASONING_BACK, to_openai
from orcestator.dialects.openai.memory import Remember
from orcestator.dialects.openai.request import upstream_body, written_body
from orcestator.dialects.tool_names import NO_ALIASES, PLAIN_NAMES, with_fitting_names
from orcestator.errors import CannotExpress, InvalidRequest
from orcestator.json_text import Json, dumps
from orcestator.providers.rows import EMBEDDINGS, NO_STREAM_OPTIONS, STRICT_BODY, Provider
from orcestator.upstream.answer_reader import EVENT_STREAMS
from orcestator.upstream.call import COUNT, OPENAI, UpstreamCall
from orcestator.upstream.dialect_table import UPSTREAM_DIALECTS
from orcestator.upstream.reasoning_cache import KEPT, ReasoningCache, restored
from orcestator.upstream.upstream_request import UpstreamRequest

CHAT = "chat"
HINTS = frozenset(
    {
        *(
            "cache_control",
            "messages.reasoning_content",
            "messages.reasoning_details",
            "prompt_cache_key",
            "prompt_cache_retention",
        ),
        *("tools.strict", "tools.function.strict", "tools.cache_control", "metadata", "user", "store", "service_tier"),
        *("metadata.user_id", "safety_identifier"),
        *("include", "context_management", "messages.name", "messages.image_url.detail", "betas", "anthropic_beta"),
    }
)
"""What changes no answer's meaning when it is left out: named, and never a reason to refuse."""
OUTPUT_LIMIT = "max_output_tokens"
_NO_FACTS: Json = {}
_PUT_BACK = {f"messages.{name}": name for name in KEPT}
_EXTENSIONS = frozenset({"reasoning", "top_k"})
_SIGNING = frozenset({"anthropic", "gemini", "responses"})
_BACK = frozenset({REASONING_BACK, DETAILS_BACK})


class RequestBuilder:
    """Makes the requests to one provider. ``vault`` is None where the provider wants nothing back."""

    def __init__(self, row: Provider, vault: ReasoningCache | None) -> None:
        self._row = row
        self._vault = vault
        self._facts = {facts.id: facts.to_wire() for facts in (*row.known, *row.models)}
        self._fills: Mapping[str, str] = dict(row.filled)
        self._prefix = row.prefix_of(OPENAI)

    def learn(self, models: Mapping[str, Json]) -> None:
        """What the provider's own list says about its models."""
        self._facts |= models

    def speech(self, model: str, order: UpstreamCall) -> UpstreamRequest:
        """The request for one attempt. Raises CannotExpress for what this upstream cannot be told."""
        is_chat = order.endpoint == CHAT
        make: Callable[[str, UpstreamCall], UpstreamRequest]
        if order.endpoint == COUNT or (is_chat and order.dialect != OPENAI and order.dialect in self._row.dialects):
            make = self._relayed
        elif is_chat:
            preferred = str(self._facts.get(model, _NO_FACTS).get("dialect") or self._row.dialect)
            make = self._plain if preferred == OPENAI else partial(self._translated, preferred)
        else:
            make = self._embedding_maker(order) or self._other
        try:
            speech = make(model, order)
        except InvalidRequest as refusal:
            if make == self._other:
                raise
            # Another candidate may take it.
            raise CannotExpress(f"{self._row.name}: {refusal.message}", refusal.param) from refusal
        lost = [name for name in speech.dropped if name not in HINTS] if order.is_strict else []
        if lost:
            raise CannotExpress(
                f"{self._row.name} cannot express {', '.join(lost)}; leave it out, or do not ask for strict.", lost[0]
            )
        return speech

    def _embedding_maker(self, order: UpstreamCall) -> Callable[[str, UpstreamCall], UpstreamRequest] | None:
        """What puts embeddings in the upstream's own words; None where it takes OpenAI's."""
        if order.endpoint != EMBEDDINGS or self._row.dialect == OPENAI or self._row.other_prefix:
            return None
        dialect = UPSTREAM_DIALECTS[self._row.dialect]
        return None if dialect.embedder is None else partial(self._embedding, dialect, dialect.embedder)

    def _other(self, model: str, order: UpstreamCall) -> UpstreamRequest:
        body = self._openai_body(model, order, order.call)
        return UpstreamRequest(self._row.other_prefix + order.path, body, dropped=order.unread)

    def _embedding(
        self, dialect: UpstreamDialect, embedder: Embedder, model: str, order: UpstreamCall
    ) -> UpstreamRequest:
        """Embeddings asked of an upstream that has an API of its own for them."""
        call = order.call or {}
        body = embedder.request(texts_in(call), model, size_in(call))
        dropped = ("user",) if "user" in call else ()
        path = self._row.prefix_of(dialect.name) + embedder.path(model)
        return UpstreamRequest(path, dumps(body), dialect, dropped=(*order.unread, *dropped))

    def _relayed(self, model: str, order: UpstreamCall) -> UpstreamRequest:
        dialect = UPSTREAM_DIALECTS[order.dialect]
        own, body, span = order.own or {}, order.body, order.model_span
        if dialect.clean is not None and (cleaned := dialect.clean(own)) is not None:
            own, body, span = cleaned, dumps(cleaned), None
        lowered: list[str] = []
        most = self._facts.get(model, _NO_FACTS).get(OUTPUT_LIMIT)
        if most and dialect.limited is not None and not self._is_chosen(model, order):
            own, lowered = dialect.limited(own, most)
            if lowered:
                body, span = dumps(own), None
        if dialect.names_model:
            body = upstream_body(body, own, model, asks_usage=False, model_span=span)
        if order.endpoint == COUNT and dialect.count_path is not None:
            path = dialect.count_path(model)
        else:
            path = dialect.relay_path(model, order.streamed)
        path = self._row.prefix_of(dialect.name) + path
        return UpstreamRequest(path, body, dialect, relays=True, dropped=tuple(lowered))

    def _translated(self, name: str, model: str, order: UpstreamCall) -> UpstreamRequest:
        dialect = UPSTREAM_DIALECTS[name]
        target = Target(self._row.name, model, order.streamed, self._facts.get(model, {}), self._fills)
        call, refused = self._taken(model, order)
        customs: frozenset[str] = frozenset()
        if not dialect.takes_custom_tools:
            call, customs = emulated_custom_tools(call)
        call, names = with_fitting_names(call, dialect.tool_names)
        wire = dialect.request(call, target)
        dropped = (*order.unread, *refused, *_losses_of(order.call or {}, wire.dropped))
        path = self._row.prefix_of(name) + wire.path
        return UpstreamRequest(
            path,
            dumps(wire.body),
            dialect,
            dropped=dropped,
            remember=self._remember(order),
            custom_tools=customs,
            tool_names=names,
        )

    def _plain(self, model: str, order: UpstreamCall) -> UpstreamRequest:
        call, refused = self._taken(model, order)
        dropped = (*order.unread, *refused) if refused else order.unread
        # OpenAI-dialect callers' own extensions pass, but where the upstream is known to refuse what it does not know.
        names: Mapping[str, str] = NO_ALIASES
        if order.is_foreign or (STRICT_BODY in self._row.quirks and not _EXTENSIONS.isdisjoint(call)):
            call, names = with_fitting_names(call, PLAIN_NAMES)
            call, more = to_openai(call, self._row.quirks, self._facts.get(model, {}))
            dropped += more
        elif ("max_tokens" in call or "max_completion_tokens" in call) and not self._is_chosen(model, order):
            # Whoever chose this very model knows what it writes; where we chose it, nobody does.
            call, lowered = within_output_limit(call, self._facts.get(model, _NO_FACTS).get(OUTPUT_LIMIT))
            dropped += tuple(lowered)
        body = self._openai_body(model, order, call)
        remember = None if self._vault is None else self._remember(order)
        return UpstreamRequest(self._prefix + order.path, body, dropped=dropped, remember=remember, tool_names=names)

    def _is_chosen(self, model: str, order: UpstreamCall) -> bool:
        """Whether the caller asked for this very model, by its name or behind its provider's."""
        return order.shown_model in (model, f"{self._row.name}/{model}")

    def _taken(self, model: str, order: UpstreamCall) -> tuple[Json, tuple[str, ...]]:
        """The call with what the provider wants back and without what the model refuses, and the names of that."""
        call = order.call or {}
        if self._vault is not None:
            call = restored(call, order.owner, self._vault)
        refuses = self._facts.get(model, _NO_FACTS).get("refused_parameters")
        refused = tuple([name for name in refuses if name in call]) if refuses else ()
        if not refused:
            return call, ()
        return {name: value for name, value in call.items() if name not in refused}, refused

    def _remember(self, order: UpstreamCall) -> Remember | None:
        vault, owner = self._vault, order.owner
        return None if vault is None else lambda message: vault.keep(owner, message)

    def _openai_body(self, model: str, order: UpstreamCall, call: Json | None) -> bytes:
        if call is None:
            return with_model_field(order.body, order.content_type, model)
        quirks = self._row.quirks
        takes_options = NO_STREAM_OPTIONS not in quirks
        asks = order.streamed and order.endpoint in EVENT_STREAMS and takes_options
        if quirks:
            call = adapted(call, quirks)
            if not takes_options and "stream_options" in call:
                call = {name: value for name, value in call.items() if name != "stream_options"}
        if call is order.call and order.dialect == OPENAI:
            return upstream_body(order.body, call, model, asks_usage=asks, model_span=order.model_span)
        return written_body(call, model, asks_usage=asks)


def _losses_of(asked: Json, dropped: tuple[str, ...]) -> tuple[str, ...]:
    """What the caller itself lost: reasoning that only the vault put back is none of it."""
    return tuple(name for name in dropped if name not in _PUT_BACK or _has_in_messages(asked, _PUT_BACK[name]))


def _has_in_messages(call: Json, name: str) -> bool:
    messages = call.get("messages")
    return isinstance(messages, list) and any(isinstance(message, dict) and name in message for message in messages)


def wants_reasoning_back(row: Provider) -> bool:
    """Whether this provider's models need on the next turn what they said on the last one."""
    return not _SIGNING.isdisjoint(row.dialects) or not _BACK.isdisjoint(row.quirks)
