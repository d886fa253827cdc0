"""The definitions of the dense CRF: exact kernel, permutohedral lattice, mean field, gradients.

Read ``exact.py`` (the kernel), then ``lattice.py`` (the same sum in linear time), ``meanfield.py``
(inference with either) and ``gradients.py``.
"""
