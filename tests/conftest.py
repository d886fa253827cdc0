"""Settings of all tests, set before minideeplab is imported."""

import os

os.environ.setdefault("MINIDEEPLAB_DETECT_CHANGES", "1")  # wrong gradients by changed arrays
