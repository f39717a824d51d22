"""Settings that are read, checked and kept, and on which this release does not act: the start says which were given."""

# ruff: noqa: RUF009 - setting() makes a dataclass field, it is no default that is computed once
from dataclasses import dataclass
from typing import Literal

from orcestator.providers.secret import Secret
from orcestator.settings.spec import Also, Spec, setting

CacheStrategy = Literal["lru", "lfu", "fifo"]

FOR_LATER = "Accepted, not acted on yet"
LONGEST_SECONDS = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedSettings:
    """When one of them is acted on, its field moves to ``Settings``."""

    redis_url: Secret = setting(
        Secret(""), Spec("Redis, for state that several processes share.", FOR_LATER, also=(Also("REDIS_URL"),))
    )
    rabbitmq_url: Secret = setting(
        Secret(""), Spec("RabbitMQ, for events and queues.", FOR_LATER, also=(Also("RABBITMQ_URL"),))
    )
    database_url: Secret = setting(
        Secret(""), Spec("PostgreSQL, in place of SQLite.", FOR_LATER, also=(Also("DATABASE_URL"),))
    )
    analytics_url: Secret = setting(
        Secret(""), Spec("A service that is told of every request.", FOR_LATER, also=(Also("ANALYTICS_SERVICE_URL"),))
    )
    billing_url: Secret = setting(
        Secret(""), Spec("A service that is told of every cost.", FOR_LATER, also=(Also("BILLING_SERVICE_URL"),))
    )
    cache_enabled: bool = setting(False, Spec("Whether answers are cached.", FOR_LATER, also=(Also("cache.enabled"),)))
    cache_ttl_seconds: float = setting(
        3600.0,
        Spec(
            "How long a cached answer is good.",
            FOR_LATER,
            1,
            365 * LONGEST_SECONDS,
            also=(Also("CACHE_TTL_SECONDS"), Also("cache.ttl")),
        ),
    )
    cache_max_size: int = setting(
        1000,
        Spec("The most cached answers.", FOR_LATER, 1, 1 << 40, also=(Also("CACHE_MAX_SIZE"), Also("cache.max_size"))),
    )
    cache_strategy: CacheStrategy = setting(
        "lru", Spec("Which cached answer goes first.", FOR_LATER, also=(Also("cache.strategy"),))
    )
    rate_limit_enabled: bool = setting(
        False,
        Spec(
            "Whether requests are limited.", FOR_LATER, also=(Also("rate_limit.enabled"), Also("rate_limiting.enabled"))
        ),
    )
    rate_limit_window_seconds: float = setting(
        60.0,
        Spec(
            "The window of the limit on all requests.",
            FOR_LATER,
            0.001,
            LONGEST_SECONDS,
            also=(Also("RATE_LIMIT_WINDOW_MS", times=0.001),),
        ),
    )
    rate_limit_requests: int = setting(
        0,
        Spec(
            "Requests in the window; 0 means no limit.",
            FOR_LATER,
            0,
            1 << 40,
            also=(
                Also("RATE_LIMIT_MAX_REQUESTS"),
                Also("rate_limit.requests_per_minute"),
                Also("rate_limiting.global.requests_per_minute"),
            ),
        ),
    )
    rate_limit_burst: int = setting(
        0, Spec("Requests that may come at once.", FOR_LATER, 0, 1 << 40, also=(Also("rate_limit.burst_size"),))
    )
    client_limit_enabled: bool = setting(
        False, Spec("Whether each caller is limited.", FOR_LATER, also=(Also("rate_limiting.per_client.enabled"),))
    )
    client_limit_per_minute: int = setting(
        0,
        Spec(
            "Requests of one caller in a minute; 0 means no limit.",
            FOR_LATER,
            0,
            1 << 40,
            also=(Also("rate_limiting.per_client.requests_per_minute"),),
        ),
    )
    client_limit_burst: int = setting(
        0,
        Spec(
            "Requests of one caller that may come at once.",
            FOR_LATER,
            0,
            1 << 40,
            also=(Also("rate_limiting.per_client.burst_size"),),
        ),
    )
    model_limit_enabled: bool = setting(
        False, Spec("Whether each model is limited.", FOR_LATER, also=(Also("rate_limiting.per_model.enabled"),))
    )
    model_limit_per_minute: int = setting(
        0,
        Spec(
            "Requests to one model in a minute; 0 means no limit.",
            FOR_LATER,
            0,
            1 << 40,
            also=(Also("rate_limiting.per_model.requests_per_minute"),),
        ),
    )
