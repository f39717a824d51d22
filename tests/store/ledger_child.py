"""Emits events for ever, telling each one's number as it does. Killed by test_ledger.py."""

import itertools
import sys
import time
from pathlib import Path

from orcestator.store.ledger import Ledger
from orcestator.telemetry.background import BackgroundWriter
from tests.recorded_events import REQUEST
from tests.store.engines import ledger_rows

writer = BackgroundWriter("ledger", Ledger(ledger_rows(Path(sys.argv[1])), str, str), keeps_failed=True)
writer.start()
for number in itertools.count():
    writer(REQUEST._replace(request_id=str(number), started_at=time.time()))
    print(number, flush=True)
    time.sleep(0.001)
