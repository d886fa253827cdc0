"""Which mistake explains wrong results? One search for `testing` and `grading`.

Both describe what a function gave as `Evidence`, one for each case. `explain` then looks for a
mistake that gives the same wrong results: a known one, the right results changed, or the right
function called with other arguments. If none fits it says how wrong numbers relate to right ones
and what the failing cases share. A mistake that a passing case refutes is not named.
"""
