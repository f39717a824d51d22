"""VS Code's file beside the server's models: each mistake is found, a file of ``connect`` has none."""

import json
from pathlib import Path
from typing import Any

import pytest

from orcestator.connect.formats import merged
from orcestator.connect.machine import Machine
from orcestator.connect.offer import Offered, OfferedModel
from orcestator.connect.registry import CLIENTS
from orcestator.doctor.copilot import copilot_findings
from orcestator.doctor.finding import OK, PROBLEM, WARNING, Finding
from orcestator.settings import Settings

MODELS = (
    OfferedModel("orcestator", 128_000, 16_384, tools=True, images=True),
    OfferedModel("small", 8_000, tools=False),
)
SETTINGS = Settings(port=8000)


def written(home: Path) -> str:
    """What ``orcestator connect vscode`` writes."""
    (edit,) = CLIENTS["vscode"].plan(Offered("http://localhost:8000", MODELS), Machine("linux", home)).files
    return merged(edit.format, "", edit.puts)


def found(home: Path, text: str, *, runs: bool = True, settings: Settings = SETTINGS) -> list[Finding]:
    """What the doctor says about a file."""
    path = home / ".config" / "Code" / "User" / "chatLanguageModels.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    models = {model.id: model for model in MODELS} if runs else None
    return list(copilot_findings(Machine("linux", home), settings, models))


def changed(home: Path, **more: Any) -> str:
    """The file with something else in its first model, or in its group."""
    groups = json.loads(written(home))
    groups[0] |= {name: more.pop(name) for name in ("vendor",) if name in more}
    groups[0]["models"][0] |= more
    return json.dumps(groups)


def test_a_file_of_ours_is_fine(tmp_path: Path) -> None:
    """Comments included; with the server away it says that nothing was compared."""
    (finding,) = found(tmp_path, "// mine\n" + written(tmp_path))
    assert (finding.state, "2 of orcestator's models" in finding.says) == (OK, True)
    (finding,) = found(tmp_path, written(tmp_path), runs=False)
    assert (finding.state, "not compared" in finding.says) == (OK, True)


@pytest.mark.parametrize(
    ("more", "state", "says"),
    [
        ({"maxInputTokens": 200_000}, PROBLEM, "over the context of 128000"),
        ({"maxInputTokens": 120_000}, WARNING, "136384 together"),
        ({"id": "gone"}, WARNING, "does not list"),
        ({"url": "http://localhost:9999/v1/chat/completions"}, PROBLEM, "points at port 9999"),
        ({"vendor": "customoai"}, WARNING, "customendpoint"),
        ({"id": "small", "maxInputTokens": 4000, "maxOutputTokens": 4000, "vision": False}, WARNING, "takes no tools"),
        (
            {"id": "small", "maxInputTokens": 4000, "maxOutputTokens": 4000, "toolCalling": False},
            WARNING,
            "takes no images",
        ),
    ],
)
def test_mistakes_are_found(tmp_path: Path, more: dict[str, Any], state: str, says: str) -> None:
    """Each with the command that puts it right."""
    findings = [finding for finding in found(tmp_path, changed(tmp_path, **more)) if says in finding.says]
    assert [(finding.state, "connect vscode --write" in finding.remedy) for finding in findings][:1] == [(state, True)]


def test_a_broken_file(tmp_path: Path) -> None:
    """VS Code ignores it, so it is a problem; the line is named."""
    (finding,) = found(tmp_path, '[\n{"name": }]')
    assert (finding.state, "line 2" in finding.says) == (PROBLEM, True)


@pytest.mark.parametrize(
    "text", ["[]", "{}", "[1]", '[{"models": {}}]', '[{"models": [1, {"url": 5}]}]', '[{"name": "x"}]']
)
def test_a_file_without_us(tmp_path: Path, text: str) -> None:
    """Nothing is wrong with it, whatever is in it."""
    (finding,) = found(tmp_path, text)
    assert (finding.state, "no model of orcestator" in finding.says) == (OK, True)


def test_no_vscode_at_all(tmp_path: Path) -> None:
    """Not a word about what is not there."""
    assert list(copilot_findings(Machine("linux", tmp_path), SETTINGS, None)) == []
