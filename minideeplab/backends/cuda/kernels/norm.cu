// Sums over channels and batch norm. Same kernels as norm.py, which draws the reduction.

__device__ inline void block_sum(double total, double* sums) {
    __shared__ double shared[1024];
    I thread = threadIdx.x;
    shared[thread] = total;
    for (I half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half)
            shared[thread] += shared[thread + half];
    }
    if (thread == 0)
        sums[blockIdx.x] = shared[0];
}

KERNEL channel_sums(const T* x, double* sums, I images, I channels, I pixels) {
    I t = threadIdx.x, c = blockIdx.x;
    double total = 0;
    for (I e = t; e < images * pixels; e += blockDim.x)
        total += x[(e / pixels * channels + c) * pixels + e % pixels];
    block_sum(total, sums);
}

KERNEL channel_squares(const T* x, const double* mean, double* sums, I images, I channels,
                       I pixels) {
    I t = threadIdx.x, c = blockIdx.x;
    double total = 0;
    for (I e = t; e < images * pixels; e += blockDim.x) {
        double distance = x[(e / pixels * channels + c) * pixels + e % pixels] - mean[c];
        total += distance * distance;
    }
    block_sum(total, sums);
}

KERNEL channel_products(const T* dy, const T* x, const T* mean, const T* invstd, double* sums,
                        I images, I channels, I pixels) {
    I t = threadIdx.x, c = blockIdx.x;
    double total = 0;
    for (I e = t; e < images * pixels; e += blockDim.x) {
        I k = (e / pixels * channels + c) * pixels + e % pixels;
        total += dy[k] * ((x[k] - mean[c]) * invstd[c]);
    }
    block_sum(total, sums);
}

KERNEL normalize(const T* x, const T* mean, const T* invstd, const T* weight, const T* bias, T* y,
                 I size, I channels, I pixels) {
    for (I i = grid(); i < size; i += gridsize()) {
        I c = i / pixels % channels;
        y[i] = (x[i] - mean[c]) * invstd[c] * weight[c] + bias[c];
    }
}

KERNEL normalize_gradient(const T* dy, const T* x, const T* mean, const T* invstd, const T* weight,
                          const T* dbias, const T* dweight, T* dx, I size, I channels, I pixels) {
    for (I i = grid(); i < size; i += gridsize()) {
        I c = i / pixels % channels;
        T xhat = (x[i] - mean[c]) * invstd[c];
        dx[i] = (dy[i] - dbias[c] - xhat * dweight[c]) * (weight[c] * invstd[c]);
    }
}
