"""Wrong answers to task 7.3."""

from minideeplab.grading import wrong
from minideeplab.grading.model import ALL


@wrong(
    "7.3",
    loses=("no decay", "decay", "a bias", "the classifier", "no momentum"),
    hint="The rate is outside the velocity, as PyTorch has it; in Caffe's rule it is inside.",
)
def rate_outside(w, v, g, rate, momentum, decay, multipliers):
    v = momentum * v + g + multipliers[1] * decay * w
    return w - multipliers[0] * rate * v, v


@wrong(
    "7.3",
    loses=("decay", "the classifier", "no momentum"),
    hint="Weight decay is missing, or has the wrong sign: it is a gradient like the other.",
)
def no_decay(w, v, g, rate, momentum, decay, multipliers):
    v = momentum * v + multipliers[0] * rate * g
    return w - v, v


@wrong(
    "7.3",
    loses=("a bias", "the classifier", "no momentum"),
    hint="The multipliers are not used: one is for the rate, the other for the decay.",
)
def no_multipliers(w, v, g, rate, momentum, decay, multipliers):
    v = momentum * v + rate * (g + decay * w)
    return w - v, v


@wrong("7.3", loses=ALL, hint="The step uses the velocity from before; use the new one.")
def old_velocity(w, v, g, rate, momentum, decay, multipliers):
    return w - v, momentum * v + multipliers[0] * rate * (g + multipliers[1] * decay * w)


@wrong("7.3", loses=ALL, hint="The weights go uphill: the velocity is subtracted.")
def uphill(w, v, g, rate, momentum, decay, multipliers):
    v = momentum * v + multipliers[0] * rate * (g + multipliers[1] * decay * w)
    return w + v, v
