// Mean-field update. Same kernels as crf/meanfield.py, which has the formula.

__device__ inline void add_to_corners(const T* q, const int* corners, const T* send, T* target,
                                      I points, I labels, I writes, I p) {
    for (I r = 0; r < writes; r++) {
        I row = corners[r * points + p] * labels;
        T weight = send[r * points + p];
        for (I c = 0; c < labels; c++)
            atomicAdd(&target[row + c], weight * q[c * points + p]);
    }
}

KERNEL sweep(const T* unary, const int* corners, const T* receive, const T* compat, const T* source,
             T* q, const T* send, T* target, I points, I labels, I reads, I writes) {
    for (I p = grid(); p < points; p += gridsize()) {
        T best = -INFINITY;
        for (I c = 0; c < labels; c++) {
            T score = -unary[c * points + p];
            for (I r = 0; r < reads; r++) {
                I row = corners[r * points + p] * labels;
                score -= compat[r * labels + c] * receive[r * points + p] * source[row + c];
            }
            q[c * points + p] = score;
            best = score > best ? score : best;
        }
        T total = 0;
        for (I c = 0; c < labels; c++) {
            T e = exp(q[c * points + p] - best);
            q[c * points + p] = e;
            total += e;
        }
        for (I c = 0; c < labels; c++)
            q[c * points + p] /= total;
        add_to_corners(q, corners, send, target, points, labels, writes, p);
    }
}

KERNEL send_points(const T* q, const int* corners, const T* send, T* target, I points, I labels,
                   I writes) {
    for (I p = grid(); p < points; p += gridsize())
        add_to_corners(q, corners, send, target, points, labels, writes, p);
}
