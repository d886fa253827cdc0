"""The official weight files by name, fetched with a checksum and resumed where a line broke."""

from __future__ import annotations

import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pooch
from tqdm import tqdm

from minideeplab.files import lock, require_writable

TIMEOUT = 30.0  # seconds without a byte
ATTEMPTS = 5  # in a row without progress
CHUNK = 1 << 18
MOST = 4 << 30  # bytes of a file: the largest one is 0.6e9
AGENT = {"User-Agent": "minideeplab (https://pypi.org/project/minideeplab)"}


class Source(NamedTuple):
    """An official file: where it is, its checksum ("algorithm:hex") and what it holds."""

    url: str
    checksum: str
    what: str


#: torchvision puts the first 8 digits of the SHA-256 into the file's name; Keras and MatConvNet
#: publish an MD5, OpenCV's and MXNet's model lists the SHA-1 of the Caffe file.
KNOWN = {
    "vgg16-caffe": Source(
        "http://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/VGG_ILSVRC_16_layers.caffemodel",
        "sha1:9363e1f6d65f7dba68c4f27a1e62105cdf6c4e24",
        "the VGG-16 of its authors, with which DeepLab began (553 MB)",
    ),
    "vgg16-torchvision": Source(
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "sha256:397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        "VGG-16 trained by torchvision (553 MB)",
    ),
    "vgg16_bn-torchvision": Source(
        "https://download.pytorch.org/models/vgg16_bn-6c64b313.pth",
        "sha256:6c64b3138f2f4fcb3bcc4cafde11619c4f440eb1631787e93a682fd88305888a",
        "VGG-16 with batch normalisation, trained by torchvision (553 MB)",
    ),
    "vgg16-keras": Source(
        "https://github.com/fchollet/deep-learning-models/releases/download/v0.1/"
        "vgg16_weights_tf_dim_ordering_tf_kernels.h5",
        "md5:64373286793e3c8b2b4e3219cbf3544b",
        "the authors' VGG-16 as Keras has it (553 MB)",
    ),
    "vgg16-matconvnet": Source(
        "http://www.vlfeat.org/matconvnet/models/imagenet-vgg-verydeep-16.mat",
        "md5:f72d927587ca4c97fbd165ec9cb9997f",
        "the authors' VGG-16 as MatConvNet has it",
    ),
}


def fetch(name: str, folder: str | os.PathLike[str] | None = None, progress: bool = True) -> Path:
    """Return the path of an official weight file, downloaded if it is not there yet.

    An interrupted download is resumed, within this call and by the next one. The file gets its
    name only after its checksum was verified.

    Args:
        name: a key of ``KNOWN``.
        folder: where to keep it; by default the user's cache folder, or ``MINIDEEPLAB_CACHE``.
        progress: show a bar on stderr.

    Raises:
        ValueError: an unknown name, or a file with another checksum.
        OSError: no connection, or the folder cannot be written to.
    """
    if name not in KNOWN:
        raise ValueError(f"name: {name!r}, expected one of {', '.join(KNOWN)}")
    return download(KNOWN[name].url, KNOWN[name].checksum, folder, progress)


def download(
    url: str,
    checksum: str,
    folder: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Path:
    """Download ``url`` as :func:`fetch` does.

    ``checksum`` is "sha256:...", "sha1:..." or "md5:...", in hexadecimal digits.
    """
    folder = Path(folder or os.environ.get("MINIDEEPLAB_CACHE") or pooch.os_cache("minideeplab"))
    target = require_writable(folder) / url.rsplit("/", 1)[-1]
    with lock(target.with_name(f".{target.name}.lock")):  # another process may be fetching it
        if not (target.exists() and _matches(target, checksum)):
            _download(url, checksum, target, progress)
    return target


def _download(url: str, checksum: str, target: Path, progress: bool) -> None:
    part = target.with_name(target.name + ".part")
    resumed = part.exists()
    try:
        _complete(url, part, progress)
    except ValueError:
        part.unlink(missing_ok=True)
        raise
    if resumed and not _matches(part, checksum):  # its first part may be of another file
        part.unlink()
        _complete(url, part, progress)
    if not _matches(part, checksum):
        size = part.stat().st_size
        part.unlink()
        raise ValueError(
            f"{url}: the {size:,} bytes received do not have the checksum {checksum}; an error "
            "page instead of the file, or the file was changed; nothing was kept"
        )
    os.replace(part, target)


def _matches(path: Path, checksum: str) -> bool:
    algorithm, _, digest = checksum.partition(":")
    return pooch.file_hash(str(path), alg=algorithm) == digest.lower()


def _complete(url: str, part: Path, progress: bool) -> None:
    """Download ``part`` to its full length, over several connections if necessary."""
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            if _receive(url, part, before, progress):
                return
            reason: object = "the connection was cut"
        except urllib.error.HTTPError as error:
            reason = f"the server answers {error.code} {error.reason}"
            if error.code < 500:
                raise OSError(f"{url}: {reason}") from error
        except (OSError, http.client.HTTPException) as error:  # timeouts and resets among them
            reason = getattr(error, "reason", error)
        grown = part.exists() and part.stat().st_size > before
        failures = 0 if grown else failures + 1
        if failures == ATTEMPTS:
            raise OSError(f"{url}: {reason} ({ATTEMPTS} attempts; what came is kept for the next)")
        time.sleep(min(0.1 * 2**failures, 2.0))


def _receive(url: str, part: Path, have: int, progress: bool) -> bool:
    """Append the bytes of one connection; return True when the file is complete."""
    request = urllib.request.Request(url, headers=AGENT)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing beyond: complete, or the file has changed
            return True
        raise
    with response:
        if response.status != 206:
            have = 0  # the server begins again
        length = response.headers.get("Content-Length")
        total = have + int(length) if length is not None else None
        if total is not None and total > MOST:
            raise ValueError(f"{url}: claims {total:,} bytes, expected at most {MOST:,}")
        with open(part, "ab" if have else "wb") as file:
            _copy(response.read1, file.write, have, total, url, progress)
            size = file.tell()
    return total is None or size >= total


def _copy(
    read: Callable[[int], bytes],
    write: Callable[[bytes], int],
    have: int,
    total: int | None,
    url: str,
    progress: bool,
) -> None:
    label = url.rsplit("/", 1)[-1]
    with tqdm(
        total=total, initial=have, unit="B", unit_scale=True, desc=label, disable=not progress
    ) as bar:
        while piece := read(CHUNK):
            have += len(piece)
            if have > MOST:
                raise ValueError(f"{url}: sends more than {MOST:,} bytes; stopped")
            write(piece)
            bar.update(len(piece))
