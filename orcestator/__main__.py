"""``python -m orcestator`` is the ``orcestator`` command."""

import sys

from orcestator.cli import main

if __name__ == "__main__":
    sys.exit(main())
