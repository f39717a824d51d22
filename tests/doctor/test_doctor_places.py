"""Python, packages, folders, the database, keys and callers: as they are, with no key's value anywhere."""

import os
import sqlite3
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from orcestator.doctor.configuration import settings_findings
from orcestator.doctor.finding import OK, PROBLEM, WARNING, Finding
from orcestator.doctor.installation import PACKAGES, database_finding, packages_finding, place_findings, python_finding
from orcestator.settings import Settings, load
from orcestator.settings.environment import read_variables
from tests.cluster.harness import ROOT

SECRET = "sk-canary-2b7e151628aed2a6"


def found(settings: Settings, subject: str) -> Finding:
    """The finding about a place."""
    return next(finding for finding in place_findings(settings) if finding.subject == subject)


def test_python() -> None:
    """The tested ones are fine; another is worth a word."""
    assert python_finding((3, 12), "cpython").state == OK
    assert python_finding((3, 15), "cpython").state == python_finding((3, 12), "pypy").state == WARNING


def test_packages() -> None:
    """A missing one is named, with what installs it."""
    missing = packages_finding(["orjson", "no-such-package-as-this"])
    assert (missing.state, "no-such-package-as-this" in missing.says, "orjson" in missing.says) == (
        PROBLEM,
        True,
        False,
    )


def test_every_dependency_is_looked_for() -> None:
    """But those that are not for every machine."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    assert {Requirement(line).name for line in declared if not Requirement(line).marker} <= set(PACKAGES)


def test_folders(tmp_path: Path) -> None:
    """One that is there, one that can be made, one that cannot; nothing is left behind."""
    (tmp_path / "file").write_text("", "utf-8")
    settings = Settings(state_dir=str(tmp_path), log_file=str(tmp_path / "new" / "traffic.log"))
    assert found(settings, "state folder").says.endswith("can be written to")
    assert found(settings, "traffic log").says.endswith("can be made")
    blocked = found(Settings(state_dir=str(tmp_path / "file" / "state")), "state folder")
    assert (blocked.state, "OR_STATE_DIR" in blocked.remedy) == (PROBLEM, True)
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    """Permissions are tried, not read."""
    tmp_path.chmod(0o500)
    assert found(Settings(state_dir=str(tmp_path)), "state folder").state == PROBLEM


def test_the_database(tmp_path: Path) -> None:
    """Absent is fine and stays absent; sound is fine; damaged is a problem with the way out."""
    path = tmp_path / "rows.db"
    assert database_finding(str(path)).state == OK
    assert not path.exists()
    sqlite3.connect(path).close()
    assert database_finding(str(path)) == Finding("request rows", OK, f"{path} is sound")
    path.write_bytes(b"not a database at all" * 100)
    damaged = database_finding(str(path))
    assert (damaged.state, "OR_DB_PATH" in damaged.remedy) == (PROBLEM, True)


def configured(environ: dict[str, str], tmp_path: Path, dotenv: str = "") -> dict[str, Finding]:
    """The findings about settings, the last of each subject."""
    (tmp_path / ".env").write_text(dotenv, "utf-8")
    path = str(tmp_path / ".env")
    settings = load(environ, dotenv_path=path)
    return {finding.subject: finding for finding in settings_findings(settings, read_variables(environ, path))}


def test_keys_are_named_and_never_shown(tmp_path: Path) -> None:
    """With where they were found."""
    findings = configured({"GROQ_API_KEY": SECRET, "OR_CALLER_KEYS": SECRET}, tmp_path, f"XAI_API_KEY={SECRET}\n")
    assert findings["keys"] == Finding("keys", OK, "XAI_API_KEY (.env), GROQ_API_KEY (environment)")
    assert findings["callers"].says == "holders of 1 caller key"
    assert ".env" in findings["settings"].says
    assert SECRET not in str(findings)


def test_no_key_at_all(tmp_path: Path) -> None:
    """The sandbox answers, which somebody should know; a local server needs no key."""
    assert configured({}, tmp_path)["keys"].state == WARNING
    assert configured({"OLLAMA_BASE_URL": "http://localhost:11434"}, tmp_path)["keys"].state == OK


@pytest.mark.parametrize(("host", "state"), [("0.0.0.0", WARNING), ("127.0.0.1", OK)])
def test_an_open_door_is_pointed_out(tmp_path: Path, host: str, state: str) -> None:
    """Where others can reach it."""
    assert configured({"OR_ALLOW_ANONYMOUS": "true", "OR_HOST": host}, tmp_path)["callers"].state == state
