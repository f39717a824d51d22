"""A cluster with an upstream of each dialect, and callers of each that keep a conversation the way clients do."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import httpx

from orcestator.json_text import Json
from orcestator.sandbox.faults import catalogue
from tests.cluster.harness import Cluster, SandboxThread, events_of, until

FIRST, SECOND = "caller-key-one", "caller-key-two"
SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
TOOL = "look"
MANY = 700
LONG_WORDS = "nonce:" + "n" * 400
"""Makes the sandbox say so much with each word that no single read holds ``MANY`` of them and the failure after them: that
would be a failure before anything was sent."""
LATE = f"?tokens={MANY + 1}&after={MANY}"
"""Of a fault: it comes after so many words."""


@dataclass
class KeyedCluster(Cluster):
    """A cluster that knows two caller keys; what the harness itself asks is asked with the first."""

    def __enter__(self) -> Self:
        self.environment = {"OR_CALLER_KEYS": f"{FIRST},{SECOND}", **self.environment}
        # One for all requests: making one costs more than most of the requests here.
        self.http = httpx.Client(timeout=30, trust_env=False, verify=False)
        super().__enter__()
        wanted = set(re.findall("key-of-([a-z-]+)", self.config))
        until(lambda: wanted <= {model["owned_by"] for model in self.models()}, f"{wanted} are listed")
        return self

    def __exit__(self, *error: object) -> None:
        self.http.close()
        super().__exit__(*error)

    def get(self, path: str, **more: Any) -> httpx.Response:
        """GET with the first key unless headers are given."""
        return self.ask("GET", path, **more)

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        """POST JSON with the first key unless headers are given."""
        return self.ask("POST", path, json=body, **more)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Any request with the first key unless headers are given."""
        return self.http.request(method, self.url + path, **{"headers": bearer(FIRST), **more})


def bearer(key: str, **more: str) -> dict[str, str]:
    """The headers that show a key."""
    return {"authorization": f"Bearer {key}", **more}


def provider(name: str, url: str, dialect: str = "", models: str = "", **more: str) -> str:
    """A line of the configuration: the sandbox under another name, with a key of its own."""
    fields = {"base_url": f'"{url}"', "api_key": f"key-of-{name}", **more}
    fields |= {"dialect": dialect} if dialect else {}
    fields |= {"models": f"[{models}]"} if models else {}
    return f"  {name}: {{{', '.join(f'{field}: {value}' for field, value in fields.items())}}}"


def received(sandbox: SandboxThread, name: str = "") -> list[Any]:
    """The records of what a provider (or all of them) received, its lists of models aside."""
    found = [record for record in sandbox.records if record.method == "POST"]
    return [record for record in found if not name or f"key-of-{name}" in " ".join(record.headers.values())]


def body_of(record: Any) -> Json:
    """A record's body."""
    parsed: Json = json.loads(record.body)
    return parsed


UPSTREAMS = {
    "anthropic": ("claude", "/v1"),
    "gemini": ("google", "/v1beta"),
    "responses": ("codexes", "/v1"),
    "ollama": ("llamas", ""),
}
"""The provider of each dialect, and its path at the sandbox."""
FACTS = ", ".join(
    f"{{id: {model}, {facts}}}"
    for model, facts in {
        "echo": "supported_parameters: [temperature, stop, max_tokens]",
        "tools": "input_modalities: [text]",
        "reasoner": "context_length: 100",
        "noprefill": "supported_parameters: [tools], input_modalities: [text], context_length: 100",
    }.items()
)
"""Models that are known to lack something."""
LACKING = ("echo", "tools", "reasoner")
TAKEOVERS = 10
"""So often can another provider take over after the same fault: a deployment that failed may be cooling down."""
BEFORE = tuple(row for row in catalogue.DIALECT_FAULTS if row.dialect in UPSTREAMS and row.expected == "fall_over")


def fault_name(row: catalogue.Fault) -> str:
    """A fault as a part of a model's name without colons."""
    return f"{row.id}-{row.variant}"


