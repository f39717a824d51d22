"""What the users of the protocol cannot see of the engine of SQLite files."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orcestator.store.rows import Rows
from tests.store.engines import kept_response_rows, ledger_rows

ROOT = Path(__file__).parents[3]


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


def test_a_database_that_has_its_tables_is_opened_without_knowing_them(tmp_path: Path) -> None:
    """SQLModel takes 30 MiB and a quarter of a second, in each process that writes."""
    program = (
        "import sys; from pathlib import Path; from tests.store.engines import kept_response_rows, ledger_rows\n"
        f"for opened in (ledger_rows, kept_response_rows):\n rows = opened(Path({str(tmp_path / 'or.db')!r}))\n"
        " rows.check(); rows.prepare(); rows.close()\n"
        "print(sorted({'sqlmodel', 'sqlalchemy', 'pydantic'} & set(sys.modules)))"
    )
    said = [
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert said == ["['pydantic', 'sqlalchemy', 'sqlmodel']\n", "[]\n"]


def test_a_table_that_somebody_dropped_is_made_anew(tmp_path: Path) -> None:
    """After a failure not even that the tables are there is assumed."""
    rows = ledger_rows(tmp_path / "or.db")
    rows.prepare()
    other = ledger_rows(tmp_path / "or.db")
    other.transact(lambda transaction: transaction.execute("DROP TABLE kept_item"))
    other.close()
    with pytest.raises(OSError, match="kept_item"):
        rows.transact(lambda transaction: transaction.execute("DELETE FROM kept_item"))
    assert rows.transact(lambda transaction: transaction.execute("SELECT * FROM kept_item")) == []
    rows.close()
