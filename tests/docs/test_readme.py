"""README does what it says: its blocks are run, loaded or compared, and its tables are the program's."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import httpx
import pytest
import yaml

from orcestator.providers.rows import ROWS
from orcestator.settings import documents, load
from orcestator.telemetry.traffic_codec import parse_line
from tests.cluster.harness import (
    START_SECONDS,
    Cluster,
    chat,
    clean_environment,
    free_port,
    local_request,
    streamed,
    until,
)
from tests.docs.pages import ROOT, Block, page

README = page("README.md")
RUSSIAN = page("README.ru.md")
KINDS = {
    *("bash", "bash start", "python", "json", "yaml", "dotenv"),
    *("text banner", "text frames", "text columns"),
}
PORTS = ("8000", "8001", "8002", "9100", "21001")
PROGRAMS = (
    *("orcestator up", "orcestator sandbox", "orcestator connect", "orcestator doctor"),
    *("orcestator check", "orcestator reload", "orcestator explain", "orcestator simulate"),
    *("orcestator.controller", "orcestator.proxy_worker", "orcestator.api_server"),
)
OTHER_LANGUAGE = {"README.md": "README.ru.md"}
ENDS = (0, -signal.SIGTERM)
"""How a program ends that was asked to: ours with 0, the sandbox and stock programs by the signal."""
UNLISTED_FLAGS = {"--help", "--listen-fd", "--replica", "--share-port", "--supervised", "--controller-address"}
"""Flags that are not for people: a supervisor's, and FastChat's name for ``--controller``."""


def bootstrap() -> ModuleType:
    """``scripts/bootstrap.py``, which knows whether a start would install anything."""
    spec = spec_from_file_location("bootstrap_for_docs", ROOT / "scripts" / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_run_here(text: str) -> str:
    """A command with this interpreter for ``python``. Where the scripts would install, what they hand over to."""
    python = shlex.quote(sys.executable)
    doors = {"up.py": "-m orcestator up", "test.py": "-m pytest"}
    for script, behind in doors.items():
        lock = "runtime" if script == "up.py" else "dev"
        installed = bootstrap().is_installed(ROOT, lock)
        target = shlex.quote(str(ROOT / "scripts" / script)) if installed else behind
        text = text.replace(f"python3 scripts/{script}", f"{python} {target}")
    # A test run inside a test run would never end.
    text = re.sub(r"(scripts/test\.py'?|-m pytest)$", r"\1 --version", text, flags=re.MULTILINE)
    text = text.replace("curl ", "curl --silent --show-error --fail-with-body --noproxy '*' ")
    text = re.sub(r"^orcestator ", f"{python} -m orcestator ", text, flags=re.MULTILINE)
    return re.sub(r"^python ", f"{python} ", text, flags=re.MULTILINE)


def told_where(text: str) -> str:
    """A block whose commands are told the address that they take by themselves, so that it has a port to be replaced."""
    return re.sub(r"orcestator (connect|explain) ", r"orcestator \1 --url http://localhost:8000 ", text)


def with_ports(text: str, ports: dict[str, int]) -> str:
    """The text with the standard ports replaced."""
    return re.sub(r"\b(" + "|".join(PORTS) + r")\b", lambda found: str(ports[found[1]]), text)


def ports_of(cluster: Cluster) -> dict[str, int]:
    """The ports of a running cluster in place of the standard ones."""
    return {"8000": cluster.port, "8001": cluster.metrics_port, "21001": cluster.controller_port}


@contextmanager
def started(command: str, directory: Path, environment: dict[str, str], ready: str) -> Iterator[None]:
    """A program of a ``bash start`` block, from its readiness to its orderly end."""
    output = directory / f"output-{time.monotonic_ns()}.txt"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            shlex.split(command), cwd=directory, env=environment, stdout=sink, stderr=subprocess.STDOUT
        )
    try:
        until(lambda: process.poll() is not None or answers(ready), f"{ready} answers", START_SECONDS)
        assert process.poll() is None, output.read_text("utf-8")
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in ENDS, output.read_text("utf-8")
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    """Whether a URL answers 200."""
    try:
        return local_request("GET", url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    """A block of another kind would be read by nobody but the reader."""
    assert {block.kind for block in README.blocks()} == KINDS


@pytest.mark.parametrize("block", README.blocks("bash"), ids=str)
def test_commands(block: Block, newcomer: Cluster, tmp_path: Path) -> None:
    """Each block succeeds as it stands, against a cluster on other ports."""
    script = as_run_here(with_ports(told_where(block.text), ports_of(newcomer)))
    places = {"OR_PORT": str(newcomer.port), "OR_METRICS_PORT": str(newcomer.metrics_port), "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=clean_environment(**places),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("block", README.blocks("bash start"), ids=str)
def test_start_commands(block: Block, tmp_path: Path) -> None:
    """The programs of a block start in its order, and together they answer."""
    started_block(block.text, tmp_path)


def started_block(text: str, directory: Path) -> None:
    """Start the programs of a block, each line one, ask the cluster something, and end them."""
    ports = {name: free_port() for name in PORTS}
    lines = as_run_here(with_ports(text, ports)).strip().splitlines()
    environment = clean_environment(
        OR_PORT=str(ports["8000"]), OR_METRICS_PORT=str(ports["8001"]), OR_CONTROLLER_PORT=str(ports["21001"])
    )
    if "9100" in text:
        environment["SANDBOX_BASE_URL"] = f"http://127.0.0.1:{ports['9100']}/v1"
    base = f"http://127.0.0.1:{ports['8000']}"
    with ExitStack() as programs:
        for line in lines:
            programs.enter_context(started(line, directory, environment, ready_url(line, ports, base)))
        until(lambda: local_request("GET", f"{base}/v1/models").json()["data"] != [], "a model is listed", 20)
        answer = local_request("POST", f"{base}/v1/chat/completions", json=chat("nonce:fig"), timeout=20)
        assert answer.status_code == 200, answer.text
        assert "fig" in answer.json()["choices"][0]["message"]["content"]


def ready_url(line: str, ports: dict[str, int], base: str) -> str:
    """What answers once the program of a line serves."""
    if "sandbox --port" in line:
        return f"http://127.0.0.1:{ports['9100']}/v1/models"
    if "fastchat.serve.controller" in line:
        return f"http://127.0.0.1:{ports['21001']}/test_connection"
    if "orcestator.controller" in line:
        return f"http://127.0.0.1:{ports['21001']}/health"
    if "orcestator.proxy_worker" in line:
        return f"http://127.0.0.1:{ports['8002']}/health"
    return f"{base}/ready"


def test_the_banner_is_the_banner(newcomer: Cluster) -> None:
    """Line by line, but for the ports."""

    def without_ports(text: str) -> str:
        return re.sub(r":\d{4,5}\b", ":PORT", text)

    assert without_ports(README.block("text banner")) in without_ports(newcomer.program.output())


def test_the_frames_are_the_frames(newcomer: Cluster) -> None:
    """The broken stream ends as shown, but for its id and time."""

    def shape(event: str) -> object:
        if event == "[DONE]":
            return event
        body = json.loads(event)
        return {**body, "id": "", "created": 0} if "id" in body else body

    status, events, ended = streamed(newcomer, chat("Hello", "fault:S3"))
    assert (status, ended) == (200, True)
    shown = [line.removeprefix("data: ") for line in README.block("text frames").splitlines() if line]
    assert [shape(event) for event in shown] == [shape(event) for event in events[-3:]]


def test_the_columns_are_the_columns(newcomer: Cluster) -> None:
    """A line of the traffic log has them."""
    newcomer.post("/v1/chat/completions", chat("a | b"))
    until(lambda: any("a " in line for line in newcomer.traffic()), "the line is written")
    columns = README.block("text columns").strip().split(" | ")
    line = next(line for line in newcomer.traffic() if "a " in line)
    assert len(line.split(" | ")) == len(columns)
    entry = parse_line(line)
    assert [name for name in columns if not hasattr(entry, name)] == []


def test_the_python_block_runs(newcomer: Cluster, tmp_path: Path) -> None:
    """With the real SDK, in a process of its own."""
    script = with_ports(README.block("python"), ports_of(newcomer))
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("You said: Hello") == 2


def test_the_copilot_block_works(newcomer: Cluster) -> None:
    """Its address and model answer, with its key."""
    (group,) = json.loads(README.block("json"))
    (model,) = group["models"]
    assert (group["vendor"], group["apiType"]) == ("customendpoint", "chat-completions")
    answer = local_request(
        "POST",
        with_ports(model["url"], ports_of(newcomer)),
        json=chat("Hello", model["id"]),
        headers={"authorization": f"Bearer {group['apiKey']}"},
    )
    assert answer.status_code == 200
    assert answer.json()["model"] == model["id"]


def test_the_yaml_blocks_load(tmp_path: Path) -> None:
    """And every part of it is acted on."""
    path = tmp_path / "config.yaml"
    providers, routing = (block.text for block in README.blocks("yaml"))
    path.write_text(providers, "utf-8")
    found = load({"DEEPSEEK_API_KEY": "k", "OPENROUTER_API_KEY": "k"}, dotenv_path=None, config_path=str(path))
    assert found.providers[0].row.name == "deepseek"
    assert {provider.row.name for provider in found.providers} == set(yaml.safe_load(providers)["providers"])
    assert (found.not_yet, found.notices) == ((), ())

    path.write_text(routing, "utf-8")
    keys = {f"{name}_API_KEY": "k" for name in ("GROQ", "DEEPSEEK", "OPENAI", "OPENROUTER")}
    found = load(keys, dotenv_path=None, config_path=str(path))
    assert (found.not_yet, found.notices) == ((), ())
    assert found.public_aliases()["best"].strategy == "score"
    assert [rule.provider for rule in found.rules] == ["openai"]


def test_the_env_block_loads(tmp_path: Path) -> None:
    """And switches its provider on."""
    path = tmp_path / ".env"
    path.write_text(README.block("dotenv"), "utf-8")
    found = load({}, dotenv_path=str(path))
    assert [provider.row.name for provider in found.providers] == ["openrouter"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_flags_of(program: str) -> None:
    """A program has no flag that the table leaves out."""
    listed = set(re.findall(r"`(--[a-z-]+)", README.prose))
    assert flags_of(program) - UNLISTED_FLAGS <= listed


def test_the_flags_exist() -> None:
    """The table names no flag that no program has."""
    listed = {flag for row in README.rows() for flag in re.findall(r"`(--[a-z-]+)", row[0])}
    assert listed <= set().union(*map(flags_of, PROGRAMS))


def flags_of(program: str) -> set[str]:
    """The flags in a program's help."""
    command = [sys.executable, "-m", *program.split(), "--help"]
    help_text = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=True
    ).stdout
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", help_text))


