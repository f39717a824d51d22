"""Which providers are on, with which key and address: a key that is there switches its provider on."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from orcestator.errors import StartupProblem
from orcestator.providers.models import ModelFacts
from orcestator.providers.rows import (
    BEARER,
    CHAT,
    DIALECT_AUTH,
    DIALECT_HEADERS,
    ENDPOINTS,
    ROWS,
    SANDBOX,
    TEXT_ENDPOINTS,
    Provider,
    find_row,
    joined,
)
from orcestator.providers.secret import Secret
from orcestator.settings.choices import FURTHER_KEYS, NO_PROXY, LimitName, Limits, ProviderSetting
from orcestator.settings.environment import Variables
from orcestator.settings.fields import field, present
from orcestator.settings.known_facts import with_known_facts
from orcestator.settings.problems import Place, no_provider, problem, quoted, unknown
from orcestator.settings.sources import Given, Values, text_in
from orcestator.settings.values import boolean, count, number, one_of, proxy_address, secret, text_of, words
from orcestator.settings.yaml_file import Items, Leaf, Node, Section
from orcestator.upstream.http.origin import Origin

KEYS = (
    *("enabled", "api_key", "api_keys", "limits"),
    *("base_url", "proxy", "dialect", "query", "default_model", "models", "endpoints", "order"),
)
MODEL_KEYS = (
    *("id", "name", "context_length", "context_size", "max_output_tokens"),
    *("supported_parameters", "input_modalities", "dialect"),
)
DIALECTS = tuple(DIALECT_AUTH)
CUSTOM_ORDER = 150
"""Where a provider of one's own stands that says nothing else: after the services with keys, before the aggregator."""
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}\Z")
_BRACES = re.compile(r"\{(\w+)\}")
_QUERY = re.compile(r"\?[\w.~%+=&-]{1,256}\Z")


@dataclass(frozen=True, slots=True)
class Choice:
    """The outcome."""

    providers: tuple[ProviderSetting, ...]
    rows: tuple[Provider, ...]
    sandbox_fallback: bool
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Keys:
    """Credentials; ``missing`` are the variables that should have held more. ``are_tokens``: they are short-lived ones."""

    secrets: tuple[Secret, ...] = ()
    missing: tuple[str, ...] = ()
    are_tokens: bool = False


def choose_providers(
    variables: Variables, section: Section | None, given: Values, added: Sequence[ProviderSetting] = ()
) -> Choice:
    """The providers that are on; ``given`` has ``only_providers`` and ``provider_order``. Raises StartupProblem when one that was asked for cannot be.

    ``added`` are those that a person added while the program ran; one of the configuration with the same name stands in for it.
    """
    configured, sections = _known(section)
    rows = _with_added(configured, sections, added)
    only, order = (_named(given.get(name), rows) for name in ("only_providers", "provider_order"))
    added_names = {setting.row.name for setting in added}
    notices: list[str] = []
    chosen: list[ProviderSetting] = []
    for row in configured:
        if only and row.name not in only:
            continue
        is_wished = row.name in order or row.name in only
        is_demanded = row.name in only and row.name not in added_names
        chooser = _Chooser(variables, row, sections.get(row.name), is_demanded, is_wished)
        setting = chooser.setting()
        notices += chooser.notices
        if setting is not None:
            chosen.append(setting)
    known = with_known_facts([setting.row for setting in chosen])
    chosen = [replace(setting, row=row) for setting, row in zip(chosen, known, strict=True)]
    wanted = [setting for setting in added if not only or setting.row.name in only]
    in_the_way = {*sections, *(setting.row.name for setting in chosen)}
    for setting in wanted:
        if setting.row.name in in_the_way:
            notices.append(
                f"The provider '{setting.row.name}' is as the configuration has it: the one that was added is not used."
            )
        else:
            chosen.append(setting)
    fallback = not chosen
    if fallback:
        sandbox = next(row for row in rows if row.name == SANDBOX)
        chosen = [ProviderSetting(with_known_facts([sandbox])[0], sandbox.base_url, (), 1)]
    places = _places(rows, sections, order)
    placed = [replace(setting, order=places[setting.row.name]) for setting in chosen]
    return Choice(tuple(sorted(placed, key=lambda setting: setting.order)), rows, fallback, tuple(notices))


