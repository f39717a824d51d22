"""Every setting, declared once: ``.env.example``, the documentation and the loader are made from this class.

Adding a setting is adding a field here. It must never read anything itself, and nothing below the programs takes a
``Settings``: they hand on the values.
"""

from collections.abc import Mapping

# ruff: noqa: RUF009 - setting() makes a dataclass field, it is no default that is computed once
from dataclasses import dataclass, field, fields, replace
from typing import Literal, cast

from orcestator.providers.rows import SANDBOX
from orcestator.providers.secret import Secret
from orcestator.routing.planning.catalog import Alias
from orcestator.routing.planning.dispatch import DispatchMethod
from orcestator.routing.planning.plan import DEFAULT_STRATEGY
from orcestator.routing.planning.rules import Rule
from orcestator.routing.verdict import Override
from orcestator.settings.choices import STRATEGY_SYNONYMS, ModelEntry, ProviderSetting, StrategyName, Target
from orcestator.settings.public_names import public_names
from orcestator.settings.reserved import FOR_LATER, LONGEST_SECONDS, ReservedSettings
from orcestator.settings.spec import Also, Spec, setting
from orcestator.settings.values import NO_BASE_PATH, BasePath, Network, Origin

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "text"]
LogTexts = Literal["full", "short", "none"]
NoticeLevel = Literal["info", "warning", "error"]

SERVER = "Addresses"
MODELS = "Models and providers"
ACCESS = "Who may call"
RECORDS = "Logs and records"
CALLER_LIMITS = "Limits towards callers"
UPSTREAM = "Patience and limits towards providers"
ROUTING = "Choosing among several"
ATTEMPTS = "Attempts, fallback and breaker"
WAITING = "Hedging and the waiting line"
WATCHING = "Health checks and notices"
THE_SANDBOX = "The sandbox"
GROUPS = (
    *(SERVER, MODELS, ACCESS, RECORDS, CALLER_LIMITS, UPSTREAM),
    *(ROUTING, ATTEMPTS, WAITING, WATCHING, THE_SANDBOX, FOR_LATER),
)

