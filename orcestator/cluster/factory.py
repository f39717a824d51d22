"""From settings to parts. Each function builds one; nothing here runs anything."""

import ipaddress
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from orcestator.bridge.carrier import Carrier, Carriers, LocalCarrier
from orcestator.bridge.control import ControlClient
from orcestator.bridge.controller_app import ControllerApp
from orcestator.bridge.directory import Names
from orcestator.bridge.registration_policy import RegistrationPolicy, is_loopback, require_safe
from orcestator.bridge.registry import WorkerRegistry
from orcestator.bridge.stock.carrier import StockCarrier
from orcestator.bridge.worker_carrier import WorkerCarrier
from orcestator.bridge.worker_ping import WorkerPing
from orcestator.cluster.recording import Recording
from orcestator.cluster.router import Router
from orcestator.gateway.admission import Admission, AdmissionPolicy
from orcestator.gateway.call_rules import CallLimits
from orcestator.gateway.conversations import Conversations, Shelf
from orcestator.gateway.gateway import ExchangePolicy, Gateway
from orcestator.routing.events import EventSink
from orcestator.routing.state.quota import QuotaBook
from orcestator.server.body_budget import BodyBudget
from orcestator.server.drain import Drain
from orcestator.server.edge import EdgeLimits
from orcestator.server.failed_logins import FailedLogins
from orcestator.settings import Settings
from orcestator.settings.choices import ProviderSetting
from orcestator.store.documents import Document, open_documents
from orcestator.store.engines import open_rows
from orcestator.store.kept_responses import KeptResponses
from orcestator.store.kept_rows import GUARANTEES, KeptRows
from orcestator.store.kept_turns import Change
from orcestator.store.schema import RECORDS
from orcestator.telemetry.background import BackgroundWriter
from orcestator.upstream.http.client import UpstreamClient
from orcestator.upstream.http.origin import Origin
from orcestator.upstream.http.proxies import proxy_for
from orcestator.upstream.http.timeouts import Timeouts
from orcestator.upstream.provider_client import ProviderClient, ProviderTimeouts


def edge_limits(settings: Settings) -> EdgeLimits:
    """What a connection to one of our servers may cost."""
    return EdgeLimits(
        max_header_bytes=settings.max_header_bytes,
        max_header_fields=settings.max_header_fields,
        max_body_bytes=settings.max_body_bytes,
        header_timeout=settings.header_timeout_seconds,
        body_timeout=settings.body_timeout_seconds,
        write_stall_seconds=settings.write_stall_seconds,
        keep_alive_seconds=int(settings.keep_alive_seconds),
        max_connections=settings.max_connections,
        max_connections_per_peer=settings.max_connections_per_ip,
    )


def make_upstream_client(settings: Settings) -> UpstreamClient:
    """The process's HTTP client."""
    return UpstreamClient(
        connections_per_origin=settings.connections_per_provider,
        pending_per_origin=2 * settings.connections_per_provider,
        max_reply_bytes=settings.max_reply_bytes,
        max_event_bytes=settings.max_event_bytes,
    )


def provider_timeouts(settings: Settings) -> ProviderTimeouts:
    """How long a provider is waited for."""
    return ProviderTimeouts(
        connect=settings.connect_timeout_seconds,
        tls=settings.tls_timeout_seconds,
        first_token=settings.first_token_timeout_seconds,
        first_token_reasoning=settings.first_token_timeout_reasoning_seconds,
        whole_reply=settings.whole_reply_timeout_seconds,
        idle=settings.idle_timeout_seconds,
        total=settings.total_timeout_seconds,
        comments_count=settings.keepalive_counts,
    )


def provider_client_maker(
    settings: Settings, client: UpstreamClient, quota: QuotaBook
) -> Callable[[ProviderSetting], ProviderClient]:
    """What makes a link for a provider that is switched on."""
    waiting = provider_timeouts(settings)

    def make(provider: ProviderSetting) -> ProviderClient:
        proxy = proxy_for(
            Origin.from_url(provider.base_url)[0],
            own=provider.proxy.reveal(),
            general=settings.upstream_proxy.reveal(),
            spared=settings.upstream_no_proxy,
        )
        keys = provider.keys
        return ProviderClient(provider.row, provider.base_url, keys, provider.order, client, waiting, quota, proxy)

    return make


