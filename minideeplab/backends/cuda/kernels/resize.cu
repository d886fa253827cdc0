// Resizing and its adjoint. Same kernels as resize.py, which has the thread map.

KERNEL nearest(const T* x, T* y, const long long* from_row, const long long* from_col, I size,
               I height, I width, I rows, I cols) {
    for (I e = grid(); e < size; e += gridsize()) {
        I q = e % cols, p = e / cols % rows, plane = e / cols / rows;
        y[e] = x[(plane * height + (I)from_row[p]) * width + (I)from_col[q]];
    }
}

KERNEL nearest_gradient(const T* dy, T* dx, const long long* row_range, const long long* col_range,
                        I size, I height, I width, I rows, I cols) {
    for (I e = grid(); e < size; e += gridsize()) {
        I w = e % width, h = e / width % height, plane = e / width / height;
        T total = 0;
        for (I p = row_range[h]; p < row_range[height + h]; p++)
            for (I q = col_range[w]; q < col_range[width + w]; q++)
                total += dy[(plane * rows + p) * cols + q];
        dx[e] = total;
    }
}

KERNEL bilinear(const T* x, T* y, const long long* low_row, const long long* high_row,
                const T* down, const long long* low_col, const long long* high_col, const T* across,
                I size, I height, I width, I rows, I cols) {
    for (I e = grid(); e < size; e += gridsize()) {
        I q = e % cols, p = e / cols % rows, plane = e / cols / rows;
        I top = (plane * height + (I)low_row[p]) * width;
        I bottom = (plane * height + (I)high_row[p]) * width;
        I a = low_col[q], b = high_col[q];
        T left = x[top + a] * (1 - down[p]) + x[bottom + a] * down[p];
        T right = x[top + b] * (1 - down[p]) + x[bottom + b] * down[p];
        y[e] = left * (1 - across[q]) + right * across[q];
    }
}

KERNEL bilinear_gradient(const T* dy, T* dx, const long long* low_row, const long long* high_row,
                         const T* down, const long long* low_col, const long long* high_col,
                         const T* across, const long long* row_range, const long long* col_range,
                         I size, I height, I width, I rows, I cols) {
    for (I e = grid(); e < size; e += gridsize()) {
        I w = e % width, h = e / width % height, plane = e / width / height;
        T total = 0;
        for (I p = row_range[h]; p < row_range[height + h]; p++) {
            T line = 0;
            for (I q = col_range[w]; q < col_range[width + w]; q++) {
                T value = dy[(plane * rows + p) * cols + q];
                if (low_col[q] == w) line += value * (1 - across[q]);
                if (high_col[q] == w) line += value * across[q];
            }
            if (low_row[p] == h) total += line * (1 - down[p]);
            if (high_row[p] == h) total += line * down[p];
        }
        dx[e] = total;
    }
}
