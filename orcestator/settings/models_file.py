"""The list of models that stands in a file of its own: on this machine, or at an address, whose last good copy is kept."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from orcestator.errors import OrcestatorError, Overloaded, StartupProblem, UpstreamError
from orcestator.settings.choices import ModelEntry
from orcestator.settings.environment import Variables
from orcestator.settings.problems import problem
from orcestator.settings.sources import Given
from orcestator.settings.yaml_file import Node, Section, parsed_yaml, read_yaml
from orcestator.store.files import replace_file
from orcestator.upstream.http.origin import Origin, Proxy
from orcestator.upstream.model_list import ListAddress, fetch_list

NO_VARIABLES = Variables({})
"""A list that comes over the network must not name our variables: they hold keys, and model names go to callers."""
HOW_PRIVATE = "; models_file_allow_private: true allows one in your own network"
Entries = tuple[ModelEntry, ...]
Reader = Callable[[Node | None], Entries]


def is_address(text: str) -> bool:
    """Whether the list is to be fetched."""
    return text.lower().startswith(("https://", "http://"))


def listed_in_file(named: Given, variables: Variables, read: Reader) -> Entries:
    """The entries of a file on this machine. Raises StartupProblem."""
    path = Path(named.value)
    if not path.is_file():
        raise problem(named.place, named.key, f"names a file that does not exist: {path}")
    return read(_models(read_yaml(path, variables)))


def listed_at_address(
    named: Given, state_dir: str, read: Reader, *, private: bool, proxy_of: Callable[[Origin], Proxy | None]
) -> tuple[Entries, tuple[str, ...]]:
    """The entries at an address, and what there is to say about them. Raises StartupProblem.

    When they cannot be fetched or understood, those of the last good copy are used.
    """
    try:
        address = ListAddress.from_url(named.value, private=private)
    except StartupProblem as fault:
        complaint = f"is not an address that can be used: {fault.message}" + ("" if private else HOW_PRIVATE)
        raise problem(named.place, named.key, complaint) from fault
    kept = Path(state_dir) / f"models-{sha256(named.value.encode()).hexdigest()[:12]}.yaml"
    try:
        content = _fetched(address.through(proxy_of(address.origin)))
        entries = read(_models(parsed_yaml(_text(content), address.shown, NO_VARIABLES)))
    except (UpstreamError, Overloaded, StartupProblem) as fault:
        return _kept_entries(kept, address, fault, named, read)
    return entries, _keep(kept, content)


def _kept_entries(
    kept: Path, address: ListAddress, fault: OrcestatorError, named: Given, read: Reader
) -> tuple[Entries, tuple[str, ...]]:
    reason = fault.message.rstrip(".")
    if not kept.is_file():
        raise problem(named.place, named.key, f"cannot be used, and no copy is kept: {reason}") from fault
    entries = read(_models(read_yaml(kept, NO_VARIABLES)))
    day = datetime.fromtimestamp(kept.stat().st_mtime, UTC).date().isoformat()
    return entries, (f"The models are those of {day}, because the list at {address.shown} cannot be used: {reason}.",)


def _fetched(address: ListAddress) -> bytes:
    """In a thread of its own: whoever loads settings may have an event loop running."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(fetch_list(address))).result()


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise StartupProblem(f"it is not UTF-8 text (byte {fault.start})") from fault


def _models(tree: Section) -> Node | None:
    tree.require_known({"models"})
    return tree.nodes.get("models")


def _keep(kept: Path, content: bytes) -> tuple[str, ...]:
    try:
        replace_file(kept, content)
    except OSError as fault:
        return (
            f"The list of models cannot be kept in {kept.parent} ({fault.strerror}): a start without network would fail.",
        )
    return ()
