"""The last stage: the one event that tells a request's end, and what an answer cost."""

from orcestator.gateway.request_state import RequestState
from orcestator.prices import cost, dollars
from orcestator.routing.attempts.attempt import records_of
from orcestator.routing.events import RequestEnded, cost_of_serving
from orcestator.upstream.call import BYTES_PER_TOKEN, WholeAnswer
from orcestator.usage import NOTHING, Usage

_new = tuple.__new__
"""Makes a named tuple without a call of its class."""


def record(state: RequestState) -> RequestEnded:
    """Tell the end of this request, once."""
    gateway, tally, answer, error = state.gateway, state.tally, state.answer, state.error
    prompt_tokens = 0 if state.order is None else len(state.order.body) // BYTES_PER_TOKEN
    tried = records_of(tally.made, state.started, prompt_tokens)
    text, provider, model = "" if answer is None else answer.text, "", ""
    usage: Usage = NOTHING
    nano_usd: int | None = 0
    winner = tally.winner
    if winner is not None:
        deployment = winner.candidate.deployment
        provider, model = deployment.provider, deployment.model
        usage, nano_usd = winner.usage or NOTHING, tried[tally.made.index(winner)].nano_usd
    if state.continuing is not None and state.continuing.text:
        text = state.continuing.text + text
        usage = state.continuing.counted(NOTHING if answer is None else usage)
        nano_usd = cost_of_serving(tried)
    # The fields in their order: a test holds that it is this one.
    event = _new(RequestEnded, (
        state.request_id,
        state.arrived_at,
        state.route.name,
        state.streamed,
        state.outcome,
        state.status,
        type(error).__name__ if error else "",
        state.caller.name,
        state.model,
        state.served_by or ("attempt" if winner else ""),
        provider,
        model,
        usage,
        nano_usd,
        gateway.attempts.now() - state.started,
        state.first_content,
        tally.attempts,
        tally.retries,
        tally.fallbacks,
        tally.hedges,
        winner is not None and winner.candidate.is_paid_fallback,
        state.parsed - state.started,
        state.planned - state.parsed,
        state.relay,
        tried,
        state.parsed,
        state.plan,
        error.message if error else "",
        state.user_text,
        text[: gateway.policy.text_chars],
    ))  # fmt: skip
    gateway.emit(event)
    return event


def cost_of(state: RequestState, answer: WholeAnswer) -> float | None:
    """US dollars by the price list; None where the model's price is not known."""
    served = state.tally.served
    return dollars(cost(served.traits.prices, answer.usage)) if served else None
