"""What the quota ledger learned, kept over a restart in a small database of its own. The target of a background writer.

Of several changes to one account in a batch only the last is written. Must never fail a start or a request: what cannot be
read was never learned.
"""

import json
import logging
import os
from collections.abc import Sequence
from hashlib import blake2b

from orcestator.routing.state.quota import QuotaRow
from orcestator.store.rows import Guarantees, Row, Rows, Schema, Transaction

FILE_NAME = "quota.sqlite"
# A power cut may cost the last counts, which the first refusal teaches again; so it does what a damaged file held.
GUARANTEES = Guarantees(starts_anew=True)
MOST_ROWS = 10_000
"""Accounts that are read back; callers may name models, and with them accounts."""
_FIRST_TABLE = "quota_account"
_SALT_TABLE = "CREATE TABLE IF NOT EXISTS quota_salt (number INTEGER PRIMARY KEY CHECK (number = 1), salt BLOB)"
_COLUMNS = ("provider", "credential", "model", "account")
_SALT_BYTES = 32
_NAME_BYTES = 8
_DELETE = "DELETE FROM {table} WHERE provider = :provider AND credential = :credential AND model = :model"
_ALL = "SELECT provider, credential, model, account FROM {table} ORDER BY rowid DESC LIMIT :most"
_PUT_SALT = "INSERT INTO quota_salt (number, salt) VALUES (1, :salt) ON CONFLICT DO NOTHING"
_SALT = "SELECT salt FROM quota_salt"

logger = logging.getLogger("orcestator.store")


def schema_of(process: int = 1) -> Schema:
    """The tables of one of several processes that share the file, counted from 1. What each has used of its part of a quota is its own.

    For SQLite alone: this file lies in the state folder of each machine, whatever the ledger's database is.
    """
    tables = tuple(
        f"CREATE TABLE IF NOT EXISTS {table}"
        " (provider TEXT, credential TEXT, model TEXT, account TEXT, PRIMARY KEY (provider, credential, model))"
        for table in dict.fromkeys((_FIRST_TABLE, _table_of(process)))
    )
    return Schema(0, lambda _engine: (*tables, _SALT_TABLE))


def _table_of(process: int) -> str:
    return _FIRST_TABLE if process == 1 else f"{_FIRST_TABLE}_{process}"


class QuotaRows:
    """Accounts in ``rows``, which were opened with ``schema_of`` the same ``process``. Credentials are in them by a short digest, salted with random bytes of the same database: it tells a key from
    another one of ours, and is too short to be taken for one or to find one by."""

    def __init__(self, rows: Rows, process: int = 1) -> None:
        self._rows = rows
        self._table = _table_of(process)

    def read(self) -> list[QuotaRow]:
        """Everything that was kept; nothing, with a line in the log, when it cannot be read. One of several processes that has kept nothing
        yet takes what the first one knows: rather too much used than too little."""

        def kept(transaction: Transaction) -> list[Row]:
            own, first = (_ALL.format(table=table) for table in (self._table, _FIRST_TABLE))
            return transaction.execute(own, {"most": MOST_ROWS}) or transaction.execute(first, {"most": MOST_ROWS})

        try:
            found = self._rows.transact(kept)
            return [
                QuotaRow(provider, credential, model, json.loads(text)) for provider, credential, model, text in found
            ]
        except (OSError, ValueError) as problem:
            logger.warning("quotas cannot be read, what was known of them is lost: %s", problem)
            return []
        finally:
            self._rows.close()

    def salt(self) -> bytes:
        """The salt of these rows, made when it is first asked for. Where nothing can be written, nothing will be kept: any will do."""
        fresh = os.urandom(_SALT_BYTES)

        def first(transaction: Transaction) -> bytes:
            # Of several processes that start together the first one's holds.
            transaction.execute(_PUT_SALT, {"salt": fresh})
            ((salt,),) = transaction.execute(_SALT)
            return bytes(salt)

        try:
            return self._rows.transact(first)
        except OSError as problem:
            logger.warning("quotas cannot be written, they will not be known after a restart: %s", problem)
            return fresh
        finally:
            self._rows.close()

    def prepare(self) -> None:
        """Open the database and make the tables. Raises OSError."""
        self._rows.prepare()

    def write(self, items: Sequence[QuotaRow]) -> None:
        """Commit the last state of each account. Raises OSError when nothing was written."""
        last = {item[:3]: json.dumps(item.account) for item in items}

        def replace(transaction: Transaction) -> None:
            # Not an update: what was written last is read first.
            for key in last:
                transaction.execute(_DELETE.format(table=self._table), dict(zip(_COLUMNS, key, strict=False)))
            transaction.append(self._table, _COLUMNS, [(*key, text) for key, text in last.items()])

        self._rows.transact(replace)

    def close(self) -> None:
        """Let go of the database."""
        self._rows.close()


def key_name(salt: bytes, key: str) -> str:
    """What a key is called in the rows."""
    return blake2b(key.encode(), key=salt, digest_size=_NAME_BYTES).hexdigest()
