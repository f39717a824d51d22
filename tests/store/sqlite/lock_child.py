"""Writes rows and kept responses to one file, as many as a line of its standard input says. Killed by test_database_file.py."""

import sys
from pathlib import Path

from orcestator.store.kept_rows import KeptRows
from orcestator.store.kept_turns import Put
from orcestator.store.ledger import Ledger
from orcestator.telemetry.background import BackgroundWriter
from tests.recorded_events import REQUEST
from tests.store.engines import kept_response_rows, ledger_rows

path, name = Path(sys.argv[1]), sys.argv[2]
ledger = BackgroundWriter("ledger", Ledger(ledger_rows(path, waits_seconds=0.02), str, str), keeps_failed=True)
shelf = BackgroundWriter("kept_responses", KeptRows(kept_response_rows(path, waits_seconds=0.02)), keeps_failed=True)
for writer in (ledger, shelf):
    writer.start()
for line in sys.stdin:
    first, last, what = line.split()
    for number in range(int(first), int(last)):
        ledger(REQUEST._replace(request_id=f"{name}-{number}"))
        shelf(Put("owner", f"{name}-{number}", "", b'{"output":[]}', b"[]", (), lambda: b"[]", 1e12))
    if what == "written":
        assert ledger.flush(20)
        assert shelf.flush(20)
    else:
        failed = [writer.failed_writes for writer in (ledger, shelf)]
        while any(writer.failed_writes < before + 2 for writer, before in zip((ledger, shelf), failed, strict=True)):
            ledger.flush(0.05)
    print("done", flush=True)
