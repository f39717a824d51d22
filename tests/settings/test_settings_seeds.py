"""The configurations of the programs that orcestator stands in for load as they stand (``seeds/`` holds them)."""

from pathlib import Path

import pytest

from orcestator.routing.planning.catalog import Alias
from orcestator.routing.planning.traits import traits_of

SEEDS = Path(__file__).parent / "seeds"


def seed(name: str) -> str:
    return (SEEDS / name).read_text(encoding="utf-8")


ROUTER = {"config.yaml": seed("router-config.yaml"), "models.yaml": seed("models.yaml")}


def test_the_router_with_its_three_files(loaded):
    found = loaded(dotenv=seed("router.env"), files=ROUTER)
    assert (found.host, found.port, found.log_level, found.api_base_path) == ("0.0.0.0", 8080, "warning", "/api")
    assert [provider.row.name for provider in found.providers] == ["deepseek", "openrouter"]
    keys = [[key.reveal() for key in provider.keys] for provider in found.providers]
    assert keys == [["your_deepseek_key"], ["your_openrouter_key"]]
    free = Alias((("openrouter/deepseek/deepseek-r1:free",),))
    assert found.public_aliases() == {"deepseek-r1": free, "openrouter/deepseek-r1": free}
    assert found.auto_alias() == Alias(free.tiers, "smart")
    assert (found.default_targets(), found.paid_fallback()) == (("openai/gpt-4o",), "deepseek/deepseek-chat")
    assert (found.attempts, found.rate_limit_retries, found.retry_delay_seconds) == (3, 2, 1.0)
    assert (found.attempt_timeout_seconds, found.breaker_success_threshold) == (30.0, 2)
    assert (found.breaker_consecutive_failures, found.breaker_open_seconds) == (3, 60.0)
    assert found.breaker_window_seconds == 300.0
    entry = found.models[0]
    assert (entry.type, entry.speed_tier, entry.weight, entry.max_concurrent) == ("reasoning", "slow", 5, 3)
    assert (entry.context_length, entry.max_output_tokens, entry.json_response) == (64000, 8000, True)
    assert entry.tags == ("reasoning", "code", "math")
    assert found.notices == ()


def test_what_the_routers_list_says_of_a_model_reaches_the_routing(loaded):
    found = loaded(dotenv=seed("router.env"), files=ROUTER)
    row = next(provider.row for provider in found.providers if provider.row.name == "openrouter")
    told = next(facts for facts in row.models if facts.id == "deepseek/deepseek-r1:free")
    traits = traits_of(told.id, told.to_wire())
    assert (traits.name, traits.type, traits.speed_tier) == ("deepseek-r1", "reasoning", "slow")
    assert (traits.weight, traits.max_concurrent, traits.context_length) == (5, 3, 64000)
    assert (traits.is_json, traits.is_available, traits.is_free) == (True, True, True)
    assert traits.tags == {"reasoning", "code", "math"}


def test_what_the_router_had_and_we_do_not_act_on_yet_is_listed(loaded):
    found = loaded(dotenv=seed("router.env"), files=ROUTER)
    assert set(found.not_yet) == {
        *(
            "rateLimiting.enabled",
            "rateLimiting.global.requestsPerMinute",
            "rateLimiting.perClient.enabled",
        ),
        *("rateLimiting.perClient.requestsPerMinute", "rateLimiting.perClient.burstSize"),
        *("rateLimiting.perModel.enabled", "rateLimiting.perModel.requestsPerMinute"),
    }
    assert (found.rate_limit_requests, found.client_limit_burst, found.model_limit_per_minute) == (100, 5, 30)


def test_the_router_without_any_key_runs_on_the_sandbox(loaded):
    found = loaded(files=ROUTER, yaml=ROUTER["config.yaml"])
    assert found.sandbox_fallback
    assert found.notices == (
        "deepseek is off: DEEPSEEK_API_KEY is not set.",
        "openrouter is off: OPENROUTER_API_KEY is not set.",
        "The models deepseek-r1 have no provider: openrouter is off.",
    )


