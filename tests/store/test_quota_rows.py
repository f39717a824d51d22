"""The file of the quota ledger: what is written is read back, whatever became of the file."""

import os
from pathlib import Path

import pytest

from orcestator.routing.state.quota import QuotaRow
from orcestator.store.quota_rows import key_name
from tests.store.engines import quotas_at

ROW = QuotaRow("p", "2", "m", {"windows": [], "closed_until": 5.0, "pause": 0.0})


def test_the_last_state_of_each_account_is_read_back(tmp_path: Path) -> None:
    rows = quotas_at(tmp_path / "deeper" / "quota.sqlite")
    assert rows.read() == []
    rows.prepare()
    rows.write([ROW._replace(account={"a": 1}), ROW, ROW._replace(model="other")])
    rows.write([ROW._replace(model="other", account={"b": 2})])

    assert sorted(rows.read()) == [ROW, ROW._replace(model="other", account={"b": 2})]
    rows.close()
    assert len(quotas_at(tmp_path / "deeper" / "quota.sqlite").read()) == 2
    assert os.stat(tmp_path / "deeper" / "quota.sqlite").st_mode & 0o077 == 0


def test_each_of_several_processes_has_its_own_rows(tmp_path: Path) -> None:
    """One that has none yet knows what the first one does."""
    path = tmp_path / "quota.sqlite"
    first, second = quotas_at(path), quotas_at(path, 2)
    first.write([ROW])
    assert quotas_at(path, 2).read() == quotas_at(path, 3).read() == [ROW]
    second.write([ROW._replace(account={"of": 2})])
    assert quotas_at(path).read() == [ROW]
    assert quotas_at(path, 2).read() == [ROW._replace(account={"of": 2})]
    assert quotas_at(path, 3).salt() == first.salt()
    for rows in (first, second):
        rows.close()


def test_a_file_that_is_no_database_is_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "quota.sqlite"
    path.write_bytes(b"this is no database, and long enough to be looked at" * 20)
    rows = quotas_at(path)

    assert rows.read() == []
    rows.write([ROW])
    assert rows.read() == [ROW]
    assert (tmp_path / "quota.damaged").exists()
    assert "put aside" in caplog.text
    rows.close()


def test_a_place_that_cannot_be_written_is_an_oserror_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    rows = quotas_at(tmp_path / "file" / "quota.sqlite")

    with pytest.raises(OSError, match="file"):
        rows.write([ROW])
    assert quotas_at(tmp_path).read() == []


def test_a_file_that_goes_away_under_us_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "quota.sqlite"
    rows = quotas_at(path)
    rows.write([ROW])
    rows.close()
    path.unlink()

    rows.write([ROW])

    assert rows.read() == [ROW]
    rows.close()


def test_a_key_has_one_name_in_a_file_that_tells_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "quota.sqlite"
    salt = quotas_at(path).salt()

    assert quotas_at(path).salt() == salt
    assert key_name(quotas_at(tmp_path / "other.sqlite").salt(), "sk-one") != key_name(salt, "sk-one")
    assert len(salt) == 32
    assert os.stat(path).st_mode & 0o077 == 0
    assert key_name(salt, "sk-one") == key_name(salt, "sk-one") != key_name(salt, "sk-two")
    assert len(key_name(salt, "sk-one")) == 16
    assert quotas_at(path).read() == []


def test_where_nothing_can_be_written_any_salt_will_do(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")

    assert len(quotas_at(tmp_path / "file" / "quota.sqlite").salt()) == 32
    assert "cannot be written" in caplog.text
