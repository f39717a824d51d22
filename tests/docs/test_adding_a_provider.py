"""docs/adding-a-provider.md is followed step by step, with the sandbox in the provider's place."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orcestator.providers.rows import QUIRKS
from orcestator.settings import documents
from tests.cluster.harness import Cluster, SandboxThread, chat, clean_environment, until
from tests.docs.pages import ROOT, page

PAGE = page("docs/adding-a-provider.md")
STAND_INS = (('"acme-large"', '"echo"'), ('"acme-"', '"echo?"'))
"""Names that the sandbox knows, in place of the page's."""
NEXT_ROW = '    Provider(\n        name="ollama",'


@pytest.fixture
def sandbox() -> Iterator[SandboxThread]:
    """The upstream in the new provider's place."""
    with SandboxThread() as running:
        yield running


def only_chat(sandbox: SandboxThread) -> tuple[str, bytes]:
    """(Authorization, body) of the only chat call that was received."""
    (record,) = [record for record in sandbox.records if record.path.endswith("/chat/completions")]
    return record.headers["authorization"], record.body


def test_without_code(tmp_path: Path, sandbox: SandboxThread) -> None:
    """The YAML block makes a provider that answers by prefix, by bare name and as the default."""
    block = PAGE.block("yaml")
    (address,) = re.findall(r"http://\S+", block)
    config = block.replace(address, sandbox.base_url).replace("qwen3-32b", "echo")
    with Cluster(tmp_path, config, environment={"OR_EXPOSE_ROUTER": "true", "OUR_GPU_KEY": "gpu-key"}) as running:
        for name in ("our-gpu/echo", "echo", "orcestator"):
            answer = running.post("/v1/chat/completions", chat("nonce:pear", name))
            assert answer.headers["x-orcestator-provider"] == "our-gpu"
            assert "pear" in answer.json()["choices"][0]["message"]["content"]
        until(lambda: "our-gpu/tools" in names(running), "the server's own list is read")
        assert "our-gpu/llama-3.3-70b" in names(running), "what is configured stays"


def names(running: Cluster) -> set[str]:
    """What is listed."""
    return {card["id"] for card in running.models()}


@pytest.fixture
def changed_checkout(tmp_path: Path) -> Path:
    """A copy of what the change touches, with the row of the page in its place."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "orcestator", folder / "orcestator", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (documents.GUIDE, documents.ENV_EXAMPLE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    rows = folder / "orcestator" / "providers" / "rows.py"
    text = rows.read_text("utf-8")
    assert text.count(NEXT_ROW) == 1
    row = PAGE.block("python")
    for shown, here in STAND_INS:
        assert shown in row
        row = row.replace(shown, here)
    rows.write_text(text.replace(NEXT_ROW, row + NEXT_ROW), "utf-8")
    return folder


def test_as_a_row(changed_checkout: Path, tmp_path: Path, sandbox: SandboxThread) -> None:
    """The row serves a request with its key, and a bare name finds it by its prefix."""
    environment = {
        "PYTHONPATH": str(changed_checkout),
        "ACME_API_KEY": "acme-key",
        "ACME_BASE_URL": sandbox.base_url,
    }
    with Cluster(tmp_path / "running", environment=environment) as running:
        answer = running.post("/v1/chat/completions", chat("hello", "echo?tokens=3"))
        assert answer.headers["x-orcestator-provider"] == "acme", running.program.output()
    authorization, body = only_chat(sandbox)
    assert authorization == "Bearer acme-key"
    assert b'"echo?tokens=3"' in body


def test_the_made_files(changed_checkout: Path) -> None:
    """The command of the page writes the provider into both."""
    command = PAGE.block("bash").splitlines()[0]
    (code,) = re.findall(r'-c "(.*)"', command)
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=changed_checkout,
        env=clean_environment(PYTHONPATH=str(changed_checkout)),
        check=True,
    )
    assert "| `acme` | Acme | `ACME_API_KEY` |" in (changed_checkout / documents.GUIDE).read_text("utf-8")
    assert "# ACME_API_KEY=\n" in (changed_checkout / documents.ENV_EXAMPLE).read_text("utf-8")


def test_the_test_folders_exist() -> None:
    """Which the page says to run."""
    named = re.findall(r"tests/[\w/]+", PAGE.text)
    assert named
    assert [name for name in named if not (ROOT / name).is_dir()] == []


def test_every_quirk_is_explained() -> None:
    """The table has the constants of ``rows.py``."""
    named = re.findall(r"^\| `(\w+)` \|", PAGE.part("quirks"), re.MULTILINE)
    assert {name.lower() for name in named} == set(QUIRKS)