MOST_BYTES = 1 << 30
_CONDITIONS = ("routing.fallback.conditions", "fallback.conditions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(ReservedSettings):
    """Everything that can be set, checked. ``load`` makes it; tests may build one directly.

    Durations are in seconds, sizes in bytes. What follows the table is worked out from it and from the ``providers``,
    ``models`` and ``aliases`` of the configuration file.
    """

    host: str = setting(
        "0.0.0.0",
        Spec(
            "The address the API server listens on.",
            SERVER,
            also=(Also("LISTEN_HOST"), Also("HOST", only_in_file=True), Also("orchestrator.host")),
        ),
    )
    port: int = setting(
        8000,
        Spec(
            "The API server's port; 0 takes a free one.",
            SERVER,
            0,
            65535,
            also=(Also("LISTEN_PORT"), Also("PORT"), Also("orchestrator.port")),
        ),
    )
    metrics_host: str = setting("127.0.0.1", Spec("The address the Prometheus metrics are served on.", SERVER))
    metrics_port: int = setting(
        8001, Spec("The port of the Prometheus metrics; 0 switches them off.", SERVER, 0, 65535)
    )
    controller_host: str = setting(
        "127.0.0.1",
        Spec("The address the controller listens on. Beyond this machine it needs a worker secret.", SERVER),
    )
    controller_port: int = setting(21001, Spec("The controller's port; 0 takes a free one.", SERVER, 0, 65535))
    dispatch_method: DispatchMethod = setting(
        "shortest_queue",
        Spec("How the controller chooses a worker for a stock API server, which asks it for one address.", SERVER),
    )
    api_workers: int = setting(
        1, Spec("API server processes with `--processes`.", SERVER, 1, 256, also=(Also("orchestrator.workers"),))
    )
    api_base_path: BasePath = setting(
        NO_BASE_PATH,
        Spec(
            "A path under which everything is served as well, such as `/router` for `/router/v1/chat/completions`."
            " What is at the root stays there and keeps its meaning.",
            SERVER,
            also=(Also("API_BASE_PATH"),),
        ),
    )
    state_dir: str = setting(
        ".orcestator",
        Spec(
            "The folder for what has to outlive a restart: the controller's routing table, quotas that were learned,"
            " rules and providers that were added over HTTP.",
            SERVER,
        ),
    )

    config: str = setting("", Spec("The YAML file to read.", MODELS, in_file=False, also=(Also("ROUTER_CONFIG_PATH"),)))
    models_file: str = setting(
        "",
        Spec(
            "A YAML file with a list `models:`: a path, relative to the configuration file, or an https address.",
            MODELS,
        ),
    )
    models_file_allow_private: bool = setting(
        False, Spec("Fetch the models file from an address in a private network too, and by plain http.", MODELS)
    )
    added_providers_allow_private: bool = setting(
        False, Spec("Take providers that are added over HTTP in a private network too, and on this machine.", MODELS)
    )
    default_model: tuple[str, ...] = setting(
        ("openai/gpt-4o",), Spec("What the model `orcestator` means; several are tried in turn.", MODELS)
    )
    fallback_enabled: bool = setting(
        True, Spec("Whether the fallback model is used.", MODELS, also=(Also("routing.fallback.enabled"),))
    )
    fallback_provider: str = setting(
        "", Spec("The provider of the fallback model.", MODELS, also=(Also("routing.fallback.provider"),))
    )
    fallback_model: str = setting(
        "",
        Spec(
            "The model that is tried when all others of `orcestator` or of an alias have failed.",
            MODELS,
            also=(Also("routing.fallback.model"),),
        ),
    )
    provider_order: tuple[str, ...] = setting(
        (), Spec("Providers in the order in which they are tried; the others follow in their usual order.", MODELS)
    )
    only_providers: tuple[str, ...] = setting(
        (), Spec("Use these providers and no others; each must have its key.", MODELS)
    )
    expose_router: bool = setting(
        False, Spec("Put the field `_router` (who served it, attempts) into answers.", MODELS)
    )
    strict: bool = setting(
        False,
        Spec(
            "Refuse what a provider's API has no words for instead of leaving it out. A caller can ask for it itself"
            " with the header `x-orcestator-strict: true`.",
            MODELS,
        ),
    )

    caller_keys: tuple[Secret, ...] = setting(
        (),
        Spec("The keys that callers must send one of. Without any, only callers on this machine are served.", ACCESS),
    )
    allow_anonymous: bool = setting(
        False, Spec("Serve everybody who can reach the port, without a key; still no web page of others.", ACCESS)
    )
    allowed_hosts: tuple[str, ...] = setting(
        (), Spec("More Host names, beside those of this machine, that are served without a key.", ACCESS)
    )
    cors_origins: tuple[Origin, ...] = setting(
        (),
        Spec(
            "Origins of web pages, beside those of this machine, that may call and read the answers, such as `https://chat.example.org`."
            " `*` lets every page read, and call where it has a caller key.",
            ACCESS,
        ),
    )
    admin_token: Secret = setting(
        Secret(""),
        Spec(
            "The key to the management endpoints. Without it they answer programs on this machine, and where others are served"
            " too, whoever has the token in the state folder.",
            ACCESS,
            also=(Also("ADMIN_TOKEN"),),
        ),
    )
    worker_secret: Secret = setting(
        Secret(""),
        Spec("What a worker on another machine shows to the controller, and API servers to workers.", ACCESS),
    )
    worker_networks: tuple[Network, ...] = setting(
        (), Spec("Networks in which an authorised worker's address may lie although it calls from another one.", ACCESS)
    )
    insecure_open_registration: bool = setting(
        False,
        Spec(
            "Accept every worker, as stock FastChat does: whoever reaches the controller can receive everybody's prompts.",
            ACCESS,
        ),
    )

    log_level: LogLevel = setting(
        "info",
        Spec(
            "The least serious messages that are logged.",
            RECORDS,
            also=(Also("LOG_LEVEL"),),
            synonyms=(("warn", "warning"),),
        ),
    )
    log_format: LogFormat = setting("json", Spec("How the program's log is written.", RECORDS))
    log_file: str = setting(
        "logs/traffic.log", Spec("The traffic log, one line a request; /dev/null (NUL on Windows) keeps none.", RECORDS)
    )
    log_texts: LogTexts = setting(
        "full",
        Spec(
            "What of prompts and answers is written to the traffic log and the request rows: the text, its beginning, or nothing.",
            RECORDS,
        ),
    )
    log_text_chars: int = setting(2000, Spec("The characters of a text that are kept at most.", RECORDS, 0, 1_000_000))
    db_path: str = setting(
        "",
        Spec(
            "The SQLite file with a row a request and the responses kept for the next turn; empty means none.", RECORDS
        ),
    )

    max_body_bytes: int = setting(
        32 << 20, Spec("The largest request body; over it 413.", CALLER_LIMITS, 1024, MOST_BYTES)
    )
    max_bodies_bytes: int = setting(
        256 << 20,
        Spec(
            "The most bytes of request bodies over 512 KiB in hand at a time, of one caller half of it; over it 503 (429); 0 means no"
            " limit.",
            CALLER_LIMITS,
            0,
            1 << 40,
        ),
    )
    max_header_bytes: int = setting(
        32 << 10, Spec("The largest request line and headers; over it 431.", CALLER_LIMITS, 1024, 1 << 20)
    )
    max_header_fields: int = setting(100, Spec("The most header fields; over it 431.", CALLER_LIMITS, 8, 1000))
    header_timeout_seconds: float = setting(
        10.0, Spec("How long the headers may take; then 408.", CALLER_LIMITS, 0.1, LONGEST_SECONDS)
    )
    body_timeout_seconds: float = setting(
        10.0,
        Spec(
            "How long nothing may come of a body, and with a second for each 16 KiB of it the whole; then 408.",
            CALLER_LIMITS,
            0.1,
            LONGEST_SECONDS,
        ),
    )
    keep_alive_seconds: int = setting(
        75, Spec("How long an idle connection stays open.", CALLER_LIMITS, 1, LONGEST_SECONDS)
    )
    write_stall_seconds: float = setting(
        60.0,
        Spec("How long a caller may read nothing before its connection is cut.", CALLER_LIMITS, 0.1, LONGEST_SECONDS),
    )
    drain_seconds: float = setting(
        10.0, Spec("How long running requests may go on after SIGTERM.", CALLER_LIMITS, 0, LONGEST_SECONDS)
    )
    keepalive_interval_seconds: float = setting(
        15.0,
        Spec("After how long without content a stream gets a keep-alive comment.", CALLER_LIMITS, 0.1, LONGEST_SECONDS),
    )
    max_connections: int = setting(
        4096,
        Spec(
            "The most connections at a time; 0 means no limit. The last sixteenth is for addresses with few, half of it for this"
            " machine.",
            CALLER_LIMITS,
            0,
            1_000_000,
        ),
    )
    max_connections_per_ip: int = setting(
        1024, Spec("The most connections of one address; 0 means no limit.", CALLER_LIMITS, 0, 1_000_000)
    )
    max_json_depth: int = setting(64, Spec("The deepest nesting in a request.", CALLER_LIMITS, 8, 512))
    max_messages: int = setting(2048, Spec("The most messages in a chat.", CALLER_LIMITS, 1, 1_000_000))
    max_n: int = setting(8, Spec("The largest `n`.", CALLER_LIMITS, 1, 128))
    max_tools: int = setting(128, Spec("The most tools in a request.", CALLER_LIMITS, 1, 10_000))
    max_stop: int = setting(4, Spec("The most stop sequences.", CALLER_LIMITS, 1, 64))

    connect_timeout_seconds: float = setting(
        2.0, Spec("How long a TCP connection to a provider may take.", UPSTREAM, 0.05, LONGEST_SECONDS)
    )
    tls_timeout_seconds: float = setting(
        5.0, Spec("How long connecting and the TLS handshake may take.", UPSTREAM, 0.05, LONGEST_SECONDS)
    )
    first_token_timeout_seconds: float = setting(
        30.0,
        Spec(
            "How long a stream may take from the request to its first content (text, reasoning, a tool call), whatever else comes; then the next provider is tried.",
            UPSTREAM,
            0.1,
            LONGEST_SECONDS,
        ),
    )
    first_token_timeout_reasoning_seconds: float = setting(
        60.0, Spec("The same for a request that asks for reasoning.", UPSTREAM, 0.1, LONGEST_SECONDS)
    )
    whole_reply_timeout_seconds: float = setting(
        300.0,
        Spec(
            "How long a provider may take to begin a reply that is not streamed, blank lines apart, and to go on with it; then the next one is tried.",
            UPSTREAM,
            0.1,
            LONGEST_SECONDS,
        ),
    )
    idle_timeout_seconds: float = setting(
        30.0,
        Spec(
            "How long a stream may pause between two pieces of content, also of content that the caller is told of later.",
            UPSTREAM,
            0.1,
            LONGEST_SECONDS,
        ),
    )
    total_timeout_seconds: float = setting(
        600.0, Spec("How long a request may take in all, every attempt included.", UPSTREAM, 0.1, LONGEST_SECONDS)
    )
    keepalive_counts: bool = setting(
        False,
        Spec(
            "Whether a provider's keep-alive comments, pings and empty pieces count as life for the time-outs of a stream.",
            UPSTREAM,
        ),
    )
    max_reply_bytes: int = setting(64 << 20, Spec("The largest reply of a provider.", UPSTREAM, 1024, 4 * MOST_BYTES))
    max_event_bytes: int = setting(
        64 << 20,
        Spec(
            "The largest event or line of a provider's stream: a picture may be in one.", UPSTREAM, 1024, 4 * MOST_BYTES
        ),
    )
    connections_per_provider: int = setting(2048, Spec("The most connections to one provider.", UPSTREAM, 1, 100_000))
    upstream_proxy: Secret = setting(
        Secret(""),
        Spec(
            "An HTTP proxy for calls to providers beyond this machine and private networks, as http://host:port or"
            " http://user:password@host:port; `none` for none. Where nothing is said: HTTPS_PROXY, then ALL_PROXY.",
            UPSTREAM,
        ),
    )
    upstream_no_proxy: tuple[str, ...] = setting(
        (),
        Spec(
            "Names, domains, addresses and networks that are called without that proxy. Where nothing is said: NO_PROXY.",
            UPSTREAM,
        ),
    )

    strategy: StrategyName = setting(
        cast(StrategyName, DEFAULT_STRATEGY),
        Spec(
            "How one is chosen among several that are equally meant, where an alias says nothing.",
            ROUTING,
            also=(Also("routing.strategy"), Also("load_balancer.strategy")),
            synonyms=STRATEGY_SYNONYMS,
        ),
    )
    auto_strategy: StrategyName = setting(
        "smart", Spec("The same for the model `auto`.", ROUTING, synonyms=STRATEGY_SYNONYMS)
    )
    free_first: bool = setting(False, Spec("Try models that cost nothing before those that cost.", ROUTING))
    fallback_max_response_seconds: float = setting(
        0.0,
        Spec(
            "One that takes longer to its first content goes behind the others; 0 means no such limit.",
            ROUTING,
            0,
            LONGEST_SECONDS,
            also=tuple(Also(f"{path}.max_response_time", times=0.001) for path in _CONDITIONS),
        ),
    )
    fallback_min_success_rate: float = setting(
        0.0,
        Spec(
            "One with a smaller share of successes goes behind the others.",
            ROUTING,
            0,
            1,
            also=tuple(Also(f"{path}.min_success_rate") for path in _CONDITIONS),
        ),
    )
    fallback_max_error_rate: float = setting(
        0.0,
        Spec(
            "One with a larger share of failures goes behind the others; 0 means no such limit.",
            ROUTING,
            0,
            1,
            also=tuple(Also(f"{path}.max_error_rate") for path in _CONDITIONS),
        ),
    )

    attempts: int = setting(
        3,
        Spec(
            "The most attempts for one request.",
            ATTEMPTS,
            1,
            20,
            also=(Also("MAX_RETRIES", plus=1), Also("routing.max_retries"), Also("orchestrator.max_retries", plus=1)),
        ),
    )
    attempts_per_provider: int = setting(
        2,
        Spec(
            "The most attempts at one provider for one request.",
            ATTEMPTS,
            1,
            20,
        ),
    )
    attempt_timeout_seconds: float = setting(
        0.0,
        Spec(
            "How long one attempt may take to its first content; 0 means no limit of its own.",
            ATTEMPTS,
            0,
            LONGEST_SECONDS,
            also=(Also("routing.timeout_secs"), Also("orchestrator.timeout")),
        ),
    )
    rate_limit_retries: int = setting(
        2,
        Spec(
            "Retries at the same model after a rate limit or a lost connection.",
            ATTEMPTS,
            0,
            10,
            also=(Also("routing.rate_limit_retries"),),
        ),
    )
    retry_delay_seconds: float = setting(
        1.0,
        Spec(
            "The wait before such a retry, when the provider names none.",
            ATTEMPTS,
            0,
            60,
            also=(Also("routing.retry_delay", times=0.001),),
        ),
    )
    first_backoff_seconds: float = setting(
        0.05,
        Spec(
            "The longest wait before the first retry after any other failure.",
            ATTEMPTS,
            0,
            60,
            also=(Also("RETRY_DELAY_MS", times=0.001),),
        ),
    )
    backoff_multiplier: float = setting(
        2.0,
        Spec("By how much each further wait is longer.", ATTEMPTS, 1, 10, also=(Also("RETRY_BACKOFF_MULTIPLIER"),)),
    )
    retry_budget_percent: float = setting(
        20.0, Spec("How many of a hundred requests may be retried.", ATTEMPTS, 0, 100)
    )
    retry_floor: int = setting(10, Spec("Retries that are always allowed in ten seconds.", ATTEMPTS, 0, 100_000))
    key_refused_status: int = setting(
        424,
        Spec(
            "The status of an answer for which no provider takes our key; VS Code never gets a 401, 402 or 403, which it takes for its own login's.",
            ATTEMPTS,
            400,
            599,
        ),
    )
    learn_rate_limits: bool = setting(
        True,
        Spec(
            "Learn from being refused how much a provider takes that does not tell; what it tells and what is configured counts in any case.",
            ATTEMPTS,
        ),
    )
    breaker_consecutive_failures: int = setting(
        3,
        Spec(
            "Failures in a row that take a model out.",
            ATTEMPTS,
            1,
            10_000,
            also=(Also("circuit_breaker.failure_threshold"), Also("load_balancer.max_failures")),
        ),
    )
    breaker_window_seconds: float = setting(
        60.0,
        Spec(
            "The window in which calls and failures are counted.",
            ATTEMPTS,
            1,
            LONGEST_SECONDS,
            also=(Also("circuit_breaker.stats_window_size_mins", times=60),),
        ),
    )
    breaker_minimum_calls: int = setting(
        20, Spec("Calls in the window before their share of failures counts.", ATTEMPTS, 1, 1_000_000)
    )
    breaker_failure_percent: float = setting(
        50.0, Spec("The share of failures that takes a model out.", ATTEMPTS, 1, 100)
    )
    breaker_open_seconds: float = setting(
        5.0,
        Spec(
            "How long it stays out the first time; later longer, up to half of the time that the outage has lasted.",
            ATTEMPTS,
            0.1,
            LONGEST_SECONDS,
            also=(Also("circuit_breaker.cooldown_period_secs"),),
        ),
    )
    breaker_longest_open_seconds: float = setting(
        300.0, Spec("How long it stays out at most.", ATTEMPTS, 0.1, LONGEST_SECONDS)
    )
    breaker_success_threshold: int = setting(
        1,
        Spec(
            "Good probes that put a model back.", ATTEMPTS, 1, 1000, also=(Also("circuit_breaker.success_threshold"),)
        ),
    )
    slow_start_seconds: float = setting(
        10.0,
        Spec(
            "How long a model that is back gets only a growing part of its requests; 0 means all at once.",
            ATTEMPTS,
            0,
            LONGEST_SECONDS,
        ),
    )
    content_policy_fallback: bool = setting(
        False, Spec("Try another model with a request that one refused for its content.", ATTEMPTS)
    )
    continue_streams: bool = setting(
        False,
        Spec(
            "Let another model go on with a stream of plain text that broke off. A caller can ask for it itself"
            " with the header `x-orcestator-continue: true`.",
            ATTEMPTS,
        ),
    )

    hedging: bool = setting(
        True,
        Spec("Start a second model when the first one is slower to its first content than it usually is.", WAITING),
    )
    hedge_percent: float = setting(
        10.0,
        Spec(
            "How many of a hundred requests may have a second call, those after a failure counted in; an alias may have its own.",
            WAITING,
            0,
            100,
        ),
    )
    hedge_percentile: float = setting(
        50.0, Spec("No second model is started before this percentile of the first one's own times.", WAITING, 50, 99.9)
    )
    hedge_floor_seconds: float = setting(
        0.1, Spec("No second model is started earlier than this.", WAITING, 0, LONGEST_SECONDS)
    )
    line_length: int = setting(
        256,
        Spec(
            "The most requests that wait for a place at models with `max_concurrent`; over it 503.", WAITING, 0, 100_000
        ),
    )
    longest_wait_seconds: float = setting(
        30.0, Spec("How long a request waits for such a place at most.", WAITING, 0, LONGEST_SECONDS)
    )

    health_check_interval_seconds: float = setting(
        0.0,
        Spec(
            "How often providers are asked whether they are well; 0: only while one is not.",
            WATCHING,
            0,
            LONGEST_SECONDS,
            also=(Also("load_balancer.health_check_interval"),),
        ),
    )
    health_check_timeout_seconds: float = setting(
        5.0, Spec("How long that may take.", WATCHING, 0.1, LONGEST_SECONDS, also=(Also("load_balancer.timeout"),))
    )
    health_check_chat: bool = setting(
        False, Spec("Ask with a chat of one token, which costs, in place of reading the list of models.", WATCHING)
    )
    webhook_url: Secret = setting(Secret(""), Spec("An http address that notices are posted to as JSON.", WATCHING))
    webhook_secret: Secret = setting(Secret(""), Spec("What those are signed with (HMAC-SHA256).", WATCHING))
    notify: tuple[Secret, ...] = setting(
        (), Spec("Addresses of Apprise (Telegram, Slack, e-mail and others) that notices are sent to.", WATCHING)
    )
    notify_min_level: NoticeLevel = setting(
        "warning",
        Spec("The least serious notices that are sent.", WATCHING, synonyms=(("warn", "warning"),)),
    )

    sandbox_ttft_seconds: float = setting(
        0.0, Spec("How long the sandbox waits before its first token.", THE_SANDBOX, 0, 3600)
    )
    sandbox_tokens_per_second: float = setting(
        0.0, Spec("How fast the sandbox streams; 0 means as fast as it can.", THE_SANDBOX, 0, 1_000_000)
    )
    sandbox_answer: str = setting(
        "", Spec("What the sandbox answers, with `{text}` for the caller's words; empty means an echo.", THE_SANDBOX)
    )

    providers: tuple[ProviderSetting, ...] = ()
    """The providers that are on, in the order in which they are tried."""
    sandbox_fallback: bool = False
    """Whether the sandbox is there only because no provider is on."""
    models: tuple[ModelEntry, ...] = ()
    """The entries of ``models:``, as they are."""
    aliases: Mapping[str, Alias] = field(default_factory=dict)
    """What ``aliases:`` says, the names of entries of ``models:`` in it replaced by what they stand for."""
    rules: tuple[Rule, ...] = ()
    """The entries of ``routing_rules:``."""
    verdicts: tuple[Override, ...] = ()
    """The entries of ``verdicts:``, of which the first that is met counts."""
    not_yet: tuple[str, ...] = ()
    """What was set and is not acted on yet, by the names under which it was set."""
    notices: tuple[str, ...] = ()
    """What the person who starts the program should know, a sentence each."""

    def default_targets(self) -> tuple[str, ...]:
        """What the model ``orcestator`` means."""
        return self.default_model

    def public_aliases(self) -> dict[str, Alias]:
        """Every public name: the aliases, and the entries of ``models:`` by ``name`` and ``provider/name``."""
        return public_names(self.models, self.aliases)

    def auto_alias(self) -> Alias | None:
        """What the model ``auto`` is chosen among, None where ``models:`` has no entry that is available."""
        targets = dict.fromkeys(str(entry.target) for entry in self.models if entry.available)
        return Alias((tuple(targets),), self.auto_strategy) if targets else None

    def paid_fallback(self) -> str:
        """The target that is tried when all others have failed, "" for none."""
        if not (self.fallback_enabled and self.fallback_model):
            return ""
        target = Target(self.fallback_provider, self.fallback_model)
        named = (entry.target for entry in self.models if entry.name == target.model)
        return str(next((found for found in named if found.provider == target.provider), target))

    def secrets(self) -> tuple[str, ...]:
        """Every secret there is, for whoever has to take them out of texts."""
        held = [*self.caller_keys, *self.notify, *(key for provider in self.providers for key in provider.keys)]
        held += [provider.proxy for provider in self.providers]
        held += [value for found in fields(self) if isinstance(value := getattr(self, found.name), Secret)]
        return tuple(dict.fromkeys(found.reveal() for found in held if found))

    @property
    def starts_sandbox(self) -> bool:
        """Whether the sandbox is on and nobody said where it is, so that the program has to start one."""
        return any(found.row.name == SANDBOX and found.base_url == found.row.base_url for found in self.providers)

    def with_sandbox_at(self, base_url: str) -> "Settings":
        """These settings with the sandbox at the address where this program started it."""
        moved = (
            replace(provider, base_url=base_url, is_started=True) if provider.row.name == SANDBOX else provider
            for provider in self.providers
        )
        return replace(self, providers=tuple(moved))
