"""Stand-ins for other packages, so that their scripts run with only the import lines changed."""

from __future__ import annotations

import sys

from minideeplab.compat import pydensecrf


def install_as_pydensecrf() -> None:
    """Make ``import pydensecrf`` find the drop-in in this process, for code you cannot change.

    Call it before that code is imported; what has imported the original keeps it.
    """
    sys.modules["pydensecrf"] = pydensecrf
    for name in pydensecrf.__all__:
        sys.modules[f"pydensecrf.{name}"] = getattr(pydensecrf, name)
