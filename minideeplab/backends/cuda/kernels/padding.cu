// Copies along an axis and their gradient. Same kernels as padding.py.

KERNEL take(const T* x, T* y, const long long* source, I size, I before, I after, I inner) {
    for (I e = grid(); e < size; e += gridsize()) {
        I i = e % inner, a = e / inner % after, o = e / inner / after;
        y[e] = x[(o * before + (I)source[a]) * inner + i];
    }
}

KERNEL collect(const T* dy, T* dx, const long long* order, const long long* bounds, I size,
               I before, I after, I inner) {
    for (I e = grid(); e < size; e += gridsize()) {
        I i = e % inner, b = e / inner % before, o = e / inner / before;
        T total = 0;
        for (I k = bounds[b]; k < bounds[b + 1]; k++)
            total += dy[(o * after + (I)order[k]) * inner + i];
        dx[e] = total;
    }
}
