"""The management endpoints in the shapes of the routers that they replace, over providers that nobody calls."""

from pathlib import Path
from typing import Any

import pytest

from orcestator.errors import UpstreamModelMissing, UpstreamRateLimited, UpstreamUnavailable
from orcestator.gateway.call_rules import CallLimits
from orcestator.json_text import Json
from orcestator.routing.attempts.attempt import Attempt, records_of
from orcestator.routing.decision import DecisionBook
from orcestator.routing.events import RequestEnded
from orcestator.routing.offer import Deployment, Offer
from orcestator.routing.planning.catalog import Catalog
from orcestator.routing.planning.rules import Rule
from orcestator.routing.reading.request import RoutingRequest
from orcestator.routing.verdict import judge
from orcestator.server.route_table import PUBLIC, Group
from orcestator.store.documents import Document, open_documents
from orcestator.upstream.health_checks import Check
from orcestator.web.admin.access import ManagementAccess
from orcestator.web.admin.admin_routes import AdminRoutes, Figures
from orcestator.web.admin.bodies import ProviderSpec
from orcestator.web.admin.management import management_routes
from orcestator.web.admin.orchestrator_routes import OrchestratorRoutes
from orcestator.web.admin.overview import Overview
from orcestator.web.admin.rules_book import RULES_FILE, RulesBook
from orcestator.web.admin.status_routes import StatusRoutes
from tests.web.admin.management_parts import GPT_AT_OPENAI, LLAMA, NOW, OFFERS, WALL, Answer, ask, overview

TOTALS: Json = {
    "uptime": 3600,
    "requests": {"total": 1000, "success": 950, "failed": 50},
    "performance": {"avg_response_time": 0.5, "p95_response_time": 1.2},
    "paid_fallbacks": 5,
}
SEED_REQUEST = {
    "userId": "b6793877-246a-4e3a-807f-50e494aa5188",
    "model": "gpt-4",
    "prompt": "Hello, how are you?",
    "urgency": "medium",
    "quality": "standard",
    "expectedTokens": 30,
    "budget": 0.05,
}


class Shelf:
    """Providers that are added, in place at once."""

    def __init__(self, seen: Overview) -> None:
        self._seen = seen
        self.specs: dict[str, ProviderSpec] = {}

    async def add(self, spec: ProviderSpec) -> None:
        self.specs[spec.name] = spec
        self._offer()

    async def remove(self, name: str) -> bool:
        was_there = self.specs.pop(name, None) is not None
        self._offer()
        return was_there

    async def titles(self) -> dict[str, str]:
        return {name: spec.title for name, spec in self.specs.items()}

    def _offer(self) -> None:
        offers = [
            Offer(spec.name, spec.priority or 9, frozenset({"chat"}), {name: {} for name in spec.models})
            for spec in self.specs.values()
        ]
        grown = Catalog([*OFFERS, *offers])
        self._seen.planner.catalog = lambda: grown


class Managed:
    """One process's management, and what was asked of it that is not its own."""

    def __init__(self, directory: Path, *, starts_workers: bool = True) -> None:
        self.seen = overview()
        self.added = Shelf(self.seen)
        self.reloaded: Json = {"applied": [{"name": "strategy"}], "needs_restart": [], "problems": []}
        self.decisions = DecisionBook(self.seen.planner.stats)
        document = Document(open_documents(str(directory)), RULES_FILE)
        self.rules = RulesBook(document, (Rule("seed-1", {"model": "x"}, "openai"),), self._use)
        added = self.added if starts_workers else None
        self.orchestrator = OrchestratorRoutes(self.seen, self.rules, self.decisions, CallLimits(), added)
        figures = Figures(lambda: TOTALS, lambda: b"up 1\n", "text/plain; version=0.0.4")
        admin = AdminRoutes(self.seen, figures, lambda: {"strategy": "score"}, self._reload, self._preview)
        self.group = management_routes(ManagementAccess(None), self.orchestrator, admin)

    def _use(self, rules: tuple[Rule, ...]) -> None:
        planner = self.seen.planner
        planner.policy = type(planner.policy)(rules=rules)

    async def _reload(self) -> Json:
        return self.reloaded

    async def _preview(self, limit: int) -> Json:
        return {"changes": [], "requests": {"planned": limit, "changed": []}, "problems": self.reloaded["problems"]}

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        """One request."""
        return ask(self.group, method, path, body, **more)

    def called(self, deployment: Deployment, *seconds: float, failures: int = 0) -> None:
        """Calls of the deployment that came back after this long, and some that did not."""
        stats = self.seen.planner.stats
        for each in seconds:
            stats.started(deployment)
            stats.answered(deployment, each, NOW - 10.0, streamed=False)
            stats.finished(deployment, 10, 0.0)
        for _ in range(failures):
            stats.started(deployment)
            stats.failed(deployment, "UpstreamUnavailable", NOW - 10.0)

    def failed(self, deployment: Deployment, error: Any, times: int = 1) -> None:
        """The deployment failed like this."""
        for _ in range(times):
            self.called(deployment, failures=1)
            self.seen.planner.health.failed(deployment, error, judge(error), NOW - 1.0)


