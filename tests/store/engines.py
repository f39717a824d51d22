"""The product's databases, and engines that only tests have: a protocol is one when something else passes its tests, too."""

import itertools
from pathlib import Path
from typing import Any

from orcestator.store import kept_rows, ledger, quota_rows
from orcestator.store.engines import open_rows
from orcestator.store.rows import Rows
from orcestator.store.schema import RECORDS


def ledger_rows(path: Path, **more: Any) -> Rows:
    """The database as the ledger opens it, but for the guarantees that are given."""
    return open_rows(path, RECORDS, ledger.GUARANTEES._replace(**more))


def kept_response_rows(path: Path, **more: Any) -> Rows:
    """The database as kept responses open it, but for the guarantees that are given."""
    return open_rows(path, RECORDS, kept_rows.GUARANTEES._replace(**more))


def quotas_at(path: Path) -> quota_rows.QuotaRows:
    """The quotas that are kept in a file."""
    return quota_rows.QuotaRows(open_rows(path, quota_rows.SCHEMA, quota_rows.GUARANTEES))


class MemoryDocuments:
    """Documents in a dictionary."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bytes, int]] = {}
        self._numbers = itertools.count()

    def get(self, name: str) -> bytes | None:
        return self._kept[name][0] if name in self._kept else None

    def put(self, name: str, content: bytes) -> int:
        self._kept[name] = (content, next(self._numbers))
        return self._kept[name][1]

    def delete(self, name: str) -> None:
        self._kept.pop(name, None)

    def names(self, prefix: str = "") -> list[str]:
        return sorted(name for name in self._kept if name.startswith(prefix))

    def version(self, name: str) -> int | None:
        return self._kept[name][1] if name in self._kept else None

    def place(self, name: str) -> str:
        return f"memory, {name}"
