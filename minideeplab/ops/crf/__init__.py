"""The definitions of the dense CRF: exact kernel, permutohedral lattice, mean field, gradients."""