def _known(section: Section | None) -> tuple[tuple[Provider, ...], dict[str, Section]]:
    """All rows, those of the file's own providers included, and the file's sections by name."""
    sections: dict[str, Section] = {}
    rows = list(ROWS)
    for name, node in (section.nodes if section else {}).items():
        if isinstance(node, Leaf) and node.is_null:
            continue
        if not isinstance(node, Section):
            raise problem(node.place, node.path, "must be a section with enabled, api_key, base_url …")
        node.require_known(KEYS)
        sections[name] = node
        if find_row(name) is None:
            rows.append(_custom_row(name, node))
    return tuple(rows), sections


def _custom_row(name: str, section: Section) -> Provider:
    if present(section, "base_url") is None:
        names = [row.name for row in ROWS]
        raise unknown(section.place, section.path, "a known provider and has no base_url", names)
    if not NAME.match(name):
        raise problem(section.place, section.path, "must be a name of a-z, 0-9, _ and -, at most 32 long")
    dialect = dialect_in(section) or "openai"
    auth = DIALECT_AUTH[dialect]
    return Provider(
        name=name,
        title=name,
        base_url="",
        base_url_env="",
        source="",
        order=CUSTOM_ORDER,
        endpoints=TEXT_ENDPOINTS if dialect == "openai" else frozenset({CHAT}),
        dialect=dialect,
        headers=DIALECT_HEADERS.get(dialect, ()),
        auth_header=auth.header,
        auth_scheme=auth.scheme,
        checked="",
    )


def dialect_in(section: Section, spoken: tuple[str, ...] = DIALECTS) -> str:
    """The dialect that a section names, one of those ``spoken``; "" for none. Raises StartupProblem."""
    return field(section, "dialect", lambda raw: one_of(text_of(raw), spoken, {}), default="")


def _named(given: Given | None, rows: tuple[Provider, ...]) -> tuple[str, ...]:
    names: tuple[str, ...] = given.value if given else ()
    known = {row.name for row in rows}
    for name in names:
        if given and name not in known:
            raise no_provider(given.place, given.key, name, known)
    return names


def _places(rows: tuple[Provider, ...], sections: dict[str, Section], order: tuple[str, ...]) -> dict[str, int]:
    """The place of every provider that is known, on or off: a worker that knows one key has to give the same number
    as the others, or their providers would be tried in another order than in one process."""

    def rank(row: Provider) -> tuple[int, int]:
        section = sections.get(row.name)
        own = row.order if section is None else field(section, "order", count, row.order)
        return (order.index(row.name) if row.name in order else len(order), own)

    return {row.name: place for place, row in enumerate(sorted(rows, key=rank), 1)}


def no_providers(section: Section | None, added: Sequence[ProviderSetting] = ()) -> Choice:
    """The choice of a program that calls no provider: it still knows their names, for aliases."""
    rows, sections = _known(section)
    return Choice((), _with_added(rows, sections, added), False, ())


def _with_added(
    rows: Sequence[Provider], sections: Mapping[str, Section], added: Sequence[ProviderSetting]
) -> tuple[Provider, ...]:
    """All rows, with those of the added providers that the file says nothing of behind the others of the same order."""
    more = {setting.row.name: setting.row for setting in added if setting.row.name not in sections}
    return (*(row for row in rows if row.name not in more), *more.values())


