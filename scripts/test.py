"""``python3 scripts/test.py [arguments of pytest]``: installs once, then runs the tests from the checkout's root.

It must add nothing to what ``python -m pytest`` does there: its configuration is in ``pyproject.toml``.
"""

import os
import sys

from bootstrap import ROOT, ensure_or_exit, hand_over

if __name__ == "__main__":
    python = ensure_or_exit("dev")
    os.chdir(ROOT)
    hand_over([str(python), "-m", "pytest", *sys.argv[1:]])
