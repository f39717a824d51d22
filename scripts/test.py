"""``python3 scripts/test.py [arguments of pytest]``: installs once, then runs the tests from the checkout's root.

It must add nothing to what ``python -m pytest`` does there: its configuration is in ``pyproject.toml``. Only without
arguments, when everything is to be run, it asks pytest to use three processes: ``docs/decisions/0021-tests-on-both-cores.md``.
With ``--clients`` as its first argument it hands over to ``scripts/clients.py``, which tests with real clients.
"""

import os
import sys

from bootstrap import ROOT, ensure_or_exit, hand_over

ON_BOTH_CORES = ("-n", "3", "--dist", "worksteal")

if __name__ == "__main__":
    python = ensure_or_exit("dev")
    os.chdir(ROOT)
    if sys.argv[1:2] == ["--clients"]:
        hand_over([str(python), str(ROOT / "scripts" / "clients.py"), *sys.argv[2:]])
    hand_over([str(python), "-m", "pytest", *(sys.argv[1:] or ON_BOTH_CORES)])
