// Dense convolutions: packed weights, products, images in shared memory. conv_forward.cu, conv_input.cu and conv_weight.cu, which
// go behind this file, make the passes.
//
// All are products of a matrix of weights [16 outputs, channels] with one of pixels [channels, pixels], tap by tap, 16 channels
// at a time, added up in registers. A warp makes 16 or 32 outputs of 32 pixels. A lane reads its pixels straight from the image
// (the L1 cache holds what the taps share), so that no barrier stands in the loop. `g` is lane / 4, `t` is lane % 4. Places in an
// image are ints: an image holds less than 2^31 floats.
//
// Packed weights, R(c) = c rounded up to 16, [tile of 16 outputs][tap][16 channels][256 PARTS], zeros where there is no weight:
//   ARITHMETIC 1: [2 steps of 8 channels][high, low part][lane][4]; entry j of a lane is output 2 g + j % 2, channel
//       4 t + 2 step + j / 2: the registers of an operand A of the tensor cores, whose rows g and g + 8 are outputs 2 g and
//       2 g + 1 and whose columns t and t + 4 are channels 4 t + 2 step and the next, so that a lane's channels lie together;
//   else: [16 channels][16 outputs].
// `forward` has co outputs and ci channels, `backward` ci outputs and co channels. Either way 2 k k R(ci_p) R(co_p) floats are
// enough.

#if ARITHMETIC == 1
#define CONV_PARTS 2
#define CONV_CHANNELS 16   // That a warp multiplies at a time.
#define CONV_FIRST (threadIdx.x % 4 * 4)   // A lane's first one of them.
#else
#define CONV_PARTS 1
#define CONV_CHANNELS 4
#define CONV_FIRST 0
#endif
#if ARITHMETIC == 2
typedef double ConvSum;
#else
typedef float ConvSum;
#endif

// Images and weights: nothing that this launch writes.
DEV float4 conv_ld4(const float* p) { ALIGNED(p, 16); return __ldg(reinterpret_cast<const float4*>(p)); }
DEV float2 conv_ld2(const float* p) { ALIGNED(p, 8); return __ldg(reinterpret_cast<const float2*>(p)); }
// An f32 in two TF32 parts. Cut, not rounded, in two cheap instructions: what is left over is exact, and the tensor cores cut
// that. Worth it for pixels, which every tap splits again; weights are rounded, once.
DEV void conv_split(float v, uint32_t& high, uint32_t& low) {
    high = __float_as_uint(v) & 0xffffe000u;
    low = __float_as_uint(v - __uint_as_float(high));
}
DEV int conv_up(int a, int b) { return (a + b - 1) / b; }

// ---- Weights ------------------------------------------------------------------------------------------------------------------

DEV float conv_weight_at(const PackJob& job, int o, int i, int tap) {
    if (o >= job.co || i >= job.ci) return 0.f;
    int co = job.co, ci = job.ci, half = 0;
    if (job.kind == 1) {
        half = o >= co / 2;
        ci /= 2;
        if (half != (i >= ci)) return 0.f;
        if (half) {
            o -= co / 2;
            i -= ci;
        }
        // An odd number of inputs leaves one that nobody sees.
        if (i >= ci) return 0.f;
    }
    return job.w[half][((long long)o * ci + i) * job.k * job.k + tap];
}

// Where a weight of 16 outputs and 16 channels stands.
DEV void conv_pack_store(float* to, int at, float v) {
#if ARITHMETIC == 1
    // at = (step * 32 + lane) * 4 + j
    uint32_t high, low;
    split_tf32(v, high, low);
    to += at / 128 * 256 + at % 128;
    to[0] = __uint_as_float(high);
    to[128] = __uint_as_float(low);
#else
    to[at] = v;
#endif
}
DEV void conv_pack_place(int at, int& o, int& c) {
#if ARITHMETIC == 1
    int j = at % 4, lane = at / 4 % 32, step = at / 128;
    o = 2 * (lane / 4) + j % 2;
    c = 4 * (lane % 4) + 2 * step + j / 2;
#else
    o = at % 16;
    c = at / 16;
#endif
}

