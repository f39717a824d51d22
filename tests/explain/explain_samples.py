"""A decision record and an analysis as a server gives them."""

from orcestator.json_text import Json


def candidate(place: int, provider: str, model: str, score: float, dollars: float | None, **factors: float) -> Json:
    """One row of a plan."""
    return {
        "place": place,
        "name": model,
        "provider": provider,
        "model": model,
        "worker": "",
        "credential": "",
        "tier": place - 1,
        "is_paid_fallback": False,
        "estimated_cost": dollars,
        "score": score,
        "factors": {
            **{"cost": 60.0, "speed": 40.0, "quality": 50.0, "availability": 100.0, "reliability": 98.0},
            **factors,
        },
    }


DECISION: Json = {
    "asked": {
        "names": ["both", "nobody"],
        "unused_names": ["nobody"],
        "endpoint": "chat",
        "wishes": {"tags": ["code", "math"], "prefer_fast": True, "budget": 0.5},
        "needs": ["tools"],
        "prompt_tokens": 5,
        "output_tokens": 30,
    },
    "strategy": "score",
    "rule": None,
    "candidates": [
        candidate(1, "alpha", "echo", 71.25, 0.0018),
        candidate(2, "beta", "a-longer-name", 9.5, None, cost=5.0),
        {**candidate(3, "beta", "a-longer-name", 1.0, None), "credential": "2", "is_paid_fallback": True},
    ],
    "reserve": [{**candidate(0, "gamma", "echo", 0.0, 0.1), "tier": 1}],
    "excluded": [
        {
            **{"name": "echo", "provider": "delta", "model": "echo", "worker": "", "credential": "", "tier": 0},
            **{"reason": "cooldown", "detail": "It asked for a pause.", "seconds_left": 12.4},
        },
    ],
    "not_considered": 3,
}
ANALYSIS: Json = {
    "model": "gpt-4",
    "needs": {"parameters": ["tools"], "modalities": [], "promptTokens": 5},
    "estimatedTokens": 35,
    "scores": [],
    "decision": {**DECISION, "rule": "urgent"},
}
RECORD: Json = {
    "id": "req-1~1",
    "request_id": "req-1",
    "caller": "caller-0a1b2c3d",
    "at": "2026-11-21T14:13:20.250Z",
    "requested": "both",
    "status": 200,
    "outcome": "ok",
    "error": "",
    "served": {"name": "echo", "provider": "beta", "model": "a-longer-name"},
    "decision": DECISION,
    "options_left_out": 0,
    "same_request_id": [],
    "attempts": [
        {
            **{
                "number": 1,
                "provider": "alpha",
                "model": "echo",
                "credential": "",
                "started_ms": 0.25,
                "took_ms": 100.0,
            },
            **{"error": "UpstreamUnavailable", "cause": "http_503", "upstream_status": 503, "verdict": "fall_back"},
            **{"is_hedge": False, "is_probe": True},
        },
        {
            **{
                "number": 2,
                "provider": "beta",
                "model": "a-longer-name",
                "credential": "2",
                "started_ms": 100.5,
                "took_ms": 300.0,
            },
            **{"error": "", "cause": "", "upstream_status": 200, "verdict": ""},
            **{"is_hedge": False, "is_probe": False},
        },
    ],
    "timings": {"parse_ms": 0.08, "plan_ms": 0.012, "first_content_ms": 400.5, "total_ms": 12_345.0},
}
