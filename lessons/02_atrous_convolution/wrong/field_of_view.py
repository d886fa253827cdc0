"""Wrong answers to task 2.5."""

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


@wrong(
    "2.5",
    loses=("stride before a kernel", "VGG-16 to pool3, then rate 12"),
    hint="The strides of the layers below do not count: a step in a coarse layer is many pixels.",
)
def ignores_jump(layers):
    field, jump = 1, 1
    for kernel, stride, rate in layers:
        field += (kernel - 1) * rate
        jump *= stride
    return field, jump


@wrong(
    "2.5",
    loses=("stride before a kernel", "VGG-16 to pool3, then rate 12"),
    hint="A layer's own stride must not enlarge its own field: update the jump after the field.",
)
def jump_too_early(layers):
    field, jump = 1, 1
    for kernel, stride, rate in layers:
        jump *= stride
        field += (kernel - 1) * rate * jump
    return field, jump


@wrong(
    "2.5",
    loses=("rates 1, 2, 4", "VGG-16 to pool3, then rate 12"),
    hint="The rate is not used: (k-1) r steps lie between the first tap and the last.",
)
def ignores_rate(layers):
    field, jump = 1, 1
    for kernel, stride, _ in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field, jump


@wrong(
    "2.5",
    loses=(
        "two 3-tap layers",
        "stride before a kernel",
        "rates 1, 2, 4",
        "VGG-16 to pool3, then rate 12",
    ),
    hint="Fields do not multiply: every layer adds (k-1) r j pixels.",
)
def multiplies(layers):
    field, jump = 1, 1
    for kernel, stride, rate in layers:
        field *= 1 + (kernel - 1) * rate
        jump *= stride
    return field, jump


@wrong("2.5", loses=ALL, hint="The field starts at 0; without any layer an output sees one pixel.")
def starts_at_0(layers):
    field, jump = 0, 1
    for kernel, stride, rate in layers:
        field += (kernel - 1) * rate * jump
        jump *= stride
    return field, jump
