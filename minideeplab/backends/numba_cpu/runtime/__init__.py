"""The runtime of the compiled kernels: threads, atomic counters, compilation, memory."""
