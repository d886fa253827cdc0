// im2col and col2im. Same kernels as im2col.py, which has the thread map.

KERNEL unfold_windows(const T* x, T* columns, I size, I height, I width, I kh, I kw, I rows, I cols,
                      I sh, I sw, I dh, I dw, I top, I left) {
    for (I e = grid(); e < size; e += gridsize()) {
        I q = e % cols, rest = e / cols;
        I p = rest % rows; rest = rest / rows;
        I j = rest % kw; rest = rest / kw;
        I i = rest % kh, nc = rest / kh;
        I h = p * sh + i * dh - top;
        I w = q * sw + j * dw - left;
        if (h >= 0 && h < height && w >= 0 && w < width)
            columns[e] = x[(nc * height + h) * width + w];
        else
            columns[e] = 0;
    }
}

KERNEL fold_windows(const T* columns, T* x, I size, I height, I width, I kh, I kw, I rows, I cols,
                    I sh, I sw, I dh, I dw, I top, I left) {
    for (I e = grid(); e < size; e += gridsize()) {
        I w = e % width, rest = e / width;
        I h = rest % height, nc = rest / height;
        T total = 0;
        for (I i = 0; i < kh; i++) {
            I down = h + top - i * dh;
            I p = down / sh;
            if (down >= 0 && down % sh == 0 && p < rows) {
                for (I j = 0; j < kw; j++) {
                    I right = w + left - j * dw;
                    I q = right / sw;
                    if (right >= 0 && right % sw == 0 && q < cols)
                        total += columns[(((nc * kh + i) * kw + j) * rows + p) * cols + q];
                }
            }
        }
        x[e] = total;
    }
}
