"""The sizes of a convolution, and of the one that computes its input gradient."""

from __future__ import annotations

from dataclasses import dataclass, replace

from minideeplab.ops.window import Padding, Pair, output_shape


@dataclass(frozen=True)
class Problem:
    """The sizes of a convolution. A tap of output o sees ``o * stride - start + tap * dilation``.

    ``start`` is the padding above and left; below and right follows from the output's size.
    """

    batch: int
    size: Pair  # (H, W) of the input
    out: Pair  # (P, Q) of the output
    channels: int  # of the whole input
    filters: int  # of the whole output
    kernel: Pair
    stride: Pair
    start: Pair
    dilation: Pair
    groups: int

    @classmethod
    def of(
        cls,
        x_shape: tuple[int, ...],
        w_shape: tuple[int, ...],
        stride: Pair,
        padding: Padding,
        dilation: Pair,
        groups: int,
    ) -> Problem:
        """Return the problem of convolving x (N, C, H, W) with w (K, C / groups, kh, kw)."""
        kernel, size = tuple(w_shape[2:]), tuple(x_shape[2:])
        out = output_shape(size, kernel, stride, padding, dilation)
        start = (padding[0][0], padding[1][0])
        return cls(
            x_shape[0], size, out, x_shape[1], w_shape[0], kernel, stride, start, dilation, groups
        )

    @property
    def taps(self) -> int:
        """Taps of the kernel."""
        return self.kernel[0] * self.kernel[1]

    @property
    def outputs(self) -> int:
        """Pixels of an output image."""
        return self.out[0] * self.out[1]

    @property
    def pointwise(self) -> bool:
        """Whether an output sees exactly its own pixel: then the input is the matrix."""
        trivial = self.kernel == (1, 1) and self.stride == (1, 1) and self.start == (0, 0)
        return trivial and self.out == self.size

    @property
    def window(self) -> tuple[int, ...]:
        """(kh, kw, sh, sw, top, left, dh, dw), as the compiled kernels take it."""
        return (*self.kernel, *self.stride, *self.start, *self.dilation)

    def transposed(self) -> Problem:
        """Return the problem whose output is this one's input gradient; stride 1 only.

        The kernel rotated by 180 degrees slides over dy, which needs the padding that this
        convolution did not have: the reach of the kernel less its padding (it may be negative).
        """
        reach = (d * (k - 1) for d, k in zip(self.dilation, self.kernel, strict=True))
        top, left = (r - s for r, s in zip(reach, self.start, strict=True))
        return replace(
            self,
            size=self.out,
            out=self.size,
            channels=self.filters,
            filters=self.channels,
            start=(top, left),
        )