def test_defaults_are_those_of_the_guide() -> None:
    """The table of settings agrees with docs/configuration.md, which is made from the code."""
    guide = {
        name: row[2]
        for row in page(documents.GUIDE).rows()
        if len(row) == 4
        for name in re.findall(r"`(OR_\w+)`", row[0])
    }
    shown = [(row[0], row[1]) for row in README.rows() if len(row) == 3 and re.fullmatch(r"(`OR_\w+` ?)+", row[0])]
    assert len(shown) > 8
    for names, defaults in shown:
        for name, default in zip(names.split(), defaults.split(), strict=True):
            assert guide[name.strip("`")] == default, name


def test_metrics_exist() -> None:
    """The metrics named here are in docs/metrics.md, which is tested equal to the code."""
    named = set(re.findall(r"`(orcestator_[a-z_]+)`", README.text))
    assert len(named) > 8
    assert named <= set(re.findall(r"`(orcestator_[a-z_]+)`", page("docs/metrics.md").text))


def test_the_number_of_providers() -> None:
    """As the introduction says."""
    assert len(ROWS) - 1 == 41
    assert "Forty-one providers" in README.text


def test_the_russian_page_follows() -> None:
    """The same headings in depth and number, the same blocks byte for byte, the same tables and links."""
    assert [level for level, _ in RUSSIAN.headings()] == [level for level, _ in README.headings()]
    assert RUSSIAN.blocks() == README.blocks()
    assert [len(row) for row in RUSSIAN.rows()] == [len(row) for row in README.rows()]
    assert [OTHER_LANGUAGE.get(target, target) for target in RUSSIAN.links()] == README.links()
    assert re.findall(r"<!--.*?-->", RUSSIAN.text) == re.findall(r"<!--.*?-->", README.text)