@pytest.fixture
def managed(tmp_path: Path) -> Managed:
    """A process that holds its links."""
    return Managed(tmp_path)


DOWN = UpstreamUnavailable("no", cause="refused")


# Providers


def test_the_list_of_providers(managed: Managed) -> None:
    """The seed's fields and units: milliseconds, a share, dollars a token."""
    managed.called(GPT_AT_OPENAI, 2.0, 2.0, 2.0, failures=1)
    answer = managed.ask("GET", "/orchestrator/providers")
    first, second = answer.json["providers"]
    assert (
        first | {"id": "openai", "name": "OpenAI", "status": "operational", "responseTime": 2000, "successRate": 0.75}
        == first
    )
    assert first["models"] == ["gpt-4", "small"]
    assert first["costPerToken"] == 0.00003
    assert (second["id"], second["responseTime"], second["successRate"]) == ("openrouter", 0, 1.0)
    assert second["costPerToken"] is None


def test_the_status_of_a_provider(managed: Managed) -> None:
    """In per cent here, as the seed has it."""
    managed.called(GPT_AT_OPENAI, *[0.1] * 199, failures=1)
    answer = managed.ask("GET", "/orchestrator/provider-status/openai")
    assert answer.json == {
        "provider": "openai",
        "status": "operational",
        "responseTime": 100,
        "successRate": 99.5,
        "errorRate": 0.5,
        "lastCheck": "2026-09-21T14:13:10Z",
        "message": "Provider is operational",
    }


def test_the_health_of_a_provider(managed: Managed) -> None:
    """Uptime is a text."""
    managed.called(LLAMA, *[0.15] * 999, failures=1)
    answer = managed.ask("GET", "/orchestrator/health/openrouter")
    assert answer.json == {
        "provider": "openrouter",
        "status": "healthy",
        "responseTime": 150,
        "lastCheck": "2026-09-21T14:13:10Z",
        "uptime": "99.9%",
    }


def test_a_check_is_newer_than_requests(tmp_path: Path) -> None:
    """What a background check found is told."""
    check = Check("down", 150.0, WALL - 2.0, "It answers 500.", 98.76, 3, "check")
    seen = overview()
    checked = Overview(seen.planner, seen.now, seen.wall, lambda _provider: check)
    assert checked.provider_status("openai")["message"] == "It answers 500."
    assert checked.provider_health("openai") == {
        "provider": "openai",
        "status": "unhealthy",
        "responseTime": 150,
        "lastCheck": "2026-09-21T14:13:18Z",
        "uptime": "98.8%",
    }


def test_a_provider_is_degraded_before_it_is_down(managed: Managed) -> None:
    """One model out of two that were called, then both."""
    small = GPT_AT_OPENAI._replace(model="small")
    managed.called(small, 0.1)
    managed.failed(GPT_AT_OPENAI, DOWN, times=5)
    assert managed.ask("GET", "/orchestrator/provider-status/openai").json["status"] == "degraded"
    managed.failed(small, DOWN, times=5)
    assert managed.ask("GET", "/orchestrator/provider-status/openai").json["status"] == "down"
    assert managed.ask("GET", "/orchestrator/health/openai").json["status"] == "unhealthy"
    assert managed.ask("GET", "/orchestrator/health/openrouter").json["status"] == "healthy"


