"""The providers that a person added while the program ran, each in a document of its own in the state folder.

A document each, so that several API servers may add at once. It holds the key as it was given: only its owner may read it.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from orcestator.errors import StartupProblem
from orcestator.settings.added_provider import added_provider, check_added_address
from orcestator.settings.choices import ProviderSetting
from orcestator.store.documents import Documents

PREFIX, SUFFIX = "added_provider.", ".json"
USUAL_FALLBACK_ORDER = 1


@dataclass(frozen=True, slots=True)
class KeptProvider:
    """What was asked for. ``kind`` and ``entries`` are those of ``added_provider``; of several of the same order the one
    with the lowest ``fallback_order`` comes first. ``title`` is what people call it."""

    name: str
    kind: str
    entries: Mapping[str, Any] = field(repr=False)
    title: str = ""
    fallback_order: int = USUAL_FALLBACK_ORDER

    def read(self) -> ProviderSetting:
        """The provider as the configuration would have it. Raises StartupProblem."""
        found = added_provider(self.name, self.kind, self.entries)
        return replace(found, row=replace(found.row, title=self.title)) if self.title else found


class AlreadyKept(Exception):
    """A provider of that name was added before."""


def keep(documents: Documents, provider: KeptProvider) -> None:
    """Write it down, in place of the one of that name. Raises OSError."""
    documents.put(_document(provider.name), _content(provider))


def keep_new(documents: Documents, provider: KeptProvider) -> None:
    """Write it down where none of that name is, whoever else does so at the same time. Raises AlreadyKept and OSError."""

    def content(before: bytes | None) -> bytes:
        if before is not None:
            raise AlreadyKept(provider.name)
        return _content(provider)

    documents.change(_document(provider.name), content)


def forget(documents: Documents, name: str) -> None:
    """Delete what is kept under a name, if anything is. Raises OSError."""
    documents.delete(_document(name))


def kept_named(documents: Documents, name: str) -> KeptProvider | None:
    """What is kept under a name, None where there is nothing that can be understood."""
    with suppress(StartupProblem):
        return _read(documents, name)
    return None


def kept_titles(documents: Documents) -> dict[str, str]:
    """The titles of all that are kept, by their names; "" where one cannot be understood."""
    kept = {name: kept_named(documents, name) for name in _names(documents)}
    return {name: found.title if found else "" for name, found in kept.items()}


def read_added(
    documents: Documents, *, private: bool, complaint: Callable[[ProviderSetting], str]
) -> tuple[tuple[ProviderSetting, ...], tuple[str, ...]]:
    """All that are kept, by their fallback order, and what there is to say about those that cannot be used.

    ``complaint`` says what else is wrong with one, "" when nothing is. None of them stops a start: whoever starts the program
    need not be the one who added it.
    """
    found: list[tuple[int, ProviderSetting]] = []
    notices: list[str] = []
    for name in _names(documents):
        try:
            kept = _read(documents, name)
            if kept is None:
                continue
            setting = kept.read()
            check_added_address(setting.base_url, private=private)
            if wrong := complaint(setting):
                raise StartupProblem(wrong)
        except StartupProblem as problem:
            notices.append(f"The provider '{name}', which was added over HTTP, is left out: {problem.message}")
        else:
            found.append((kept.fallback_order, setting))
    return tuple(setting for _, setting in sorted(found, key=lambda one: one[0])), tuple(notices)


def _names(documents: Documents) -> list[str]:
    found = documents.names(PREFIX)
    return [name[len(PREFIX) : -len(SUFFIX)] for name in found if name.endswith(SUFFIX)]


def _document(name: str) -> str:
    return f"{PREFIX}{name}{SUFFIX}"


def _content(provider: KeptProvider) -> bytes:
    document = {
        "type": provider.kind,
        "title": provider.title,
        "fallback_order": provider.fallback_order,
        "entries": dict(provider.entries),
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def _read(documents: Documents, name: str) -> KeptProvider | None:
    try:
        content = documents.get(_document(name))
        if content is None:
            return None
        document = orjson.loads(content)
        return KeptProvider(
            name=name,
            kind=str(document["type"]),
            entries=dict(document["entries"]),
            title=str(document["title"]),
            fallback_order=int(document["fallback_order"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise StartupProblem(
            f"{documents.place(_document(name))} cannot be read as what was added: delete it, and add the provider again."
        ) from fault