// One block 256 weights: k k R(ci_p) R(co_p) / 256 blocks; depthwise ceil(k k ci_p / 256). No shared memory.
KERNEL(conv_pack, PackJob, 4) {
    const PackJob& job = jobs[work[blockIdx.x].x];
    int block = work[blockIdx.x].y, at = threadIdx.x, taps = job.k * job.k;
    if (job.kind == 2) {
        int i = block * THREADS + at, c = i % job.ci_p, tap = i / job.ci_p;
        if (tap < taps) job.forward[i] = c < job.ci ? job.w[0][c * taps + tap] : 0.f;
        return;
    }
    int ci16 = conv_up(job.ci_p, 16), co16 = conv_up(job.co_p, 16), o, c;
    conv_pack_place(at, o, c);
    float* forward = job.forward + (long long)block * 256 * CONV_PARTS;
    int tap = block / ci16 % taps, tile = block / ci16 / taps;
    conv_pack_store(forward, at, conv_weight_at(job, tile * 16 + o, block % ci16 * 16 + c, tap));
    float* backward = job.backward + (long long)block * 256 * CONV_PARTS;
    tap = block / co16 % taps;
    tile = block / co16 / taps;
    if (job.backward) conv_pack_store(backward, at, conv_weight_at(job, block % co16 * 16 + c, tile * 16 + o, tap));
}

// ---- Products -----------------------------------------------------------------------------------------------------------------

// sum += weights x values: TILES x 16 outputs, 4 x 8 pixels, CONV_CHANNELS channels. values[n]: four channels of pixel 8 n + g,
// from CONV_FIRST on. The weights of each tile: from `at` on.
template <int TILES>
DEV void conv_multiply(ConvSum* sum, const float4* values, const float* const (&weights)[TILES], int at) {
    int lane = threadIdx.x % 32;
#if ARITHMETIC == 1
#pragma unroll
    for (int step = 0; step < 2; step++) {
        uint32_t high[4][2], low[4][2];
#pragma unroll
        for (int n = 0; n < 4; n++) {
            float v[2] = {step ? values[n].z : values[n].x, step ? values[n].w : values[n].y};
#pragma unroll
            for (int i = 0; i < 2; i++) conv_split(v[i], high[n][i], low[n][i]);
        }
        float4 w[TILES][2];
#pragma unroll
        for (int m = 0; m < TILES; m++)
#pragma unroll
            for (int part = 0; part < 2; part++) w[m][part] = conv_ld4(weights[m] + (at + step * 256 + part * 128 + lane * 4));
        // The small products first; neighbours do not wait for each other.
#pragma unroll
        for (int product = 0; product < 3; product++)
#pragma unroll
            for (int m = 0; m < TILES; m++) {
                float4 v = w[m][product == 0];
                uint32_t a[4] = {__float_as_uint(v.x), __float_as_uint(v.y), __float_as_uint(v.z), __float_as_uint(v.w)};
#pragma unroll
                for (int n = 0; n < 4; n++) mma_tf32(sum + (m * 4 + n) * 4, a, product == 1 ? low[n] : high[n]);
            }
    }
#else
#pragma unroll
    for (int c = 0; c < 4; c++)
#pragma unroll
        for (int m = 0; m < TILES; m++) {
            float4 w = conv_ld4(weights[m] + (at + c * 16 + lane % 4 * 4));
#pragma unroll
            for (int n = 0; n < 4; n++) {
                ConvSum v = c == 0 ? values[n].x : c == 1 ? values[n].y : c == 2 ? values[n].z : values[n].w;
                ConvSum* s = sum + (m * 4 + n) * 4;
                s[0] += v * w.x;
                s[1] += v * w.y;
                s[2] += v * w.z;
                s[3] += v * w.w;
            }
        }
#endif
}

// Pair i (0 <= i < 8 TILES) of a lane's sums: its pixel, its first output of the tile, the values.
DEV void conv_pair(const ConvSum* sum, int i, int& pixel, int& o, float& v0, float& v1) {
    int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, e = i % 2, n = i / 2 % 4, m = i / 8;
#if ARITHMETIC == 1
    pixel = 8 * n + 2 * t + e;
    o = 16 * m + 2 * g;
    v0 = sum[i / 2 * 4 + e];
    v1 = sum[i / 2 * 4 + e + 2];
#else
    pixel = 8 * n + g;
    o = 16 * m + 4 * t + 2 * e;
    v0 = (float)sum[i / 2 * 4 + 2 * e];
    v1 = (float)sum[i / 2 * 4 + 2 * e + 1];
#endif
}

