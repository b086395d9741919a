// 3x3 pools, and the 2x2 maximum, of an image in NHWC, at one place.

// Whether v takes the place of the best so far, which is at `at`: the first value does, a larger one, and NaN.
DEV bool beats(float v, float best, int at) {
    return at < 0 || v > best || v != v;
}

// The 3x3 maximum around (y, x): the first in the order of the rows, NaN before all; `choice` is its place in the window.
DEV float max3(const float* image, int h, int w, int c, int y, int x, unsigned char* choice) {
    float best = 0;
    int at = -1;
    for (int i = 0; i < 9; i++) {
        int r = y + i / 3 - 1, q = x + i % 3 - 1;
        if (r < 0 || r >= h || q < 0 || q >= w) continue;
        float v = image[((long long)r * w + q) * c];
        if (beats(v, best, at)) {
            best = v;
            at = i;
        }
    }
    *choice = (unsigned char)at;
    return best;
}

// The maximum of the four pixels from (2 y, 2 x) on, as above.
DEV float max2(const float* image, int w, int c, int y, int x, unsigned char* choice) {
    float best = 0;
    int at = -1;
    for (int i = 0; i < 4; i++) {
        float v = image[((long long)(2 * y + i / 2) * w + 2 * x + i % 2) * c];
        if (beats(v, best, at)) {
            best = v;
            at = i;
        }
    }
    *choice = (unsigned char)at;
    return best;
}

// The 3x3 average of the pixels of the image around (y, x), of four channels. Without branches: loads of a row go out at once.
DEV float4 average3(const float* image, int h, int w, int c, int y, int x) {
    float4 v = f4(0);
#pragma unroll
    for (int i = -1; i < 2; i++) {
        int r = y + i;
        bool row = r >= 0 && r < h;
        float4 d[3];
#pragma unroll
        for (int j = 0; j < 3; j++) {
            int q = x + j - 1;
            bool inside = row && q >= 0 && q < w;
            d[j] = inside ? ld4(image + (r * w + q) * c) : f4(0);
        }
        v = add4(v, add4(add4(d[0], d[1]), d[2]));
    }
    int rows = min(y + 2, h) - max(y - 1, 0), columns = min(x + 2, w) - max(x - 1, 0);
    return scale4(1.f / (rows * columns), v);
}
