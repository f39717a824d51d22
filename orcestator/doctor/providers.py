"""Every provider that is on: does its name resolve, does it answer, does it take the key, what does it list."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from orcestator.cluster import factory
from orcestator.doctor.finding import OK, PROBLEM, WARNING, Finding, State
from orcestator.doctor.progress import Waiting
from orcestator.errors import Overloaded, UpstreamError
from orcestator.routing.state.quota import QuotaBook
from orcestator.settings import ProviderSetting, Settings
from orcestator.upstream.http.client import Response, UpstreamClient
from orcestator.upstream.http.origin import Origin
from orcestator.upstream.http.timeouts import Timeouts
from orcestator.upstream.provider_client import ProviderClient

MOST_SKEW_SECONDS = 60.0
"""A Date header has whole seconds and travels; what is beyond a minute is a wrong clock."""


class Watch(UpstreamClient):
    """The process's client with somebody looking on: what came of the last request, which a link judges and forgets."""

    def __init__(self, client: UpstreamClient) -> None:
        # Nothing of the base class is set up: every call goes to the client that is watched.
        self._client = client
        self.fault: UpstreamError | Overloaded | None = None
        self.status = 0
        self.date = ""
        self.wall_at = 0.0
        self.seconds = 0.0

    async def send(
        self,
        origin: Origin,
        method: bytes,
        path: bytes,
        header_block: bytes,
        body: bytes,
        timeouts: Timeouts,
        *,
        deadline: float | None = None,
    ) -> Response:
        """Send it and note how that went."""
        began = time.monotonic()
        try:
            response = await self._client.send(origin, method, path, header_block, body, timeouts, deadline=deadline)
        except (UpstreamError, Overloaded) as fault:
            self.fault = fault
            raise
        finally:
            self.seconds, self.wall_at = time.monotonic() - began, time.time()
        self.status = response.status
        self.date = (response.headers.get(b"date") or b"").decode("latin-1")
        return response


_PROXY_REMEDY = "OR_UPSTREAM_PROXY, HTTPS_PROXY or ALL_PROXY names that proxy, or the provider's own setting `proxy`; `none` is for none."


@dataclass(frozen=True, slots=True)
class ProviderCheck:
    """A provider that was asked for its models."""

    link: ProviderClient
    finding: Finding
    skew_seconds: float | None = None


async def check_all(settings: Settings, client: UpstreamClient, waiting: Waiting) -> list[ProviderCheck]:
    """Ask all of them at once."""
    return list(await asyncio.gather(*(_check(settings, found, client, waiting) for found in settings.providers)))


async def _check(
    settings: Settings, provider: ProviderSetting, client: UpstreamClient, waiting: Waiting
) -> ProviderCheck:
    watch = Watch(client)
    link = factory.provider_client_maker(settings, watch, QuotaBook())(provider)
    if link.lists_models:
        found = await link.discover()
        finding = _judged(link, provider, watch, found=found)
    else:
        finding = Finding(_subject(link), OK, f"{_called(link)} has no list of models to ask for; --probe calls it")
    waiting.done(provider.row.name)
    return ProviderCheck(link, finding, _skew(watch))


def _called(link: ProviderClient) -> str:
    """Where it is called, and through what."""
    return f"{link.address} through the proxy {link.proxy.origin.host_and_port}" if link.proxy else link.address


def _subject(link: ProviderClient) -> str:
    return f"provider {link.row.name}"


def _judged(link: ProviderClient, provider: ProviderSetting, watch: Watch, *, found: bool) -> Finding:
    if watch.fault is not None:
        return _unreachable(link, watch.fault)
    if found:
        return _listed(link, watch)
    state, says, remedy = _refusal(watch.status, provider, link)
    return Finding(_subject(link), state, says, remedy)


