"""The last stage: the one event that tells a request's end, and what an answer cost."""

from typing import Any

from orcestator.gateway.request_state import RequestState
from orcestator.providers.prices import cost
from orcestator.routing.events import RequestEnded
from orcestator.upstream.call import WholeAnswer

Json = dict[str, Any]


def record(state: RequestState) -> RequestEnded:
    """Tell the end of this request, once."""
    gateway, route = state.gateway, state.route
    answer, error, tally = state.answer, state.error, state.tally
    served = tally.served.deployment if tally.served else None
    prompt, completion, estimated, text = 0, 0, False, ""
    if isinstance(answer, WholeAnswer):
        prompt, completion, estimated = answer.prompt_tokens, answer.completion_tokens, answer.estimated
        text = answer.text
    elif answer is not None:
        prompt, completion, estimated = answer.tokens
        text = answer.text
    if state.continuing is not None and state.continuing.text:
        text = state.continuing.text + text
        prompt, completion = state.continuing.counted(prompt, completion)
    ended = gateway.attempts.now()
    name = type(error).__name__ if error else ""
    parse, planned = state.parsed - state.started, state.planned - state.parsed
    seconds = ended - state.started
    gateway.decisions.note(
        state.request_id, state.plan, tally, state.outcome, state.status, name, state.model, state.caller.name,
        route.name, state.streamed, state.arrived_at, state.parsed, parse, planned, state.first_content, seconds,
    )  # fmt: skip
    event = RequestEnded(
        state.request_id,
        state.arrived_at,
        route.name,
        state.streamed,
        state.outcome,
        state.status,
        name,
        error.message if error else "",
        state.caller.name,
        state.model,
        served.provider if served else "",
        served.model if served else "",
        state.user_text,
        text[: gateway.policy.text_chars],
        prompt,
        completion,
        estimated,
        seconds,
        state.first_content,
        tally.attempts,
        tally.fallbacks,
        parse,
        planned,
        state.relay,
        state.served_by,
    )
    gateway.emit(event)
    return event


def cost_of(state: RequestState, answer: WholeAnswer) -> float | None:
    """US dollars by the price list; None where the model's price is not known."""
    served = state.tally.served.deployment if state.tally.served else None
    pricing = state.gateway.catalog().facts(served).get("pricing") if served else None
    usage = (answer.wire or {}).get("usage")
    return cost(pricing, usage) if isinstance(pricing, dict) and isinstance(usage, dict) else None
