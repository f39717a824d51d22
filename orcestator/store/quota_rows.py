"""What the quota ledger learned, kept over a restart in a small SQLite file of its own. The target of a background writer.

Of several changes to one account in a batch only the last is written. Must never fail a start or a request: what cannot be
read was never learned.
"""

import json
import logging
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path

from orcestator.routing.state.quota import QuotaRow
from orcestator.store import database_file

FILE_NAME = "quota.sqlite"
BUSY_SECONDS = 5.0
MOST_ROWS = 10_000
"""Accounts that are read back; callers may name models, and with them accounts."""
_TABLE = (
    "CREATE TABLE IF NOT EXISTS quota_account"
    " (provider TEXT, credential TEXT, model TEXT, account TEXT, PRIMARY KEY (provider, credential, model))"
)
_SALT_TABLE = "CREATE TABLE IF NOT EXISTS quota_salt (number INTEGER PRIMARY KEY CHECK (number = 1), salt BLOB)"
_SALT_BYTES = 32
_NAME_BYTES = 8
_PUT = "INSERT OR REPLACE INTO quota_account VALUES (?, ?, ?, ?)"
_ALL = "SELECT provider, credential, model, account FROM quota_account ORDER BY rowid DESC LIMIT ?"

logger = logging.getLogger("orcestator.store")


class QuotaRows:
    """The file at ``path``. Credentials are in it by a short digest, salted with random bytes of the same file: it tells a key from
    another one of ours, and is too short to be taken for one or to find one by."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file: database_file.Opened | None = None

    def read(self) -> list[QuotaRow]:
        """Everything that was kept; nothing, with a line in the log, when the file cannot be read."""
        if not self._path.exists():
            return []
        try:
            with closing(_opened(self._path)) as connection:
                found = connection.execute(_ALL, (MOST_ROWS,)).fetchall()
                return [
                    QuotaRow(provider, credential, model, json.loads(text))
                    for provider, credential, model, text in found
                ]
        except (OSError, sqlite3.Error, ValueError) as problem:
            logger.warning("%s cannot be read, what it knew of quotas is lost: %s", self._path, problem)
            return []

    def salt(self) -> bytes:
        """The salt of this file, made when it is first asked for. Where nothing can be written, nothing will be kept: any will do."""
        fresh = os.urandom(_SALT_BYTES)
        try:
            with closing(self._made()) as connection:
                connection.execute(_SALT_TABLE)
                # Of several processes that start together the first one's holds.
                connection.execute("INSERT OR IGNORE INTO quota_salt VALUES (1, ?)", (fresh,))
                connection.commit()
                (salt,) = connection.execute("SELECT salt FROM quota_salt").fetchone()
                return bytes(salt)
        except (OSError, sqlite3.Error) as problem:
            logger.warning("%s cannot be written, quotas will not be known after a restart: %s", self._path, problem)
            return fresh

    def prepare(self) -> None:
        """Open the file and make the table. Raises OSError."""
        self._connected()

    def write(self, items: Sequence[QuotaRow]) -> None:
        """Commit the last state of each account. Raises OSError when nothing was written."""
        last = {item[:3]: json.dumps(item.account) for item in items}
        try:
            with self._connected() as connection:
                connection.executemany(_PUT, [(*key, text) for key, text in last.items()])
        except sqlite3.Error as problem:
            # Never assume anything of a connection that failed: the next try opens the file anew.
            self.close()
            raise OSError(f"{self._path}: {problem}") from problem

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._file = None

    def _connected(self) -> sqlite3.Connection:
        if self._file is not None and not self._file.is_still_there():
            self.close()
        if self._connection is None:
            self._connection = self._made()
            self._file = database_file.Opened(self._path)
        return self._connection

    def _made(self) -> sqlite3.Connection:
        database_file.make(self._path)
        try:
            return _opened(self._path)
        except sqlite3.OperationalError as problem:
            raise OSError(f"{self._path}: {problem}") from problem
        except sqlite3.DatabaseError as problem:
            # No database, or a damaged one: what it knew can be learned again.
            aside = self._path.with_suffix(".damaged")
            self._path.replace(aside)
            logger.warning("%s is damaged and was put aside as %s: %s", self._path, aside.name, problem)
            database_file.make(self._path)
            return _opened(self._path)


def key_name(salt: bytes, key: str) -> str:
    """What a key is called in the file."""
    return blake2b(key.encode(), key=salt, digest_size=_NAME_BYTES).hexdigest()


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the last counts, which the first refusal teaches again; a killed program costs none.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_TABLE)
        connection.commit()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
