"""Wrong answers to task 3.1."""

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


@wrong(
    "3.1",
    loses=(
        "rounding up takes it in",
        "stride 3, padding 2, rounding up",
        "two pixels are left over, rounding up",
    ),
    hint="ceil_mode is not used: Caffe rounds the number of steps up.",
)
def always_down(n, k, stride, padding, ceil_mode):
    return (n + 2 * padding - k) // stride + 1


@wrong(
    "3.1",
    loses=(
        "a window would begin behind the image",
        "a window would begin behind an image without padding",
        "a window would begin far behind the image",
    ),
    hint="A last window that begins behind the image sees only padding; Caffe drops it.",
)
def keeps_the_useless_window(n, k, stride, padding, ceil_mode):
    room = n + 2 * padding - k
    return (-(-room // stride) if ceil_mode else room // stride) + 1


@wrong(
    "3.1",
    loses=("a pixel is left over", "two pixels are left over"),
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


def rounded_up(n, k, stride, padding, ceil_mode, drops):
    """Count with another rule for dropping the last window: drops(its start in the padded axis)."""
    room = n + 2 * padding - k
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if drops((count - 1) * stride) else count


@wrong(
    "3.1",
    loses=("rounding up, nothing is left over",),
    hint="Rounding up adds a window only where the division leaves a remainder.",
)
def always_one_more(n, k, stride, padding, ceil_mode):
    count = (n + 2 * padding - k) // stride + 1 + ceil_mode
    return count - 1 if ceil_mode and (count - 1) * stride >= n + padding else count


@wrong(
    "3.1",
    loses=("stride 3, padding 2, rounding up", "the last window begins on the last pixel"),
    hint="A window is dropped too early: its start counts from the padding in front of the image.",
)
def drops_by_the_image_alone(n, k, stride, padding, ceil_mode):
    return rounded_up(n, k, stride, padding, ceil_mode, lambda start: start >= n)


@wrong(
    "3.1",
    loses=("a window would begin behind the image",),
    hint="A window that begins in the padding behind the image sees no pixel, and is dropped, too.",
)
def drops_behind_the_padding(n, k, stride, padding, ceil_mode):
    return rounded_up(n, k, stride, padding, ceil_mode, lambda start: start >= n + 2 * padding)


@wrong(
    "3.1",
    loses=(
        "a window would begin behind the image",
        "a window would begin behind an image without padding",
    ),
    hint="A window that begins just behind the last pixel sees no pixel either: compare with >=.",
)
def drops_one_too_late(n, k, stride, padding, ceil_mode):
    return rounded_up(n, k, stride, padding, ceil_mode, lambda start: start > n + padding)


@wrong(
    "3.1",
    loses=("a window would begin behind an image without padding",),
    hint="The last window is dropped only where there is padding; a large stride leaves the image, "
    "too.",
)
def drops_with_padding_only(n, k, stride, padding, ceil_mode):
    return rounded_up(
        n, k, stride, padding, ceil_mode, lambda start: padding and start >= n + padding
    )


@wrong(
    "3.1",
    loses=(
        "rounding up takes it in",
        "stride 3, padding 2, rounding up",
        "two pixels are left over",
    ),
    hint="Steps are rounded to the nearest number; ceil_mode always rounds up, without it down.",
)
def rounds_to_the_nearest(n, k, stride, padding, ceil_mode):
    count = round((n + 2 * padding - k) / stride) + 1
    return count - 1 if ceil_mode and (count - 1) * stride >= n + padding else count


@wrong(
    "3.1",
    loses=("rounding up takes it in", "stride 3, padding 2, rounding up"),
    hint="With ceil_mode steps are rounded to the nearest number; Caffe always rounds up.",
)
def rounds_to_the_nearest_for_ceil(n, k, stride, padding, ceil_mode):
    if not ceil_mode:
        return (n + 2 * padding - k) // stride + 1
    return rounds_to_the_nearest(n, k, stride, padding, ceil_mode)
