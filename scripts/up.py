"""``python3 scripts/up.py [arguments of orcestator up]``: installs once, then runs the cluster.

It must stay a doorway: what the cluster does is decided in the package.
"""

import sys

from bootstrap import ensure_or_exit, hand_over

if __name__ == "__main__":
    hand_over([str(ensure_or_exit("runtime")), "-m", "orcestator", "up", *sys.argv[1:]])
