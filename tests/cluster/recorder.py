"""An upstream that keeps what it is told, in every dialect, and answers with the first tool it is offered, or a word."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from orcestator.json_text import Json

ARGUMENTS = "{}"
VECTORS = [[0.5, 0], [0.5, 1]]
NATIVE_VECTORS: Json = {
    "gemini": {"embeddings": [{"values": vector} for vector in VECTORS], "usageMetadata": {"promptTokenCount": 3}},
    "cohere": {"id": "1", "embeddings": {"float": VECTORS}, "meta": {"billed_units": {"input_tokens": 3}}},
    "ollama": {"model": "m", "embeddings": VECTORS, "prompt_eval_count": 3},
}
WORD = "Yes."


class Recorder:
    """The server. ``paths`` and ``bodies`` are what came, newest last; ``arguments``: what tools are called with,
    ``are_objects``: and not as a text where the dialect says text."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.arguments = ARGUMENTS
        self.are_objects = False

    def __enter__(self) -> Self:
        recorder = self

        class Handler(_Handler):
            """One connection's requests."""

            kept = recorder

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def forget(self) -> None:
        """As if nothing had come."""
        self.paths.clear()
        self.bodies.clear()
        self.arguments = ARGUMENTS
        self.are_objects = False

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def told(self) -> Json:
        """The newest body."""
        told: Json = json.loads(self.bodies[-1])
        return told

    def providers(self, **facts: str) -> str:
        """A provider a dialect, named as it, with the model ``m``, whose facts are these."""
        model = "{id: m" + "".join(f", {name}: {value}" for name, value in facts.items()) + "}"
        bases = {"openai": "/v1", "responses": "/v1", "anthropic": "/v1", "gemini": "/v1beta", "yandex": "/v1"}
        lines = [
            f"  at-{dialect}: {{base_url: '{self.url}/{dialect}{bases.get(dialect, '')}', dialect: {dialect}, "
            f"api_key: k, models: [{model}], endpoints: [chat, embeddings, images]}}"
            for dialect in DIALECTS
        ]
        return "providers:\n" + "\n".join(lines) + "\n"


class _Handler(BaseHTTPRequestHandler):
    kept: Recorder
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(b'{"data":[]}', "application/json")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.kept.paths.append(self.path)
        self.kept.bodies.append(body)
        if "/images/" in self.path:
            self._send(b'{"created":1,"data":[{"b64_json":"eA=="}]}', "application/json")
            return
        told = json.loads(body)
        if "mbed" in self.path and "/embeddings" not in self.path:
            self._send(json.dumps(NATIVE_VECTORS[self.path.split("/")[1]]).encode(), "application/json")
            return
        if "/embeddings" in self.path:
            vectors = told["input"] if isinstance(told["input"], list) else [told["input"]]
            data = [{"object": "embedding", "index": i, "embedding": [0.5, i]} for i, _ in enumerate(vectors)]
            usage = {"prompt_tokens": 3, "total_tokens": 3}
            answer = {"object": "list", "data": data, "model": "m", "usage": usage}
            self._send(json.dumps(answer).encode(), "application/json")
            return
        dialect = self.path.split("/")[1]
        names = _tool_names(told)
        streams = told.get("stream") is True or ":stream" in self.path
        streams = streams or (told.get("completionOptions") or {}).get("stream") is True
        text, kind = ANSWERS[dialect](names[0] if names else "", self.kept.arguments, streams)
        if self.kept.are_objects:
            text = text.replace(json.dumps(self.kept.arguments), self.kept.arguments)
        self._send(text.encode(), kind)

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def _tool_names(told: Json) -> list[str]:
    tools = told.get("tools") or []
    declared = [held for tool in tools for held in tool.get("functionDeclarations", [tool.get("function", tool)])]
    return [held["name"] for held in declared]


def _events(*events: str, named: bool = False) -> str:
    heads = [f"event: {json.loads(event)['type']}\n" if named else "" for event in events]
    return "".join(f"{head}data: {event}\n\n" for head, event in zip(heads, events, strict=True))


_SSE, _JSON, _LINES = "text/event-stream", "application/json", "application/x-ndjson"


