// The gradient at a node that dense convolutions read: the products of conv.cu, with weights transposed and pixels of the
// gradient at their outputs, which is made of dy and z as it is read. All convolutions add up in the same registers, in their
// order.

// The gradient at four channels from c on of the pixels at `from` floats from the start. No branches: all loads go out at once.
DEV void conv_gradient(const Gradient& d, const int* from, const bool* inside, const float* r, int c, bool exists,
                       float4* values) {
    float4 z[4];
#pragma unroll
    for (int n = 0; n < 4; n++) {
        bool there = inside[n] & exists;
        values[n] = there ? conv_ld4(d.dy + (from[n] + c)) : f4(0.f);
        z[n] = there && d.z ? conv_ld4(d.z + (from[n] + c)) : f4(0.f);
    }
    float4 a = exists ? conv_ld4(d.a + c) : f4(0.f);
    float4 b = exists && d.z ? conv_ld4(d.b + c) : f4(0.f), g = exists && d.z ? conv_ld4(d.g + c) : f4(0.f);
#pragma unroll
    for (int n = 0; n < 4; n++) {
        float4 v = add4(fma4(b, z[n], g), mul4(a, scale4(r[n], values[n])));
        values[n] = inside[n] && exists ? v : f4(0.f);
    }
}

// The pixels of an input in the order in which warps take them. With stride 2 an output's window has every second row and column
// under a tap: pixels of the same parities stand together, so that a warp leaves out the taps that none of its pixels sees.
DEV void conv_input_pixel(const ConvInputJob& job, bool parities, int p, int& image, int& y, int& x) {
    int h = job.h, w = job.w, odd_y = 0, odd_x = 0, step = 1;
    if (parities) {
        int even = job.b * ((job.h + 1) / 2) * job.w;
        step = 2;
        odd_y = p >= even;
        if (odd_y) p -= even;
        h = (job.h + 1 - odd_y) / 2;
        even = job.b * h * ((job.w + 1) / 2);
        odd_x = p >= even;
        if (odd_x) p -= even;
        w = (job.w + 1 - odd_x) / 2;
    }
    int q = max(w, 1);
    x = p % q * step + odd_x;
    p /= q;
    q = max(h, 1);
    y = p % q * step + odd_y;
    image = p / q;
    // A pixel that does not exist (behind the last image; of parities that none has) is outside for all taps.
    if (image >= job.b || x >= job.w || y >= job.h) y = -(1 << 28);
}
DEV bool conv_any(bool yes) {
    int any = yes;
    for (int mask = 1; mask < 32; mask *= 2) any |= __shfl_xor_sync(0xffffffffu, any, mask);
    return any;
}

DEV void conv_input_sums(const ConvInputPart& part, const ConvPlace& place, int split, const int* image, const int* y,
                         const int* x, int tile, ConvSum* sum) {
    const Window& win = part.window;
    int first_c = CONV_FIRST, k = win.k, chunks = conv_up(win.oc, CONV_CHANNELS);
    int tap_len = conv_up(win.oc, 16) * 256 * CONV_PARTS, tile_len = k * k * tap_len;
    const float* weights[1] = {part.weights + tile * tile_len};
    Gradient dz = part.dz;
    int odd = win.stride - 1, base[4], inside_h = win.oh << odd, inside_w = win.ow << odd;
    float r[4];
#pragma unroll
    for (int n = 0; n < 4; n++) {
        r[n] = dz.r && y[n] >= 0 ? ld(dz.r + image[n]) : 1.f;
        base[n] = y[n] >= 0 ? ((image[n] * win.oh << odd) + y[n]) * win.ow + x[n] : 0;
    }
    int chunk = place.part, dy = win.pad, dx = win.pad, end = win.pad - k * win.dilation, tap = 0;
    for (; dy > end; tap += tap_len, chunk -= chunks) {
        int from[4];
        bool inside[4];
#pragma unroll
        for (int n = 0; n < 4; n++) {
            // The output pixel whose window has this one under this tap, if there is one: (oy, ox) times the stride.
            int oy = y[n] + dy, ox = x[n] + dx;
            inside[n] = ((unsigned)oy < (unsigned)inside_h) & ((unsigned)ox < (unsigned)inside_w) & (((oy | ox) & odd) == 0);
            from[n] = ((base[n] + dy * win.ow + dx) >> odd) * win.oc;
        }
        dx -= win.dilation;
        if (dx == end) {
            dx = win.pad;
            dy -= win.dilation;
        }
        bool any = !odd || conv_any(inside[0] || inside[1] || inside[2] || inside[3]);
        for (; chunk < chunks; chunk += split) {
            if (!any) continue;
            int c = chunk * CONV_CHANNELS + first_c;
            float4 values[4];
            conv_gradient(dz, from, inside, r, c, c < win.oc, values);
            conv_multiply<1>(sum, values, weights, tap + chunk * CONV_CHANNELS * 16 * CONV_PARTS);
        }
    }
}

