"""``probed.json`` in the state folder: what ``--probe`` found out, for the router."""

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orcestator.doctor.probing import Probed
from orcestator.errors import StartupProblem
from orcestator.json_text import loads
from orcestator.settings.probed_facts import PROBED_FILE as NAME


def entries(probed: Sequence[Probed], checked: str) -> dict[str, Any]:
    """The file's entries by ``provider/model``; ``checked`` is the date as ISO 8601 writes it."""
    return {
        found.name: {
            "checked": checked,
            "supported_parameters": list(found.facts.supported_parameters),
            "input_modalities": list(found.facts.input_modalities),
        }
        for found in probed
        if found.facts is not None
    }


def save(folder: Path, new: Mapping[str, Any]) -> Path:
    """Put the entries into the file; those of other models stay. Raises StartupProblem when it cannot be written."""
    path = folder / NAME
    temporary = folder / f".{NAME}.{os.getpid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.write_text(_text({**_known(path), **new}), "utf-8")
        temporary.replace(path)
    except OSError as fault:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StartupProblem(f"{path} cannot be written: {fault.strerror or fault}.") from fault
    return path


def _known(path: Path) -> dict[str, Any]:
    """What is there; a file that cannot be read was not ours and is written anew."""
    try:
        known = loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _text(known: Mapping[str, Any]) -> str:
    return json.dumps(known, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
