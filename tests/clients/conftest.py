"""One sandbox and one cluster for all clients. Nothing here is collected unless somebody says where the clients are."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.client_process import Home
from tests.clients.client_rows import CLIENTS
from tests.clients.received import UPSTREAMS
from tests.cluster.harness import Cluster, SandboxThread

VARIABLE = "ORCESTATOR_CLIENTS"
"""Set by ``scripts/clients.py``: the folders of the installed clients, as in a PATH."""

MODELS = ("echo", "agent")
NAMES = ("unknown", *sorted({client.knows for client in CLIENTS if client.knows}))
"""What the names of models begin with: clients treat those they know in another way than the rest."""
BREAKS = '  breaks: ["on-openai/fault:S4:rst?after=3"]'
"""A name for what ends in the middle, without the question mark, which some SDK would not send."""

collect_ignore_glob = [] if os.environ.get(VARIABLE) else ["test_*_turns.py"]  # the pins are tested always


def installed() -> dict[str, Path]:
    """The folder of each client that was asked for, by the name of its pins."""
    folders = [Path(folder) for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]
    return {folder.name: folder for folder in folders}


@dataclass(frozen=True)
class Gateway:
    """A running cluster and the sandbox behind it; ``unknown-agent-on-gemini`` is the sandbox's agent in that dialect."""

    cluster: Cluster
    sandbox: SandboxThread


def configuration(root: str) -> str:
    """The sandbox as one provider a dialect."""
    providers = (
        f'  on-{row}: {{base_url: "{root}{row.path}", api_key: upstream-key, dialect: {row}, default_model: echo}}'
        for row in UPSTREAMS.values()
    )
    aliases = (
        f"  {name}-{model}-on-{row}: [on-{row}/{model}]" for row in UPSTREAMS for model in MODELS for name in NAMES
    )
    return "\n".join(["providers:", *providers, "aliases:", *aliases, '  refuses: ["on-openai/fault:H1:400"]', BREAKS])


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The one that all clients talk to."""
    with SandboxThread() as sandbox:
        config = configuration(sandbox.base_url.removesuffix("/v1"))
        with Cluster(tmp_path_factory.mktemp("gateway"), config) as cluster:
            yield Gateway(cluster, sandbox)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home for one run, in which the word ``probe`` can be run, entered and read, whatever a tool does with it."""
    made = Home(tmp_path / "home")
    made.write("programs/probe", "#!/bin/sh\necho the probe ran\n").chmod(0o755)
    made.write("work/probe/note.txt", "the probe was read\n")
    return made
