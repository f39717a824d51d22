"""docs/dialects.md: its commands run, its tables are the program's, and what it says is not offered is refused so."""

import inspect
import json
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import yaml

from orcestator.dialects.canonical import CallerDialect, WriteTerms
from orcestator.errors import UpstreamBroken
from orcestator.gateway.conversations import Conversations
from orcestator.gateway.error_reply import failure_frames
from orcestator.json_text import Json
from orcestator.providers.rows import DIALECT_AUTH
from orcestator.upstream.dialect_table import UPSTREAM_DIALECTS
from orcestator.upstream.reasoning_cache import ReasoningCache
from orcestator.web import routes
from tests.cluster.harness import Cluster, SandboxThread, chat, clean_environment
from tests.docs.losses import MODELS
from tests.docs.made_parts import DIALECTS, remade
from tests.docs.pages import Block, page
from tests.docs.test_readme import as_run_here, ports_of, started_block, with_ports

PAGE = page(DIALECTS)
OTHER_DOORS = {"/", "/health", "/ready", "/api/hello"}
"""Routes that no dialect has."""
TEXTS: Json = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 50},
    "/v1beta/models/MODEL:generateContent": {"contents": [{"parts": [{"text": "Hi"}]}]},
    "/api/chat": {"messages": [{"role": "user", "content": "Hi"}], "stream": False},
}
"""A chat in each dialect, by its door."""
DOOR_OF = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/MODEL:generateContent",
    "ollama": "/api/chat",
}


class Asked(NamedTuple):
    """A request as a table has it."""

    method: str
    path: str
    body: Json


def asked_in(cell: str) -> list[Asked]:
    """The requests in a cell: ``METHOD /path {json}`` in code."""
    found = re.findall(r"`(GET|POST|DELETE) (/\S+?)(?: (\{.*?\}))?`", cell)
    return [Asked(method, path, json.loads(body or "{}")) for method, path, body in found]


def rows_under(head: str) -> list[list[str]]:
    """The rows of the table whose head begins with this cell."""
    rows = PAGE.rows()
    start = next(place for place, row in enumerate(rows) if row[0] == head)
    width = len(rows[start])
    rest = rows[start + 2 :]
    heads = [place for place, row in enumerate(rest) if set(row[0]) == {"-"}]
    return [row for row in rest[: heads[0] - 1 if heads else None] if len(row) == width]


def ask(running: Cluster, asked: Asked, **headers: str) -> httpx.Response:
    """The answer to a request."""
    with httpx.Client(base_url=running.url, trust_env=False, verify=False, timeout=30) as caller:
        content = json.dumps(asked.body) if asked.method == "POST" else None
        return caller.request(asked.method, asked.path, content=content, headers=headers)


def without_ids(value: Any) -> Any:
    """A document whose request ids are all the same."""
    return json.loads(re.sub(r'"req[-_][\w-]+"', '"req"', json.dumps(value)))


def test_made_parts_are_up_to_date() -> None:
    """The tables of upstreams and of losses, which cover every upstream dialect."""
    assert remade(PAGE) == PAGE.text, "run: python -m tests.docs.made_parts"
    assert set(MODELS) == set(DIALECT_AUTH) == {"openai", *UPSTREAM_DIALECTS}


