// Pooling. Same kernels as pool.py, which has the thread map.

KERNEL max_pool(const T* x, T* y, long long* indices, I size, I height, I width, I rows, I cols,
                I kh, I kw, I sh, I sw, I ph, I pw, I dh, I dw) {
    for (I e = grid(); e < size; e += gridsize()) {
        I q = e % cols, p = e / cols % rows, plane = e / cols / rows;
        T best = -INFINITY;
        I place = -1;
        for (I i = 0; i < kh; i++) {
            I h = p * sh - ph + i * dh;
            for (I j = 0; j < kw; j++) {
                I w = q * sw - pw + j * dw;
                if (h >= 0 && h < height && w >= 0 && w < width) {
                    T value = x[(plane * height + h) * width + w];
                    if (value > best || value != value || place < 0) {
                        best = value;
                        place = h * width + w;
                    }
                }
            }
        }
        y[e] = best;
        indices[e] = place;
    }
}

KERNEL max_pool_gradient(const T* dy, const long long* indices, T* dx, I size, I windows,
                         I pixels) {
    for (I e = grid(); e < size; e += gridsize())
        if (indices[e] >= 0)
            atomicAdd(&dx[e / windows * pixels + (I)indices[e]], dy[e]);
}

__device__ inline I window_size(I index, I size, I kernel, I stride, I padding, I include_pad) {
    I start = index * stride - padding;
    I end = least(start + kernel, size + padding);
    return include_pad ? end - start : least(end, size) - most(start, 0);
}

KERNEL avg_pool(const T* x, T* y, I size, I height, I width, I rows, I cols, I kh, I kw, I sh, I sw,
                I ph, I pw, I include_pad, I override) {
    for (I e = grid(); e < size; e += gridsize()) {
        I q = e % cols, p = e / cols % rows, plane = e / cols / rows;
        T total = 0;
        for (I i = 0; i < kh; i++) {
            I h = p * sh - ph + i;
            for (I j = 0; j < kw; j++) {
                I w = q * sw - pw + j;
                if (h >= 0 && h < height && w >= 0 && w < width)
                    total += x[(plane * height + h) * width + w];
            }
        }
        I count = override;
        if (override == 0) {
            I down = window_size(p, height, kh, sh, ph, include_pad);
            count = down * window_size(q, width, kw, sw, pw, include_pad);
        }
        y[e] = total / (T)count;
    }
}

KERNEL avg_pool_gradient(const T* dy, T* dx, I size, I height, I width, I rows, I cols, I kh, I kw,
                         I sh, I sw, I ph, I pw, I include_pad, I override) {
    for (I e = grid(); e < size; e += gridsize()) {
        I w = e % width, h = e / width % height, plane = e / width / height;
        I p_first = most(0, floordiv(h + ph - kh, sh) + 1), p_end = least(rows, (h + ph) / sh + 1);
        I q_first = most(0, floordiv(w + pw - kw, sw) + 1), q_end = least(cols, (w + pw) / sw + 1);
        T total = 0;
        for (I p = p_first; p < p_end; p++)
            for (I q = q_first; q < q_end; q++) {
                I count = override;
                if (override == 0) {
                    I down = window_size(p, height, kh, sh, ph, include_pad);
                    count = down * window_size(q, width, kw, sw, pw, include_pad);
                }
                total += dy[(plane * rows + p) * cols + q] / (T)count;
            }
        dx[e] = total;
    }
}

// Cell i of ``cells`` laid over ``size`` pixels; their product may need more than 32 bits.
__device__ inline I cell_start(I i, I size, I cells) { return (I)((long long)i * size / cells); }
__device__ inline I cell_end(I i, I size, I cells) {
    return (I)(((i + 1LL) * size + cells - 1) / cells);
}

KERNEL cell_means(const T* x, T* y, I size, I height, I width, I rows, I cols) {
    for (I e = grid(); e < size; e += gridsize()) {
        I q = e % cols, p = e / cols % rows, plane = e / cols / rows;
        I top = cell_start(p, height, rows), bottom = cell_end(p, height, rows);
        I left = cell_start(q, width, cols), right = cell_end(q, width, cols);
        T total = 0;
        for (I h = top; h < bottom; h++)
            for (I w = left; w < right; w++)
                total += x[(plane * height + h) * width + w];
        y[e] = total / (T)((bottom - top) * (right - left));
    }
}

KERNEL cell_means_gradient(const T* dy, T* dx, I size, I height, I width, I rows, I cols) {
    for (I e = grid(); e < size; e += gridsize()) {
        I w = e % width, h = e / width % height, plane = e / width / height;
        T total = 0;
        for (I p = cell_start(h, rows, height); p < cell_end(h, rows, height); p++) {
            I down = cell_end(p, height, rows) - cell_start(p, height, rows);
            for (I q = cell_start(w, cols, width); q < cell_end(w, cols, width); q++) {
                I across = cell_end(q, width, cols) - cell_start(q, width, cols);
                total += dy[(plane * rows + p) * cols + q] / (T)(down * across);
            }
        }
        dx[e] = total;
    }
}
