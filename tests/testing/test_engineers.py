"""As an engineer would: a C kernel through ctypes and a JAX function, right and subtly wrong."""

import ctypes
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from minideeplab.testing import check_op
from minideeplab.testing.frameworks import compile_quickly

SOURCE = """
void max_pool(const double *x, double *y, long planes, long h, long w, long oh, long ow,
              long kh, long kw, long sh, long sw, long ph, long pw, long dh, long dw) {
  for (long n = 0; n < planes; n++)
    for (long p = 0; p < oh; p++)
      for (long q = 0; q < ow; q++) {
        double best = -1.0 / 0.0;
        for (long i = 0; i < kh; i++)
          for (long j = 0; j < kw; j++) {
            long r = p * sh - ph + i * dh, c = q * sw - pw + j * dw;
            if (r < 0 || r >= h || c < 0 || c >= w) continue;
            double v = x[(n * h + r) * w + c];
            if (v > best || v != v) best = v;
            if (best != best) goto done;
          }
      done:
        y[(n * oh + p) * ow + q] = best;
      }
}
"""


def pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def kernel(folder, source):
    """Compile the C source and return it as a function called like max_pool2d."""
    (folder / "pool.c").write_text(source)
    command = ["gcc", "-O2", "-shared", "-fPIC", folder / "pool.c", "-o", folder / "pool.so"]
    subprocess.run(command, check=True, timeout=60)
    pool = ctypes.CDLL(str(folder / "pool.so")).max_pool

    def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        k, p, d = pair(kernel_size), pair(padding), pair(dilation)
        s = pair(stride or kernel_size)
        out = []
        for axis in range(2):
            n = x.shape[axis - 2] + 2 * p[axis] - d[axis] * (k[axis] - 1) - 1
            size = (-(-n // s[axis]) if ceil_mode else n // s[axis]) + 1
            beyond = (size - 1) * s[axis] >= x.shape[axis - 2] + p[axis]
            out.append(size - (ceil_mode and beyond))
        source = np.ascontiguousarray(x, dtype=np.float64)
        y = np.empty((*x.shape[:-2], *out))
        numbers = [int(np.prod(x.shape[:-2])), *x.shape[-2:], *out, *k, *s, *p, *d]
        pointers = [ctypes.c_void_p(source.ctypes.data), ctypes.c_void_p(y.ctypes.data)]
        pool(*pointers, *map(ctypes.c_long, numbers))
        return y.astype(x.dtype)

    return max_pool2d


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")
def test_c_kernel(tmp_path):
    report = check_op("max_pool2d", kernel(tmp_path, SOURCE))
    assert report.passed and not report.skipped  # indices are asked of functions that have them


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("-1.0 / 0.0", "0.0", "the maximum starts at zero"),
        ("v > best || v != v", "v > best", "NaN is skipped"),
        ("j * dw;", "j * dh;", "the height's dilation is used for both axes"),
        ("r >= h", "r > h", ""),
        ("p * sh - ph", "p * sh + ph", ""),
    ],
)
def test_subtly_wrong_c_kernel(tmp_path, old, new, said):
    assert old in SOURCE
    report = check_op("max_pool2d", kernel(tmp_path, SOURCE.replace(old, new)), raises=False)
    assert report.failures and said in report.diagnosis


@pytest.mark.skipif(os.name == "nt", reason="true and false are programs elsewhere only")
@pytest.mark.parametrize(("interpreter", "known"), [("true", True), ("false", False)])
def test_only_a_known_flag_is_given_to_xla(monkeypatch, interpreter, known):
    monkeypatch.setenv("XLA_FLAGS", "--theirs=1")
    monkeypatch.setattr(sys, "executable", shutil.which(interpreter))
    compile_quickly()
    ours = " --xla_cpu_use_fusion_emitters=false" if known else ""
    assert os.environ["XLA_FLAGS"] == f"--theirs=1{ours}"


def test_jax():
    pytest.importorskip("jax")
    import jax

    def softmax(x, dim):
        return jax.nn.softmax(x, axis=dim)

    def flat(x, dim):
        return jax.nn.softmax(x.ravel()).reshape(x.shape)

    assert check_op("softmax", softmax, arrays="jax").passed
    wrong = check_op("softmax", flat, arrays="jax", raises=False)
    assert "normalises over the whole array" in wrong.diagnosis
