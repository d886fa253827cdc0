"""Measurements behind the command ``minideeplab bench``.

Two implementations are compared in one process and in turn, run by run, so that both meet the same
machine; reported are the medians and the median of the ratios.
"""