// The same with stride 1, from shared memory, for a block's pixels from `first` on: what it reads of a part.
struct ConvInputTile {
    ConvFrame frame;
    int begin, len, last;   // Its first position, how many there are, and what lies between a pixel's first tap and its last.
};
DEV ConvInputTile conv_input_tile(const Window& win, const ConvPlace& place, int first, int pixels) {
    ConvFrame frame = conv_frame_back(win);
    int begin = conv_position(frame, first), end = conv_position(frame, min(first + place.groups * 32, pixels) - 1);
    int last = (win.k - 1) * win.dilation * (frame.pw + 1);
    return {frame, begin, end - begin + last + 1, last};
}
// What is asked for is taken later; where there is nothing to be asked for, all is done then.
DEV unsigned conv_input_ask(const ConvInputPart& part, int room, const ConvPlace& place, int first, int pixels, float* asked) {
#if ARITHMETIC == 1
    if (room && part.window.stride == 1 && !part.dz.r) {
        ConvInputTile tile = conv_input_tile(part.window, place, first, pixels);
        return conv_ask(asked, room, tile.frame, part.dz, tile.begin, tile.len, 0, 4 * conv_up(part.window.oc, 16));
    }
#endif
    return 0;
}
DEV void conv_input_take(const ConvInputPart& part, int room, const ConvInputTile& tile, unsigned inside, const float* asked,
                         float* image) {
    int quads = 4 * conv_up(part.window.oc, 16);
#if ARITHMETIC == 1
    if (room && !part.dz.r) {
        conv_take<16>(image, asked, room, inside, tile.frame, part.dz, tile.len, 0, quads);
        return;
    }
#endif
    conv_stage<16, 4>(image, tile.frame, part.dz, tile.begin, tile.len, 0, quads);
}
DEV void conv_input_staged(const ConvInputPart& part, const ConvPlace& place, int split, int first, int pixels, int tile,
                           const ConvInputTile& read, ConvSum* sum, const float* image) {
    const Window& win = part.window;
    int c = win.oc, k = win.k, c16 = conv_up(c, 16), step = win.dilation * 16, at[4];
    first += place.group * 32 + threadIdx.x % 32 / 4;
    conv_places(read.frame, first, pixels, read.begin, at);
    const float* weights[1] = {part.weights + tile * k * k * c16 * 256 * CONV_PARTS};
    conv_staged_sums(sum, image + read.last * 16, read.len, at, k, -step, -step * read.frame.pw, c, weights, place.part, split);
}

// The first part from `i` on that is wanted.
DEV int conv_input_next(const ConvInputJob& job, int i) {
    while (i < job.n_parts && job.parts[i].live && !*job.parts[i].live) i++;
    return i;
}