@pytest.mark.parametrize("block", PAGE.blocks("bash"), ids=str)
def test_commands(block: Block, newcomer: Cluster, tmp_path: Path) -> None:
    """Each block succeeds as it stands, against a cluster on other ports."""
    script = as_run_here(with_ports(block.text, ports_of(newcomer)))
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(
        command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()
    if "web_search" in script:
        assert PAGE.block("text dropped").strip() in done.stdout.splitlines()


def test_the_sandbox_starts(tmp_path: Path) -> None:
    """The command of the demonstration, and a cluster in front of it."""
    started_block(PAGE.block("bash start") + "python3 scripts/up.py\n", tmp_path)


def test_every_door_is_listed(newcomer: Cluster) -> None:
    """What the server itself lists, and the paths with a model or an id in them."""
    listed = {asked.path for row in rows_under("Dialect") for cell in row[1:] for asked in asked_in(cell)}
    served = set(ask(newcomer, Asked("GET", "/", {})).json()["routes"])
    plain = {path for path in served if "{}" not in path and not path.startswith("/api/v1/")} - OTHER_DOORS
    assert plain <= listed
    assert {re.sub("MODEL|ID", "{}", path) for path in listed} <= served
    assert set(routes.MODEL_ROUTES) - {f"/api{path}" for path in listed} <= listed


@pytest.mark.parametrize("row", rows_under("Dialect"), ids=lambda row: row[0])
def test_every_door_opens(row: list[str], newcomer: Cluster) -> None:
    """An empty request is refused for what it lacks, never for its path or method."""
    kept = ask(newcomer, Asked("POST", "/v1/responses", {"model": "orcestator", "input": "Hi"})).json()["id"]
    doors = [asked for cell in row[1:] for asked in asked_in(cell)]
    assert doors
    for door in doors:
        path = door.path.replace("MODEL", "orcestator").replace("ID", kept)
        assert ask(newcomer, door._replace(path=path)).status_code in (200, 400), door.path


def demonstration(sandbox: SandboxThread) -> Json:
    """The YAML block, with the address of a sandbox that runs."""
    config: Json = yaml.safe_load(PAGE.block("yaml").replace("http://127.0.0.1:9100", sandbox.server.root_url))
    return config


def test_the_demonstration_speaks_all_dialects(tmp_path: Path) -> None:
    """Every provider of the YAML answers through every door, in the dialect that its name says."""
    with SandboxThread() as sandbox:
        config = demonstration(sandbox)
        spoken = {name: provider["dialect"] for name, provider in config["providers"].items()}
        assert spoken == {f"as-{dialect}": dialect for dialect in UPSTREAM_DIALECTS}
        with Cluster(tmp_path, yaml.safe_dump(config)) as running:
            for name, provider in config["providers"].items():
                check_all_doors(running, f"{name}/{provider['models'][0]}", name)


def check_all_doors(running: Cluster, model: str, provider: str) -> None:
    """A chat in each dialect is answered by the provider."""
    for path, text in TEXTS.items():
        answer = ask(running, Asked("POST", path.replace("MODEL", model), {"model": model, **text}))
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-orcestator-provider"] == provider
        assert "You said: Hi" in answer.text


def test_strict_falls_back_to_who_can_express_it(tmp_path: Path) -> None:
    """A seed is nothing for Anthropic: the next provider gets the request, and without one it is a 400."""
    strict = {"x-orcestator-strict": "true"}
    asked = Asked("POST", "/v1/chat/completions", chat("Hi", "careful", seed=7))
    alone = asked._replace(body={**asked.body, "model": "as-anthropic/agent"})
    with SandboxThread() as sandbox:
        config = {**demonstration(sandbox), "aliases": {"careful": ["as-anthropic/agent", "as-ollama/agent"]}}
        with Cluster(tmp_path, yaml.safe_dump(config)) as running:
            assert ask(running, asked, **strict).headers["x-orcestator-provider"] == "as-ollama"
            lenient = ask(running, asked).headers
            assert (lenient["x-orcestator-provider"], lenient["x-orcestator-dropped"]) == ("as-anthropic", "seed")
            refused = ask(running, alone, **strict)
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "seed")


@pytest.mark.parametrize("dialect", DOOR_OF)
def test_errors_are_as_shown(dialect: str, newcomer: Cluster) -> None:
    """A model that does not exist, at the dialect's door."""
    door = DOOR_OF[dialect]
    asked = Asked("POST", door.replace("MODEL", "gpt-9"), {"model": "gpt-9", **TEXTS[door]})
    answer = ask(newcomer, asked)
    assert answer.status_code == 404
    assert without_ids(answer.json()) == without_ids(json.loads(PAGE.block(f"json {dialect}")))
    if dialect == "openai":
        also = ask(newcomer, Asked("POST", "/v1/responses", {"model": "gpt-9", "input": "Hi"}))
        assert also.json() == answer.json()


