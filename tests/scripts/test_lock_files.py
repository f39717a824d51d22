"""The lock files: complete, hashed, for every platform, with no address in them; and what CI runs with them."""

import os
import re
import stat
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import bootstrap
import lock
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
STOCK_MODULES = (
    *("fastchat.serve.controller", "fastchat.serve.base_model_worker"),
    *("fastchat.serve.openai_api_server", "fastchat.conversation"),
)
# What the left-out packages bring with them, by the names they are imported under.
UNIMPORTABLE = ("markdown2", "wavedrom", "svgwrite", "latex2mathml", "pygments", "nh3", "prompt_toolkit", "rich")


@dataclass(frozen=True)
class Entry:
    """One package of a lock file."""

    requirement: Requirement
    hashes: frozenset[str]


def read_lock(name: str) -> dict[str, Entry]:
    text = bootstrap.lock_path(ROOT, name).read_text("utf-8")
    joined = re.sub(r"#.*", "", text).replace("\\\n", " ")
    entries = {}
    for line in filter(str.strip, joined.splitlines()):
        requirement, *hashes = (part.strip() for part in line.split("--hash="))
        entries[canonicalize_name(Requirement(requirement).name)] = Entry(Requirement(requirement), frozenset(hashes))
    return entries


def wanted(name: str) -> list[str]:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    runtime: list[str] = declared["project"]["dependencies"]
    return runtime if name == "runtime" else runtime + declared["dependency-groups"]["dev"]


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_every_package_is_pinned_and_hashed(name: str) -> None:
    entries = read_lock(name)
    assert len(entries) == bootstrap.count_packages(bootstrap.lock_path(ROOT, name)) > 30
    for entry in entries.values():
        assert re.fullmatch(r"==[\w.]+", str(entry.requirement.specifier)), entry
        assert entry.hashes, entry
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in entry.hashes), entry


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_no_address_and_no_option_is_in_a_lock(name: str) -> None:
    text = bootstrap.lock_path(ROOT, name).read_text("utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*-(?!-hash=)", text, re.MULTILINE)


@pytest.mark.parametrize("name", ["runtime", "dev"])
def test_a_lock_holds_what_the_project_asks_for(name: str) -> None:
    entries = read_lock(name)
    for text in wanted(name):
        requirement = Requirement(text)
        pinned = str(entries[canonicalize_name(requirement.name)].requirement.specifier).removeprefix("==")
        assert requirement.specifier.contains(pinned), f"{text} but {pinned} is locked: run scripts/lock.py"


def test_the_developers_lock_includes_the_runtime_lock() -> None:
    assert read_lock("runtime").items() <= read_lock("dev").items()


def test_uvloop_is_not_for_windows() -> None:
    marker = read_lock("runtime")["uvloop"].requirement.marker
    assert marker is not None
    here = {"platform_python_implementation": "CPython"}
    assert not marker.evaluate({**here, "sys_platform": "win32"})
    assert marker.evaluate({**here, "sys_platform": "linux"})
    assert marker.evaluate({**here, "sys_platform": "darwin"})


def test_what_is_left_out_is_not_in_the_runtime_lock() -> None:
    left_out = {canonicalize_name(name) for name in (*lock.NEVER_IMPORTED, *UNIMPORTABLE)}
    assert not left_out & read_lock("runtime").keys()
    assert set(lock.NEVER_IMPORTED_BUT_BY_TOOLS) <= set(lock.NEVER_IMPORTED)


def test_the_stock_programs_import_without_what_is_left_out(tmp_path: Path) -> None:
    blocked = f"import sys; sys.modules.update(dict.fromkeys({UNIMPORTABLE}))"
    code = f"{blocked}; import {', '.join(STOCK_MODULES)}"
    environment = {**os.environ, "LOGDIR": ""}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="CI runs on Linux, and Windows has no executable bit")
def test_ci_runs_the_checks_and_last_the_tests() -> None:
    path = ROOT / ".ci" / "run"
    lines = path.read_text("utf-8").splitlines()
    assert path.stat().st_mode & stat.S_IXUSR
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert lines[-3:] == [
        "python3 scripts/check.py --fast",
        "python3 scripts/cover.py routing providers",
        "python3 scripts/test.py",
    ]