// Where a warp stands in its block: 8 / split groups of 32 pixels, of which `split` warps each add up every split-th step.
struct ConvPlace {
    int groups, group, part;   // Part 0 of a group finishes it.
};
DEV ConvPlace conv_place(int split) {
    int warp = threadIdx.x / 32, shift = (split < 8) + (split < 4) + (split < 2);
    return {1 << shift, warp & ((1 << shift) - 1), warp >> shift};
}

// Adds the sums of the other warps of a group to those of the first, in their order. All threads; `room`: groups x 512 TILES.
template <int TILES>
DEV void conv_gather(ConvSum* sum, const ConvPlace& place, int split, ConvSum* room) {
    ConvSum* mine = room + place.group * TILES * 512 + threadIdx.x % 32;
    for (int part = 1; part < split; part++) {
        __syncthreads();
        if (place.part == part)
#pragma unroll
            for (int i = 0; i < 16 * TILES; i++) mine[i * 32] = sum[i];
        __syncthreads();
        if (place.part == 0)
#pragma unroll
            for (int i = 0; i < 16 * TILES; i++) sum[i] += mine[i * 32];
    }
    __syncthreads();
}

// ---- What a block reads, in shared memory --------------------------------------------------------------------------------------
//
// Windows that make [images, mh, mw] see an image [images, h, w, c] in a frame of zeros, [images, ph, pw] positions: (y, x) is
// at (y + pad, x + pad), and the windows of neighbours overlap as their positions do. A block makes a run of pixels; it needs a
// run of positions, and where a tap lies from a pixel's first position is the same for all pixels: no bounds in the loop, and what the
// norm before and the ReLU make of a value is worked out once for all taps.

struct ConvFrame {
    int images, h, w, c;
    int mh, mw, ph, pw, stride, pad;
};
DEV ConvFrame conv_frame(const Window& n) {
    int reach = (n.k - 1) * n.dilation + 1;
    return {n.b, n.h, n.w, n.c, n.oh, n.ow, (n.oh - 1) * n.stride + reach, (n.ow - 1) * n.stride + reach, n.stride, n.pad};
}
// What the pixels of the input see of the output, with stride 1 and taps from the last to the first.
DEV ConvFrame conv_frame_back(const Window& n) {
    int reach = (n.k - 1) * n.dilation;
    return {n.b, n.oh, n.ow, n.oc, n.h, n.w, n.h + reach, n.w + reach, 1, reach - n.pad};
}
// The first position of pixel p.
DEV int conv_position(const ConvFrame& f, int p) {
    if (f.ph == f.mh && f.pw == f.mw) return p;   // 1x1
    unsigned row = (unsigned)p / (unsigned)f.mw, image = row / (unsigned)f.mh;
    return (int)((image * f.ph + (row - image * f.mh) * f.stride) * f.pw + (p - row * f.mw) * f.stride);
}

// Where pixels p, p + 8, p + 16, p + 24 of a lane stand in a staged image that begins at position `begin`; those from `end` on at
// its begin.
DEV void conv_places(const ConvFrame& f, int p, int end, int begin, int* at) {
    int row = (unsigned)p / (unsigned)f.mw, x = p - row * f.mw, y = row - (unsigned)row / (unsigned)f.mh * f.mh;
    int position = conv_position(f, p) - begin, by_row = f.stride * (f.pw - f.mw), by_image = (f.ph - f.mh * f.stride) * f.pw;
#pragma unroll
    for (int n = 0; n < 4; n++) {
        at[n] = p + 8 * n < end ? position * 16 : 0;
        position += 8 * f.stride;
        x += 8;
        while (x >= f.mw) {
            x -= f.mw;
            position += by_row;
            if (++y == f.mh) {
                y = 0;
                position += by_image;
            }
        }
    }
}

