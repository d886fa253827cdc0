// Atrous convolution without columns: the twin of implicit_gemm.py, where the tiles are drawn.

#ifndef WORK
#define WORK 4
#define ACROSS 16
#define STEP 16
#endif
#define SIDE (WORK * ACROSS)

extern "C" __global__ void implicit_gemm(const T* x, const T* w, const T* bias, T* y,
                                         I pixels, I filters, I per_filter, I groups, I channels,
                                         I height, I width, I kh, I kw, I rows, I cols,
                                         I sh, I sw, I dh, I dw, I top, I left) {
    __shared__ T w_tile[STEP][SIDE];
    __shared__ T x_tile[STEP][SIDE];
    T totals[WORK][WORK];
    I tx = threadIdx.x, ty = threadIdx.y;
    I thread = ty * ACROSS + tx;
    I group = blockIdx.z;
    I first_pixel = blockIdx.x * SIDE, first_filter = blockIdx.y * SIDE;
    for (I a = 0; a < WORK; a++)
        for (I b = 0; b < WORK; b++)
            totals[a][b] = 0;

    for (I first = 0; first < per_filter; first += STEP) {
        for (I e = thread; e < STEP * SIDE; e += ACROSS * ACROSS) {
            I k = first + e % STEP, f = first_filter + e / STEP;
            T value = 0;
            if (k < per_filter && f < filters)
                value = w[(group * filters + f) * per_filter + k];
            w_tile[e % STEP][e / STEP] = value;

            k = first + e / SIDE;
            I pixel = first_pixel + e % SIDE;
            value = 0;
            if (k < per_filter && pixel < pixels) {
                I q = pixel % cols, p = pixel / cols % rows;
                I n = pixel / cols / rows;
                I c = k / (kh * kw);
                I h = p * sh + k / kw % kh * dh - top;
                I v = q * sw + k % kw * dw - left;
                if (h >= 0 && h < height && v >= 0 && v < width) {
                    I plane = n * channels * groups + group * channels + c;
                    value = x[(plane * height + h) * width + v];
                }
            }
            x_tile[e / SIDE][e % SIDE] = value;
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