def test_the_proxy_services_environment(loaded):
    found = loaded(dotenv=seed("proxy-service.env"))
    assert (found.host, found.port, found.attempts, found.first_backoff_seconds) == ("0.0.0.0", 3003, 4, 1.0)
    assert found.backoff_multiplier == 2.0
    assert [(provider.row.name, provider.base_url) for provider in found.providers] == [
        ("openai", "https://api.openai.com/v1"),
        ("anthropic", "https://api.anthropic.com/v1"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta"),
        ("openrouter", "https://openrouter.ai/api/v1"),
    ]
    assert set(found.not_yet) == {
        *("REDIS_URL", "RABBITMQ_URL", "ANALYTICS_SERVICE_URL", "BILLING_SERVICE_URL"),
        *("RATE_LIMIT_WINDOW_MS", "RATE_LIMIT_MAX_REQUESTS", "CACHE_TTL_SECONDS", "CACHE_MAX_SIZE"),
    }
    assert (found.rate_limit_window_seconds, found.cache_ttl_seconds, found.cache_max_size) == (60.0, 3600.0, 1000)
    assert found.rabbitmq_url.reveal() == "amqp://user:password@rabbitmq:5672"
    assert "password" not in repr(found)


def test_the_proxy_services_container_environment(loaded):
    lines = (line.split("=", 1) for line in seed("proxy-service.env").splitlines() if "=" in line)
    found = loaded(dict(lines))
    assert (found.host, found.port) == ("0.0.0.0", 3003)


def test_the_provider_orchestrators_environment(loaded):
    found = loaded(dotenv=seed("provider-orchestrator.env"))
    assert found.port == 3002
    assert [provider.row.name for provider in found.providers] == ["openai", "openrouter"]
    assert found.notices == ("yandex is off: YANDEX_FOLDER_ID is not set.",)
    assert set(found.not_yet) == {"DATABASE_URL", "REDIS_URL"}


def test_the_first_documents_environment(loaded):
    found = loaded(
        {
            "OR_HOST": "0.0.0.0",
            "OR_PORT": "8000",
            "OR_API_KEY": "sk-or-v1-x",
            "OR_DEFAULT_MODEL": "openai/gpt-4o",
            "OR_LOG_FILE": "logs/traffic.log",
            "OR_DB_PATH": "",
            "OR_LOG_LEVEL": "info",
        }
    )
    assert [provider.row.name for provider in found.providers] == ["openrouter"]
    assert (found.not_yet, found.notices) == ((), ())


EFFICIENCY = sorted(path.name for path in SEEDS.glob("efficiency-*.yaml"))


@pytest.mark.parametrize("name", EFFICIENCY)
def test_each_part_of_the_efficiency_orchestrator(loaded, name):
    assert loaded(yaml=seed(name)).sandbox_fallback


def test_the_efficiency_orchestrator_as_one_file(loaded):
    found = loaded({"OPENAI_API_KEY": "k"}, yaml="\n".join(map(seed, EFFICIENCY)))
    assert (found.host, found.port, found.api_workers, found.attempts) == ("localhost", 8000, 4, 4)
    names = {"gpt-4": Alias((("openai/gpt-4",),)), "claude-2": Alias((("anthropic/claude-2",),))}
    assert found.public_aliases() == names
    assert found.auto_alias() == Alias((("openai/gpt-4", "anthropic/claude-2"),), "smart")
    (openai,) = found.providers
    told = next(facts for facts in openai.row.models if facts.id == "gpt-4").to_wire()
    assert (told["pricing"], told["public_name"]) == ({"input": 30.0, "output": 30.0}, "gpt-4")
    assert told["capabilities"] == ["text-generation", "code-completion"]
    assert found.notices == ("The models claude-2 have no provider: anthropic is off.",)
    assert (found.models[0].context_length, found.models[0].cost_per_token) == (8192, 0.00003)
    assert found.models[1].capabilities == ("text-generation", "analysis")
    assert (found.strategy, found.breaker_consecutive_failures) == ("round_robin", 3)
    assert (found.health_check_interval_seconds, found.health_check_timeout_seconds) == (30.0, 5.0)
    assert found.attempt_timeout_seconds == 30.0
    assert (found.cache_enabled, found.cache_strategy, found.rate_limit_burst) == (True, "lru", 10)
    assert set(found.not_yet) == {
        *("cache.enabled", "cache.ttl", "cache.max_size", "cache.strategy"),
        *("rate_limit.enabled", "rate_limit.requests_per_minute", "rate_limit.burst_size"),
    }


def test_the_orchestrators_rules_and_conditions_of_fallback(loaded):
    """Those of ``provider-orchestrator.md``, which gives them as TypeScript."""
    found = loaded(yaml=seed("provider-orchestrator.yaml"))
    assert [(rule.condition, rule.provider, rule.priority) for rule in found.rules] == [
        ({"urgency": "high", "quality": "premium"}, "openai", 1),
        ({"budget": {"max": 0.01}}, "openrouter", 2),
        ({"model": "gpt-4"}, "openai", 1),
    ]
    assert [rule.id for rule in found.rules] == ["rule-1", "rule-2", "rule-3"]
    assert all(rule.is_active for rule in found.rules)
    conditions = (found.fallback_max_response_seconds, found.fallback_min_success_rate, found.fallback_max_error_rate)
    assert conditions == (5.0, 0.9, 0.1)
    assert found.not_yet == ()
