"""Model names to candidates: aliases, provider prefixes, and what each offer lists. Built once a snapshot, then read.

Never guesses silently: a name that nothing lists ends in ``ModelNotFound`` with the nearest names.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from math import inf
from typing import NamedTuple

from orcestator.errors import InvalidRequest, ModelNotFound, OrcestatorError, Overloaded
from orcestator.json_text import Json
from orcestator.routing.offer import Deployment, Offer
from orcestator.routing.planning.traits import Traits, traits_of
from orcestator.routing.reading.preferences import AUTO

UNKNOWN_SECONDS = 1
"""When to ask again while no worker is known; an API server looks for them as often."""
DEFAULT_ALIAS = "orcestator"
REMEMBERED_NAMES = 4096
"""Resolved names kept; a caller cannot grow the table beyond it."""
PRIORITY = "priority"
"""The strategy that keeps the order in which things were written down."""
_Group = tuple[Deployment, ...]


class HedgeLimit(NamedTuple):
    """What an alias says itself: how many of a hundred of its own requests may have a second call."""

    alias: str
    percent: float


class Alias(NamedTuple):
    """A public name: tiers of targets, tried tier by tier, in each the order that the strategy makes ("" the default one's).

    A target is ``provider/model`` or a bare model name. ``hedge_percent``: how many of a hundred requests for it may have a second
    call, None as the settings have it.
    """

    tiers: tuple[tuple[str, ...], ...]
    strategy: str = ""
    hedge_percent: float | None = None

    @classmethod
    def in_turn(cls, targets: Iterable[str]) -> "Alias":
        """An alias whose targets are tried strictly one after the other."""
        return cls(tuple((target,) for target in targets))


class Candidate(NamedTuple):
    """A candidate as a name led to it. ``is_paid_fallback``: it is only there for when all others have failed.

    ``rank`` is the place of that name among those the caller gave: an earlier name comes first whatever is asked of the order.
    """

    deployment: Deployment
    traits: Traits
    name: str
    tier: int
    is_paid_fallback: bool = False
    rank: int = 0


class Tier(NamedTuple):
    """Options among which the strategy ("" the default one) chooses.

    What follows them is worked out of them once, so that a look at the tier spares a look at each: whether all are switched
    on, the needs that some lack, the smallest context in tokens that is known of any, whether any has a limit of concurrency,
    whether any has a twin (the same deployment behind another worker or credential), and whether only some are free.
    ``hedge_limit`` is that of the alias to which it belongs, where that has its own.
    """

    strategy: str
    candidates: tuple[Candidate, ...]
    all_available: bool
    lacks: frozenset[str]
    least_context: float
    has_limits: bool
    has_twins: bool
    is_partly_free: bool
    hedge_limit: HedgeLimit | None = None


def tier_of(strategy: str, candidates: Sequence[Candidate], hedge_limit: HedgeLimit | None = None) -> Tier:
    """The tier of these candidates."""
    traits = [candidate.traits for candidate in candidates]
    deployments = {(candidate.deployment.provider, candidate.deployment.model) for candidate in candidates}
    return Tier(
        strategy,
        tuple(candidates),
        all_available=all(one.is_available for one in traits),
        lacks=frozenset().union(*(one.lacks for one in traits)),
        least_context=min((one.context_length or inf for one in traits), default=inf),
        has_limits=any(one.max_concurrent for one in traits),
        has_twins=len(deployments) < len(candidates),
        is_partly_free=len({one.is_free for one in traits}) > 1,
        hedge_limit=hedge_limit,
    )


class Catalog:
    """The names that can be asked for, over one snapshot of offers.

    ``default_targets`` are what the alias ``orcestator`` means first, aliases among them; after them come the default models of the
    other providers, so that it answers whichever providers are on. ``default_name`` means the same as ``orcestator``.
    ``auto`` is what the name ``auto`` chooses among; without it that is the same as ``orcestator``. ``paid_fallback`` is the target that
    stands behind every name for chat.
    """

    def __init__(
        self,
        offers: Iterable[Offer],
        aliases: Mapping[str, Alias] | None = None,
        default_targets: Sequence[str] = (),
        default_name: str = DEFAULT_ALIAS,
        auto: Alias | None = None,
        paid_fallback: str = "",
    ) -> None:
        self.offers = tuple(sorted(offers, key=lambda offer: (offer.order, offer.provider, offer.worker)))
        self._aliases = dict(aliases or {})
        self._default_targets = tuple(default_targets)
        self._default_names = (DEFAULT_ALIAS,) if default_name == DEFAULT_ALIAS else (DEFAULT_ALIAS, default_name)
        self._auto = auto
        self._paid_fallback = paid_fallback
        named = [*self._aliases.values(), *([auto] if auto else [])]
        self._strategies = frozenset(alias.strategy for alias in named)
        self._listed = frozenset(self.public_names()).union(*(offer.models for offer in self.offers))
        self._offers_at = {(offer.provider, offer.worker): offer for offer in self.offers}
        self._known_facts: dict[Deployment, Json] = {}
        self._known_traits: dict[Deployment, Traits] = {}
        self._resolved: dict[tuple[tuple[str, ...], str], tuple[Tier, ...]] = {}

    def tiers(self, names: tuple[str, ...], endpoint: str) -> tuple[Tier, ...]:
        """The candidates for the names a caller gave, at an endpoint, in tiers that are tried in turn.

        Raises Overloaded when there is no offer yet, ModelNotFound when nothing has any of the names, InvalidRequest when providers have them but not this endpoint.
        """
        found = self._resolved.get((names, endpoint))
        if found is None:
            found = self._resolve(names, endpoint)
            if len(self._resolved) < REMEMBERED_NAMES:
                self._resolved[names, endpoint] = found
        return found

    def uses(self, strategy: str) -> bool:
        """Whether any alias names this strategy."""
        return strategy in self._strategies

    @property
    def unnamed(self) -> str:
        """The name that a request without one means: the models of the configuration, where it lists some."""
        return AUTO if self._auto is not None else DEFAULT_ALIAS

    def facts(self, deployment: Deployment) -> Json:
        """What is known about a candidate's model; not to be changed."""
        found = self._known_facts.get(deployment)
        if found is None:
            found = self._known_facts[deployment] = self._facts(deployment)
        return found

    def knows(self, name: str) -> bool:
        """Whether the name is listed: what a metric label may carry."""
        return name in self._listed

    def traits(self, deployment: Deployment) -> Traits:
        """What is known about a candidate's model, in the form that routing reads."""
        found = self._known_traits.get(deployment)
        if found is None:
            found = self._known_traits[deployment] = traits_of(deployment.model, self.facts(deployment))
        return found

    def _resolve(self, names: tuple[str, ...], endpoint: str) -> tuple[Tier, ...]:
        tiers: list[Tier] = []
        seen: set[Deployment] = set()
        elsewhere: dict[str, list[Deployment]] = {}
        for rank, name in enumerate(names):
            for strategy, group in self._groups(name):
                able = [c for c in dict.fromkeys(group) if c not in seen and endpoint in self._endpoints(c)]
                elsewhere.setdefault(name, []).extend(c for c in group if endpoint not in self._endpoints(c))
                seen.update(able)
                self._add_tier(
                    tiers, strategy, [self._candidate(c, name, len(tiers), rank) for c in able], self._hedge_limit(name)
                )
        if not tiers:
            self._refuse(names, endpoint, {name: found for name, found in elsewhere.items() if found})
        if self._paid_fallback and endpoint == "chat":
            spare = [c for c in self._paid_deployments() if c not in seen and endpoint in self._endpoints(c)]
            candidates = [self._candidate(c, self._paid_fallback, len(tiers), len(names)) for c in spare]
            self._add_tier(tiers, PRIORITY, [candidate._replace(is_paid_fallback=True) for candidate in candidates])
        return tuple(tiers)

    def _paid_deployments(self) -> Iterable[Deployment]:
        """It is one place that was chosen to be paid for: an aggregator that lists the same name is another one."""
        target = self._paid_fallback
        found = dict.fromkeys(c for _, group in self._target_groups(target) for c in group)
        return [c for c in found if target.startswith(c.provider + "/")] or found

    def _candidate(self, deployment: Deployment, name: str, tier: int, rank: int) -> Candidate:
        traits = self.traits(deployment)
        return Candidate(deployment, traits, traits.name or name, tier, rank=rank)

    def _add_tier(
        self, tiers: list[Tier], strategy: str, candidates: Sequence[Candidate], limit: HedgeLimit | None = None
    ) -> None:
        if candidates:
            tiers.append(tier_of(strategy, candidates, limit))

    def _hedge_limit(self, name: str) -> HedgeLimit | None:
        """The limit of the alias that a name means; of several default targets the first counts."""
        if name not in self._aliases and name in self._default_names and self._default_targets:
            name = self._default_targets[0]
        alias = self._aliases.get(name)
        return None if alias is None or alias.hedge_percent is None else HedgeLimit(name, alias.hedge_percent)

    def _refuse(self, names: tuple[str, ...], endpoint: str, elsewhere: Mapping[str, Sequence[Deployment]]) -> None:
        if not elsewhere:
            raise self._not_found(names[0])
        name, deployments = next(iter(elsewhere.items()))
        providers = sorted({deployment.provider for deployment in deployments})
        do = "does" if len(providers) == 1 else "do"
        raise InvalidRequest(
            f"The model '{name[:128]}' is served by {', '.join(providers)}, which {do} not offer {endpoint}.",
            param="model",
        )

    def _endpoints(self, deployment: Deployment) -> frozenset[str]:
        return self._offers_at[deployment.provider, deployment.worker].endpoints

    def _groups(self, name: str) -> Iterator[tuple[str, _Group]]:
        """(strategy, candidates) of a name, tier by tier."""
        if name in self._aliases:
            yield from self._alias_groups(self._aliases[name], (name,))
        elif name == AUTO and self._auto is not None:
            yield from self._alias_groups(self._auto)
        elif name in self._default_names or name == AUTO:
            for target in self._default_targets:
                yield from self._alias_groups(self._meant(target), (target,))
            for offer in self.offers:
                if offer.default_model:
                    yield PRIORITY, deployments_of(offer, offer.default_model)
        else:
            yield from self._target_groups(name)

    def _meant(self, target: str) -> Alias:
        """What a default target stands for."""
        return self._aliases.get(target) or (self._auto if target == AUTO else None) or Alias.in_turn([target])

    def _alias_groups(self, alias: Alias, within: tuple[str, ...] = ()) -> Iterator[tuple[str, _Group]]:
        """A tier of one target is tried as that name is; of several, each one's surest candidates are equals.

        A target that is itself an alias stands for what that leads to; ``within`` are the aliases that led here, whose names
        are models' from here on.
        """
        for targets in alias.tiers:
            if len(targets) == 1:
                yield from self._member_groups(targets[0], alias.strategy, within)
            else:
                surest = [next(self._member_groups(target, "", within), ("", ()))[1] for target in targets]
                yield alias.strategy, tuple(deployment for group in surest for deployment in group)

    def _member_groups(self, target: str, strategy: str, within: tuple[str, ...]) -> Iterator[tuple[str, _Group]]:
        inner = None if target in within else self._aliases.get(target)
        if inner is not None:
            yield from self._alias_groups(inner, (*within, target))
        else:
            yield from ((strategy, group) for _, group in self._target_groups(target))

    def _matches(self, name: str) -> Iterator[Deployment]:
        for _, group in self._groups(name):
            yield from group

    def _target_groups(self, name: str) -> Iterator[tuple[str, _Group]]:
        """Exact and prefixed names first, then an aggregator's ``vendor/name`` for a bare ``name``, then a try.

        A name that begins with a provider says whose it is: nobody else is tried with it.
        """
        found = [(offer, model) for offer in self.offers if (model := upstream_name(offer, name))]
        sure = [c for offer, model in found if not _is_guess(offer, name, model) for c in deployments_of(offer, model)]
        if sure:
            yield "", tuple(sure)
        if "/" not in name:
            vendored = tuple(self._vendored(name))
            if vendored:
                yield "", vendored
        if not any(name.startswith(offer.provider + "/") for offer in self.offers):
            guesses = [
                c for offer, model in found if _is_guess(offer, name, model) for c in deployments_of(offer, model)
            ]
            if guesses:
                yield PRIORITY, tuple(guesses)

    def _vendored(self, name: str) -> Iterator[Deployment]:
        for offer in self.offers:
            vendored = [model for model in offer.models if model.endswith("/" + name)]
            if len(vendored) == 1 and name not in offer.models:
                yield from deployments_of(offer, vendored[0])

    def _not_found(self, name: str) -> OrcestatorError:
        """What is wrong with a name that nothing has; before any worker is known nobody can say that the name is wrong."""
        if not self.offers:
            return Overloaded(
                "No worker is known yet: none has registered at the controller.",
                code="no_worker",
                headers={"retry-after": str(UNKNOWN_SECONDS)},
            )
        return ModelNotFound(self._not_found_sentence(name), param="model")

    def _not_found_sentence(self, name: str) -> str:
        near = [public for public in self.nearest(name) if public != name]
        hint = f" Did you mean {_either(near)}?" if near else " GET /v1/models lists what there is."
        return f"The model '{name[:128]}' does not exist here.{hint}"

    def nearest(self, name: str) -> list[str]:
        """Up to three public names that look like ``name``."""
        return get_close_matches(name[:128], self.public_names(), n=3, cutoff=0.5)

    def public_names(self) -> list[str]:
        """Every name worth showing: ``orcestator``, the aliases, and ``provider/model``."""
        names = [*self._default_names, *self._aliases]
        names += [f"{offer.provider}/{model}" for offer in self.offers for model in offer.models]
        return list(dict.fromkeys(names))

    def cards(self) -> list[tuple[str, str, Json]]:
        """(public name, owner, facts) for ``/v1/models``; an alias has the facts of its first candidate."""
        cards = [(name, "orcestator", self._alias_facts(name)) for name in (*self._default_names, *self._aliases)]
        cards += [
            (f"{offer.provider}/{model}", offer.provider, dict(facts))
            for offer in self.offers
            for model, facts in offer.models.items()
        ]
        return list({card[0]: card for card in reversed(cards)}.values())[::-1]

    def card(self, name: str) -> tuple[str, str, Json]:
        """The card of one public name; raises ModelNotFound."""
        first = next(self._matches(name), None)
        if first is None:
            raise self._not_found(name)
        owner = "orcestator" if name in self._default_names or name in self._aliases else first.provider
        return name, owner, self._facts(first)

    def _alias_facts(self, name: str) -> Json:
        first = next(self._matches(name), None)
        return self._facts(first) if first else {}

    def _facts(self, deployment: Deployment) -> Json:
        offer = self._offers_at.get((deployment.provider, deployment.worker))
        return dict(offer.models.get(deployment.model, {})) if offer else {}


def upstream_name(offer: Offer, name: str) -> str:
    """What this offer's upstream calls the model, or "" when the offer does not have it.

    ``provider/model`` is taken on the caller's word: providers add models faster than lists are read, and the
    upstream's own 404 is the better answer.
    """
    if name in offer.models:
        return name
    if name.startswith(offer.provider + "/"):
        return name[len(offer.provider) + 1 :]
    if offer.takes_any or name.startswith(offer.prefixes):
        return name
    return ""


def deployments_of(offer: Offer, model: str) -> _Group:
    """The model at an offer, once for each credential."""
    return tuple(
        Deployment(offer.provider, model, offer.worker, offer.kind, offer.dialects, credential)
        for credential in offer.credentials
    )


def _is_guess(offer: Offer, name: str, model: str) -> bool:
    """Whether nothing but ``takes_any`` says that the offer has the name."""
    return model == name and name not in offer.models and not name.startswith(offer.prefixes)


def _either(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " or " + quoted[-1]
