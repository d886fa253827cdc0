// Scale, shift and ReLU after a convolution. Same kernel as in conv.py.

KERNEL apply_epilogue(T* y, const T* scale, const T* shift, I size, I channels, I pixels,
                      I rectify) {
    for (I i = grid(); i < size; i += gridsize()) {
        I c = i / pixels % channels;
        T value = y[i] * scale[c] + shift[c];
        if (rectify && value <= 0)
            value = 0;
        y[i] = value;
    }
}
