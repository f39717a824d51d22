"""The pins of the real clients: exact, hashed and without an address. They are read in every run of the tests."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

PINS = Path(__file__).parent / "pins"
FROM_NPM = sorted(path.parent.name for path in PINS.glob("*/package.json"))
FROM_PYPI = sorted(path.parent.name for path in PINS.glob("*/requirements.in"))


def document(name: str, file: str) -> dict[str, Any]:
    """One of npm's files."""
    found: dict[str, Any] = json.loads((PINS / name / file).read_text("utf-8"))
    return found


def declared(name: str) -> dict[str, str]:
    """What a client's ``package.json`` asks for."""
    manifest = document(name, "package.json")
    return {**manifest.get("dependencies", {}), **manifest.get("optionalDependencies", {})}


def test_every_folder_has_pins() -> None:
    """Of one kind or the other."""
    folders = {path.name for path in PINS.iterdir() if path.is_dir()}
    assert folders == {*FROM_NPM, *FROM_PYPI}
    assert not set(FROM_NPM) & set(FROM_PYPI)


@pytest.mark.parametrize("name", FROM_NPM)
def test_npm_takes_what_is_locked(name: str) -> None:
    """Every package has a hash and no address, and what is asked for is one release."""
    packages = document(name, "package-lock.json")["packages"]
    for path, entry in packages.items():
        assert "resolved" not in entry, path
        assert not path or entry["integrity"].startswith("sha512-"), path
    for package, version in declared(name).items():
        assert re.fullmatch(r"\d[\w.-]*", version), package
        assert packages[f"node_modules/{package}"]["version"] == version


@pytest.mark.parametrize("name", FROM_PYPI)
def test_pip_takes_what_is_locked(name: str) -> None:
    """Every package is one release with its hashes, and there is neither an address nor an option."""
    text = (PINS / name / "requirements.lock").read_text("utf-8")
    assert "://" not in text
    entries = re.sub(r"#.*", "", text).replace("\\\n", " ").split("\n")
    for entry in filter(str.strip, entries):
        assert re.match(r"[\w.-]+==[\w.]+ ", entry), entry
        assert "--hash=sha256:" in entry, entry
    asked = (PINS / name / "requirements.in").read_text("utf-8").strip()
    assert re.sub(r"\[.*\]", "", asked) in text, "an extra is not named in a lock"