class _Chooser:
    """Decides about one provider."""

    def __init__(self, variables: Variables, row: Provider, section: Section | None, named: bool, wished: bool) -> None:
        self.notices: list[str] = []
        self._variables = variables
        self._section = section or Section(f"providers.{row.name}", Place("configuration"))
        self._row = row
        self._enabled = field(self._section, "enabled", boolean, default=None)
        self._is_demanded = named or self._enabled is True
        self._is_named = self._is_demanded or wished or section is not None

    def setting(self) -> ProviderSetting | None:
        """The provider with its key and address, or None when it is off."""
        row = self._overridden(self._row)
        dialect = dialect_in(self._section, row.dialects)
        base_url, was_given = self._base_url(row)
        if self._enabled is False:
            return None
        keys = self._keys()
        if not self._is_on(row, keys, was_given):
            return None
        texts = self._words(row, base_url)
        if texts is None:
            return None
        if row.retired:
            self.notices.append(f"{row.title} was retired on {row.retired} and may not answer ({row.source}).")
        row, base_url = _spoken_to(_filled(row, texts), _fill(base_url, texts), dialect)
        if keys.are_tokens:
            row = replace(row, auth_header=BEARER.header, auth_scheme=BEARER.scheme, also_auth=())
        if keys.missing:
            self.notices.append(f"{row.name} has fewer keys: {_listed(keys.missing)} not set.")
        proxy = field(self._section, "proxy", proxy_address, NO_PROXY)
        return ProviderSetting(row, base_url, keys.secrets, row.order, limits_in(self._section), proxy=proxy)

    def _is_on(self, row: Provider, keys: _Keys, address_was_given: bool) -> bool:
        if keys.secrets:
            return self._is_named or not row.only_named
        if keys.missing:
            self.notices.append(f"{row.name} is off: {_listed(keys.missing)} not set.")
            return False
        if row.key_env:
            if self._is_demanded:
                raise StartupProblem(f"{row.name} is switched on but has no key: set {row.key_env}.")
            return False
        return self._is_demanded or address_was_given

    def _overridden(self, row: Provider) -> Provider:
        section = self._section
        return replace(
            row,
            query=field(section, "query", _query, row.query),
            default_model=field(section, "default_model", text_of, row.default_model),
            order=field(section, "order", count, row.order),
            endpoints=field(section, "endpoints", _endpoints, row.endpoints),
            models=tuple(_models(present(section, "models"), row.dialects)) or row.models,
        )

    def _base_url(self, row: Provider) -> tuple[str, bool]:
        """The address, and whether somebody gave it. Raises StartupProblem for one that cannot be used."""
        node = present(self._section, "base_url")
        if node is not None:
            return _checked(row, text_in(node), node.place, node.path), True
        variable = self._variables.get(row.base_url_env)
        if variable is not None:
            return _checked(row, variable.text.strip(), variable.place, variable.name), True
        return row.base_url, False

    def _keys(self) -> _Keys:
        """What the file says; where it says nothing, what is in the environment."""
        one = present(self._section, "api_key")
        if isinstance(one, Items):
            raise problem(one.place, one.path, "must be one value, not a list; api_keys takes several")
        written = [*_leaves(one), *_leaves(present(self._section, "api_keys"))]
        if written:
            missing = tuple(dict.fromkeys(leaf.missing for leaf in written if leaf.missing))
            held = tuple(dict.fromkeys(_secret_at(leaf) for leaf in written if not leaf.missing))
            return _Keys(held, missing)
        row = self._row
        endings = ("", *(f"_{place}" for place in FURTHER_KEYS))
        both = (row.key_env, row.also_key_env)
        found = [self._secret_in(*(name and name + ending for name in both)) for ending in endings]
        keys = tuple(dict.fromkeys(key for key in found if key is not None))
        token = None if keys else self._secret_in(row.token_env)
        return _Keys(keys) if token is None else _Keys((token,), are_tokens=True)

    def _secret_in(self, *names: str) -> Secret | None:
        found = [variable for variable in map(self._variables.get, names) if variable is not None]
        keys = {variable.text.strip() for variable in found}
        if len(keys) > 1:
            first, second = found
            raise problem(
                second.place, f"{first.name} and {second.name}", "are the same key and are set to different ones"
            )
        for variable in found:
            try:
                return secret(variable.text)
            except ValueError as fault:
                raise problem(variable.place, variable.name, str(fault)) from fault
        return None

    def _words(self, row: Provider, base_url: str) -> dict[str, str] | None:
        """What stands for the ``{words}`` of the row; None and a notice when the variable for one is not set."""
        used = {word for text in (base_url, *_texts(row)) for word in _BRACES.findall(text)}
        texts: dict[str, str] = {}
        for word, name in row.fills:
            variable = self._variables.get(name)
            if word not in used:
                continue
            if variable is None:
                missing = f"{row.base_url_env} or {name}" if f"{{{word}}}" in base_url else name
                if self._is_demanded:
                    raise StartupProblem(f"{row.name} is switched on but cannot be used: set {missing}.")
                self.notices.append(f"{row.name} is off: {missing} is not set.")
                return None
            texts[word] = variable.text.strip()
            if f"{{{word}}}" in base_url:
                _checked(row, _fill(base_url, texts), variable.place, name)
        return texts


def _leaves(node: Node | None) -> tuple[Leaf, ...]:
    """The values under a key that takes one or a list of them; what is null or empty is not there."""
    items = node.nodes if isinstance(node, Items) else () if node is None else (node,)
    for item in items:
        if not isinstance(item, Leaf):
            raise problem(item.place, item.path, "must be a single value")
    return tuple(item for item in items if isinstance(item, Leaf) and (item.text.strip() or item.missing))


def _secret_at(leaf: Leaf) -> Secret:
    try:
        return secret(leaf.text)
    except ValueError as fault:
        raise problem(leaf.place, leaf.path, str(fault)) from fault


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def limits_in(section: Section) -> Limits:
    """``limits:`` of a provider or a model. Raises StartupProblem."""
    node = present(section, "limits")
    if node is None:
        return {}
    names: tuple[LimitName, ...] = get_args(LimitName)
    if not isinstance(node, Section):
        raise problem(node.place, node.path, f"must be a section with {', '.join(names)}")
    node.require_known(names)
    found = {name: field(node, name, lambda raw: number(raw, 0), default=None) for name in names}
    return {name: most for name, most in found.items() if most is not None}


