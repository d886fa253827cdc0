"""Current and peak resident memory of this process, from Linux's /proc."""

from __future__ import annotations

from pathlib import Path

PEAK, NOW = "VmHWM", "VmRSS"
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def known() -> bool:
    """Return whether this system reports memory (Linux)."""
    return CLEAR.exists()


def resident(field: str) -> int:
    """Return the resident bytes of this process: ``NOW`` or ``PEAK``.

    Not ``getrusage``: its peak is inherited from the process that started this one.
    """
    lines = STATUS.read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


def reset_peak() -> None:
    """Reset the peak to the current size."""
    CLEAR.write_text("5")
