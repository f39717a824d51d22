"""Every row of the catalogue, on a bare socket: the fault is on the wire as its line says it is."""

import json
import re
import socket
import ssl
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from orcestator.json_text import Json
from orcestator.sandbox.faults import catalogue
from orcestator.sandbox.faults.catalogue import ERROR_BODIES, Fault
from orcestator.sandbox.faults.table import SPOILS
from orcestator.sandbox.settings import SandboxSettings
from orcestator.sandbox.wire import encodings
from tests.sandbox.running_sandbox import RunningSandbox, StartSandbox
from tests.sandbox.sandbox_wire import TOOL, Wire, ask, chat, connect, read_answer, read_chunks, read_to_end, request

PATH = "/v1/chat/completions"
NONCE = "n0nce"

OPTIONS = {
    "U4:no-read": "?seconds=0.01",
    "U8:headers": "?interval=0",
    "U8:body": "?interval=0",
    "H6:many": "?count=50",
    "H7:bomb": "?bytes=3145728",
    "H7:double-bomb": "?bytes=3145728",
    "H8:body": "?bytes=200000",
    "H8:line": "?bytes=200000",
    "S5:stall": "?seconds=0.01",
    "S5:comments": "?seconds=0.03&interval=0.01",
    "S8:comments": "?count=4",
    "S11:tiny": "?count=1000",
    "S12:flood": "?bytes=1000000",
}
"""What makes a fault small or short enough for a test."""


def names(row: Fault) -> str:
    return f"{row.id}:{row.variant}"


def is_good(wire: Wire) -> bool:
    """A complete, valid answer in a plain body or a stream."""
    if "event-stream" in wire.header("content-type")[0]:
        return wire.status == 200 and wire.data[-1] == "[DONE]" and wire.finishes == ["stop"] and bool(wire.contents)
    return wire.status == 200 and wire.json["choices"][0]["finish_reason"] == "stop" and bool(wire.message["content"])


def is_cut_after(tokens: int) -> Callable[[Wire], bool]:
    return lambda wire: len(wire.contents) == tokens and wire.finishes == [] and "[DONE]" not in wire.data


def unframed(wire: Wire, body: bytes) -> Wire:
    """The same answer with other bytes for a body and a length that fits."""
    head = re.sub(r"\r\n(content-length|transfer-encoding|content-encoding): [^\r]*", "", wire.head)
    return Wire(head.encode() + b"\r\n\r\n" + body, was_reset=False)


def reread(read: Callable[[bytes], bytes]) -> Callable[[Wire], bool]:
    """Good once the body has been read this way."""
    return lambda wire: is_good(unframed(wire, read(wire.body))) and not is_well_formed(wire)


def is_well_formed(wire: Wire) -> bool:
    try:
        return is_good(wire)
    except (AssertionError, ValueError):
        return False


def gunzip(body: bytes, most: int = 0) -> bytes:
    return zlib.decompressobj(31).decompress(body, most)


# U: the connection


def is_good_after(interim: bytes) -> Callable[[Wire], bool]:
    return lambda wire: (
        wire.raw.startswith(interim) and is_good(Wire(wire.raw.split(b"\r\n\r\n", 1)[1], was_reset=False))
    )


def is_redirect(status: int) -> Callable[[Wire], bool]:
    def check(wire: Wire) -> bool:
        (location,) = wire.header("location")
        return wire.status == status and re.fullmatch(rf"http://127\.0\.0\.1:\d+{PATH}", location) is not None

    return check


def has_trailer(wire: Wire) -> bool:
    return is_good(wire) and wire.chunks.ended and b"x-sandbox-trailer: seen" in wire.chunks.trailers


def has_extensions(wire: Wire) -> bool:
    return is_good(wire) and len(wire.chunks.data) > 0 and all(wire.chunks.extensions)


def is_http10(wire: Wire) -> bool:
    return wire.head.startswith("HTTP/1.0 200") and is_undelimited(wire)


