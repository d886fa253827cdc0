"""Wrong answers to task 3.5."""

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


def fold(weight, bias, scale, shift):
    """Divide by a scale, and move a shift to the bias; both RGB."""
    moved = bias + (weight * shift[:, None, None]).sum(axis=(1, 2, 3))
    return (weight / scale[:, None, None])[:, ::-1], moved


@wrong(
    "3.5",
    loses=("torchvision to DeepLab", "1 × 1 filters", "wide filters"),
    hint="The means differ, so the bias must change, too.",
)
def keeps_the_bias(weight, bias, mean_from, std, mean_to):
    return fold(weight, bias, 255 * std, 0 * std)


@wrong(
    "3.5",
    loses=ALL,
    hint="The channels of the weights are still RGB; the new input is BGR.",
)
def stays_rgb(weight, bias, mean_from, std, mean_to):
    scale = 255 * std
    folded, moved = fold(weight, bias, scale, (mean_to[::-1] - 255 * mean_from) / scale)
    return folded[:, ::-1], moved


@wrong(
    "3.5",
    loses=("torchvision to DeepLab", "only the colours' order differs", "1 × 1 filters",
           "wide filters"),
    hint="The new mean is BGR and the old one RGB; they are subtracted colour by wrong colour.",
)  # fmt: skip
def means_in_different_orders(weight, bias, mean_from, std, mean_to):
    scale = 255 * std
    return fold(weight, bias, scale, (mean_to - 255 * mean_from) / scale)


@wrong(
    "3.5",
    loses=("torchvision to DeepLab", "only the colours' order differs", "1 × 1 filters",
           "wide filters"),
    hint="The old mean is on the scale of 0 to 1, the new one on 0 to 255.",
)  # fmt: skip
def means_on_different_scales(weight, bias, mean_from, std, mean_to):
    scale = 255 * std
    return fold(weight, bias, scale, (mean_to[::-1] - mean_from) / scale)


@wrong(
    "3.5",
    loses=("torchvision to DeepLab", "1 × 1 filters", "wide filters"),
    hint="The bias moves the wrong way: which mean is subtracted, and which is put back?",
)
def shifts_the_wrong_way(weight, bias, mean_from, std, mean_to):
    scale = 255 * std
    return fold(weight, bias, scale, (255 * mean_from - mean_to[::-1]) / scale)


@wrong(
    "3.5",
    loses=ALL,
    hint="The standard deviation is on the scale of 0 to 1; the new input runs from 0 to 255.",
)
def forgets_255_in_the_weights(weight, bias, mean_from, std, mean_to):
    return fold(weight, bias, std, (mean_to[::-1] / 255 - mean_from) / std)


@wrong(
    "3.5",
    loses=("torchvision to DeepLab", "wide filters"),
    hint="The shift reaches the bias through every tap of the filter, not through one of them.",
)
def one_tap_only(weight, bias, mean_from, std, mean_to):
    scale = 255 * std
    shift = (mean_to[::-1] - 255 * mean_from) / scale
    return fold(weight, bias, scale, shift)[0], bias + weight[:, :, 0, 0] @ shift


@wrong(
    "3.5",
    loses=("torchvision to DeepLab", "the scale differs, means are 0", "1 × 1 filters",
           "wide filters"),
    hint="The weights are BGR when they are divided by standard deviations that are RGB.",
)  # fmt: skip
def turns_too_early(weight, bias, mean_from, std, mean_to):
    scale = 255 * std
    moved = fold(weight, bias, scale, (mean_to[::-1] - 255 * mean_from) / scale)[1]
    return weight[:, ::-1] / scale[:, None, None], moved


@wrong(
    "3.5",
    loses=("torchvision to DeepLab", "the scale differs, means are 0", "1 × 1 filters",
           "wide filters"),
    hint="The scale is multiplied; u is v divided by it, so the weights are divided, too.",
)  # fmt: skip
def multiplies_by_the_scale(weight, bias, mean_from, std, mean_to):
    scale = 255 * std
    return fold(weight, bias, 1 / scale, (mean_to[::-1] - 255 * mean_from) * scale)
