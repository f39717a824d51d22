"""docs/fastchat.md: its commands start a cluster on the stock controller, and what it points to exists."""

import re
from pathlib import Path

from tests.cluster import test_contracts
from tests.docs.pages import ROOT, page
from tests.docs.test_readme import started_block

PAGE = page("docs/fastchat.md")


def test_the_cluster_on_the_stock_controller(tmp_path: Path) -> None:
    """The block, with a sandbox beside it."""
    sandbox = "python -m orcestator sandbox --port 9100\n"
    assert "`python -m orcestator sandbox`" in PAGE.prose
    started_block(sandbox + PAGE.block("bash start"), tmp_path)


def test_every_contract_has_its_tests() -> None:
    """C1 to C4 in the table, and each in the module that the table names."""
    rows = {row[0]: row[2] for row in PAGE.rows() if re.fullmatch(r"C\d", row[0])}
    assert sorted(rows) == ["C1", "C2", "C3", "C4"]
    for contract, how in rows.items():
        assert Path(test_contracts.__file__) == ROOT / re.findall(r"`(tests/[\w/.]+)`", how)[0]
        assert any(name.startswith(f"test_{contract.lower()}_") for name in vars(test_contracts))


def test_paths_exist() -> None:
    """Files and folders it names."""
    named = re.findall(r"`((?:tests|bridge)/[\w/.]+)`", PAGE.text)
    assert len(named) > 4
    for name in named:
        assert (ROOT / name).exists() or (ROOT / "orcestator" / name).exists(), name
