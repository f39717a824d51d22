"""``--probe``: real calls at the providers, the same way as a caller's."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orcestator.doctor.finding import OK, PROBLEM, WARNING, Finding
from orcestator.doctor.progress import Waiting
from orcestator.doctor.trials import PLAIN, TRIALS, Facts, Trial, differences, learned
from orcestator.errors import OrcestatorError, UpstreamModelMissing, UpstreamRejected
from orcestator.json_text import Json, dumps
from orcestator.upstream.call import UpstreamCall, WholeAnswer
from orcestator.upstream.ids import new_id
from orcestator.upstream.provider_client import ProviderClient

LONGEST_SECONDS = 90.0
STREAM = "stream with usage"


@dataclass(frozen=True, slots=True)
class Probed:
    """One model after its trials. ``facts`` is None when not even the plain call worked."""

    name: str
    facts: Facts | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A model of a provider."""

    link: ProviderClient
    model: str

    @property
    def name(self) -> str:
        """How callers name it."""
        return f"{self.link.row.name}/{self.model}"


def targets(links: Sequence[ProviderClient], wanted: Sequence[str]) -> list[Target]:
    """The models to try: those that are named as ``provider/model``, else each provider's default model."""
    if not wanted:
        return [Target(link, link.offer.default_model) for link in links if link.offer.default_model]
    by_name: Mapping[str, ProviderClient] = {link.row.name: link for link in links}
    pairs = [(name.partition("/")[0], name.partition("/")[2]) for name in wanted]
    return [Target(by_name[provider], model) for provider, model in pairs if provider in by_name and model]


async def probe_all(found: Sequence[Target], waiting: Waiting) -> list[Probed]:
    """Try all of them, one call at a time at each."""
    return list(await asyncio.gather(*(_probe(target, waiting) for target in found)))


async def _probe(target: Target, waiting: Waiting) -> Probed:
    subject = f"probe {target.name}"
    try:
        try:
            works = await _attempt(target, PLAIN)
        except OrcestatorError as fault:
            finding = Finding(subject, PROBLEM, f"a plain call fails: {fault.message}", "The rest was not tried.")
            return Probed(target.name, None, (finding,))
        if not works:
            finding = Finding(subject, PROBLEM, "a plain call gets an empty answer", "The rest was not tried.")
            return Probed(target.name, None, (finding,))
        return await _tried(target, subject)
    finally:
        waiting.done(target.name)


async def _tried(target: Target, subject: str) -> Probed:
    results = {trial.name: await _result(target, trial) for trial in TRIALS}
    streams = await _streams_usage(target)
    claimed = _claimed(target)
    facts = learned(claimed, results)
    findings = [Finding(subject, OK, _summary({PLAIN.name: True, **results, STREAM: streams}))]
    wrong = differences(claimed, facts)
    if wrong:
        findings.append(
            Finding(subject, WARNING, "; ".join(wrong), "probed.json in the state folder has it right now.")
        )
    return Probed(target.name, facts, tuple(findings))


def _claimed(target: Target) -> Facts:
    facts = target.link.offer.models.get(target.model, {})
    return Facts(tuple(facts.get("supported_parameters") or ()), tuple(facts.get("input_modalities") or ()))


def _summary(results: Mapping[str, bool | None]) -> str:
    groups = {"yes": True, "no": False, "not known": None}
    named = {word: [name for name, result in results.items() if result is value] for word, value in groups.items()}
    return "; ".join(f"{word}: {', '.join(names)}" for word, names in named.items() if names)


async def _result(target: Target, trial: Trial) -> bool | None:
    """Whether the model can do it; None when the call failed for a reason that says nothing about that."""
    try:
        return await _attempt(target, trial)
    except (UpstreamRejected, UpstreamModelMissing):
        return False
    except OrcestatorError:
        return None


async def _attempt(target: Target, trial: Trial) -> bool:
    answer = await target.link.attempt_beside(target.model, _order(trial.call(target.model)))
    if not isinstance(answer, WholeAnswer):
        answer.close()
        return False
    if set(trial.dropped) & set(answer.dropped):
        return False
    return trial.shows(answer.wire or {})


async def _streams_usage(target: Target) -> bool | None:
    call = {**PLAIN.call(target.model), "stream": True, "stream_options": {"include_usage": True}}
    try:
        answer = await target.link.attempt_beside(target.model, _order(call))
        if isinstance(answer, WholeAnswer):
            return False
        try:
            while await answer.next():
                pass
            return not answer.usage.tokens_estimated
        finally:
            answer.close()
    except (UpstreamRejected, UpstreamModelMissing):
        return False
    except OrcestatorError:
        return None


def _order(call: Json) -> UpstreamCall:
    return UpstreamCall(
        endpoint="chat",
        path="/chat/completions",
        body=dumps(call),
        call=call,
        content_type="application/json",
        shown_model=call["model"],
        streamed=call.get("stream") is True,
        include_usage=True,
        request_id=new_id("doctor-"),
        deadline=asyncio.get_running_loop().time() + LONGEST_SECONDS,
        text_cap=0,
        created=int(time.time()),
        new_id=new_id,
    )
