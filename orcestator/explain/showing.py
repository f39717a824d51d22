"""A plan as an aligned table, and what was tried as a timeline. Pure: JSON in, text out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from orcestator.telemetry.traffic_codec import escape_controls

Json = Mapping[str, Any]
BAR_WIDTH = 32
FACTORS = ("cost", "speed", "quality", "availability", "reliability")
_NOTHING = "-"


def plan_shown(analysis: Json) -> str:
    """Where a request would go."""
    decision, needs = analysis["decision"], analysis["needs"]
    facts = [
        f"model {_names(decision)}",
        f"about {needs['promptTokens']} tokens of prompt, {analysis['estimatedTokens']} in all",
    ]
    return _text([_joined(facts), *_asking(decision), *_plan(decision)])


def record_shown(record: Json) -> str:
    """Where a request went, what was tried on the way, and how long each part took."""
    served = record["served"]
    outcome = f"served by {served['provider']}/{served['model']}" if served else record["error"] or record["outcome"]
    decision = record["decision"]
    requested = record["requested"] if decision is None else _names(decision)
    who = [f"by {record['caller']}"] if record["caller"] else []
    facts = [record["request_id"], record["at"], *who, f"asked for {requested}", f"{record['status']} {outcome}"]
    none = ["No plan was made: the request was refused before."]
    plan = none if decision is None else [*_asking(decision), *_plan(decision)]
    left_out = record["options_left_out"]
    more = [f"  … and {left_out} more that the record does not keep"] if left_out else []
    told = [_joined(facts), *plan, *more, "", *_timeline(record["attempts"]), "", _timings(record["timings"])]
    return _text([*told, *_others(record["same_request_id"])])


def _others(lines: Sequence[Json]) -> list[str]:
    """The requests that came with the same id, each by the one that is its own."""
    if not lines:
        return []
    head = ("record", "at", "caller", "asked for", "status")
    rows = [(line["id"], line["at"], line["caller"], line["requested"], str(line["status"])) for line in lines]
    return ["", "Others had the same x-request-id; orcestator explain RECORD shows one:", "", *_table([head, *rows])]


def _names(decision: Json) -> str:
    """The names that were asked for, in their order; which of them led nowhere."""
    unused = decision["asked"]["unused_names"] or ()
    return ", ".join(
        f"{name} (unknown, or the same as one before)" if name in unused else name
        for name in decision["asked"]["names"]
    )


def _asking(decision: Json) -> list[str]:
    """What was wished for and what the request needs, in a line where it is anything."""
    asked = decision["asked"]
    wishes = [f"{name}={_shown(value)}" for name, value in asked["wishes"].items()]
    wished = [f"wishes {' '.join(wishes)}"] if wishes else []
    said = [*wished, *([f"needs {', '.join(asked['needs'])}"] if asked["needs"] else [])]
    return [_joined(said)] if said else []


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value).lower()


def _plan(decision: Json) -> list[str]:
    rule = f", rule {decision['rule']} before it" if decision.get("rule") else ""
    tried, reserve, out = decision["candidates"], decision["reserve"], decision["excluded"]
    places = Counter((row["provider"], row["model"], row["credential"]) for row in (*tried, *reserve, *out))
    rows = [_candidate(place, row, places) for place, row in enumerate(tried, 1)]
    rows += [_aside("reserve", row, places, f"{_unwell(row)}: tried when nothing else is left") for row in reserve]
    rows += [_aside("out", row, places, _why(row)) for row in out]
    unseen = decision.get("not_considered")
    more = [f"  … and {unseen} more that nobody looked at"] if unseen else []
    head = ("", "candidate", "tier", "score", *FACTORS, "est. cost", "notes")
    return ["", f"strategy {decision['strategy']}{rule}", "", *_table([head, *rows]), *more]


def _label(row: Json, places: Mapping[tuple[str, str, str], int]) -> str:
    """Where it goes: with the key's number unless it is the first, and the worker where several have it."""
    has_twins = places[row["provider"], row["model"], row["credential"]] > 1
    worker = f" at {row['worker']}" if has_twins and row["worker"] else ""
    return f"{row['provider']}/{row['model']}{_key(row)}{worker}"


def _key(row: Json) -> str:
    return f", key {row['credential']}" if row["credential"] else ""


