// What all kernels share. T is the type of floating-point arrays, I that of sizes and positions:
// a "typedef" of each is put in front of a file when it is compiled (see twins.py).

#ifndef INFINITY
#define INFINITY __int_as_float(0x7F800000)
#define NAN __int_as_float(0x7FFFFFFF)
#endif

// The first element of this thread, and the step to its next (a grid-stride loop).
__device__ inline I grid() { return (I)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline I gridsize() { return (I)gridDim.x * blockDim.x; }

// Python's a // b for b > 0: rounded down, also below zero, where C's a / b rounds towards zero.
__device__ inline I floordiv(I a, I b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

__device__ inline I least(I a, I b) { return a < b ? a : b; }
__device__ inline I most(I a, I b) { return a > b ? a : b; }