def test_a_model_that_is_missing_says_nothing_about_its_provider(managed: Managed) -> None:
    """Callers make names up. A listed model that is gone is a part of the provider that is out."""
    missing = UpstreamModelMissing("gone", cause="http_404")
    managed.failed(GPT_AT_OPENAI._replace(model="made-up"), missing)
    assert managed.ask("GET", "/orchestrator/provider-status/openai").json["status"] == "operational"
    managed.failed(GPT_AT_OPENAI, missing)
    answer = managed.ask("GET", "/orchestrator/provider-status/openai").json
    assert (answer["status"], answer["message"]) == ("degraded", "Some models of the provider are out")


def test_a_provider_that_refuses_everything_is_not_said_to_be_silent(managed: Managed) -> None:
    """A pause that it asks for is an answer."""
    managed.failed(LLAMA, UpstreamRateLimited("slow down", cause="http_429"))
    answer = managed.ask("GET", "/orchestrator/provider-status/openrouter").json
    assert (answer["status"], answer["message"]) == ("down", "All that was called at the provider is out")


@pytest.mark.parametrize("path", ["provider-status", "health", "models"])
def test_an_unknown_provider(managed: Managed, path: str) -> None:
    """404 with the nearest name."""
    answer = managed.ask("GET", f"/orchestrator/{path}/opneai")
    assert answer.status == 404
    assert answer.json["error"]["code"] == "provider_not_found"
    assert "'openai'" in answer.json["error"]["message"]


def test_a_provider_is_added(managed: Managed) -> None:
    """In either spelling; the key is in no answer. The answer is the provider's row."""
    body = {"name": "OpenAI", "type": "OPENAI", "base_url": "https://api.openai.com/v1", "api_key": "sk-secret"}
    with_more = {**body, "id": "new", "priority": 3, "fallbackOrder": 4, "models": ["m"], "config": {"timeout": 5}}
    answer = managed.ask("POST", "/orchestrator/providers", with_more)
    assert answer.status == 201
    assert answer.json["success"] is True
    row = answer.json["provider"]
    told = {"id": "new", "name": "OpenAI", "status": "operational", "models": ["m"], "source": "api", "priority": 3}
    assert row | told == row
    assert "sk-secret" not in str(answer)
    spec = managed.added.specs["new"]
    assert spec[:3] == ("new", "openai", "https://api.openai.com/v1")
    assert spec[4:] == (3, 4, ("m",), {"timeout": 5}, "OpenAI")
    assert spec.api_key is not None
    assert spec.api_key.reveal() == "sk-secret"
    assert "sk-secret" not in repr(spec)


def test_what_is_not_said_of_a_provider(managed: Managed) -> None:
    """Its name is its id, and its place is that of its kind."""
    assert managed.ask("POST", "/orchestrator/providers", {"name": "New"}).status == 201
    spec = managed.added.specs["new"]
    assert (spec.name, spec.title, spec.priority, spec.fallback_order) == ("new", "", None, 1)


def test_where_a_provider_comes_from(managed: Managed, tmp_path: Path) -> None:
    """Where nobody can tell, nothing is said."""
    managed.ask("POST", "/orchestrator/providers", {"name": "new"})
    rows = managed.ask("GET", "/orchestrator/providers").json["providers"]
    sources = {row["id"]: row["source"] for row in rows}
    assert sources == {"openai": "configuration", "openrouter": "configuration", "new": "api"}
    split = Managed(tmp_path, starts_workers=False).ask("GET", "/orchestrator/providers").json["providers"]
    assert all("source" not in row for row in split)


def test_a_provider_is_removed(managed: Managed) -> None:
    managed.ask("POST", "/orchestrator/providers", {"name": "new"})
    answer = managed.ask("DELETE", "/orchestrator/providers/new")
    assert (answer.status, answer.json["id"]) == (200, "new")
    again = managed.ask("DELETE", "/orchestrator/providers/new")
    assert (again.status, again.json["error"]["code"]) == (404, "provider_not_found")