def configuration(root: str) -> str:
    """The sandbox as a provider of each dialect, as two that are built in for their quirks, and as a plain one."""
    lines = ["providers:"]
    lines += [provider(name, root + path, dialect, "agent") for dialect, (name, path) in UPSTREAMS.items()]
    lines += [provider("plain", f"{root}/v1", models="agent")]
    lines += [
        provider("deepseek", f"{root}/v1", models="deepseek"),
        provider("openai", f"{root}/v1", models=f"strict, {FACTS}"),
    ]
    lines += ["aliases:", "  nobody: [openai/echo, openai/noprefill]", "  claude-first: [claude/agent, plain/agent]"]
    lines += [f"  {name}-or-plain: [openai/{name}, plain/agent]" for name in LACKING]
    lines += [
        f'  over-{fault_name(row)}-{number}: ["{UPSTREAMS[row.dialect][0]}/{row.model}?after={number}", plain/echo]'
        for row in BEFORE
        for number in range(TAKEOVERS)
    ]
    return "\n".join(lines)


@dataclass
class Said:
    """One answer: what was called (id, name, arguments), what was said, and how it came."""

    response: httpx.Response
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    text: str = ""
    handle: str = ""
    wire: Any = None

    @property
    def dropped(self) -> list[str]:
        """What was left out of the request."""
        return [name for name in self.response.headers.get("x-orcestator-dropped", "").split(",") if name]


@dataclass
class Caller:
    """One conversation. ``turn`` sends what there is and adds the answer; ``results`` answers its calls."""

    cluster: Cluster
    streams: bool = False
    key: str = FIRST
    more: Json = field(default_factory=dict)
    history: list[Json] = field(default_factory=list)
    path: ClassVar[str] = ""

    def ask(self, text: str) -> Self:
        """The caller's own words."""
        self.history.append({"role": "user", "content": text})
        return self

    def body(self, model: str) -> Json:
        """The request as it stands."""
        raise NotImplementedError

    def whole(self, said: Said) -> None:
        """Read an answer that came at once."""
        raise NotImplementedError

    def events(self, said: Said) -> None:
        """Read one that streamed."""
        raise NotImplementedError

    def keep(self, said: Said) -> None:
        """Put the answer into the history."""
        raise NotImplementedError

    def result(self, call_id: str, name: str, text: str) -> Json:
        """A tool's answer."""
        raise NotImplementedError

    def send(self, model: str, **headers: str) -> Said:
        """One request; nothing is kept."""
        body = self.body(model) | self.more | ({"stream": True} if self.streams else {})
        said = Said(self.cluster.post(self.path, body, headers=bearer(self.key, **headers)))
        if said.response.status_code != 200:
            return said
        if self.streams:
            said.wire = list(events_in(said.response))
            self.events(said)
        else:
            said.wire = said.response.json()
            self.whole(said)
        return said

    def turn(self, model: str) -> Said:
        """A turn that has to go well, its calls answered for the next one."""
        said = self.send(model)
        assert said.response.status_code == 200, f"{model}: {said.response.text}"
        self.keep(said)
        self.answer(said)
        return said

    def answer(self, said: Said) -> None:
        """The results of its calls."""
        self.history += [self.result(call_id, name, f"result of {call_id}") for call_id, name, _ in said.calls]


def events_in(response: httpx.Response) -> Iterator[Json]:
    """The JSON of each event."""
    yield from (json.loads(data) for data in events_of(response) if data != "[DONE]")