def _candidate(place: int, row: Json, places: Mapping[tuple[str, str, str], int]) -> tuple[str, ...]:
    factors = row["factors"]
    return (
        str(place),
        _label(row, places),
        str(row["tier"]),
        _number(row.get("score"), 2),
        *(_number(factors.get(name), 0) for name in FACTORS),
        _dollars(row.get("estimated_cost")),
        "the paid fallback" if row["is_paid_fallback"] else "",
    )


def _aside(place: str, row: Json, places: Mapping[tuple[str, str, str], int], why: str) -> tuple[str, ...]:
    blanks = (_NOTHING,) * (len(FACTORS) + 1)
    return (
        place,
        _label(row, places),
        str(row["tier"]),
        *blanks,
        _dollars(row.get("estimated_cost")),
        why,
    )


def _unwell(row: Json) -> str:
    return _why(row) if row.get("reason") else "unwell"


def _why(row: Json) -> str:
    seconds = row.get("seconds_left")
    until = f" (back in {seconds:.0f} s)" if seconds else ""
    return f"{row['reason']}: {row['detail']}{until}"


def _timeline(attempts: Sequence[Json]) -> list[str]:
    """One bar an attempt, all on one scale."""
    if not attempts:
        return ["Nobody was called."]
    end = max(attempt["started_ms"] + attempt["took_ms"] for attempt in attempts) or 1.0
    rows = [
        (
            str(attempt["number"]),
            f"{attempt['provider']}/{attempt['model']}{_key(attempt)}",
            _milliseconds(attempt["started_ms"]),
            _bar(attempt["started_ms"] / end, attempt["took_ms"] / end),
            _milliseconds(attempt["took_ms"]),
            _came_of(attempt),
        )
        for attempt in attempts
    ]
    return _table([("", "attempt", "start", "", "took", "what came of it"), *rows], right=(2, 4))


def _bar(start: float, length: float) -> str:
    before = min(BAR_WIDTH - 1, round(start * BAR_WIDTH))
    filled = max(1, min(BAR_WIDTH - before, round(length * BAR_WIDTH)))
    return " " * before + "█" * filled + " " * (BAR_WIDTH - before - filled)


def _came_of(attempt: Json) -> str:
    marks = [name for name in ("hedge", "probe") if attempt[f"is_{name}"]]
    kind = f" ({', '.join(marks)})" if marks else ""
    if not attempt["error"]:
        return (attempt["verdict"].replace("_", " ") or "served") + kind
    status = f" {attempt['upstream_status']}" if attempt["upstream_status"] else ""
    cause = f" {attempt['cause']}" if attempt["cause"] else ""
    then = f" → {attempt['verdict'].replace('_', ' ')}" if attempt["verdict"] else ""
    return f"{attempt['error']}{status}{cause}{then}{kind}"


def _timings(timings: Json) -> str:
    first = timings["first_content_ms"]
    parts = [
        f"parse {_milliseconds(timings['parse_ms'])}",
        f"plan {_milliseconds(timings['plan_ms'])}",
        f"first content {_milliseconds(first) if first is not None else 'none'}",
        f"total {_milliseconds(timings['total_ms'])}",
    ]
    return " · ".join(parts)


def _table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Columns as wide as their widest cell; a column without content is left out; numbers are flush right."""
    columns = [column for column in range(len(rows[0])) if any(row[column] not in ("", _NOTHING) for row in rows[1:])]
    wide = {column: max(len(row[column]) for row in rows) for column in columns}
    flush = {*right, *(column for column in columns if column and _is_numeric(rows, column))}
    lines = ["  ".join(row[c].rjust(wide[c]) if c in flush else row[c].ljust(wide[c]) for c in columns) for row in rows]
    return [f"  {line}".rstrip() for line in lines]


def _is_numeric(rows: Sequence[Sequence[str]], column: int) -> bool:
    return all(row[column] in ("", _NOTHING) or row[column].lstrip("-$")[:1].isdigit() for row in rows[1:])


def _milliseconds(value: float) -> str:
    if value >= 10_000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.2f} ms"


def _number(value: float | None, digits: int) -> str:
    return _NOTHING if value is None else f"{value:.{digits}f}"


def _dollars(value: float | None) -> str:
    return _NOTHING if value is None else f"${value:.6f}"


def _joined(facts: Sequence[str]) -> str:
    return " · ".join(facts)


def _text(lines: Sequence[str]) -> str:
    """Names in it are callers': none may begin a line of its own, or move the cursor."""
    return "\n".join(["", *(escape_controls(line.replace("\n", "\\x0a")) for line in lines), "", ""])
