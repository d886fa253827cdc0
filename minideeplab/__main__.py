"""``python -m minideeplab`` is ``minideeplab``."""

from minideeplab.cli import main

if __name__ == "__main__":
    main()
