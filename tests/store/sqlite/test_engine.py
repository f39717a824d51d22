"""What the users of the protocol cannot see of the engine of SQLite files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orcestator.store.rows import Rows
from tests.store.engines import kept_response_rows, ledger_rows


@pytest.mark.parametrize(("opened", "synchronous", "secure_delete"), [(ledger_rows, 2, 0), (kept_response_rows, 1, 1)])
def test_each_connection_has_the_guarantees_that_were_asked_for(
    tmp_path: Path, opened: Callable[[Path], Rows], synchronous: int, secure_delete: int
) -> None:
    """2 is FULL: a sync for each commit; 1 is NORMAL."""
    rows = opened(tmp_path / "or.db")
    for pragma, value in (("synchronous", synchronous), ("secure_delete", secure_delete)):
        assert rows.transact(lambda transaction, text=f"PRAGMA {pragma}": transaction.execute(text)) == [(value,)]
    rows.close()


def test_who_reads_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"or\.db"):
        ledger_rows(tmp_path / "or.db").read(lambda reading: reading.execute("SELECT 1"))
    assert list(tmp_path.iterdir()) == []