def is_undelimited(wire: Wire) -> bool:
    return is_good(wire) and not wire.header("content-length") and not wire.header("transfer-encoding")


# H: status, headers, body


def has_status(status: int) -> Callable[[Wire], bool]:
    return lambda wire: wire.status == status and f"answer {status}" in wire.json["error"]["message"]


def asks_for_pause(name: str, *values: str) -> Callable[[Wire], bool]:
    return lambda wire: wire.status == 429 and wire.header(name) == list(values)


def is_error_in_200(wire: Wire) -> bool:
    return wire.status == 200 and set(wire.json) == {"error"}


def is_page(wire: Wire) -> bool:
    return wire.status == 200 and wire.header("content-type")[0].startswith("text/html") and b"<h1>" in wire.body


def is_half_json(wire: Wire) -> bool:
    with pytest.raises(json.JSONDecodeError):
        json.loads(wire.framed)
    return wire.status == 200 and len(wire.framed) == wire.length


def misses(by: int) -> Callable[[Wire], bool]:
    """The JSON is whole and the stated length is wrong."""
    return lambda wire: len(wire.framed) - wire.length == by and json.loads(wire.framed)["object"] == "chat.completion"


def bodies(wire: Wire) -> list[Json]:
    """What carries choices: the body, or each chunk (but usage)."""
    if wire.header("content-type") == ["application/json"]:
        return [wire.json]
    return [chunk for chunk in wire.parsed if not chunk.get("usage")]


def every(check: Callable[[Json], bool]) -> Callable[[Wire], bool]:
    return lambda wire: wire.status == 200 and len(bodies(wire)) > 0 and all(check(one) for one in bodies(wire))


def side(choice: Json) -> Any:
    return choice["message"] if "message" in choice else choice["delta"]


def says_nothing(body: Json) -> bool:
    (choice,) = body["choices"]
    return side(choice) == {"role": "assistant", "content": None} and choice["finish_reason"] is None


def finishes_with_eos(wire: Wire) -> bool:
    reasons = {choice["finish_reason"] for body in bodies(wire) for choice in body["choices"]}
    return reasons - {None} == {"eos"}


def has_indexes(*indexes: int) -> Callable[[Wire], bool]:
    return every(lambda body: [choice["index"] for choice in body["choices"]] == list(indexes))


def usages(wire: Wire) -> list[Json]:
    if wire.header("content-type") == ["application/json"]:
        pairs = json.loads(wire.body, object_pairs_hook=list)
        return [dict(value) for name, value in pairs if name == "usage"]
    return [chunk["usage"] for chunk in wire.parsed if chunk.get("usage")]


def counts(check: Callable[[Json], bool]) -> Callable[[Wire], bool]:
    return lambda wire: len(usages(wire)) == 1 and check(usages(wire)[0])


def usage_rides_on_finish(wire: Wire) -> bool:
    (chunk,) = [chunk for chunk in wire.parsed if chunk.get("usage")]
    return bool(chunk["choices"][0]["finish_reason"] == "stop")


def tool_calls(wire: Wire) -> list[Json]:
    """The calls put together by index, each with every id it was given."""
    if wire.header("content-type") == ["application/json"]:
        return [{"ids": [made.get("id")], **made["function"]} for made in wire.message["tool_calls"]]
    made: dict[int, Json] = {}
    for delta in deltas(wire):
        call = made.setdefault(delta["index"], {"ids": [], "name": "", "arguments": ""})
        call["ids"] += [delta.get("id")] if "name" in delta["function"] else []
        call["name"] += delta["function"].get("name", "")
        call["arguments"] += delta["function"].get("arguments", "")
    return list(made.values())


def deltas(wire: Wire) -> list[Json]:
    return [delta for choice in wire.choices for delta in choice["delta"].get("tool_calls") or []]


