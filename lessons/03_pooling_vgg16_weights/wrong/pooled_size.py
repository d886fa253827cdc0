"""Wrong answers to task 3.1."""

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


@wrong(
    "3.1",
    loses=("rounding up takes it in", "stride 3, padding 2, rounding up"),
    hint="ceil_mode is not used: Caffe rounds the number of steps up.",
)
def always_down(n, k, stride, padding, ceil_mode):
    return (n + 2 * padding - k) // stride + 1


@wrong(
    "3.1",
    loses=("a window would begin behind the image",),
    hint="A last window that begins behind the image sees only padding; Caffe drops it.",
)
def keeps_the_useless_window(n, k, stride, padding, ceil_mode):
    room = n + 2 * padding - k
    return (-(-room // stride) if ceil_mode else room // stride) + 1


@wrong(
    "3.1",
    loses=("a pixel is left over",),
    hint="Without ceil_mode only whole windows count: round down.",
)
def always_up(n, k, stride, padding, ceil_mode):
    count = -(-(n + 2 * padding - k) // stride) + 1
    return count - 1 if (count - 1) * stride >= n + padding else count


@wrong(
    "3.1",
    loses=("stride 3, padding 2, rounding up",),
    hint="The padding is on both sides, so it counts twice.",
)
def pads_one_side(n, k, stride, padding, ceil_mode):
    room = n + padding - k
    count = (-(-room // stride) if ceil_mode else room // stride) + 1
    return count - 1 if (count - 1) * stride >= n + padding else count


@wrong("3.1", loses=ALL, hint="One window is missing: window 0 counts, too.")
def forgets_window_0(n, k, stride, padding, ceil_mode):
    room = n + 2 * padding - k
    count = -(-room // stride) if ceil_mode else room // stride
    return count - 1 if ceil_mode and count * stride >= n + padding else count
