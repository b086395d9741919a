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

// The same with stride 1, from shared memory, for a block's pixels from `first` on.
DEV void conv_input_staged(const ConvInputPart& part, const ConvPlace& place, int split, int first, int pixels, int tile,
                           ConvSum* sum, float* image) {
    const Window& win = part.window;
    ConvFrame frame = conv_frame_back(win);
    int reach = (win.k - 1) * win.dilation, c = win.oc, k = win.k, c16 = conv_up(c, 16), step = win.dilation * 16;
    int begin = conv_position(frame, first), end = conv_position(frame, min(first + place.groups * 32, pixels) - 1);
    int last = reach * (frame.pw + 1), len = end - begin + last + 1, at[4];
    __syncthreads();
    conv_stage<16, 4>(image, frame, part.dz, begin, len, 0, 4 * c16);
    first += place.group * 32 + threadIdx.x % 32 / 4;
    conv_places(frame, first, pixels, begin, at);
    __syncthreads();
    const float* weights[1] = {part.weights + tile * k * k * c16 * 256 * CONV_PARTS};
    conv_staged_sums(sum, image + last * 16, len, at, k, -step, -step * frame.pw, c, weights, place.part, split);
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
    for (int i = 0; i < n_parts; i++) {
        const ConvInputPart& part = job.parts[i];
        if (part.live && !*part.live) continue;
        if (job.staged && !parities && part.window.stride == 1) {
            conv_input_staged(part, place, job.split, block_first, pixels, tile, sum, (float*)room);
        } else {
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
// ARITHMETIC is 2), 4 staged) bytes, where `staged` is 0 or the most floats of a part with stride 1 that a block reads, see
// conv_forward.
KERNEL(conv_input, ConvInputJob, 2) {
    SHARED(ConvSum, room);
    const ConvInputJob& job = jobs[work[blockIdx.x].x];
    SKIP(job);
    conv_input_block(job, work[blockIdx.x].y, room);
}
