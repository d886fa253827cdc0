// ReLU, sigmoid, softmax and log-softmax. Same kernels as activation.py, which has the thread map.

KERNEL relu_forward(const T* x, T* y, I size) {
    for (I i = grid(); i < size; i += gridsize()) {
        T value = x[i];
        y[i] = value <= 0 ? (T)0 : value;
    }
}

KERNEL relu_gradient(const T* dy, const T* y, T* dx, I size) {
    for (I i = grid(); i < size; i += gridsize())
        dx[i] = y[i] <= 0 ? (T)0 : dy[i];
}

KERNEL sigmoid_forward(const T* x, T* y, I size) {
    for (I i = grid(); i < size; i += gridsize()) {
        T small = exp(x[i] < 0 ? x[i] : -x[i]);
        y[i] = (x[i] < 0 ? small : (T)1) / (1 + small);
    }
}

KERNEL sigmoid_gradient(const T* dy, const T* y, T* dx, I size) {
    for (I i = grid(); i < size; i += gridsize())
        dx[i] = dy[i] * y[i] * (1 - y[i]);
}

KERNEL softmax_forward(const T* x, T* y, I columns, I channels, I inner) {
    for (I i = grid(); i < columns; i += gridsize()) {
        I first = i / inner * channels * inner + i % inner;
        T best = largest(x, first, channels, inner);
        T total = 0;
        for (I c = 0; c < channels; c++) {
            T e = exp(x[first + c * inner] - best);
            y[first + c * inner] = e;
            total += e;
        }
        for (I c = 0; c < channels; c++)
            y[first + c * inner] /= total;
    }
}

KERNEL softmax_gradient(const T* dy, const T* y, T* dx, I columns, I channels, I inner) {
    for (I i = grid(); i < columns; i += gridsize()) {
        I first = i / inner * channels * inner + i % inner;
        T total = 0;
        for (I c = 0; c < channels; c++)
            total += y[first + c * inner] * dy[first + c * inner];
        for (I c = 0; c < channels; c++) {
            I k = first + c * inner;
            dx[k] = y[k] * (dy[k] - total);
        }
    }
}

KERNEL log_softmax_forward(const T* x, T* y, I columns, I channels, I inner) {
    for (I i = grid(); i < columns; i += gridsize()) {
        I first = i / inner * channels * inner + i % inner;
        T best = largest(x, first, channels, inner);
        T log_total = log_sum_exp(x, first, channels, inner, best);
        for (I c = 0; c < channels; c++)
            y[first + c * inner] = (x[first + c * inner] - best) - log_total;
    }
}

KERNEL log_softmax_gradient(const T* dy, const T* y, T* dx, I columns, I channels, I inner) {
    for (I i = grid(); i < columns; i += gridsize()) {
        I first = i / inner * channels * inner + i % inner;
        T total = 0;
        for (I c = 0; c < channels; c++)
            total += dy[first + c * inner];
        for (I c = 0; c < channels; c++) {
            I k = first + c * inner;
            dx[k] = dy[k] - exp(y[k]) * total;
        }
    }
}