def _listed(link: ProviderClient, watch: Watch) -> Finding:
    count = len(link.offer.models)
    says = f"{_called(link)} lists {count} model{'s' if count > 1 else ''} in {watch.seconds:.2f} s"
    if link.left_out:
        says += f", and {link.left_out} more, which are asked for as {link.row.name}/NAME only"
    default = link.row.default_model
    if not default or default in link.offer.models:
        return Finding(_subject(link), OK, says)
    return Finding(
        _subject(link),
        WARNING,
        f"{says}, but not its default model {default}",
        f"Set providers.{link.row.name}.default_model to a model that it has.",
    )


def _unreachable(link: ProviderClient, fault: UpstreamError | Overloaded) -> Finding:
    cause = getattr(fault, "cause", "")
    if link.proxy and cause in ("dns", "refused"):
        # It is the proxy that is looked for and connected to.
        cause = "proxy"
    remedies = {
        "dns": "Is the name right, and is this machine online?",
        "tls": "Is a proxy or a virus scanner in between, is the clock right, is the address right?",
        "refused": "Is the server running, and is the port right?",
        "proxy": _PROXY_REMEDY,
        "private_address": "If that is meant, name the address itself as the provider's base_url.",
    }
    return Finding(
        _subject(link),
        PROBLEM,
        f"{_called(link)} cannot be reached: {fault.message}",
        remedies.get(cause, "Is this machine online, and is a proxy needed (OR_UPSTREAM_PROXY)?"),
    )


def _refusal(status: int, provider: ProviderSetting, link: ProviderClient) -> tuple[State, str, str]:
    """(state, what it is like, what to do) for an answer that was no list of models."""
    key = provider.row.key_env or f"providers.{provider.row.name}.api_key"
    at = _called(link)
    if status in (401, 403):
        said = "refuses the key" if provider.keys else "wants a key"
        return PROBLEM, f"{at} answers and {said} ({status})", f"Put a valid key into {key}."
    if status == 402:
        return PROBLEM, f"{at} answers: the account has no money left (402)", "Top it up."
    if status == 429:
        return WARNING, f"{at} answers: too many requests (429)", "Wait a little, or raise the limit of the account."
    if status >= 500:
        return WARNING, f"{at} answers with an error of its own ({status})", "Wait; its status page may say more."
    if status == 200:
        return PROBLEM, f"{at} answers, but not with a list of models", _address_remedy(provider)
    remedy = _PROXY_REMEDY if status == 407 else _address_remedy(provider)
    return PROBLEM, f"{at} answers {status} to the question for its models", remedy


def after_probe(looked: ProviderCheck) -> Finding:
    """What was found, or that only its list is missing, where it has answered a call since."""
    finding = looked.finding
    if finding.state != PROBLEM or not looked.link.served:
        return finding
    return Finding(finding.subject, OK, f"{finding.says}; it answers calls, so that only its list of models is missing")


def _address_remedy(provider: ProviderSetting) -> str:
    variable = provider.row.base_url_env or f"providers.{provider.row.name}.base_url"
    return f"Is the address right? {variable} sets it."


def _skew(watch: Watch) -> float | None:
    """How far our clock is ahead, in seconds."""
    try:
        said = parsedate_to_datetime(watch.date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return watch.wall_at - said


def clock_finding(looked: Sequence[ProviderCheck]) -> Finding | None:
    """This machine's clock beside those of the providers; None when nobody told the time."""
    skews = sorted((found.skew_seconds for found in looked if found.skew_seconds is not None), key=abs)
    if not skews:
        return None
    # The nearest: several clocks are not wrong by the same amount.
    skew = skews[0]
    if abs(skew) <= MOST_SKEW_SECONDS:
        return Finding("clock", OK, "agrees with the providers'")
    side = "ahead of" if skew > 0 else "behind"
    return Finding(
        "clock",
        WARNING,
        f"{abs(skew):.0f} s {side} the providers'",
        "Set it, or switch its synchronisation on: keys with a time limit and TLS depend on it.",
    )
