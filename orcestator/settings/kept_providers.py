"""The providers that a person added while the program ran, each in a file of its own in the state folder.

A file each, so that several API servers may add at once. It holds the key as it was given: only its owner may read it.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from orcestator.errors import StartupProblem
from orcestator.settings.added_provider import added_provider, check_added_address
from orcestator.settings.choices import ProviderSetting
from orcestator.settings.whole_file import write_whole

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


def keep(state_dir: str, provider: KeptProvider) -> None:
    """Write it down, in place of the one of that name. Raises OSError."""
    document = {
        "type": provider.kind,
        "title": provider.title,
        "fallback_order": provider.fallback_order,
        "entries": dict(provider.entries),
    }
    write_whole(_path(state_dir, provider.name), orjson.dumps(document, option=orjson.OPT_INDENT_2))


def forget(state_dir: str, name: str) -> None:
    """Delete what is kept under a name, if anything is. Raises OSError."""
    with suppress(FileNotFoundError):
        _path(state_dir, name).unlink()


def kept_named(state_dir: str, name: str) -> KeptProvider | None:
    """What is kept under a name, None where there is nothing that can be understood."""
    with suppress(StartupProblem):
        return _read(_path(state_dir, name))
    return None


def kept_titles(state_dir: str) -> dict[str, str]:
    """The titles of all that are kept, by their names; "" where a file cannot be understood."""
    kept = {name: kept_named(state_dir, name) for name in map(_name_in, _paths(state_dir))}
    return {name: found.title if found else "" for name, found in kept.items()}


def read_added(
    state_dir: str, *, private: bool, complaint: Callable[[ProviderSetting], str]
) -> tuple[tuple[ProviderSetting, ...], tuple[str, ...]]:
    """All that are kept, by their fallback order, and what there is to say about those that cannot be used.

    ``complaint`` says what else is wrong with one, "" when nothing is. None of them stops a start: whoever starts the program
    need not be the one who added it.
    """
    found: list[tuple[int, ProviderSetting]] = []
    notices: list[str] = []
    for path in _paths(state_dir):
        try:
            kept = _read(path)
            if kept is None:
                continue
            setting = kept.read()
            check_added_address(setting.base_url, private=private)
            if wrong := complaint(setting):
                raise StartupProblem(wrong)
        except StartupProblem as problem:
            notices.append(
                f"The provider '{_name_in(path)}', which was added over HTTP, is left out: {problem.message}"
            )
        else:
            found.append((kept.fallback_order, setting))
    return tuple(setting for _, setting in sorted(found, key=lambda one: one[0])), tuple(notices)


def _paths(state_dir: str) -> list[Path]:
    return sorted(Path(state_dir).glob(f"{PREFIX}*{SUFFIX}"))


def _name_in(path: Path) -> str:
    return path.name[len(PREFIX) : -len(SUFFIX)]


def _path(state_dir: str, name: str) -> Path:
    return Path(state_dir) / f"{PREFIX}{name}{SUFFIX}"


def _read(path: Path) -> KeptProvider | None:
    try:
        document = orjson.loads(path.read_bytes())
        return KeptProvider(
            name=_name_in(path),
            kind=str(document["type"]),
            entries=dict(document["entries"]),
            title=str(document["title"]),
            fallback_order=int(document["fallback_order"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise StartupProblem(
            f"{path} cannot be read as what was added: delete it, and add the provider again."
        ) from fault
