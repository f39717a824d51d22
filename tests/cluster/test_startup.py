"""The start: one clear sentence when it cannot be, a banner when it is, and each key only where it belongs."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.cluster.harness import WIRINGS, Cluster, Program, SandboxThread, chat, clean_environment, free_port, until

CANARY = "sk-canary-startup-93b1f0c47d"
PROGRAMS = ("orcestator", "orcestator.controller", "orcestator.proxy_worker", "orcestator.api_server")
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def run(directory: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=directory,
        env=clean_environment(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=40,
        check=False,
    )


def up(directory: Path, wiring: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``orcestator up`` on free ports, unless told otherwise."""
    ports = {name: str(free_port()) for name in ("OR_PORT", "OR_METRICS_PORT", "OR_CONTROLLER_PORT")}
    chosen = {"OR_HOST": "127.0.0.1", **ports, **environment}
    split = ["--processes"] if wiring == "split" else []
    return run(directory, "orcestator", "up", *split, *arguments, **chosen)


def refusal(ended: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a program that refused to start."""
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("orcestator: ")
    assert "Traceback" not in ended.stderr
    return lines[0]


# What cannot be started


BAD_SETTINGS = {
    "an unknown setting": ({"OR_PROT": "8000"}, ["OR_PROT", "OR_PORT"]),
    "an impossible port": ({"OR_PORT": "99999"}, ["OR_PORT", "65535"]),
    "no number": ({"OR_PORT": "http"}, ["OR_PORT"]),
    "a negative time": ({"OR_DRAIN_SECONDS": "-1"}, ["OR_DRAIN_SECONDS"]),
    "an unknown level": ({"OR_LOG_LEVEL": "loud"}, ["OR_LOG_LEVEL", "info"]),
    "a missing file": ({"OR_CONFIG": "nowhere.yaml"}, ["OR_CONFIG", "nowhere.yaml"]),
    "a provider without its key": ({"OR_ONLY_PROVIDERS": "openrouter"}, ["OPENROUTER_API_KEY"]),
    "an unknown provider": ({"OR_ONLY_PROVIDERS": "openruoter"}, ["openruoter", "openrouter"]),
    "a log below a file": ({"OR_LOG_FILE": "a-file/traffic.log"}, ["OR_LOG_FILE", "a-file/traffic.log"]),
    "rows below a file": ({"OR_DB_PATH": "a-file/rows.db"}, ["OR_DB_PATH", "a-file/rows.db"]),
    "rows in what is no database": ({"OR_DB_PATH": "a-file"}, ["OR_DB_PATH", "a-file"]),
    "rows in a folder": ({"OR_DB_PATH": "."}, ["OR_DB_PATH"]),
}


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("name", BAD_SETTINGS)
def test_a_setting_that_cannot_be(tmp_path: Path, name: str, wiring: str) -> None:
    """The variable, and what would do."""
    (tmp_path / "a-file").write_text("something that is no database\n" * 100)
    environment, words = BAD_SETTINGS[name]
    sentence = refusal(up(tmp_path, wiring, **environment))
    for word in words:
        assert word in sentence


BAD_FILES = {
    "an unknown key": ("port: 8000\nprot: 1\n", ["config.yaml", "line 2", "prot", "port"]),
    "bad YAML": ("providers:\n  alpha: {base_url: 'http://x'\nport: 1\n", ["config.yaml", "line 3"]),
    "a tab": ("providers:\n\talpha: 1\n", ["config.yaml", "line 2"]),
    "a wrong type": ("port: [1]\n", ["config.yaml", "line 1", "port"]),
    "an unset variable": ("default_model: ${NO_SUCH_VARIABLE}\n", ["config.yaml", "line 1", "NO_SUCH_VARIABLE"]),
    "an unknown key of a provider": (
        "providers:\n  alpha:\n    base_ulr: 'http://x'\n",
        ["line 3", "base_ulr", "base_url"],
    ),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be(tmp_path: Path, name: str) -> None:
    """The file, the line, the key, and the nearest valid one."""
    text, words = BAD_FILES[name]
    (tmp_path / "config.yaml").write_text(text)
    sentence = refusal(up(tmp_path, "one process", "--config", "config.yaml"))
    for word in words:
        assert word in sentence


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("variable", ["OR_PORT", "OR_METRICS_PORT", "OR_CONTROLLER_PORT"])
def test_a_taken_port(tmp_path: Path, variable: str, wiring: str) -> None:
    """Which port, and which setting chooses another; nothing that had been started stays behind."""
    others = {name: free_port() for name in ("OR_PORT", "OR_METRICS_PORT", "OR_CONTROLLER_PORT")}
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        ports = {**{name: str(number) for name, number in others.items()}, variable: port}
        sentence = refusal(up(tmp_path, wiring, **ports))
    assert port in sentence
    assert variable in sentence
    for name, number in others.items():
        if name != variable:
            until(lambda number=number: is_free(number), f"nobody listens on {number}")  # type: ignore[misc]


@pytest.mark.parametrize(
    ("host", "wiring"),
    [("::1", "one process"), *((host, "split") for host in ("127.0.0.1", "::1", "localhost", "::", "0.0.0.0"))],
)
def test_any_port_and_any_address_of_the_controller(
    host: str, wiring: str, alpha: SandboxThread, tmp_path: Path
) -> None:
    """0 takes a free port, and whoever has to find it does; only what strangers reach needs a secret."""
    if ":" in host and not has_ipv6():
        pytest.skip("no IPv6 here")
    environment = {"OR_CONTROLLER_HOST": host}
    if host in ("::", "0.0.0.0"):
        environment["OR_WORKER_SECRET"] = "secret-of-the-cluster"
    config = f'providers:\n  alpha: {{base_url: "{alpha.base_url}", api_key: k, models: [echo]}}\n'
    with Cluster(tmp_path, config, wiring, environment, controller_port=0) as cluster:
        assert cluster.post("/v1/chat/completions", chat(model="alpha/echo")).status_code == 200
        (shown,) = re.findall(r"controller +http://(\S+):(\d+)", cluster.program.output())
        assert int(shown[1]) > 0
        address = f"[{host}]" if host == "::1" else "127.0.0.1" if host != "::" else "[::1]"
        assert httpx.get(f"http://{address}:{shown[1]}/test_connection", trust_env=False).status_code == 200


@pytest.mark.parametrize("wiring", WIRINGS)
def test_any_port_of_the_api(wiring: str, tmp_path: Path) -> None:
    environment = clean_environment(OR_HOST="127.0.0.1", OR_PORT="0", OR_CONTROLLER_PORT="0", OR_METRICS_PORT="0")
    arguments = ["orcestator", "up", *(["--processes"] if wiring == "split" else [])]
    program = Program(arguments, tmp_path, environment).start()
    try:
        until(lambda: "point clients at" in program.output(), "the banner is printed", 40)
        (port,) = re.findall(r"point clients at +http://\S+:(\d+)/v1", program.output())
        assert httpx.get(f"http://127.0.0.1:{port}/ready", trust_env=False).status_code == 200
    finally:
        assert program.stop() == 0


def has_ipv6() -> bool:
    try:
        with closing(socket.create_server(("::1", 0), family=socket.AF_INET6)):
            return True
    except OSError:
        return False


def is_free(port: int) -> bool:
    """Whether nobody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_worker_without_its_key(tmp_path: Path) -> None:
    """It names the variable to set."""
    sentence = refusal(run(tmp_path, "orcestator.proxy_worker", "--provider", "openrouter", "--port", "0"))
    assert "OPENROUTER_API_KEY" in sentence


def test_an_open_controller_needs_a_secret(tmp_path: Path) -> None:
    """Beyond this machine only with a worker secret."""
    sentence = refusal(run(tmp_path, "orcestator.controller", "--host", "0.0.0.0", "--port", "0"))
    assert "OR_WORKER_SECRET" in sentence


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_unknown_argument(tmp_path: Path, program: str) -> None:
    """One sentence, too."""
    assert "--nonsense" in refusal(run(tmp_path, program, *(["up"] if program == "orcestator" else []), "--nonsense"))


@pytest.mark.parametrize("program", [[name] for name in PROGRAMS] + [["orcestator", "up"], ["orcestator", "sandbox"]])
def test_help(tmp_path: Path, program: list[str]) -> None:
    """Every program explains its flags."""
    ended = run(tmp_path, *program, "--help")
    assert ended.returncode == 0
    assert "usage: " in ended.stdout
    assert ended.stderr == ""
    assert list(tmp_path.iterdir()) == []


# What is shown and who knows what


@pytest.fixture(scope="module", params=WIRINGS)
def keyed(
    request: pytest.FixtureRequest, alpha: SandboxThread, beta: SandboxThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A cluster with two providers, one switched on by its key and one by the file, both keys in the environment."""
    environment = {
        "MISTRAL_API_KEY": CANARY,
        "MISTRAL_BASE_URL": alpha.base_url,
        "BETA_KEY": f"{CANARY}-beta",
        "OR_DB_PATH": "rows.db",
        "OR_DEFAULT_MODEL": "beta/echo",
    }
    config = f'providers:\n  beta: {{base_url: "{beta.base_url}", api_key: "${{BETA_KEY}}", default_model: echo}}\n'
    with Cluster(tmp_path_factory.mktemp("keyed"), config, request.param, environment) as running:
        until(lambda: "beta/echo" in {card["id"] for card in running.models()}, "models are listed")
        yield running


def test_banner(keyed: Cluster, alpha: SandboxThread, beta: SandboxThread) -> None:
    """Each provider with its model and address, where to point clients, where the records are, and no key."""
    text = keyed.program.output()
    for word in (
        f"http://localhost:{keyed.port}/v1" if "localhost" in text else f"http://127.0.0.1:{keyed.port}/v1",
        "mistral", alpha.base_url, "beta", "echo", beta.base_url, "logs/traffic.log", "rows.db",
        f":{keyed.metrics_port}/metrics", f":{keyed.controller_port}",
    ):  # fmt: skip
        assert word in text
    assert CANARY not in text


def test_both_keys_are_used_and_written_nowhere(keyed: Cluster, alpha: SandboxThread, beta: SandboxThread) -> None:
    """Each provider gets its own key; no file of the cluster has either."""
    assert keyed.post("/v1/chat/completions", chat("x", "beta/echo")).status_code == 200
    assert keyed.post("/v1/chat/completions", chat("x", "mistral/echo")).status_code == 200
    assert beta.last_call.headers["authorization"] == f"Bearer {CANARY}-beta"
    assert alpha.last_call.headers["authorization"] == f"Bearer {CANARY}"
    for path in keyed.directory.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path


def processes_of(cluster: Cluster) -> dict[int, str]:
    """The command line of each process below the one that was started."""
    assert cluster.program.process is not None
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == cluster.program.process.pid:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
    return found


def process_named(cluster: Cluster, *words: str) -> int:
    """The one process whose command line has all the words."""
    (pid,) = [pid for pid, line in processes_of(cluster).items() if all(word in line for word in words)]
    return pid


@linux_only
def test_each_key_is_only_in_its_worker(keyed: Cluster) -> None:
    """Neither the API server nor the controller could leak one; the other provider's worker has not got it either."""
    if keyed.wiring != "split":
        pytest.skip("one process has every key")
    held = {
        pid: Path(f"/proc/{pid}/environ").read_bytes().count(CANARY.encode()) for pid in processes_of(keyed)
    }  # fmt: skip
    mistral, beta = (process_named(keyed, "proxy_worker", name) for name in ("mistral", "beta"))
    assert held == {pid: int(pid in (mistral, beta)) for pid in held}
    assert f"{CANARY}-beta".encode() in Path(f"/proc/{beta}/environ").read_bytes()
    assert f"{CANARY}-beta".encode() not in Path(f"/proc/{mistral}/environ").read_bytes()
    assert not any(CANARY in line for line in processes_of(keyed).values())


@linux_only
def test_ps_shows_which_is_which(keyed: Cluster) -> None:
    """The program and its provider stand in the command line."""
    if keyed.wiring != "split":
        pytest.skip("there is one process")
    lines = " ".join(processes_of(keyed).values())
    named = re.findall(r"-m orcestator\.(\w+)", lines)
    assert sorted(named) == ["api_server", "controller", "proxy_worker", "proxy_worker"]
    assert "--provider mistral" in lines
    assert "--provider beta" in lines


KILLED = [("orcestator.proxy_worker", "beta"), ("orcestator.api_server",), ("orcestator.controller",)]


@linux_only
@pytest.mark.parametrize("words", KILLED, ids=lambda words: words[0])
def test_a_killed_program_comes_back(keyed: Cluster, words: tuple[str, ...]) -> None:
    """The supervisor starts it again, and it serves; until then every answer is a whole one or an error."""
    if keyed.wiring != "split":
        pytest.skip("there is nobody to start the one process again")
    pid = process_named(keyed, *words)
    os.kill(pid, signal.SIGKILL)

    def serves_again() -> bool:
        try:
            answer = keyed.post("/v1/chat/completions", chat("nonce:quince", "beta/echo"))
        except httpx.TransportError:
            return False
        if answer.status_code != 200:
            assert answer.json()["error"]["message"]
            return False
        assert "quince" in answer.text
        return any(all(word in line for word in words) for other, line in processes_of(keyed).items() if other != pid)

    until(serves_again, "it serves again")


@pytest.mark.parametrize("wiring", WIRINGS)
def test_providers_are_tried_in_their_order(
    alpha: SandboxThread, beta: SandboxThread, tmp_path: Path, wiring: str
) -> None:
    """As the file has them, or as ``provider_order`` says, and not by their names."""
    config = f"""
provider_order: [third]
providers:
  zulu: {{base_url: "{alpha.base_url}", api_key: "z", models: ["fault:H1:500"], default_model: "fault:H1:500"}}
  alpha: {{base_url: "{beta.base_url}", api_key: "a", default_model: echo}}
  third: {{base_url: "{alpha.base_url}", api_key: "t", models: ["fault:H1:503"], default_model: "fault:H1:503"}}
"""
    with Cluster(tmp_path, config, wiring) as cluster:
        until(lambda: len(offers(cluster)) == 3, "every provider is there")
        alpha.reset()
        answer = cluster.post("/v1/chat/completions", chat())
        assert answer.headers["x-orcestator-provider"] == "alpha"
        asked = [record.model for record in alpha.records if record.path.endswith("/chat/completions")]
        assert asked == ["fault:H1:503", "fault:H1:500"]


def offers(cluster: Cluster) -> set[str]:
    """The providers whose models are listed."""
    return {card["owned_by"] for card in cluster.models()} - {"orcestator"}


# No key, and no network


@pytest.mark.parametrize("wiring", WIRINGS)
def test_without_any_key_the_sandbox_answers(tmp_path: Path, wiring: str) -> None:
    """And the banner says so loudly."""
    with Cluster(tmp_path, "", wiring) as cluster:
        answer = cluster.post("/v1/chat/completions", chat("nonce:elder"))
        assert answer.status_code == 200
        assert answer.json()["model"] == "orcestator"
        assert "elder" in answer.json()["choices"][0]["message"]["content"]
        assert "NO PROVIDER KEY IS SET" in cluster.program.output()


@pytest.mark.parametrize("wiring", WIRINGS)
def test_it_starts_without_a_network(tmp_path: Path, wiring: str) -> None:
    """Providers that cannot be reached keep nothing from starting, and a request says what is wrong."""
    config = f"""
providers:
  nowhere: {{base_url: "https://provider.invalid/v1", api_key: "k", default_model: m}}
  closed: {{base_url: "http://127.0.0.1:{free_port()}/v1", api_key: "k", default_model: m}}
"""
    with Cluster(tmp_path, config, wiring, {"OR_CONNECT_TIMEOUT_SECONDS": "10"}) as cluster:
        answer = cluster.post("/v1/chat/completions", chat())
        assert answer.status_code in (502, 503, 504)
        assert "provider.invalid has no address" in answer.json()["error"]["message"]
        assert "no connection to 127.0.0.1" in answer.json()["error"]["message"]
        assert cluster.get("/ready").status_code == 200
