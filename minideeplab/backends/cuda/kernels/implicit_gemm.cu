// Atrous convolution without columns. Same kernel as implicit_gemm.py, which draws the tiles.

#ifndef WORK
#define WORK 8
#define ACROSS 16
#define STEP 8
#endif
#define SIDE (WORK * ACROSS)
#define THREADS (ACROSS * ACROSS)

KERNEL implicit_gemm(const T* x, const T* w, const T* bias, T* y, I pixels, I filters, I per_filter,
                     I groups, I channels, I height, I width, I kh, I kw, I rows, I cols, I sh,
                     I sw, I dh, I dw, I top, I left) {
    __shared__ T w_tile[STEP][SIDE + 4];
    __shared__ T x_tile[STEP][SIDE];
    T totals[WORK][WORK];
    I tx = threadIdx.x, ty = threadIdx.y;
    I thread = ty * ACROSS + tx;
    I group = blockIdx.z;
    I first_pixel = blockIdx.x * SIDE, first_filter = blockIdx.y * SIDE;
    for (I a = 0; a < WORK; a++)
        for (I b = 0; b < WORK; b++)
            totals[a][b] = 0;

    I column = thread % SIDE, pixel = first_pixel + column;
    I plane = (pixel / (rows * cols) * groups + group) * channels;
    I from_h = pixel / cols % rows * sh - top, from_w = pixel % cols * sw - left;

    for (I first = 0; first < per_filter; first += STEP) {
        for (I e = thread; e < STEP * SIDE; e += THREADS) {
            I k = first + e % STEP, f = first_filter + e / STEP;
            T value = 0;
            if (k < per_filter && f < filters)
                value = w[(group * filters + f) * per_filter + k];
            w_tile[e % STEP][e / STEP] = value;
        }
        for (I step = thread / SIDE; step < STEP; step += THREADS / SIDE) {
            I k = first + step;
            I c = k / (kh * kw), h = from_h + k / kw % kh * dh, v = from_w + k % kw * dw;
            T value = 0;
            if (k < per_filter && pixel < pixels && h >= 0 && h < height && v >= 0 && v < width)
                value = x[((plane + c) * height + h) * width + v];
            x_tile[step][column] = value;
        }
        __syncthreads();
        for (I k = 0; k < STEP; k++)
            for (I a = 0; a < WORK; a++) {
                T weight = w_tile[k][a * ACROSS + ty];
                for (I b = 0; b < WORK; b++)
                    totals[a][b] += weight * x_tile[k][b * ACROSS + tx];
            }
        __syncthreads();
    }

    for (I a = 0; a < WORK; a++) {
        I f = first_filter + a * ACROSS + ty;
        for (I b = 0; b < WORK; b++) {
            I pixel = first_pixel + b * ACROSS + tx;
            if (f < filters && pixel < pixels) {
                I n = pixel / (rows * cols), place = pixel % (rows * cols);
                I channel = group * filters + f;
                y[(n * filters * groups + channel) * rows * cols + place] =
                    totals[a][b] + bias[channel];
            }
        }
    }
}
