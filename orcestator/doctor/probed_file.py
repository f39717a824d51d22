"""``probed.json`` in the state folder: what ``--probe`` found out, for the router."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from orcestator.doctor.probing import Probed
from orcestator.errors import StartupProblem
from orcestator.json_text import loads
from orcestator.settings.probed_facts import PROBED_FILE as NAME
from orcestator.store.documents import Documents


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


def save(documents: Documents, new: Mapping[str, Any]) -> None:
    """Put the entries into the file; those of other models stay. Raises StartupProblem when it cannot be written."""
    try:
        documents.put(NAME, _text({**_known(documents), **new}))
    except OSError as fault:
        raise StartupProblem(f"{documents.place(NAME)} cannot be written: {fault.strerror or fault}.") from fault


def _known(documents: Documents) -> dict[str, Any]:
    """What is there; what cannot be understood was not ours and is written anew. Raises OSError."""
    try:
        known = loads(documents.get(NAME) or b"{}")
    except ValueError:
        return {}
    return known if isinstance(known, dict) else {}


def _text(known: Mapping[str, Any]) -> bytes:
    return (json.dumps(known, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode()
