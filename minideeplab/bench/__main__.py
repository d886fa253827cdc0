"""``python -m minideeplab.bench`` is ``minideeplab bench``."""

from __future__ import annotations

import sys

from minideeplab.cli import main

if __name__ == "__main__":
    main(["bench", *sys.argv[1:]])