DEV void conv_input_block(const ConvInputJob& job, int block, ConvSum* room) {
    ConvPlace place = conv_place(job.split);
    int g = threadIdx.x % 32 / 4, tiles = conv_up(job.c, 16), n_parts = job.n_parts;
    int pixel_block = (unsigned)block / (unsigned)tiles, tile = block - pixel_block * tiles;
    int block_first = pixel_block * place.groups * 32, first = block_first + place.group * 32, pixels = job.b * job.h * job.w;
    bool parities = n_parts > 0 && job.parts[0].window.stride == 2;
    ConvSum sum[16];
#pragma unroll
    for (int i = 0; i < 16; i++) sum[i] = 0;
    float *staged = (float*)room, *asked = staged + job.staged;
    int i = conv_input_next(job, 0), asks = job.staged && !parities ? job.asked : 0;
    unsigned inside = i < n_parts ? conv_input_ask(job.parts[i], asks, place, block_first, pixels, asked) : 0;
    while (i < n_parts) {
        const ConvInputPart& part = job.parts[i];
        i = conv_input_next(job, i + 1);
        if (job.staged && !parities && part.window.stride == 1) {
            ConvInputTile read = conv_input_tile(part.window, place, block_first, pixels);
            async_wait();
            // All are done with what stood there.
            __syncthreads();
            conv_input_take(part, asks, read, inside, asked, staged);
            if (i < n_parts) inside = conv_input_ask(job.parts[i], asks, place, block_first, pixels, asked);
            __syncthreads();
            conv_input_staged(part, place, job.split, block_first, pixels, tile, read, sum, staged);
        } else {
            if (i < n_parts) inside = conv_input_ask(job.parts[i], asks, place, block_first, pixels, asked);
            int image[4], y[4], x[4];
#pragma unroll
            for (int n = 0; n < 4; n++) conv_input_pixel(job, parities, first + 8 * n + g, image[n], y[n], x[n]);
            conv_input_sums(part, place, job.split, image, y, x, tile, sum);
        }
    }
    if (job.split > 1) conv_gather<1>(sum, place, job.split, room);
    if (place.part != 0) return;
    // The lane's pixels, for the lanes that have their sums.
    int at[4];
#pragma unroll
    for (int n = 0; n < 4; n++) {
        int image = 0, y = 0, x = 0, p = first + 8 * n + g;
        if (parities) conv_input_pixel(job, true, p, image, y, x);
        at[n] = parities ? (y >= 0 ? (image * job.h + y) * job.w + x : -1) : p < pixels ? p : -1;
    }
    int channels = job.c, add = job.add;
    float* to = job.dx;
    Source source = job.x;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        int pixel, c;
        float2 v;
        conv_pair(sum, i, pixel, c, v.x, v.y);
        c += tile * 16;
        pixel = __shfl_sync(0xffffffffu, at[i / 2 % 4], pixel % 8 * 4);
        if (pixel < 0 || c >= channels) continue;
        float* dx = to + (pixel * channels + c);
        if (source.relu) {
            float2 s = conv_ld2(source.x + (pixel * channels + c));
            if (source.a) {
                float2 a = conv_ld2(source.a + c), t = conv_ld2(source.t + c);
                s = make_float2(fmaf(a.x, s.x, t.x), fmaf(a.y, s.y, t.y));
            }
            if (s.x <= 0.f) v.x = 0.f;
            if (s.y <= 0.f) v.y = 0.f;
        }
        if (add) {
            float2 old = ld2(dx);
            v = make_float2(old.x + v.x, old.y + v.y);
        }
        st2(dx, v);
    }
}

// Blocks: ceil(b h w / (256 / split)) * ceil(c / 16). Shared memory: max(split > 1 ? 16384 / split : 0 (twice that where
// ARITHMETIC is 2), 4 staged + (8 asked where ARITHMETIC is 1)) bytes, where `staged` is 0 or the most floats of a part that a block
// with stride 1 that a block reads, see conv_forward; `asked` is 0 or 1024 times the most positions of such a part that a thread asks for.
KERNEL(conv_input, ConvInputJob, 2) {
    SHARED(ConvSum, room);
    const ConvInputJob& job = jobs[work[blockIdx.x].x];
    SKIP(job);
    conv_input_block(job, work[blockIdx.x].y, room);
}