class ChatCaller(Caller):
    """OpenAI's chat route, reasoning dropped."""

    path = "/v1/chat/completions"
    sends_handle: ClassVar[bool] = False

    def body(self, model: str) -> Json:
        tools = [{"type": "function", "function": {"name": TOOL, "parameters": SCHEMA}}]
        return {"model": model, "messages": self.history, "tools": tools, "max_tokens": 4096}

    def whole(self, said: Said) -> None:
        message = said.wire["choices"][0]["message"]
        said.text, said.handle = message.get("content") or "", message.get("cot_id", "")
        said.calls = [
            (call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in message.get("tool_calls") or ()
        ]

    def events(self, said: Said) -> None:
        deltas = [choice["delta"] for chunk in said.wire for choice in chunk["choices"]]
        said.text = "".join(delta.get("content") or "" for delta in deltas)
        said.handle = "".join(delta.get("cot_id", "") for delta in deltas)
        for part in (part for delta in deltas for part in delta.get("tool_calls") or ()):
            if "id" in part:
                said.calls.append((part["id"], part["function"]["name"], ""))
            call_id, name, arguments = said.calls[-1]
            said.calls[-1] = (call_id, name, arguments + part["function"].get("arguments", ""))

    def keep(self, said: Said) -> None:
        calls = [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
            for call_id, name, arguments in said.calls
        ]
        message: Json = {"role": "assistant", "content": said.text}
        message |= {"tool_calls": calls} if calls else {}
        message |= {"cot_id": said.handle} if self.sends_handle and said.handle else {}
        self.history.append(message)

    def result(self, call_id: str, name: str, text: str) -> Json:
        return {"role": "tool", "tool_call_id": call_id, "content": text}


class CopilotCaller(ChatCaller):
    """VS Code: the handle comes back, the reasoning does not."""

    sends_handle = True


class AnthropicCaller(Caller):
    """The Messages API, thinking blocks dropped."""

    path = "/v1/messages"

    def body(self, model: str) -> Json:
        tools = [{"name": TOOL, "input_schema": SCHEMA}]
        return {"model": model, "messages": joined(self.history), "tools": tools, "max_tokens": 4096}

    def whole(self, said: Said) -> None:
        blocks = said.wire["content"]
        said.text = "".join(block["text"] for block in blocks if block["type"] == "text")
        used = [block for block in blocks if block["type"] == "tool_use"]
        said.calls = [(block["id"], block["name"], json.dumps(block["input"])) for block in used]

    def events(self, said: Said) -> None:
        for event in said.wire:
            block, delta = event.get("content_block", {}), event.get("delta", {})
            if block.get("type") == "tool_use":
                said.calls.append((block["id"], block["name"], ""))
            if delta.get("type") == "input_json_delta":
                call_id, name, arguments = said.calls[-1]
                said.calls[-1] = (call_id, name, arguments + delta["partial_json"])
            said.text += delta.get("text", "")

    def keep(self, said: Said) -> None:
        blocks: list[Json] = [{"type": "text", "text": said.text}] if said.text else []
        blocks += [
            {"type": "tool_use", "id": call_id, "name": name, "input": json.loads(arguments or "{}")}
            for call_id, name, arguments in said.calls
        ]
        self.history.append({"role": "assistant", "content": blocks})

    def result(self, call_id: str, name: str, text: str) -> Json:
        return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call_id, "content": text}]}


def joined(history: Sequence[Json]) -> list[Json]:
    """Results that belong together in one message, as this API wants them."""
    made: list[Json] = []
    for message in history:
        last = made[-1] if made else {}
        if message["role"] == "user" == last.get("role") and isinstance(message["content"], list):
            made[-1] = {"role": "user", "content": [*last["content"], *message["content"]]}
        else:
            made.append(message)
    return made


class ResponsesCaller(Caller):
    """The Responses API, the whole conversation sent each time, reasoning items dropped."""

    path = "/v1/responses"

    def body(self, model: str) -> Json:
        tools = [{"type": "function", "name": TOOL, "parameters": SCHEMA}]
        return {"model": model, "input": self.history, "tools": tools, "store": False}

    def whole(self, said: Said) -> None:
        self._read(said, said.wire)

    def events(self, said: Said) -> None:
        assert said.wire[-1]["type"] == "response.completed", said.wire[-1]
        self._read(said, said.wire[-1]["response"])

    def _read(self, said: Said, response: Json) -> None:
        output = response["output"]
        said.text = "".join(part["text"] for item in output if item["type"] == "message" for part in item["content"])
        called = [item for item in output if item["type"] == "function_call"]
        said.calls = [(item["call_id"], item["name"], item["arguments"]) for item in called]

    def keep(self, said: Said) -> None:
        self.history += [{"role": "assistant", "content": said.text}] if said.text else []
        self.history += [
            {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}
            for call_id, name, arguments in said.calls
        ]

    def result(self, call_id: str, name: str, text: str) -> Json:
        return {"type": "function_call_output", "call_id": call_id, "output": text}


CALLERS = (ChatCaller, CopilotCaller, AnthropicCaller, ResponsesCaller)