def test_a_configured_provider_is_not_removed(managed: Managed, tmp_path: Path) -> None:
    answer = managed.ask("DELETE", "/orchestrator/providers/openai")
    assert (answer.status, answer.json["error"]["code"]) == (409, "provider_configured")
    assert "reload" in answer.json["error"]["message"]
    split = Managed(tmp_path, starts_workers=False).ask("DELETE", "/orchestrator/providers/openai")
    assert (split.status, split.json["error"]["code"]) == (409, "no_links_here")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": 5}, "name"),
        ({"name": "a", "models": "gpt"}, "models"),
        ({"name": "a", "config": []}, "config"),
        ({"name": "a", "priority": "high"}, "priority"),
        ({"name": "a", "isActive": False}, "isActive"),
        ({"name": "a", "base_ulr": "https://x.example"}, "base_ulr"),
        ({"name": "a", "api_key": 7}, "api_key"),
        ({"name": "a", "base_url": "ftp://x.example"}, "base_url"),
        ({"name": "a", "base_url": "http://x.example"}, "base_url"),
        ({"name": "a", "base_url": "https://user:secret@x.example"}, "base_url"),
    ],
)
def test_a_provider_that_makes_no_sense(managed: Managed, body: Json, field: str) -> None:
    """400 names the field."""
    answer = managed.ask("POST", "/orchestrator/providers", body)
    assert (answer.status, answer.json["error"]["param"]) == (400, field)
    assert not managed.added.specs


def test_a_provider_that_cannot_be_added(tmp_path: Path, managed: Managed) -> None:
    """409 for one that is there, and where nobody would start a worker for it."""
    there = managed.ask("POST", "/orchestrator/providers", {"name": "openai"})
    assert (there.status, there.json["error"]["code"]) == (409, "provider_exists")
    split = Managed(tmp_path, starts_workers=False).ask("POST", "/orchestrator/providers", {"name": "new"})
    assert (split.status, split.json["error"]["code"]) == (409, "no_links_here")


# Models


def test_the_models(managed: Managed) -> None:
    """All of them, or one provider's."""
    assert [row["id"] for row in managed.ask("GET", "/orchestrator/models").json["models"]] == [
        "openai/gpt-4",
        "openai/small",
        "openrouter/gpt-4",
        "openrouter/llama",
    ]
    rows = managed.ask("GET", "/orchestrator/models/openrouter").json["models"]
    assert (
        rows[1]
        | {
            "name": "llama",
            "provider": "openrouter",
            "contextSize": 32_000,
            "isActive": True,
            "status": "available",
            "capabilities": ["text-generation"],
        }
        == rows[1]
    )
    assert rows[0] | {"costPerToken": 0.00003, "maxTokens": 4096} == rows[0]


def status_group(managed: Managed) -> Group:
    """The routes that every caller may ask."""
    return Group(PUBLIC, StatusRoutes(managed.seen).endpoints())


@pytest.mark.parametrize("path", ["/models", "/api/v1/models"])
def test_the_list_for_two_kinds_of_callers(managed: Managed, path: str) -> None:
    """OpenAI's ``data`` and the free router's ``models`` in one answer; an alias shows its first deployment."""
    answer = ask(status_group(managed), "GET", path).json
    assert answer["object"] == "list"
    assert [card["id"] for card in answer["data"]] == [row["name"] for row in answer["models"]]
    by_name = {row["name"]: row for row in answer["models"]}
    llama = {
        "provider": "openrouter",
        "type": "fast",
        "contextSize": 32_000,
        "tags": ["code"],
        "available": True,
        "status": "available",
        "capabilities": ["text-generation"],
    }
    assert by_name["quick"] == {"name": "quick", **llama}
    assert by_name["openrouter/llama"] == {"name": "openrouter/llama", **llama}
    assert by_name["openai/gpt-4"]["capabilities"] == ["text-generation", "tools", "image-input"]


def test_the_list_in_gemini_words(managed: Managed) -> None:
    """Its SDK asks the same path."""
    answer = ask(status_group(managed), "GET", "/models", headers={"x-goog-api-key": "any"}).json
    assert answer["models"][0]["name"].startswith("models/")