def _openai(tool: str, arguments: str, streams: bool) -> tuple[str, str]:
    call = {"id": "c9", "type": "function", "function": {"name": tool, "arguments": arguments}}
    said: Json = {"role": "assistant", "content": None, "tool_calls": [call]} if tool else {"content": WORD}
    reason = "tool_calls" if tool else "stop"
    head = {"id": "chatcmpl-1", "created": 1, "model": "m"}
    if not streams:
        choice = {"index": 0, "message": {"role": "assistant", **said}, "finish_reason": reason}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        return json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage}), _JSON
    if tool:
        said["tool_calls"][0]["index"] = 0
    chunks = [
        {**head, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
        for delta, end in ((said, None), ({}, reason))
    ]
    return _events(*map(json.dumps, chunks)) + "data: [DONE]\n\n", _SSE


def _anthropic(tool: str, arguments: str, streams: bool) -> tuple[str, str]:
    reason = "tool_use" if tool else "end_turn"
    usage = '"usage":{"input_tokens":1,"output_tokens":1}'
    block = f'{{"type":"tool_use","id":"toolu_9","name":{json.dumps(tool)},"input":%s}}'
    content = block % arguments if tool else json.dumps({"type": "text", "text": WORD})
    head = '{"id":"msg_1","type":"message","role":"assistant","model":"m",'
    if not streams:
        return f'{head}"content":[{content}],"stop_reason":"{reason}","stop_sequence":null,{usage}}}', _JSON
    start = block % "{}" if tool else json.dumps({"type": "text", "text": ""})
    delta = {"type": "input_json_delta", "partial_json": arguments} if tool else {"type": "text_delta", "text": WORD}
    return _events(
        f'{{"type":"message_start","message":{head}"content":[],"stop_reason":null,{usage}}}}}',
        f'{{"type":"content_block_start","index":0,"content_block":{start}}}',
        json.dumps({"type": "content_block_delta", "index": 0, "delta": delta}),
        '{"type":"content_block_stop","index":0}',
        f'{{"type":"message_delta","delta":{{"stop_reason":"{reason}","stop_sequence":null}},{usage}}}',
        '{"type":"message_stop"}',
        named=True,
    ), _SSE


def _gemini(tool: str, arguments: str, streams: bool) -> tuple[str, str]:
    call = f'{{"functionCall":{{"name":{json.dumps(tool)},"args":{arguments}}}}}'
    part = call if tool else json.dumps({"text": WORD})
    whole = (
        f'{{"candidates":[{{"content":{{"role":"model","parts":[{part}]}},"finishReason":"STOP","index":0}}],'
        '"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2},"modelVersion":"m"}'
    )
    return (_events(whole), _SSE) if streams else (whole, _JSON)


def _responses(tool: str, arguments: str, streams: bool) -> tuple[str, str]:
    call = {"type": "function_call", "id": "fc_1", "call_id": "c9", "name": tool, "arguments": arguments}
    text = {"type": "output_text", "text": WORD, "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "content": [text]}
    item = {**(call if tool else message), "status": "completed"}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    response = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "usage": usage}
    response |= {"status": "completed", "output": [item]}
    if not streams:
        return json.dumps(response), _JSON
    started = {**response, "status": "in_progress", "output": [], "usage": None}
    place = {"output_index": 0, "item_id": item["id"]}
    if tool:
        middle = [
            {"type": "response.output_item.added", "output_index": 0, "item": {**item, "arguments": ""}},
            {"type": "response.function_call_arguments.delta", **place, "delta": arguments},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
        ]
    else:
        middle = [
            {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
            {"type": "response.output_text.delta", **place, "content_index": 0, "delta": WORD},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
        ]
    events = [{"type": "response.created", "response": started}, *middle]
    events.append({"type": "response.completed", "response": response})
    return _events(*map(json.dumps, events), named=True), _SSE


def _cohere(tool: str, arguments: str, streams: bool) -> tuple[str, str]:
    call = {"id": "c9", "type": "function", "function": {"name": tool, "arguments": arguments}}
    reason = "TOOL_CALL" if tool else "COMPLETE"
    usage = {"tokens": {"input_tokens": 1, "output_tokens": 1}}
    said: Json = {"tool_calls": [call]} if tool else {"content": [{"type": "text", "text": WORD}]}
    if not streams:
        message = {"role": "assistant", **said}
        return json.dumps({"id": "1", "finish_reason": reason, "message": message, "usage": usage}), _JSON
    delta = {"message": {"tool_calls": call}} if tool else {"message": {"content": {"text": WORD}}}
    kind = "tool-call-start" if tool else "content-delta"
    return _events(
        json.dumps({"type": "message-start", "id": "1", "delta": {"message": {"role": "assistant"}}}),
        json.dumps({"type": kind, "index": 0, "delta": delta}),
        json.dumps({"type": "message-end", "delta": {"finish_reason": reason, "usage": usage}}),
        named=True,
    ), _SSE


def _ollama(tool: str, arguments: str, streams: bool) -> tuple[str, str]:
    call = f'"tool_calls":[{{"function":{{"name":{json.dumps(tool)},"arguments":{arguments}}}}}]'
    said = f'"content":"",{call}' if tool else f'"content":"{WORD}"'
    head = f'{{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{{"role":"assistant",{said}}},'
    end = '"done":true,"done_reason":"stop","prompt_eval_count":1,"eval_count":1}'
    if not streams:
        return head + end, _JSON
    last = '{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant","content":""},'
    return f'{head}"done":false}}\n{last}{end}\n', _LINES


def _yandex(tool: str, arguments: str, streams: bool) -> tuple[str, str]:
    call = f'"toolCallList":{{"toolCalls":[{{"functionCall":{{"name":{json.dumps(tool)},"arguments":{arguments}}}}}]}}'
    said = call if tool else f'"text":"{WORD}"'
    status = "ALTERNATIVE_STATUS_TOOL_CALLS" if tool else "ALTERNATIVE_STATUS_FINAL"
    usage = '"usage":{"inputTextTokens":"1","completionTokens":"1","totalTokens":"2"},"modelVersion":"1"'
    alternative = f'{{"message":{{"role":"assistant",{said}}},"status":"{status}"}}'
    return f'{{"result":{{"alternatives":[{alternative}],{usage}}}}}' + ("\n" if streams else ""), _JSON


ANSWERS = {
    "openai": _openai,
    "responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "cohere": _cohere,
    "ollama": _ollama,
    "yandex": _yandex,
}
DIALECTS = tuple(ANSWERS)
