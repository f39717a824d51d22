"""``python3 scripts/shapes.py``: what upstreams may answer, each in its turn, before the whole product.

Every row of ``tests/shapes/table.py`` is asked for by callers of several dialects, with one provider and with a healthy
second one. A caller must have the whole answer, or be told; what else happens is listed at the end, and is status 1.
"""

import os
import sys

from bootstrap import ROOT, ensure_or_exit, hand_over


def main() -> None:
    """Becomes ``python -m tests.shapes`` in the environment of the checkout; arguments go there."""
    python = ensure_or_exit("dev")
    os.chdir(ROOT)
    hand_over([str(python), "-m", "tests.shapes", *sys.argv[1:]])


if __name__ == "__main__":
    main()