// What a thread reads: a r v + b z + g for four channels, then perhaps the ReLU.
struct ConvReader {
    const float *v, *z, *r;
    float4 a, b, g;
    int relu;
};
DEV ConvReader conv_reader(const Source& s, int c, bool exists) {
    bool affine = s.a && exists;
    return {s.x, nullptr, nullptr, affine ? conv_ld4(s.a + c) : f4(1.f), f4(0.f), affine ? conv_ld4(s.t + c) : f4(0.f), s.relu};
}
DEV ConvReader conv_reader(const Gradient& d, int c, bool exists) {
    bool with_z = d.z && exists;
    return {d.dy, d.z, d.r, exists ? conv_ld4(d.a + c) : f4(0.f), with_z ? conv_ld4(d.b + c) : f4(0.f),
            with_z ? conv_ld4(d.g + c) : f4(0.f), 0};
}

// Positions from `first` on, `len` of them, 4 quads channels from c on: to[16 channels][len][PITCH]. All threads; quads is at
// most THREADS.
// BATCH: loads that go out before the first one is used.
template <int PITCH, int BATCH, class Of>
DEV void conv_stage(float* to, const ConvFrame& f, const Of& of, int first, int len, int c, int quads) {
    unsigned lanes = (unsigned)THREADS / (unsigned)quads, lane = threadIdx.x / (unsigned)quads, quad = threadIdx.x - lane * quads;
    if (lane >= lanes) return;
    c += 4 * quad;
    bool exists = c < f.c;
    ConvReader in = conv_reader(of, c, exists);
    unsigned pw = f.pw, ph = f.ph, row = (first + lane) / pw;
    int col = first + lane - row * pw, image = row / ph, y = row - image * ph;
    int rows = lanes / pw, cols = lanes - rows * pw, images = (unsigned)rows / ph;
    rows -= images * ph;
    to += quad / 4 * len * PITCH + lane * PITCH + quad % 4 * 4;
    for (int at = lane; at < len; at += BATCH * lanes, to += BATCH * lanes * PITCH) {
        float4 v[BATCH], z[BATCH];
        float r[BATCH];
        bool inside[BATCH];
#pragma unroll
        for (int j = 0; j < BATCH; j++) {
            int iy = y - f.pad, ix = col - f.pad;
            inside[j] = exists & (image < f.images) & ((unsigned)iy < (unsigned)f.h) & ((unsigned)ix < (unsigned)f.w) &
                        (at + j * (int)lanes < len);
            int from = ((image * f.h + iy) * f.w + ix) * f.c + c;
            v[j] = inside[j] ? conv_ld4(in.v + from) : f4(0.f);
            z[j] = inside[j] & (in.z != nullptr) ? conv_ld4(in.z + from) : f4(0.f);
            r[j] = inside[j] & (in.r != nullptr) ? __ldg(in.r + image) : 1.f;
            col += cols;
            y += rows;
            image += images;
            if (col >= (int)pw) {
                col -= pw;
                y++;
            }
            if (y >= (int)ph) {
                y -= ph;
                image++;
            }
        }
#pragma unroll
        for (int j = 0; j < BATCH; j++) {
            float4 g = in.g;
            if (in.z) g = fma4(in.b, z[j], g);
            if (in.r) v[j] = scale4(r[j], v[j]);
            v[j] = fma4(in.a, v[j], g);
            if (in.relu) v[j] = relu4(v[j]);
            if (at + j * (int)lanes < len) st4(to + j * lanes * PITCH, inside[j] ? v[j] : f4(0.f));
        }
    }
}

// The products of a window whose taps are `step` floats apart, rows of taps `row_step`, for pixels at at[n] of a staged image.
template <int TILES>
DEV void conv_staged_sums(ConvSum* sum, const float* image, int len, const int* at, int k, int step, int row_step, int c,
                          const float* const (&weights)[TILES], int part, int split) {
    int chunks = conv_up(c, CONV_CHANNELS), tap_len = conv_up(c, 16) * 256 * CONV_PARTS, chunk = part, tap = 0;
    image += CONV_FIRST;
    row_step -= k * step;
    for (int ty = 0; ty < k; ty++, image += row_step)
        for (int tx = 0; tx < k; tx++, image += step, tap += tap_len, chunk -= chunks)
            for (; chunk < chunks; chunk += split) {
                const float* from = image + chunk * CONV_CHANNELS / 16 * len * 16 + chunk * CONV_CHANNELS % 16;
                float4 values[4];
#pragma unroll
                for (int n = 0; n < 4; n++) values[n] = ld4(from + at[n]);
                conv_multiply<TILES>(sum, values, weights, tap + chunk * CONV_CHANNELS * 16 * CONV_PARTS);
            }
}