def _texts(row: Provider) -> Iterator[str]:
    """The parts of a row that may have words in braces, its address aside."""
    yield row.default_model
    yield from (facts.id for facts in row.models)
    yield from (text for _, text in row.headers)


def _fill(text: str, texts: Mapping[str, str]) -> str:
    return _BRACES.sub(lambda match: texts.get(match[1], match[0]), text)


def _filled(row: Provider, texts: Mapping[str, str]) -> Provider:
    return replace(
        row,
        default_model=_fill(row.default_model, texts),
        models=tuple(replace(facts, id=_fill(facts.id, texts)) for facts in row.models),
        headers=tuple((name, _fill(text, texts)) for name, text in row.headers),
        filled=tuple(texts.items()),
    )


def _spoken_to(row: Provider, base_url: str, dialect: str) -> tuple[Provider, str]:
    """The provider in the dialect that was asked for, and in no other: that dialect's address becomes its base URL."""
    if not dialect:
        return row, base_url
    if dialect == row.dialect:
        return replace(row, also=()), base_url
    scheme, _, rest = base_url.partition("://")
    host, slash, path = rest.partition("/")
    auth = row.auth_of(dialect)
    spoken = replace(
        row,
        dialect=dialect,
        also=(),
        other_prefix="",
        also_auth=(),
        headers=row.headers_of(dialect),
        auth_header=auth.header,
        auth_scheme=auth.scheme,
        models_path="",
        endpoints=row.endpoints if dialect == "openai" else row.endpoints & {CHAT},
    )
    return spoken, f"{scheme}://{host}{joined(slash + path, row.prefix_of(dialect))}"


_CALLED_PATH = re.compile(
    r"(?:(?<=/v1)|(?<=/v1beta)|(?<=/v2))/(?:completions|responses|embeddings|messages|models)$|/chat/completions$|/api/chat$|/api/generate$"
)
"""What is put behind a base URL for a call; a word alone may be where a gateway has its API."""


def _checked(row: Provider, text: str, place: Place, key: str) -> str:
    try:
        Origin.from_url(text)
    except StartupProblem as fault:
        raise problem(place, key, f"is not an address that can be used: {fault.message}") from fault
    called = _CALLED_PATH.search(text.rstrip("/"))
    if called is not None:
        base = text[: called.start()]
        raise problem(place, key, f"is the address of one call: leave out '{called[0]}', so that it is {base}")
    return usual_address(row, text)


def usual_address(row: Provider, text: str) -> str:
    """The address of the compatible API for an address by which the provider is known.

    A host without a path gets the path that the API usually has there (``http://localhost:11434`` is Ollama's).
    """
    address = text.rstrip("/")
    if address in row.same_as:
        return row.base_url
    host = address.partition("://")[2]
    usual_path = row.base_url.partition("://")[2].partition("/")[2]
    return f"{address}/{usual_path}" if usual_path and "/" not in host else address


def _query(raw: str | list[str]) -> str:
    query = text_of(raw)
    if not _QUERY.match(query):
        raise ValueError(f"must be a query such as ?api-version=2024-10-21, not {quoted(query)}")
    return query


def _endpoints(raw: str | list[str]) -> frozenset[str]:
    return frozenset(one_of(name, tuple(sorted(ENDPOINTS)), {}) for name in words(raw))


def _models(node: Node | None, spoken: tuple[str, ...]) -> Iterator[ModelFacts]:
    """A list of names, of sections with ``MODEL_KEYS``, or of both."""
    if node is None:
        return
    if not isinstance(node, Items):
        raise problem(node.place, node.path, "must be a list of models")
    for item in node.nodes:
        if isinstance(item, Section):
            item.require_known(MODEL_KEYS)
            yield ModelFacts(
                id=field(item, "id", text_of, "") or field(item, "name", text_of, ""),
                context_length=_first(field(item, name, count, 0) for name in ("context_length", "context_size")),
                max_output_tokens=_first([field(item, "max_output_tokens", count, 0)]),
                supported_parameters=field(item, "supported_parameters", words, ()),
                input_modalities=field(item, "input_modalities", words, ()),
                dialect=dialect_in(item, spoken),
            )
        else:
            yield ModelFacts(text_in(item))


def _first(counts: Iterable[int]) -> int | None:
    return next(filter(None, counts), None)