def calls(check: Callable[[list[Json]], bool]) -> Callable[[Wire], bool]:
    return lambda wire: wire.status == 200 and check(tool_calls(wire))


def arguments_come_by_the_letter(wire: Wire) -> bool:
    letters = [delta["function"]["arguments"] for delta in deltas(wire)[1:]]
    return set(map(len, letters)) == {1} and json.loads("".join(letters))["city"] != ""


def is_labelled(label: str, read: Callable[[bytes], bytes]) -> Callable[[Wire], bool]:
    return lambda wire: wire.header("content-encoding") == [label] and reread(read)(wire)


def is_bomb(layers: int) -> Callable[[Wire], bool]:
    def check(wire: Wire) -> bool:
        body = wire.body
        for _ in range(layers):
            body = gunzip(body)
        return len(body) > 3_145_728 and len(wire.body) < len(body) / 900 and set(body[20:]) == {ord("a")}

    return check


def has_huge_text(wire: Wire) -> bool:
    return len(wire.message["content"]) > 200_000


def has_one_endless_line(wire: Wire) -> bool:
    return len(wire.data[0]) > 190_000 and wire.finishes == ["stop"]


def starts_with(start: bytes, read: Callable[[bytes], bytes]) -> Callable[[Wire], bool]:
    return lambda wire: wire.body.startswith(start) and is_good(unframed(wire, read(wire.body)))


def is_crlf(wire: Wire) -> bool:
    body = wire.body
    return body.count(b"\r\n") > 2 and body.count(b"\n") == body.count(b"\r\n") == body.count(b"\r")


def ids_are_foreign(wire: Wire) -> bool:
    ids = [body["id"] for body in bodies(wire)]
    return len(set(ids)) == len(ids) and all("another" in one for one in ids)


# S: the stream


def errors(wire: Wire) -> list[str]:
    return [one["error"]["code"] for one in wire.parsed if "error" in one]


def fails_at_once(wire: Wire) -> bool:
    return wire.status == 200 and wire.contents == [] and errors(wire) == ["sandbox_fault"]


def fails_after_three(wire: Wire) -> bool:
    return len(wire.contents) == 3 and errors(wire) == ["sandbox_fault"]


def has_half_event(wire: Wire) -> Wire:
    """The stream up to the half event, which must be there."""
    received = b"".join(wire.chunks.data) + wire.chunks.rest
    events, _, half = received.rpartition(b"\n\n")
    assert b"data: {" in half
    assert b"half of this" in half
    return unframed(wire, events + b"\n\n")


def text_holds(text: str) -> Callable[[Wire], bool]:
    return lambda wire: is_good(wire) and text in wire.contents[0]


def has_line_ends(*ends: bytes) -> Callable[[Wire], bool]:
    def check(wire: Wire) -> bool:
        found = set(re.findall(rb"\r\n|\n|\r", wire.body))
        lines = re.split(rb"\r\n|\n|\r", wire.body)
        return found == set(ends) and is_good(unframed(wire, b"\n".join(lines)))

    return check


def is_multiline(wire: Wire) -> bool:
    events = wire.body.decode().split("\n\n")[:-2]
    lines = [event.split("\n") for event in events]
    joined = [json.loads("\n".join(line.removeprefix("data: ") for line in event)) for event in lines]
    return all(len(event) > 3 for event in lines) and joined[-2]["choices"][0]["finish_reason"] == "stop"


def has_fields(wire: Wire) -> bool:
    events = wire.body.count(b"\ndata: ")
    return is_good(wire) and wire.body.count(b"event: message\nid: 7\n") == wire.body.count(b"retry: 3000") == events


def has_garbage(lines: int) -> Callable[[Wire], bool]:
    def check(wire: Wire) -> bool:
        readable = []
        for one in wire.data[:-1]:
            try:
                readable.append(json.loads(one))
            except json.JSONDecodeError:
                assert len(readable) == 4  # the role and three tokens
        return len(wire.data) - 1 - len(readable) == lines and readable[-2]["choices"][0]["finish_reason"] == "stop"

    return check


