"""Dockerfile and compose file, as far as they can be checked without a Docker engine."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
# Named in the container's files and documents, beside the settings of orcestator.
NOT_SETTINGS = {"HTTPS_PROXY"}


def instructions(name: str) -> list[str]:
    return [line.removeprefix(name).strip() for line in DOCKERFILE.splitlines() if line.startswith(f"{name} ")]


def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return parsed


def copied() -> list[str]:
    """What the Dockerfile copies from the checkout."""
    return [words.split()[0] for words in instructions("COPY") if not words.startswith("--from")]


def test_the_dockerfile_copies_what_exists_and_what_the_builder_is_sent() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    assert copied()
    assert set(copied()) == sent
    assert all((ROOT / source).exists() for source in copied())


def test_the_builder_is_sent_nothing_else() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert rules[0] == "*"


def test_the_image_installs_from_the_lock_by_hash_and_does_not_run_as_root() -> None:
    install = next(line for line in instructions("RUN") if "pip install" in line)
    assert {"--require-hashes", "--no-deps", "/tmp/runtime.lock"} <= set(install.split())
    assert instructions("USER") == ["10001"]
    assert instructions("EXPOSE") == ["8000 8001"]


def test_the_image_does_not_open_itself() -> None:
    assert all("OR_ALLOW_ANONYMOUS" not in line for line in instructions("ENV"))


def test_compose_publishes_on_loopback_while_it_asks_nobody_for_a_key() -> None:
    service = compose()["services"]["orcestator"]
    assert service["environment"]["OR_ALLOW_ANONYMOUS"] == "true"
    assert service["ports"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_compose_keeps_the_logs_in_a_volume_the_image_declares() -> None:
    mounted = [volume.partition(":") for volume in compose()["services"]["orcestator"]["volumes"]]
    assert [name for name, _, _ in mounted] == list(compose()["volumes"])
    assert [path for _, _, path in mounted] == instructions("VOLUME")


@pytest.mark.parametrize(
    "name", ["docker-compose.yml", "Dockerfile", "docs/INSTALL_docker.md", "docs/INSTALL_win11_no_docker.md"]
)
def test_every_setting_named_is_one(name: str) -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    known = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE)) | NOT_SETTINGS
    named = set(re.findall(r"\b(?:OR_[A-Z0-9_]+|[A-Z]+_API_KEY|HTTPS_PROXY)\b", (ROOT / name).read_text("utf-8")))
    assert named
    assert named <= known


class Ready(BaseHTTPRequestHandler):
    """Answers /ready with the server's status."""

    def do_GET(self) -> None:
        """One answer."""
        self.send_response(self.server.status if self.path == "/ready" else 404)  # type: ignore[attr-defined]
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Ready) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "is_healthy"), [(200, True), (503, False)])
def test_the_health_check_asks_whether_it_is_ready_at_the_set_port(
    server: HTTPServer, status: int, is_healthy: bool
) -> None:
    server.status = status  # type: ignore[attr-defined]
    command = json.loads(instructions("HEALTHCHECK")[0].partition("CMD ")[2])
    assert command[0] == "python"
    environment = {**os.environ, "OR_PORT": str(server.server_port), "no_proxy": "*"}
    ran = subprocess.run([sys.executable, *command[1:]], env=environment, capture_output=True, timeout=30, check=False)
    assert (ran.returncode == 0) is is_healthy
