// Softmax cross-entropy. Same kernels as loss.py, which has the thread map.

KERNEL label_loss(const T* x, const long long* target, const T* weight, T smoothing, T* loss,
                  T* counted, I pixels, I channels, I inner, I ignored) {
    for (I i = grid(); i < pixels; i += gridsize()) {
        I first = i / inner * channels * inner + i % inner;
        long long label = target[i];
        if (label == ignored) {
            loss[i] = 0;
            counted[i] = 0;
        } else if (label < 0 || label >= channels) {
            loss[i] = NAN;
            counted[i] = NAN;
        } else {
            T best = largest(x, first, channels, inner);
            T log_total = log_sum_exp(x, first, channels, inner, best);
            T chosen = (x[first + (I)label * inner] - best) - log_total;
            T value = -(1 - smoothing) * weight[label] * chosen;
            if (smoothing > 0) {
                T total = 0;
                for (I c = 0; c < channels; c++)
                    total += weight[c] * ((x[first + c * inner] - best) - log_total);
                value -= smoothing / (T)channels * total;
            }
            loss[i] = value;
            counted[i] = weight[label];
        }
    }
}

KERNEL label_loss_gradient(const T* x, const long long* target, const T* weight, T smoothing,
                           const T* share, T* dx, I pixels, I channels, I inner, I ignored,
                           I per_pixel) {
    for (I i = grid(); i < pixels; i += gridsize()) {
        I first = i / inner * channels * inner + i % inner;
        long long label = target[i];
        T best = largest(x, first, channels, inner);
        T log_total = log_sum_exp(x, first, channels, inner, best);
        T even = smoothing / (T)channels;
        T scale = share[i * per_pixel];
        T total = 0;
        for (I c = 0; c < channels; c++) {
            T t = c == label ? even + (1 - smoothing) : even;
            I k = first + c * inner;
            dx[k] = 0;
            if (label != ignored && t != 0)
                dx[k] = -scale * weight[c] * t;
            total += dx[k];
        }
        for (I c = 0; c < channels; c++) {
            I k = first + c * inner;
            dx[k] -= exp((x[k] - best) - log_total) * total;
        }
    }
}

KERNEL soft_loss(const T* x, const T* target, const T* weight, T smoothing, T* loss, I pixels,
                 I channels, I inner) {
    for (I i = grid(); i < pixels; i += gridsize()) {
        I first = i / inner * channels * inner + i % inner;
        T best = largest(x, first, channels, inner);
        T log_total = log_sum_exp(x, first, channels, inner, best);
        T total = 0;
        for (I c = 0; c < channels; c++) {
            I k = first + c * inner;
            T t = (1 - smoothing) * target[k] + smoothing / (T)channels;
            total += weight[c] * t * ((x[k] - best) - log_total);
        }
        loss[i] = -total;
    }
}

KERNEL soft_loss_gradient(const T* x, const T* target, const T* weight, T smoothing, const T* share,
                          T* dx, I pixels, I channels, I inner, I per_pixel) {
    for (I i = grid(); i < pixels; i += gridsize()) {
        I first = i / inner * channels * inner + i % inner;
        T best = largest(x, first, channels, inner);
        T log_total = log_sum_exp(x, first, channels, inner, best);
        T scale = share[i * per_pixel];
        T total = 0;
        for (I c = 0; c < channels; c++) {
            I k = first + c * inner;
            T t = (1 - smoothing) * target[k] + smoothing / (T)channels;
            dx[k] = 0;
            if (t != 0)
                dx[k] = -scale * weight[c] * t;
            total += dx[k];
        }
        for (I c = 0; c < channels; c++) {
            I k = first + c * inner;
            dx[k] -= exp((x[k] - best) - log_total) * total;
        }
    }
}