def make_carriers(
    settings: Settings, client: UpstreamClient, link_of: Callable[[str], ProviderClient | None], pulse: WorkerPing
) -> Carriers:
    """The ways an attempt can go from this process."""
    waiting = Timeouts(
        connect=settings.connect_timeout_seconds,
        idle=settings.idle_timeout_seconds,
        total=settings.total_timeout_seconds,
    )
    local = LocalCarrier(link_of)
    # A stock worker has no use for the cluster's secret, and could call our own workers with it.
    control = ControlClient(client, None)
    return Carriers(
        local,
        WorkerCarrier(client, settings.worker_secret, provider_timeouts(settings), pulse),
        StockCarrier(client, control, waiting),
    )


def make_kept_responses(settings: Settings, recording: Recording, *, is_shared: bool) -> Shelf | None:
    """Where responses are kept beyond this process, if anywhere. ``is_shared``: other API servers keep theirs there."""
    if not settings.db_path:
        return None
    rows = KeptRows(open_rows(settings.db_path, RECORDS, GUARANTEES))
    # No window: the next turn may be on its way to another process.
    writer = BackgroundWriter[Change]("kept_responses", rows, keeps_failed=True, window_seconds=0.0)
    recording.watch(writer)
    return KeptResponses(rows, writer, writer.flush, is_shared=is_shared)


def public_names(settings: Settings) -> Names:
    """The public names of the configuration."""
    return Names(settings.public_aliases(), settings.default_targets(), settings.auto_alias(), settings.paid_fallback())


def admission_policy(settings: Settings) -> AdmissionPolicy:
    """Who may come in."""
    hosts = frozenset(map(str.lower, settings.allowed_hosts))
    return AdmissionPolicy(settings.caller_keys, settings.allow_anonymous, hosts, frozenset(settings.cors_origins))


def is_reached_by_others(settings: Settings) -> bool:
    """Whether something says that callers of other machines come here: then a loopback address may be a proxy's."""
    return bool(settings.caller_keys or settings.allow_anonymous or settings.allowed_hosts)


def exchange_policy(settings: Settings) -> ExchangePolicy:
    """What an exchange may cost and shows."""
    return ExchangePolicy(
        max_body_bytes=settings.max_body_bytes,
        max_json_depth=settings.max_json_depth,
        total_timeout=settings.total_timeout_seconds,
        keepalive_interval=settings.keepalive_interval_seconds,
        text_chars=settings.log_text_chars if settings.log_texts != "none" else 0,
        expose_router=settings.expose_router,
        is_strict=settings.strict,
        continues=settings.continue_streams,
        key_refused_status=settings.key_refused_status,
        limits=call_limits(settings),
    )


def call_limits(settings: Settings) -> CallLimits:
    """Counts that a call may have."""
    return CallLimits(settings.max_messages, settings.max_n, settings.max_tools, settings.max_stop)


def make_gateway(
    settings: Settings,
    router: Router,
    carrier: Carrier,
    emit: EventSink,
    drain: Drain,
    shelf: Shelf | None = None,
    refusals: FailedLogins | None = None,
) -> Gateway:
    """What every exchange of an API server uses."""
    return Gateway(
        policy=exchange_policy(settings),
        admission=Admission(admission_policy(settings), refusals),
        catalog=router.planner.catalog,
        planner=router.planner,
        attempts=router.attempts,
        carry=carrier.attempt,
        emit=emit,
        drain=drain,
        conversations=Conversations(time.monotonic, shelf=shelf),
        bodies=BodyBudget(settings.max_bodies_bytes),
    )


def make_controller(settings: Settings, client: UpstreamClient, host: str, *, is_alone: bool = False) -> ControllerApp:
    """The controller's application and its table. Raises StartupProblem when it would be open to strangers.

    ``is_alone``: no worker of ours will come to it. Then without a secret of the user's nobody may register: every account of this
    machine could, and would receive everybody's prompts.
    """
    control = ControlClient(client, settings.worker_secret)

    async def fetch_status(address: str) -> dict[str, object]:
        _, status = await control.post(f"{address}/worker_get_status")
        return status

    unknown = secrets.token_urlsafe(32) if is_alone and not settings.insecure_open_registration else ""
    policy = RegistrationPolicy(
        on_loopback=is_loopback(host),
        secret=settings.worker_secret.reveal() or unknown,
        networks=tuple(map(ipaddress.ip_network, settings.worker_networks)),
        accepts_anyone=settings.insecure_open_registration,
    )
    require_safe(replace(policy, secret=settings.worker_secret.reveal()))
    return ControllerApp(
        registry=WorkerRegistry(
            draw=random.random, dispatch=settings.dispatch_method, first_version=int(time.time() * 1000)
        ),
        policy=policy,
        kept_table=Document(open_documents(settings.state_dir), "workers.json"),
        fetch_status=fetch_status,
        clock=time.monotonic,
        on_wrong_secret=partial(FailedLogins().note, "controller", "wrong_key"),
    )