def test_the_status_of_a_model(managed: Managed) -> None:
    """Load is the share of its permits that is taken."""
    for _ in range(3):
        managed.seen.planner.stats.started(LLAMA)
    managed.called(LLAMA, failures=2)
    answer = ask(status_group(managed), "GET", "/models/openrouter/llama/status").json
    assert answer | {"status": "available", "load": 0.75, "errors": 2} == answer


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UpstreamRateLimited("slow", cause="http_429", retry_after=30.0), "rate_limited"),
        (UpstreamModelMissing("gone", cause="http_404"), "unavailable"),
    ],
)
def test_a_model_that_is_out(managed: Managed, error: Any, status: str) -> None:
    """Its status says for which kind of reason."""
    managed.failed(LLAMA, error)
    assert ask(status_group(managed), "GET", "/models/openrouter/llama/status").json["status"] == status
    assert ask(status_group(managed), "GET", "/models/quick/status").json["status"] == "available"


def test_a_model_that_nobody_has(managed: Managed) -> None:
    """404 with the nearest name."""
    answer = ask(status_group(managed), "GET", "/models/openai/gpt-5/status")
    assert answer.json["status"] == "available", "a provider's prefix is taken on the caller's word"
    answer = ask(status_group(managed), "GET", "/models/qick/status")
    assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")
    assert "'quick'" in answer.json["error"]["message"]


# Routing without calling


def test_the_seeds_request_is_routed(managed: Managed) -> None:
    """Its answer has the seed's fields and the reason."""
    managed.called(GPT_AT_OPENAI, 2.0)
    answer = managed.ask("POST", "/orchestrator/route-request", SEED_REQUEST)
    assert answer.status == 200
    told = answer.json.pop("decision")
    assert 0.0018 < answer.json.pop("estimatedCost") < 0.003, "thirty tokens of answer, and the prompt's"
    assert answer.json == {
        "success": True,
        "message": "Request routed successfully",
        "provider": "openai",
        "model": "gpt-4",
        "estimatedTokens": 30,
        "responseTime": 2000,
        "fallbackProvider": "openrouter",
    }
    assert [row["provider"] for row in told["candidates"]] == ["openai", "openrouter"]
    assert managed.seen.planner.stats.records[GPT_AT_OPENAI].total_calls == 1


def test_a_chat_body_is_routed(managed: Managed) -> None:
    """As it would be sent, wishes in fields or headers, with a list of models."""
    body = {"model": ["openrouter/llama", "gpt-4"], "messages": [{"role": "user", "content": "hi"}], "stream": True}
    answer = managed.ask("POST", "/orchestrator/route-request", body)
    assert (answer.json["provider"], answer.json["model"]) == ("openrouter", "llama")
    answer = managed.ask("POST", "/orchestrator/route-request", {**body, "provider": {"ignore": ["openrouter"]}})
    assert (answer.json["provider"], answer.json["fallbackProvider"]) == ("openai", None)
    reasons = [row["reason"] for row in answer.json["decision"]["excluded"]]
    assert set(reasons) == {"ignore"}


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"urgency": "soon"}, 400, "urgency"),
        ({"expectedTokens": -1}, 400, "expectedTokens"),
        ({"expectedTokens": "30"}, 400, "expectedTokens"),
        ({"prompt": 5}, 400, "prompt"),
        ({"options": []}, 400, "options"),
        ({"userId": 5}, 400, "userId"),
        ({"budget": -1}, 400, "budget"),
        ({"messages": []}, 400, "messages"),
        ({"model": "gtp-4"}, 404, "model"),
        ({"budget": 0.0000001, "model": "openai/gpt-4"}, 400, "budget"),
    ],
)
def test_a_question_that_makes_no_sense(managed: Managed, change: Json, status: int, field: str) -> None:
    """The refusal names the field."""
    for path in ("route-request", "analyze-request"):
        answer = managed.ask("POST", f"/orchestrator/{path}", {**SEED_REQUEST, **change})
        assert (answer.status, answer.json["error"]["param"]) == (status, field)


