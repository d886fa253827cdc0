"""Wrong answers to task 4.2."""

from minideeplab.grading import wrong


def rewrite(layers, output_stride, keeps, rates):
    """Rewrite with another rule for what is kept, and for the rate: rates(rate, lost, own)."""
    kept, lost, result = 1, 1, []
    for kernel, stride, rate in layers:
        stays = keeps(kept, lost, stride)
        own = 1 if stays else stride
        result.append((kernel, stride if stays else 1, rates(rate, lost, own)))
        kept, lost = (kept * stride, lost) if stays else (kept, lost * stride)
    return result


@wrong(
    "4.2",
    loses=(
        "three strides, output stride 2",
        "VGG-16 and fc6, output stride 8",
        "output stride 1",
        "rates that are there already",
        "a smaller stride behind a lost one",
    ),
    hint="A lost stride spreads the layers behind it, not the layer itself.",
)
def spreads_the_layer_itself(layers, output_stride):
    return rewrite(
        layers, output_stride,
        lambda kept, lost, s: kept * s <= output_stride,
        lambda rate, lost, own: rate * lost * own,
    )  # fmt: skip


@wrong(
    "4.2",
    loses=(
        "three strides, output stride 2",
        "VGG-16 and fc6, output stride 8",
        "output stride 1",
        "rates that are there already",
        "a smaller stride behind a lost one",
    ),
    hint="The strides are gone, but the rates have not changed: these are other features.",
)
def leaves_the_rates(layers, output_stride):
    return rewrite(
        layers, output_stride,
        lambda kept, lost, s: kept * s <= output_stride,
        lambda rate, lost, own: rate,
    )  # fmt: skip


@wrong(
    "4.2",
    loses=("rates that are there already",),
    hint="A layer's own rate is forgotten: the lost strides multiply it.",
)
def forgets_its_rate(layers, output_stride):
    return rewrite(
        layers, output_stride,
        lambda kept, lost, s: kept * s <= output_stride,
        lambda rate, lost, own: lost if lost > 1 else rate,
    )  # fmt: skip


@wrong(
    "4.2",
    loses=(
        "three strides, output stride 2",
        "VGG-16 and fc6, output stride 8",
        "nothing to do",
        "rates that are there already",
        "a smaller stride behind a lost one",
    ),
    hint="A stride is lost too early: an output stride that is just reached is allowed.",
)
def stops_one_stride_early(layers, output_stride):
    return rewrite(
        layers, output_stride,
        lambda kept, lost, s: s == 1 or kept * s < output_stride,
        lambda rate, lost, own: rate * lost,
    )  # fmt: skip


@wrong(
    "4.2",
    loses=("a smaller stride behind a lost one",),
    hint="Each stride is judged by the strides that were kept, whatever was lost before.",
)
def never_keeps_again(layers, output_stride):
    return rewrite(
        layers, output_stride,
        lambda kept, lost, s: kept * lost * s <= output_stride,
        lambda rate, lost, own: rate * lost,
    )  # fmt: skip


@wrong(
    "4.2",
    loses=("three strides, output stride 2", "VGG-16 and fc6, output stride 8", "output stride 1"),
    hint="Lost strides multiply: behind two strides of 2 the rate is 4 times as large.",
)
def only_the_last_lost_stride(layers, output_stride):
    kept, lost, result = 1, 1, []
    for kernel, stride, rate in layers:
        if kept * stride <= output_stride:
            kept *= stride
            result.append((kernel, stride, rate * lost))
        else:
            result.append((kernel, 1, rate * lost))
            lost = stride
    return result


@wrong(
    "4.2",
    loses=(
        "three strides, output stride 2",
        "VGG-16 and fc6, output stride 8",
        "output stride 1",
        "rates that are there already",
        "a smaller stride behind a lost one",
    ),
    hint="Nothing has changed: the output stride is still too large.",
)
def changes_nothing(layers, output_stride):
    return list(layers)


@wrong(
    "4.2",
    loses=(
        "three strides, output stride 2",
        "nothing to do",
        "VGG-16 and fc6, output stride 8",
        "rates that are there already",
        "a smaller stride behind a lost one",
    ),
    hint="All strides are gone; those below the output stride should stay.",
)
def takes_all_strides(layers, output_stride):
    return rewrite(layers, 1, lambda kept, lost, s: s == 1, lambda rate, lost, own: rate * lost)
