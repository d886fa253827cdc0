"""Files that are either whole or absent, and folders that can be written to."""

from __future__ import annotations

import glob
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TEMPORARY = ".{0.stem}-{1}{0.suffix}"  # beside its target: a path and 8 hexadecimal digits


@contextmanager
def lock(path: str | os.PathLike[str], wait: bool = True) -> Iterator[None]:
    """Hold a lock file, which one process and thread can hold; it is released however they end.

    Raises BlockingIOError if another holds it and ``wait`` is False. Where the system or the file
    system has no locks, nothing is locked.
    """
    path = Path(path)
    while True:
        with open(path, "ab") as file:
            if not _locked(file.fileno(), wait):
                yield
                return
            if not path.exists() or not os.path.samestat(path.stat(), os.fstat(file.fileno())):
                continue  # the former holder has deleted it
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _locked(descriptor: int, wait: bool) -> bool:
    """Lock a file; return whether there are locks. BlockingIOError if another has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it takes the place of ``path`` at once.

    A reader sees the old file or the new one, never half of one, even after ``kill -9``. The
    temporary name keeps the suffix, because many writers choose their format by it.

    Raises:
        ValueError: ``path`` is a folder or a device.
        OSError: the folder does not exist or cannot be written to.
    """
    target = Path(os.path.realpath(path))  # through a link, not over it
    if target.exists() and not target.is_file():
        raise ValueError(f"{path}: expected the name of a file, got a folder or device")
    temporary = target.with_name(_TEMPORARY.format(target, secrets.token_hex(4)))
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        if error.filename is None and error.errno is not None:  # such as: no space left
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def require_file(path: str | os.PathLike[str], what: str) -> Path:
    """Return the path of a regular file, which can be read to its end.

    Raises FileNotFoundError for none, ValueError for a folder, device or pipe, saying that
    ``what`` was expected.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if not path.is_file():
        kind = "folder" if path.is_dir() else "device or pipe"
        raise ValueError(f"{path}: expected {what}, got a {kind}")
    return path


def remove_unfinished(path: str | os.PathLike[str]) -> None:
    """Delete temporary files that killed processes left for ``path``; none may still write."""
    target = Path(os.path.realpath(path))
    pattern = _TEMPORARY.format(Path(glob.escape(target.name)), "?" * 8)
    for leftover in target.parent.glob(pattern):
        leftover.unlink()


def require_writable(directory: str | os.PathLike[str]) -> Path:
    """Create ``directory`` if it does not exist and check that a file can be written in it.

    Raises:
        OSError: it cannot; the message names the directory and the reason.
    """
    directory = Path(directory)
    probe = directory / f".probe-{secrets.token_hex(4)}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OSError(f"cannot write to the folder {directory}: {error.strerror}") from error
    return directory
