"""The dense CRF on the GPU: the lattice's construction, its filter, and mean field.

``embedding.py`` and ``hashing.py`` build what ``lattice.py`` returns, ``filtering.py`` filters with
it, ``meanfield.py`` iterates. Definitions: ``crf/lattice.py`` and ``crf/meanfield.py``.
"""
