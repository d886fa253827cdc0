"""What `use_backend("cuda")` loads: the names of ``minideeplab.ops`` on the GPU.

Importing this module fails, with the reason, where no GPU can be used. Where CuPy's own functions
are all there is to an operation, the definition itself runs on its arrays. The first import takes
every definition; those that follow replace it.
"""

from __future__ import annotations

from minideeplab.ops import *
from minideeplab.ops import __all__ as __all__

# isort: split

import numba

from minideeplab import ops
from minideeplab.backends.cuda import activation, conv, loss, norm, padding, pool, probe, resize
from minideeplab.backends.cuda import epilogue as finish
from minideeplab.backends.cuda import im2col as columns
from minideeplab.backends.cuda import matmul as product
from minideeplab.backends.cuda.conv import ALGORITHMS as ALGORITHMS
from minideeplab.backends.cuda.crf import filtering, gradients, lattice, meanfield, selfterm
from minideeplab.backends.cuda.device import accepts_host_arrays
from minideeplab.backends.cuda.device import to_device as to_device

probe.require()
numba.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # small arrays make small grids

adaptive_avg_pool2d = accepts_host_arrays(pool.adaptive_avg_pool2d)
adaptive_avg_pool2d_backward = accepts_host_arrays(pool.adaptive_avg_pool2d_backward)
avg_pool2d = accepts_host_arrays(pool.avg_pool2d)
avg_pool2d_backward = accepts_host_arrays(pool.avg_pool2d_backward)
batch_norm = accepts_host_arrays(norm.batch_norm)
batch_norm_backward = accepts_host_arrays(norm.batch_norm_backward)
batch_norm_relu = accepts_host_arrays(norm.batch_norm_relu)
batch_norm_relu_backward = accepts_host_arrays(norm.batch_norm_relu_backward)
conv2d = accepts_host_arrays(conv.conv2d)
conv2d_epilogue = accepts_host_arrays(finish.conv2d_epilogue)
conv2d_backward = accepts_host_arrays(conv.conv2d_backward)
conv_transpose2d = accepts_host_arrays(conv.conv_transpose2d)
conv_transpose2d_backward = accepts_host_arrays(conv.conv_transpose2d_backward)
cross_entropy = accepts_host_arrays(loss.cross_entropy)
cross_entropy_backward = accepts_host_arrays(loss.cross_entropy_backward)
dropout = accepts_host_arrays(activation.dropout)
dropout_backward = accepts_host_arrays(ops.dropout_backward)
fold = accepts_host_arrays(columns.fold)
fold_backward = accepts_host_arrays(columns.fold_backward)
interpolate = accepts_host_arrays(resize.interpolate)
interpolate_backward = accepts_host_arrays(resize.interpolate_backward)
linear = accepts_host_arrays(product.linear)
linear_backward = accepts_host_arrays(product.linear_backward)
log_softmax = accepts_host_arrays(activation.log_softmax)
log_softmax_backward = accepts_host_arrays(activation.log_softmax_backward)
max_pool2d = accepts_host_arrays(pool.max_pool2d)
max_pool2d_backward = accepts_host_arrays(pool.max_pool2d_backward)
max_pool2d_without_indices = accepts_host_arrays(pool.max_pool2d_without_indices)
max_pool2d_without_indices_backward = accepts_host_arrays(pool.max_pool2d_without_indices_backward)
pad = accepts_host_arrays(padding.pad)
pad_backward = accepts_host_arrays(padding.pad_backward)
relu = accepts_host_arrays(activation.relu)
relu_backward = accepts_host_arrays(activation.relu_backward)
softmax = accepts_host_arrays(activation.softmax)
softmax_backward = accepts_host_arrays(activation.softmax_backward)
unfold = accepts_host_arrays(columns.unfold)
unfold_backward = accepts_host_arrays(columns.unfold_backward)

build_lattice = lattice.build_lattice
filter_lattice = filtering.filter_lattice
lattice_gradient = gradients.lattice_gradient
barycentric_backward = gradients.barycentric_backward
lattice_diagonal = selfterm.lattice_diagonal
lattice_diagonal_backward = selfterm.lattice_diagonal_backward
mean_field = meanfield.mean_field
