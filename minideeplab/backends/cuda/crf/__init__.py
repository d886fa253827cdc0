"""The dense CRF on the GPU: lattice construction, its filter, and mean field."""