BROKEN = UpstreamBroken("acme ended the stream before the answer was whole.", cause="cut")
TERMS = WriteTerms(model="orcestator", created=1_700_000_000, new_id=lambda prefix: f"{prefix}1", request_id="req_1")
WRITERS: dict[str, CallerDialect | None] = {
    "OpenAI": None,
    "Responses": routes.RESPONSES,
    "Anthropic Messages": routes.ANTHROPIC,
    "Gemini": routes.GEMINI,
    "Ollama": routes.OLLAMA,
}


def test_broken_streams_end_as_shown() -> None:
    """What the table quotes is in what the writers write, in its order."""
    rows = {row[0]: row[1] for row in (line.strip("| \n").split(" | ") for line in PAGE.part("ends").splitlines()[2:])}
    assert set(rows) == set(WRITERS)
    for dialect, caller in WRITERS.items():
        end = failure_frames(BROKEN, "orcestator", 0) if caller is None else caller.writer(TERMS).failure(BROKEN)
        text, place = end.decode(), 0
        for quoted in re.findall(r"`([^`]+)`", rows[dialect].partition(" without ")[0]):
            place = text.find(quoted, place)
            assert place >= 0, f"{dialect}: {quoted}"
    assert '"done"' not in routes.OLLAMA.writer(TERMS).failure(BROKEN).decode()


@pytest.mark.parametrize("row", rows_under("What"), ids=lambda row: row[0])
def test_what_is_not_offered_is_refused_as_shown(row: list[str], newcomer: Cluster) -> None:
    """Each request of the table, made whole, has the status beside it."""
    statuses = [int(status) for status in re.findall(r"\b\d{3}\b", row[2])]
    for asked, status in zip(asked_in(row[1]), statuses, strict=True):
        door = asked.path.replace("/models/orcestator:", "/models/MODEL:")
        body = {"model": "orcestator", **TEXTS.get(door, {}), **asked.body}
        upgrade = {"connection": "upgrade", "upgrade": "websocket"} if "upgrade" in row[1] else {}
        assert ask(newcomer, asked._replace(body=body), **upgrade).status_code == status, asked


@pytest.mark.parametrize(("dialect", "path"), list(zip(WRITERS, TEXTS, strict=True)))
def test_reasoning_is_shown_as_said(dialect: str, path: str, newcomer: Cluster) -> None:
    """The field that the table names is in the answer at the dialect's door."""
    (field,) = re.findall(rf"^\| {dialect} \|[^`]*`(\w+)`", PAGE.part("reasoning"), re.MULTILINE)
    body = {"model": "sandbox/reasoner", **TEXTS[path]}
    if dialect == "Gemini":
        body["generationConfig"] = {"thinkingConfig": {"includeThoughts": True}}
    answer = ask(newcomer, Asked("POST", path.replace("MODEL", "sandbox/reasoner"), body))
    assert f'"{field}"' in answer.text


def test_limits_are_the_codes() -> None:
    """Of the vault and of kept responses."""

    def default(kind: type, name: str) -> Any:
        return inspect.signature(kind).parameters[name].default

    text = re.sub(r"\s+", " ", PAGE.prose)
    assert (
        default(ReasoningCache, "most_entries"),
        default(ReasoningCache, "most_bytes"),
        default(ReasoningCache, "seconds"),
    ) == (
        *(10_000, 32 << 20),
        6 * 3600.0,
    )
    assert "10,000 answers, 32 MiB and six hours" in text
    assert default(Conversations, "most_responses") == 4096
    assert (default(Conversations, "most_bytes"), default(Conversations, "seconds")) == (64 << 20, 24 * 3600.0)
    assert "last 4,096 answers, at most 64 MiB, for 24 hours" in text