def test_all_providers_are_out(managed: Managed) -> None:
    """503, and when to come back."""
    for deployment in (GPT_AT_OPENAI, GPT_AT_OPENAI._replace(provider="openrouter")):
        managed.failed(deployment, DOWN, times=5)
    answer = managed.ask("POST", "/orchestrator/route-request", SEED_REQUEST)
    assert (answer.status, answer.json["error"]["code"]) == (503, "all_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    analysed = managed.ask("POST", "/orchestrator/analyze-request", SEED_REQUEST)
    assert [row["provider"] for row in analysed.json["decision"]["reserve"]] == ["openai", "openrouter"]


def test_a_request_is_analysed(managed: Managed) -> None:
    """The seed's analysis and scores, and which rule decides."""
    rule = {"condition": {"urgency": "high"}, "provider": "openrouter", "id": "urgent"}
    assert managed.ask("POST", "/orchestrator/routing-rules", rule).status == 201
    body = {**SEED_REQUEST, "urgency": "high", "options": {"tools": [{"type": "function"}]}}
    answer = managed.ask("POST", "/orchestrator/analyze-request", body).json
    fields = ("userId", "model", "prompt", "expectedTokens", "budget", "urgency", "quality", "options")
    assert {field: answer[field] for field in fields} == body
    assert answer["needs"]["parameters"] == ["tools"]
    assert answer["rule"]["id"] == "urgent"
    assert [score["provider"] for score in answer["scores"]] == ["openrouter", "openai"]
    assert set(answer["scores"][0]["factors"]) == {"cost", "speed", "quality", "availability", "reliability"}
    assert all(0 <= factor <= 100 for score in answer["scores"] for factor in score["factors"].values())


# Rules


def test_a_rule_from_beginning_to_end(managed: Managed) -> None:
    """Made, listed, changed, used, deleted."""
    made = managed.ask(
        "POST",
        "/orchestrator/routing-rules",
        {"condition": {"budget": {"max": 0.01}}, "provider": "openrouter", "priority": 2},
    )
    assert made.status == 201
    path = f"/orchestrator/routing-rules/{made.json['id']}"
    assert managed.ask("GET", path).json == made.json
    assert [rule["id"] for rule in managed.ask("GET", "/orchestrator/routing-rules").json["rules"]] == [
        "seed-1",
        made.json["id"],
    ]
    cheap = {**SEED_REQUEST, "budget": 0.01}
    assert managed.ask("POST", "/orchestrator/route-request", cheap).json["provider"] == "openrouter"
    assert managed.ask("POST", "/orchestrator/route-request", SEED_REQUEST).json["provider"] == "openai"
    changed = managed.ask("PUT", path, {"condition": {}, "provider": "openrouter", "isActive": False})
    assert changed.json == {**made.json, "condition": {}, "priority": 1, "isActive": False}
    assert managed.ask("POST", "/orchestrator/route-request", cheap).json["provider"] == "openai"
    assert managed.ask("DELETE", path).status == 200
    assert managed.ask("GET", path).status == 404
    assert managed.ask("PUT", path, {"condition": {}, "provider": "openai"}).status == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"provider": "openai"}, "condition"),
        ({"condition": {"urgnecy": "high"}, "provider": "openai"}, "condition"),
        ({"condition": {}, "provider": "anthropic"}, "provider"),
        ({"condition": {}}, "provider"),
        ({"condition": {}, "provider": "openai", "priority": 1.5}, "priority"),
        ({"condition": {}, "provider": "openai", "isActive": "yes"}, "isActive"),
        ({"condition": {}, "provider": "openai", "proirity": 1}, "proirity"),
    ],
)
def test_a_rule_that_makes_no_sense(managed: Managed, body: Json, field: str) -> None:
    """400 names the field, for a new one and for a change."""
    for method, path in (("POST", "/orchestrator/routing-rules"), ("PUT", "/orchestrator/routing-rules/seed-1")):
        answer = managed.ask(method, path, body)
        assert (answer.status, answer.json["error"]["param"]) == (400, field)


def test_a_rule_that_is_there_already(managed: Managed) -> None:
    """409; a configured one cannot be deleted."""
    answer = managed.ask("POST", "/orchestrator/routing-rules", {"id": "seed-1", "condition": {}, "provider": "openai"})
    assert (answer.status, answer.json["error"]["code"]) == (409, "rule_exists")
    other = {"id": "seed-2", "condition": {}, "provider": "openai"}
    answer = managed.ask("PUT", "/orchestrator/routing-rules/seed-1", other)
    assert (answer.status, answer.json["error"]["param"]) == (400, "id")
    answer = managed.ask("DELETE", "/orchestrator/routing-rules/seed-1")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, PUT")


