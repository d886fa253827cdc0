"""A digest of the files that a training run depends on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any


def fingerprint(dataset: Any, init: str | None = None) -> str:
    """Return the SHA-256 of a data set's names and files and of the initial weights' file.

    A stored result is used again only if it is the same: paths alone do not tell, since files
    change. Official names and generated scenes have no file here; their names identify them.
    """
    digest = hashlib.sha256(repr(list(dataset.names)).encode())
    paths = [*getattr(dataset, "image_paths", ()), *getattr(dataset, "label_paths", ())]
    for path in [*paths, *([init] if init and Path(init).is_file() else [])]:
        if not Path(path).is_file():
            continue  # a device or pipe: reading the image refuses it
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
