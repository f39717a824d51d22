"""One cluster for all SDKs: the sandbox as an upstream in every dialect, all in one process."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from orcestator.sandbox.dialects.media import png
from tests.cluster.harness import Cluster, SandboxThread

KEY = "the-callers-own-key"
ROOTS: Mapping[str, str] = {
    "openai": "/v1",
    "responses": "/v1",
    "anthropic": "/v1",
    "gemini": "/v1beta",
    "yandex": "/foundationModels/v1",
    "cohere": "",
    "ollama": "",
}
"""Where the sandbox serves each dialect."""

THINKERS = ("openai", "responses", "anthropic", "gemini")
"""The dialects whose models can do everything: call tools in parallel, see images, keep to a schema."""

ALIASES = ("aliases:", '  breaks: ["on-openai/fault:S4:rst?after=3"]')
"""A name without the question mark, which some SDK would not send."""

IMAGE = base64.b64encode(png()).decode()


def on(dialect: str, model: str) -> str:
    """The sandbox's model behind an upstream of a dialect; Yandex wants the folder that pays in the name."""
    return f"on-{dialect}/gpt://b1gfolder/{model}" if dialect == "yandex" else f"on-{dialect}/{model}"


@dataclass(frozen=True)
class Gateway:
    """The cluster and the sandbox behind it."""

    cluster: Cluster
    sandbox: SandboxThread

    @property
    def url(self) -> str:
        """Its address."""
        return self.cluster.url

    def received(self) -> list[dict[str, Any]]:
        """The bodies that reached the upstream since the test began; no request came with the caller's key."""
        records = [record for record in self.sandbox.records if record.method == "POST"]
        assert not any(KEY in value for record in records for value in record.headers.values())
        return [json.loads(record.body) for record in records]


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The gateway that all tests share."""
    with SandboxThread() as sandbox:
        root = sandbox.base_url.removesuffix("/v1")
        rows = [
            f'  on-{dialect}: {{base_url: "{root}{path}", api_key: upstream-key, dialect: {dialect}, default_model: echo}}'
            for dialect, path in ROOTS.items()
        ]
        with Cluster(tmp_path_factory.mktemp("sdks"), "\n".join(["providers:", *rows, *ALIASES])) as cluster:
            yield Gateway(cluster, sandbox)


@pytest.fixture(autouse=True)
def nothing_is_held_against_an_upstream(running: Gateway) -> None:
    """A key that one test had refused would be out for the next one."""
    assert running.cluster.post("/admin/state/reset", {}).status_code == 200


@pytest.fixture
def gateway(running: Gateway) -> Gateway:
    """The gateway, with a sandbox that has forgotten all earlier requests."""
    running.sandbox.reset()
    return running


def read_file(path: str) -> str:
    """What every SDK offers as its tool."""
    return f"the content of {path}"


PARAMETERS: dict[str, object] = {
    "type": "object",
    "properties": {"path": {"type": "string", "description": "The file."}},
    "required": ["path"],
}
"""The schema of ``read_file``'s arguments."""
