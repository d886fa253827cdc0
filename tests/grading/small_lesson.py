"""A lesson of three small tasks, and answers to it."""

from __future__ import annotations

import textwrap

LESSON = '''\
# %% [markdown]
# # Lesson 1 · Small
# Question: why?
# <!-- answer -->
# Because.
# <!-- end -->
# ## Check yourself
# ### Task 1.1 · Double (1 point)
# ### Task 1.2 · Apply (2 points)
# ### Task 1.3 · Split (3 points)

# %%
import numpy as np
from given import half

FACTOR = 2.0


# %%
def double(x: np.ndarray) -> np.ndarray:
    """Twice x (N,)."""
    # solution 1.1: multiply
    return FACTOR * np.asarray(x)
    # end 1.1


double(np.ones(3))


# %%
def apply(f, x: np.ndarray) -> np.ndarray:
    """f of every entry of x (N,)."""
    # solution 1.2: call f
    return np.array([f(value) for value in x])
    # end 1.2


# %%
def split(x: np.ndarray) -> tuple[np.ndarray, int]:
    """x (N,) reversed, and N."""
    # solution 1.3: a slice and a length
    return x[::-1].copy(), len(x)
    # end 1.3
'''

CASES = """\
import numpy as np
from minideeplab.grading import About, Case, Given, Task

ABOUT = About("Small", minutes=5, paper="none")
X, Y = np.array([1.25, -2.5, 7.0]), np.array([3.123456789123, 0.5])
TASKS = (
    Task("1.1", "double", 1, lambda x: x + x, (Case("three", (X,), shown=True), Case("two", (Y,)))),
    Task("1.2", "apply", 2, lambda f, x: x / 2, (Case("half", (Given("half"), X), shown=True),)),
    Task(
        "1.3", "split", 3, lambda x: (np.flip(x), x.size),
        (Case("three", (X,), shown=True), Case("two", (Y,))), returns=("reversed", "length"),
    ),
)
"""

WRONG = """\
from minideeplab.grading import wrong
from minideeplab.grading.model import ALL

@wrong("1.1", loses=ALL, hint="Squared, not doubled.")
def squares(x):
    return x * x

@wrong("1.2", loses=ALL, hint="f is not called.")
def ignores_f(f, x):
    return x

@wrong("1.3", loses=ALL, hint="Not reversed.")
def keeps_order(x):
    return x, len(x)
"""


def answer(task: str, body: str) -> str:
    """Return a solved lesson with other code as the answer to one task."""
    lines, inside = [], False
    for line in LESSON.splitlines():
        if line.strip().startswith(f"# solution {task}"):
            inside = True
            lines += textwrap.indent(textwrap.dedent(body).strip(), "    ").splitlines()
        elif line.strip() == f"# end {task}":
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines) + "\n"
