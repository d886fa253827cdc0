// Splat, blur, slice and the gradient of the weights. Same kernels as crf/filtering.py.

KERNEL splat(const T* values, const int* corners, const T* weights, T* vertices, I points, I sides,
             I labels) {
    for (I e = grid(); e < points * labels; e += gridsize()) {
        I p = e / labels, c = e % labels;
        for (I r = 0; r < sides; r++) {
            I k = r * points + p;
            atomicAdd(&vertices[corners[k] * labels + c], weights[k] * values[e]);
        }
    }
}

KERNEL blur(const T* source, const int* neighbours, T* target, I vertices, I labels) {
    for (I e = grid(); e < (vertices + 1) * labels; e += gridsize()) {
        I v = e / labels, c = e % labels;
        T value = source[e];
        if (v < vertices) {
            I before = neighbours[v] * labels + c;
            I behind = neighbours[vertices + v] * labels + c;
            value += (T)0.5 * (source[before] + source[behind]);
        }
        target[e] = value;
    }
}

KERNEL slice_points(const T* vertices, const int* corners, const T* weights, T* values, T alpha,
                    I points, I sides, I labels) {
    for (I e = grid(); e < points * labels; e += gridsize()) {
        I p = e / labels, c = e % labels;
        T total = 0;
        for (I r = 0; r < sides; r++) {
            I k = r * points + p;
            total += weights[k] * vertices[corners[k] * labels + c];
        }
        values[e] = alpha * total;
    }
}

KERNEL corner_products(const T* a, const T* b, const T* forward, const T* backward,
                       const int* corners, T* dweights, T alpha, I points, I sides, I labels) {
    for (I e = grid(); e < sides * points; e += gridsize()) {
        I place = e % points * labels, row = corners[e] * labels;
        T total = 0;
        for (I c = 0; c < labels; c++)
            total += a[place + c] * forward[row + c] + b[place + c] * backward[row + c];
        dweights[e] = alpha * total;
    }
}
