"""Writes to a ledger whose files may not grow, then lets them grow. Run by test_ledger.py."""

import resource
import signal
import sys
from pathlib import Path

from orcestator.store.ledger import Ledger
from tests.recorded_events import REQUEST
from tests.store.engines import ledger_rows

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ledger = Ledger(ledger_rows(Path(sys.argv[1])), str, str)
ledger.write([REQUEST._replace(request_id="first")])
batch = [REQUEST._replace(request_id=str(number), user_text="x" * 1_000) for number in range(200)]
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
try:
    ledger.write(batch)
except OSError:
    print("full")
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
ledger.write(batch)
print("room again")
ledger.close()