# The state of the process


def test_the_state_of_every_model(managed: Managed) -> None:
    """The free router's words for a breaker, and its figures."""
    managed.called(LLAMA, 0.2, 0.4)
    managed.failed(GPT_AT_OPENAI, DOWN, times=5)
    managed.failed(GPT_AT_OPENAI._replace(model="small"), UpstreamModelMissing("gone", cause="http_404"))
    answer = managed.ask("GET", "/api/v1/admin/state").json
    assert answer["timestamp"] == "2026-09-21T14:13:20Z"
    states = {state["name"]: state for state in answer["models"]}
    assert {name: state["circuitState"] for name, state in states.items()} == {
        "openai/gpt-4": "OPEN",
        "openai/small": "PERMANENTLY_UNAVAILABLE",
        "openrouter/gpt-4": "CLOSED",
        "openrouter/llama": "CLOSED",
    }
    assert states["openai/gpt-4"]["consecutiveFailures"] == 5
    assert 0.0 < states["openai/gpt-4"]["secondsLeft"] <= 5.0
    assert states["openai/small"]["secondsLeft"] is None
    assert (
        states["openrouter/llama"]["stats"] | {"totalRequests": 2, "successCount": 2, "successRate": 1.0}
        == (states["openrouter/llama"]["stats"])
    )


def test_a_model_is_reset(managed: Managed) -> None:
    """By its public name, with a slash in it; it may be called again."""
    managed.failed(GPT_AT_OPENAI, UpstreamModelMissing("gone", cause="http_404"))
    answer = managed.ask("POST", "/admin/state/openai/gpt-4/reset")
    assert answer.json["reset"] == ["openai/gpt-4"]
    assert managed.seen.planner.health.standing(GPT_AT_OPENAI, NOW) is None
    assert managed.seen.planner.stats.of(GPT_AT_OPENAI) is None
    assert managed.ask("POST", "/admin/state/qick/reset").status == 404
    refused = managed.ask("GET", "/admin/state/openai/gpt-4/reset")
    assert (refused.status, refused.headers["allow"]) == (405, "POST")


def test_the_totals(managed: Managed) -> None:
    """The free router's form under /admin, the orchestrator's at /metrics."""
    managed.failed(LLAMA, DOWN, times=5)
    answer = managed.ask("GET", "/admin/metrics").json
    assert answer == {
        "uptime": 3600,
        "totalRequests": 1000,
        "successfulRequests": 950,
        "failedRequests": 50,
        "fallbacksUsed": 5,
        "avgLatency": 500,
        "modelsAvailable": 3,
        "modelsInOpenState": 1,
        "modelsPermanentlyUnavailable": 0,
        "activeConnections": 0,
    }
    assert managed.ask("GET", "/metrics").json == {name: TOTALS[name] for name in ("requests", "performance")}


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ("", True),
        ("*/*", True),
        ("application/json", True),
        ("application/json, text/plain, */*", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("text/plain;q=0.5, application/json", True),
        ("application/json;q=nonsense", True),
        ("text/plain;version=0.0.4", False),
        ("text/plain, application/json;q=0.1", False),
        ("text/*, application/json;q=0", False),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", False),
    ],
)
def test_metrics_as_they_are_asked_for(managed: Managed, accept: str, is_json: bool) -> None:
    """JSON for people's programs, text for Prometheus."""
    answer = managed.ask("GET", "/metrics", headers={"accept": accept})
    if is_json:
        assert answer.json["requests"]["total"] == 1000
    else:
        assert (answer.body, answer.headers["content-type"]) == (b"up 1\n", "text/plain; version=0.0.4")


def test_the_configuration_and_its_reload(managed: Managed) -> None:
    """A bad one is a 400 that tells the problem, in both forms."""
    assert managed.ask("GET", "/admin/config").json == {"strategy": "score"}
    assert managed.ask("POST", "/admin/reload").json["applied"] == [{"name": "strategy"}]
    managed.reloaded = {"applied": [], "needs_restart": [], "problems": ["config.yaml, line 3: …"]}
    answer = managed.ask("POST", "/admin/reload")
    assert answer.status == 400
    assert answer.json["problems"] == ["config.yaml, line 3: …"]
    assert "line 3" in answer.json["error"]["message"]