def is_interleaved(wire: Wire) -> bool:
    indexes = [delta["index"] for delta in deltas(wire)]
    arguments = [json.loads(made["arguments"]) for made in tool_calls(wire)]
    return indexes[:6] == [0, 1, 0, 1, 0, 1] and len(arguments) == 2 and wire.finishes == ["tool_calls"]


def continues_after_finish(wire: Wire) -> bool:
    return bool(wire.choices[-2]["finish_reason"] == "stop") and wire.contents[-1] == NONCE


def has_many_in_one_write(wire: Wire) -> bool:
    return wire.chunks.data[0].count(b"data: ") == 1000 and wire.contents == [NONCE] * 1000


def is_byte_by_byte(wire: Wire) -> bool:
    wide = [text for text in wire.contents if any(ord(letter) > 0xFFFF for letter in text)]
    return set(map(len, wire.chunks.data)) == {1} and is_good(wire) and len(wide) > 0


CHECKS: dict[str, Callable[[Wire], bool]] = {
    "U3:rst": lambda wire: wire.raw == b"" and wire.was_reset,
    "U3:fin": lambda wire: wire.raw == b"" and not wire.was_reset,
    "U4:no-read": lambda wire: wire.raw == b"",
    # What U7 does to the next request, and how slow U8 is, is tested below: here the answer must be good.
    **dict.fromkeys(("U7:fin", "U7:rst", "U7:idle", "U7:silent", "U8:headers", "U8:body"), is_good),
    "U9:http10": is_http10,
    "U9:close-delimited": lambda wire: wire.head.startswith("HTTP/1.1") and is_undelimited(wire),
    "U9:100": is_good_after(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "U9:103": is_good_after(b"HTTP/1.1 103 Early Hints\r\nlink: "),
    "U9:trailers": has_trailer,
    "U9:chunk-ext": has_extensions,
    **{f"U10:{status}": is_redirect(status) for status in (301, 302, 307, 308)},
    **{f"H1:{status}": has_status(status) for status in catalogue.ERROR_STATUSES},
    **{
        f"H2:{text}": asks_for_pause("retry-after", text)
        for text in ("1", "0", "0.5", "-5", "1e999", "NaN", "99999999999", "garbage")
    },
    "H2:past": asks_for_pause("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"),
    "H2:future": asks_for_pause("retry-after", "Fri, 31 Dec 2999 23:59:59 GMT"),
    "H2:two": asks_for_pause("retry-after", "1", "300"),
    "H2:ms": asks_for_pause("retry-after-ms", "250"),
    "H2:reset": asks_for_pause("x-ratelimit-reset-requests", "6m0s"),
    "H3:error": is_error_in_200,
    "H3:html": is_page,
    "H3:truncated": is_half_json,
    "H3:null": lambda wire: wire.status == 200 and wire.json is None,
    "H3:long": misses(-100),
    "H3:short": misses(20),
    "H4:empty": every(lambda body: body["choices"] == []),
    "H4:missing": every(lambda body: "choices" not in body),
    "H4:null": every(lambda body: body["choices"] is None),
    "H4:message-null": every(lambda body: side(body["choices"][0]) is None),
    "H4:content-null": every(says_nothing),
    "H4:finish-unknown": finishes_with_eos,
    "H4:index-gap": has_indexes(0, 2),
    "H4:index-twice": has_indexes(0, 0),
    "H5:missing": lambda wire: is_good(wire) and usages(wire) == [],
    "H5:negative": counts(lambda usage: usage["total_tokens"] < 0),
    "H5:strings": counts(lambda usage: isinstance(usage["total_tokens"], str)),
    "H5:float": counts(lambda usage: isinstance(usage["total_tokens"], float)),
    "H5:huge": counts(lambda usage: usage["completion_tokens"] == 10**18),
    "H5:inconsistent": counts(
        lambda usage: usage["total_tokens"] != usage["prompt_tokens"] + usage["completion_tokens"]
    ),
    "H5:last-chunk": usage_rides_on_finish,
    "H5:twice": lambda wire: is_good(wire) and len(usages(wire)) == 2 and usages(wire)[0] != usages(wire)[1],
    "H6:duplicate-ids": calls(lambda made: [call["ids"] for call in made] == [["call_same"]] * 2),
    "H6:missing-ids": calls(lambda made: [call["ids"] for call in made] == [[None]] * 2),
    "H6:bad-json": calls(lambda made: made[0]["arguments"] == '{"text": "never clo'),
    "H6:split": arguments_come_by_the_letter,
    "H6:many": calls(lambda made: len(made) == 50 and len({call["ids"][0] for call in made}) == 50),
    "H6:undeclared": calls(lambda made: [call["name"] for call in made] == ["never_declared"]),
    "H7:gzip": is_labelled("gzip", gunzip),
    # One stored block each: 3 bytes before and 1 after in Brotli, 16 bytes before in Zstandard.
    "H7:br": is_labelled("br", lambda body: body[3:-1]),
    "H7:zstd": is_labelled("zstd", lambda body: body[16:]),
    "H7:double-gzip": is_labelled("gzip, gzip", lambda body: gunzip(gunzip(body))),
    "H7:wrong-label": lambda wire: wire.header("content-encoding") == ["gzip"] and is_good(wire),
    "H7:bomb": is_bomb(1),
    "H7:double-bomb": lambda wire: is_bomb(2)(wire) and wire.header("content-encoding") == ["gzip, gzip"],
    "H8:body": has_huge_text,
    "H8:line": has_one_endless_line,
    "H9:blank-lines": starts_with(b"\n\n\n\n", lambda body: body[4:]),
    "H9:bom": starts_with(b"\xef\xbb\xbf", lambda body: body[3:]),
    "H9:crlf": lambda wire: is_crlf(wire) and is_good(unframed(wire, wire.body.replace(b"\r\n", b"\n"))),
    "H9:utf16": starts_with(b"\xff\xfe", lambda body: body.decode("utf-16").encode()),
    "H10:model": every(lambda body: body["model"] == "another-model-9000"),
    "H10:id": ids_are_foreign,
    "S1:data": fails_at_once,
    "S1:event": lambda wire: fails_at_once(wire) and wire.body.startswith(b"event: error\n"),
    "S1:http": has_status(500),
    "S1:role": lambda wire: fails_at_once(wire) and wire.choices[0]["delta"]["role"] == "assistant",
    "S1:empty": lambda wire: wire.status == 200 and wire.body == b"" and wire.chunks.ended,
    "S2:data": lambda wire: fails_after_three(wire) and wire.data[-1] == "[DONE]",
    "S2:event": lambda wire: fails_after_three(wire) and b"event: error\n" in wire.body,
    "S2:finish-error": lambda wire: fails_after_three(wire) and wire.finishes == ["error"],
    "S3:no-finish": lambda wire: is_cut_after(3)(wire) and wire.chunks.ended,
    "S3:finish": lambda wire: wire.finishes == ["stop"] and "[DONE]" not in wire.data and wire.chunks.ended,
    "S3:close": lambda wire: is_cut_after(3)(wire) and not wire.header("transfer-encoding"),
    "S4:rst": lambda wire: wire.was_reset and is_cut_after(3)(has_half_event(wire)),
    "S4:truncated": lambda wire: not wire.chunks.ended and is_cut_after(3)(has_half_event(wire)),
    "S4:mid-event": lambda wire: wire.chunks.ended and is_cut_after(3)(has_half_event(wire)),
    "S5:stall": lambda wire: is_cut_after(3)(wire) and not wire.chunks.ended,
    "S5:comments": lambda wire: is_cut_after(3)(wire) and wire.body.endswith(b": keep-alive\n\n" * 3),
    "S6:more": lambda wire: wire.data[-2] == "[DONE]" and "after the end" in wire.contents[-1],
    "S6:twice": lambda wire: wire.data[-2:] == ["[DONE]", "[DONE]"] and wire.data.count("[DONE]") == 2,
    "S6:no-newline": lambda wire: wire.body.endswith(b"\n\ndata: [DONE]") and wire.chunks.ended,
    "S6:no-space": lambda wire: wire.body.endswith(b"data:[DONE]\n\n") and b"data: " not in wire.body,
    "S7:slicer": is_byte_by_byte,
    "S7:invalid": lambda wire: b'"content":"\xff\xc3(' in wire.body,
    "S7:surrogate": lambda wire: is_good(wire) and '"content":"\\ud800' in wire.data[1],
    "S7:nul": lambda wire: text_holds("\0")(wire) and b"\0" not in wire.body,
    "S7:separator": lambda wire: text_holds("\u2028")(wire) and "\u2028".encode() in wire.body,
    "S8:mixed": has_line_ends(b"\r\n", b"\n", b"\r"),
    "S8:cr": has_line_ends(b"\r"),
    "S8:crlf": has_line_ends(b"\r\n"),
    "S8:multiline": is_multiline,
    "S8:fields": has_fields,
    "S8:bom": starts_with(b"\xef\xbb\xbfdata: ", lambda body: body[3:]),
    "S8:comments": lambda wire: is_good(wire) and wire.body.count(b": keep-alive\n\n" * 4) == len(wire.data),
    "S9:one": has_garbage(1),
    "S9:three": has_garbage(3),
    "S9:many": has_garbage(10),
    "S10:interleaved": is_interleaved,
    "S10:finish-twice": lambda wire: wire.finishes == ["stop", "stop"],
    "S10:finish-then-content": continues_after_finish,
    "S11:tiny": has_many_in_one_write,
    "S11:large": lambda wire: [len(text) for text in wire.contents] == [1_000_000],
    "S12:flood": lambda wire: 900_000 < len(wire.body) < 1_100_000 and wire.finishes == ["stop"],
    "S13:json": lambda wire: wire.header("content-type") == ["application/json"] and is_good(wire),
}

CASES = [(row, applies) for row in catalogue.served() for applies in sorted(row.applies)]


@pytest.mark.parametrize(("row", "applies"), CASES, ids=[f"{names(row)}-{applies}" for row, applies in CASES])
def test_fault_is_on_the_wire(sandbox: RunningSandbox, row: Fault, applies: str) -> None:
    model = row.model + OPTIONS.get(names(row), "")
    body = chat(model, stream=applies == "stream", text=f"nonce:{NONCE}", tools=[TOOL])
    if body["stream"]:
        body["stream_options"] = {"include_usage": True}
    wire = ask(sandbox.base_url, PATH, body)
    assert CHECKS[names(row)](wire), wire.raw[:2000]
    record = sandbox.last()
    assert (record.model, record.sent_bytes, record.peer_closed_at) == (model, len(wire.raw), None)


def test_every_fault_has_its_code_and_its_check() -> None:
    rows = {(row.id, row.variant) for row in catalogue.served()}
    assert set(SPOILS) == rows | {(row.id, row.variant) for row in catalogue.DIALECT_FAULTS}
    assert set(CHECKS) == {f"{id}:{variant}" for id, variant in rows}
    assert len(catalogue.FAULTS) == len({(row.id, row.variant) for row in catalogue.FAULTS})


def test_the_catalogue_has_every_id() -> None:
    wanted = {*(f"U{n}" for n in range(1, 12)), *(f"H{n}" for n in range(1, 11)), *(f"S{n}" for n in range(1, 15))}
    assert {row.id for row in catalogue.FAULTS} == wanted
    assert {row.id for row in catalogue.FAULTS if row.needs} == {"U1", "U2", "U5", "U6", "U11", "S14"}


def test_a_fault_without_a_variant_is_the_ids_first_row(sandbox: RunningSandbox) -> None:
    wire = ask(sandbox.base_url, PATH, chat("fault:H3"))
    assert is_error_in_200(wire)
    assert ask(sandbox.base_url, PATH, chat("fault:H1")).status == 500


@pytest.mark.parametrize("kind", ERROR_BODIES)
def test_error_bodies(sandbox: RunningSandbox, kind: str) -> None:
    wire = ask(
        sandbox.base_url,
        PATH,
        chat(f"fault:H1:502:{kind}"),
        headers="connection: close\r\nauthorization: Bearer k-1\r\n",
    )
    assert wire.status == 502
    assert wire.length == len(wire.framed)
    checks: dict[str, bool] = {
        "json": wire.framed.endswith(b"}}") and wire.length < 150,
        "html": wire.framed.startswith(b"<!DOCTYPE html>"),
        "empty": wire.framed == b"",
        "big": len(wire.framed) > 10 * 1024 * 1024,
        "charset": "utf-16" in wire.header("content-type")[0] and b"caf\xe9" in wire.framed,
        "echo": b"provided: k-1" in wire.framed,
    }
    assert [name for name, holds in checks.items() if holds] == [kind]


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/completions", "/v1/images/generations"])
def test_wire_faults_hit_every_route_and_chat_faults_only_chat(sandbox: RunningSandbox, path: str) -> None:
    body = {"input": "text", "prompt": "text"}
    assert ask(sandbox.base_url, path, body | {"model": "fault:H1:503"}).status == 503
    assert ask(sandbox.base_url, path, body | {"model": "fault:U3:rst"}).was_reset
    assert "error" not in ask(sandbox.base_url, path, body | {"model": "fault:H4:empty"}).json


def test_a_stream_fault_leaves_a_plain_request_alone(sandbox: RunningSandbox) -> None:
    assert is_good(ask(sandbox.base_url, PATH, chat("fault:S4:rst")))


def test_once_misbehaves_for_the_first_request_with_the_key_only(sandbox: RunningSandbox) -> None:
    def statuses(key: str) -> list[int]:
        return [ask(sandbox.base_url, PATH, chat(f"fault:H1:503?once={key}")).status for _ in range(3)]

    assert statuses("a") == [503, 200, 200]
    assert statuses("b") == [503, 200, 200]
    sandbox.server.reset()
    assert statuses("a") == [503, 200, 200]


@pytest.mark.parametrize("after", [0, 1, 20])
def test_a_stream_breaks_after_as_many_tokens_as_asked(sandbox: RunningSandbox, after: int) -> None:
    wire = ask(sandbox.base_url, PATH, chat(f"fault:S3:no-finish?after={after}", stream=True))
    assert is_cut_after(after)(wire)


def test_broken_streams_carry_the_nonce_too(sandbox: RunningSandbox) -> None:
    wire = ask(sandbox.base_url, PATH, chat("fault:S2", stream=True, text="hi nonce:abc"))
    assert len(wire.contents) == 3
    assert all("abc" in text for text in wire.contents)


def test_u3_and_others_do_not_depend_on_the_field_order(sandbox: RunningSandbox) -> None:
    body = dict(reversed(chat("fault:U3:fin").items()))
    assert ask(sandbox.base_url, PATH, body).raw == b""


def test_u4_stops_reading_in_the_middle_of_a_body(sandbox: RunningSandbox) -> None:
    content = json.dumps(chat("fault:U4?seconds=0.5", text="x" * 32_000_000)).encode()
    with connect(sandbox.base_url) as connection:
        with pytest.raises(ConnectionError):
            connection.sendall(request(PATH, content))
        assert read_to_end(connection).raw == b""
    assert sandbox.last().body_bytes < 1_000_000


@pytest.mark.parametrize("fate", ["fin", "rst", "idle", "silent"])
def test_u7_spoils_the_next_request_of_the_connection(sandbox: RunningSandbox, fate: str) -> None:
    with connect(sandbox.base_url) as connection:
        connection.sendall(request(PATH, chat(f"fault:U7:{fate}"), headers=""))
        first = read_answer(connection)
        assert is_good(first)
        assert not first.header("connection")
        if fate != "idle":
            connection.sendall(request(PATH, chat("echo"), headers=""))
        if fate == "silent":
            connection.settimeout(0.2)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            return
        rest = read_to_end(connection)
        assert (rest.raw, rest.was_reset) == (b"", fate == "rst")
    assert len(sandbox.server.records) == 1


@pytest.mark.parametrize(("variant", "expected"), [("headers", 1), ("body", None)])
def test_u8_sends_one_byte_and_waits(sandbox: RunningSandbox, variant: str, expected: int | None) -> None:
    with connect(sandbox.base_url) as connection:
        connection.sendall(request(PATH, chat(f"fault:U8:{variant}?interval=3600")))
        received = connection.recv(1)
        while variant == "body" and not received.partition(b"\r\n\r\n")[2]:
            received += connection.recv(1)
        (record,) = sandbox.wait_for(lambda records: bool(records) and records[0].sent_bytes >= len(received))
        assert record.sent_bytes == (expected or len(received))
    (record,) = sandbox.wait_for(lambda records: records[0].peer_closed_at is not None)
    assert not record.finished


def test_u10_shows_who_followed(sandbox: RunningSandbox) -> None:
    wire = ask(sandbox.base_url, PATH, chat("fault:U10:307"))
    elsewhere = wire.header("location")[0].removesuffix("/chat/completions")
    followed = ask(elsewhere, PATH, chat("fault:U10:307"))
    assert is_good(followed)
    ports = [record.port for record in sandbox.server.records]
    assert ports[0] == sandbox.server.port
    assert f":{ports[1]}/" in wire.header("location")[0]
    assert ports[0] != ports[1]


def test_u6_a_handshake_that_stalls(start_sandbox: StartSandbox) -> None:
    stalled = start_sandbox(settings=SandboxSettings(stall_handshake=True))
    context = ssl.create_default_context()
    with connect(stalled.base_url) as connection:
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            context.wrap_socket(connection, server_hostname="localhost")


def test_s12_waits_for_a_peer_that_does_not_read(sandbox: RunningSandbox) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        connection.connect(("127.0.0.1", sandbox.server.port))
        connection.sendall(request(PATH, chat("fault:S12?bytes=268435456", stream=True)))
        sandbox.wait_for(lambda records: bool(records) and records[0].sent_bytes > 64 * 1024)
        for _ in range(20):  # others are served meanwhile
            assert ask(sandbox.base_url, "/sandbox/health").status == 200
        record = sandbox.server.records[0]
        assert not record.finished
        assert record.sent_bytes < 32 * 1024 * 1024
    sandbox.wait_for(lambda records: records[0].peer_closed_at is not None)


def test_stored_encodings_are_what_real_decoders_read() -> None:
    """Golden bytes: read back by Node's zlib.brotliDecompressSync and by zstd 1.5 when they were written."""
    assert encodings.brotli(b"hello").hex() == "40001068656c6c6f03"
    assert encodings.zstd(b"hello").hex() == "28b52ffde0050000000000000029000068656c6c6f"
    assert len(b"".join(encodings.double_gzip_bomb(b"", 10 * 1024**3))) < 32 * 1024


def test_a_truncated_chunk_is_seen_by_the_reader_of_these_tests() -> None:
    assert read_chunks(b"5\r\nhello\r\n5\r\nhel").rest == b"5\r\nhel"
    assert not read_chunks(b"5\r\nhello\r\n").ended
