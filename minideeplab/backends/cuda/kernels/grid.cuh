// Helpers of all kernels. T is the type of floating-point arrays, I that of sizes and indices;
// sources.py puts a typedef of each in front.

#define KERNEL extern "C" __global__ void

#ifndef INFINITY
#define INFINITY __int_as_float(0x7F800000)
#define NAN __int_as_float(0x7FFFFFFF)
#endif

// The first element of this thread and its stride (a grid-stride loop).
__device__ inline I grid() { return (I)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline I gridsize() { return (I)gridDim.x * blockDim.x; }

// Python's a // b for b > 0: rounded down, also below zero, where C's a / b rounds towards zero.
__device__ inline I floordiv(I a, I b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

__device__ inline I least(I a, I b) { return a < b ? a : b; }
__device__ inline I most(I a, I b) { return a > b ? a : b; }

// The maximum of a column, NaN if it holds one, and log sum_c exp(x_c - best).
__device__ inline T largest(const T* x, I first, I channels, I inner) {
    T best = x[first];
    for (I c = 1; c < channels; c++) {
        T value = x[first + c * inner];
        if (value > best || value != value) best = value;
    }
    return best;
}

__device__ inline T log_sum_exp(const T* x, I first, I channels, I inner, T best) {
    T total = 0;
    for (I c = 0; c < channels; c++)
        total += exp(x[first + c * inner] - best);
    return log(total);
}
