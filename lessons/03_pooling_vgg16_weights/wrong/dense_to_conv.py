"""Wrong answers to task 3.4."""

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def right(weight, size, framework):
    """Return the right answer."""
    channels, height, width = size
    if framework == "caffe":
        return weight.reshape(-1, *size)
    return weight.reshape(height, width, channels, -1).transpose(3, 2, 0, 1)


@wrong(
    "3.4",
    loses=("Keras", "Keras, a high window", "Keras, as many outputs as inputs"),
    hint="The matrix of Keras is only transposed; its inputs also count the channels last.",
)
def only_transposes(weight, size, framework):
    return (weight if framework == "caffe" else weight.T).reshape(-1, *size)


@wrong(
    "3.4",
    loses=("Keras", "Keras, a high window", "Keras, one channel",
           "Keras, as many outputs as inputs"),
    hint="The matrix of Keras is (inputs, outputs): its first axis is what was flattened.",
)  # fmt: skip
def forgets_to_transpose(weight, size, framework):
    if framework == "caffe":
        return right(weight, size, framework)
    channels, height, width = size
    return weight.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)


@wrong(
    "3.4",
    loses=("Keras", "Keras, a high window", "Keras, one channel",
           "Keras, as many outputs as inputs"),
    hint="Height and width are swapped for Keras: rows come first there, too.",
)  # fmt: skip
def swaps_height_and_width(weight, size, framework):
    if framework == "caffe":
        return right(weight, size, framework)
    channels, height, width = size
    return weight.reshape(width, height, channels, -1).transpose(3, 2, 1, 0)


@wrong(
    "3.4",
    loses=("Caffe", "Caffe, a flat window"),
    hint="Caffe's matrix is read as if the channels came last; there they come first.",
)
def channels_last_everywhere(weight, size, framework):
    if framework == "keras":
        return right(weight, size, framework)
    channels, height, width = size
    return weight.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)


@wrong(
    "3.4",
    loses=ALL,
    hint="The filters are flipped; deep learning's convolution reads forwards.",
)
def flips(weight, size, framework):
    return right(weight, size, framework)[:, :, ::-1, ::-1]


@wrong(
    "3.4",
    loses=("Keras", "Keras, a high window", "Keras, one channel",
           "Keras, as many outputs as inputs"),
    hint="The framework is not looked at: Keras has other axes, in another order.",
)  # fmt: skip
def caffe_everywhere(weight, size, framework):
    return weight.reshape(-1, *size)
