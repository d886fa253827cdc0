// The diagonal of the lattice's kernel. Same kernels as crf/self_term.py.

__device__ inline void find_ring(const int* corners, const int* neighbours, int* ring,
                                 I points, I sides, I vertices, I p) {
    for (I r = 0; r < sides; r++) {
        I here = corners[r * points + p], there = corners[(r + 1) % sides * points + p];
        ring[r * points + p] = 0;
        for (I a = sides - 1; a >= 0; a--)
            if (neighbours[(2 * a + 1) * vertices + here] == there)
                ring[r * points + p] = a;
    }
}

__device__ inline bool arrives(const int* corners, const int* neighbours, const int* ring,
                               I start, I length, I forward,
                               I points, I sides, I vertices, I p) {
    I place = corners[start * points + p];
    for (I axis = 0; axis < sides; axis++)
        for (I k = 0; k < length; k++) {
            I r = forward == 1 ? (start + k) % sides : (start + sides - 1 - k) % sides;
            if (place < vertices && ring[r * points + p] == axis)
                place = neighbours[(2 * axis + forward) * vertices + place];
        }
    return place < vertices;
}

KERNEL diagonal(const int* corners, const T* weights, const int* neighbours, int* ring, T* result,
                T alpha, I points, I sides, I vertices) {
    for (I p = grid(); p < points; p += gridsize()) {
        find_ring(corners, neighbours, ring, points, sides, vertices, p);
        T total = 0;
        for (I r = 0; r < sides; r++) {
            T reached = weights[r * points + p], share = 1;
            for (I length = 1; length <= sides; length++) {
                share *= (T)0.5;
                for (I forward = 0; forward < 2; forward++) {
                    I s = forward == 1 ? (r + length) % sides : (r + sides - length) % sides;
                    if (arrives(corners, neighbours, ring, r, length, forward,
                                points, sides, vertices, p))
                        reached += share * weights[s * points + p];
                }
            }
            total += weights[r * points + p] * reached;
        }
        result[p] = alpha * total;
    }
}

KERNEL diagonal_gradient(const T* ddiagonal, const int* corners, const T* weights,
                         const int* neighbours, int* ring, T* dweights, T alpha, I points, I sides,
                         I vertices) {
    for (I p = grid(); p < points; p += gridsize()) {
        find_ring(corners, neighbours, ring, points, sides, vertices, p);
        T scale = alpha * ddiagonal[p];
        for (I r = 0; r < sides; r++)
            dweights[r * points + p] = (scale + scale) * weights[r * points + p];
        for (I r = 0; r < sides; r++) {
            T share = scale;
            for (I length = 1; length <= sides; length++) {
                share *= (T)0.5;
                for (I forward = 0; forward < 2; forward++) {
                    I s = forward == 1 ? (r + length) % sides : (r + sides - length) % sides;
                    if (arrives(corners, neighbours, ring, r, length, forward,
                                points, sides, vertices, p)) {
                        dweights[r * points + p] += share * weights[s * points + p];
                        dweights[s * points + p] += share * weights[r * points + p];
                    }
                }
            }
        }
    }
}
