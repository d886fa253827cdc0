"""Benchmarks: ``minideeplab bench cpu``, ``crf``, ``training`` and ``gpu``. See ``README.md`` here.

Implementations are timed in one process in interleaved runs, so that all see the same load of the
machine. Tables show medians and the median of the ratios of each round.
"""
