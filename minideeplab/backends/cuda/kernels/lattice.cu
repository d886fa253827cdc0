// Lattice construction. Same kernels as crf/embedding.py and crf/lattice.py.

template <typename F>
__device__ inline void elevate(const F* features, const F* scale, F* elevated, I d, I n, I p) {
    F total = 0;
    for (I j = d; j > 0; j--) {
        F scaled = features[(j - 1) * n + p] * scale[j - 1];
        elevated[j * n + p] = total - (F)j * scaled;
        total += scaled;
    }
    elevated[p] = total;
}

__device__ inline void find_simplex(const float* elevated, int* vertex, int* rank,
                                    I d, I n, I p) {
    float side = d + 1;
    int excess = 0;
    for (I i = 0; i <= d; i++) {
        float value = elevated[i * n + p] * (1 / side);
        int quotient = (int)rintf(value);
        vertex[i * n + p] = quotient * (d + 1);
        excess += quotient;
    }
    for (I i = 0; i <= d; i++) {
        float offset = elevated[i * n + p] - (float)vertex[i * n + p];
        int place = excess;
        for (I j = 0; j <= d; j++) {
            float other = elevated[j * n + p] - (float)vertex[j * n + p];
            if (offset < other || (j < i && !(other < offset)))
                place += 1;
        }
        rank[i * n + p] = place;
    }
    for (I i = 0; i <= d; i++) {
        if (rank[i * n + p] < 0) {
            rank[i * n + p] += d + 1;
            vertex[i * n + p] += d + 1;
        } else if (rank[i * n + p] > d) {
            rank[i * n + p] -= d + 1;
            vertex[i * n + p] -= d + 1;
        }
    }
}

__device__ inline void barycentric(const T* elevated, const int* vertex, const int* rank,
                                   T* weights, I d, I n, I p) {
    T inverse = 1 / (T)(d + 1);
    for (I r = 0; r <= d; r++)
        weights[r * n + p] = 0;
    weights[p] = 1;
    for (I i = 0; i <= d; i++) {
        T offset = (elevated[i * n + p] - (T)vertex[i * n + p]) * inverse;
        I upper = d - rank[i * n + p];
        weights[upper * n + p] += offset;
        if (upper < d)
            weights[(upper + 1) * n + p] -= offset;
        else
            weights[p] -= offset;
    }
}

KERNEL embed(const float* features32, const float* scale32, const T* features, const T* scale,
             const long long* places, float* elevated32, T* elevated, int* vertex, int* rank,
             T* weights, long long* keys, I d, I n) {
    for (I p = grid(); p < n; p += gridsize()) {
        elevate(features32, scale32, elevated32, d, n, p);
        find_simplex(elevated32, vertex, rank, d, n, p);
        elevate(features, scale, elevated, d, n, p);
        barycentric(elevated, vertex, rank, weights, d, n, p);
        for (I r = 0; r <= d; r++) {
            long long key = 0;
            for (I i = 0; i < d; i++) {
                I step = rank[i * n + p] <= d - r ? r : r - d - 1;
                key += places[i] * (vertex[i * n + p] + step);
            }
            keys[r * n + p] = key;
        }
    }
}

KERNEL weights_gradient(const float* features32, const float* scale32, const T* dweights,
                        const T* scale, float* elevated32, int* vertex, int* rank, T* dfeatures,
                        I d, I n) {
    for (I p = grid(); p < n; p += gridsize()) {
        elevate(features32, scale32, elevated32, d, n, p);
        find_simplex(elevated32, vertex, rank, d, n, p);
        T before = 0;
        for (I j = 0; j <= d; j++) {
            I corner = d - rank[j * n + p];
            I behind = corner < d ? corner + 1 : 0;
            T delevated = dweights[corner * n + p] - dweights[behind * n + p];
            if (j > 0) {
                T step = before - (T)j * delevated;
                dfeatures[(j - 1) * n + p] = scale[j - 1] * step;
            }
            before += delevated;
        }
    }
}

#define EMPTY (-0x7FFFFFFFFFFFFFFFLL - 1)

__device__ inline I home(long long key, I last) {
    long long mixed = (key & 0x7FFFFFFF) * 0x5BD1E995LL + (key >> 31) * 0x27D4EB2FLL;
    return (I)(((mixed >> 15) ^ mixed) & last);
}

__device__ inline long long swap_if_empty(long long* slot, long long key) {
    return (long long)atomicCAS((unsigned long long*)slot, (unsigned long long)EMPTY,
                                (unsigned long long)key);
}

KERNEL insert(const long long* keys, long long* table, long long* slots, I size, I last) {
    for (I e = grid(); e < size; e += gridsize()) {
        long long key = keys[e];
        I slot = home(key, last);
        long long held = swap_if_empty(&table[slot], key);
        while (held != EMPTY && held != key) {
            slot = (slot + 1) & last;
            held = swap_if_empty(&table[slot], key);
        }
        slots[e] = slot;
    }
}

KERNEL gather_keys(const long long* table, const int* number, long long* vertex_keys, I size) {
    for (I slot = grid(); slot < size; slot += gridsize())
        if (table[slot] != EMPTY)
            vertex_keys[number[slot]] = table[slot];
}

__device__ inline int find(long long key, const long long* table, const int* number,
                           I last, I missing) {
    I slot = home(key, last);
    while (table[slot] != EMPTY && table[slot] != key)
        slot = (slot + 1) & last;
    return table[slot] == EMPTY ? (int)missing : number[slot];
}

KERNEL connect(const long long* vertex_keys, const long long* table, const int* number,
               const long long* steps, int* neighbours, I axes, I vertices, I last) {
    for (I e = grid(); e < axes * vertices; e += gridsize()) {
        I axis = e / vertices, v = e % vertices;
        int before = find(vertex_keys[v] + steps[axis], table, number, last, vertices);
        int behind = find(vertex_keys[v] - steps[axis], table, number, last, vertices);
        neighbours[2 * axis * vertices + v] = before;
        neighbours[(2 * axis + 1) * vertices + v] = behind;
    }
}