def test_what_a_reload_would_do(managed: Managed) -> None:
    """How many requests it is tried with is a number of those that are remembered."""
    assert managed.ask("POST", "/admin/check").json["requests"]["planned"] == 500
    assert managed.ask("POST", "/admin/check?requests=7").json["requests"]["planned"] == 7
    answer = managed.ask("POST", "/admin/check?requests=2001")
    assert (answer.status, answer.json["error"]["param"]) == (400, "requests")
    managed.reloaded = {"applied": [], "needs_restart": [], "problems": ["config.yaml, line 3: …"]}
    answer = managed.ask("POST", "/admin/check")
    assert (answer.status, answer.json["problems"]) == (400, ["config.yaml, line 3: …"])
    assert answer.json["error"]["message"] == "The configuration is not valid. config.yaml, line 3: …"


def test_the_quotas(managed: Managed) -> None:
    """None at first; then what the configuration says, and how much of it is left."""
    assert managed.ask("GET", "/admin/rate-limits").json == {"enabled": False, "limits": []}
    quota = managed.seen.planner.quota
    quota.limit("openrouter", "", "llama", {"rpm": 2})
    quota.take("openrouter", "", "llama", 10, NOW)
    answer = managed.ask("GET", "/admin/rate-limits").json
    assert answer["enabled"] is True
    [limit] = answer["limits"]
    assert limit | {"provider": "openrouter", "model": "llama", "limit": 2, "remaining": 1, "secondsLeft": 0.0} == limit
    quota.take("openrouter", "", "llama", 10, NOW)
    assert ask(status_group(managed), "GET", "/models/openrouter/llama/status").json["status"] == "rate_limited"


def test_a_model_that_nobody_lists_has_a_state(managed: Managed) -> None:
    """Callers name models that are newer than the lists."""
    managed.failed(GPT_AT_OPENAI._replace(model="newest"), UpstreamModelMissing("gone", cause="http_404"))
    states = {state["name"]: state["circuitState"] for state in managed.ask("GET", "/admin/state").json["models"]}
    assert states["openai/newest"] == "PERMANENTLY_UNAVAILABLE"
    assert len(states) == 5


# Decisions


def test_the_last_decisions(managed: Managed) -> None:
    """Newest first, as many as were asked for; one in full."""
    plan = managed.seen.planner.plan(RoutingRequest(("gpt-4",), "chat"), NOW)
    served = Attempt(plan.candidates[0], NOW)
    for number in range(3):
        managed.decisions(
            RequestEnded(
                f"req-{number}", WALL, "chat", streamed=False, outcome="ok", status=200, error="", caller="", requested_model="gpt-4",
                latency_s=0.6, first_content_s=0.5, planned_at=NOW, plan=plan,
                served_by="attempt", provider="openai", model="gpt-4", tried=records_of([served], NOW, 0),
            )
        )  # fmt: skip
    lines = managed.ask("GET", "/orchestrator/decisions?limit=2").json["decisions"]
    assert [line["request_id"] for line in lines] == ["req-2", "req-1"]
    whole = managed.ask("GET", "/orchestrator/decisions/req-1").json
    assert whole["served"] == {"name": "gpt-4", "provider": "openai", "model": "gpt-4"}
    assert [row["provider"] for row in whole["decision"]["candidates"]] == ["openai", "openrouter"]
    gone = managed.ask("GET", "/orchestrator/decisions/req-9")
    assert (gone.status, gone.json["error"]["code"]) == (404, "decision_not_found")
    assert managed.ask("GET", "/orchestrator/decisions?limit=none").json["error"]["param"] == "limit"


# Access


@pytest.mark.parametrize(
    "path",
    ["/orchestrator/providers", "/admin/state", "/api/v1/admin/config", "/metrics", "/orchestrator/decisions"],
)
def test_a_stranger_is_refused(managed: Managed, path: str) -> None:
    """Everywhere, with the setting that opens the door."""
    answer = managed.ask("GET", path, peer="203.0.113.9")
    assert answer.status == 403
    assert "OR_ADMIN_TOKEN" in answer.json["error"]["message"]
