// A depthwise convolution and the pointwise one behind it, as one: u = depthwise(x), z = pointwise(u). u is never written: the
// forward pass makes it tile by tile in shared memory, the gradient of the pointwise weights makes it again. (separable_back.cu,
// which goes behind this file: the gradients; conv.cu goes before it: weights and products.)
//
// A tile is a run of groups of four pixels of a row of [b, oh, ow]; rows are filled up to whole groups, so that the four always
// are neighbours and share what they read. What stands behind the end of a row is zero and is not written.
// P(channels) = separable_pixels: pixels of a tile, of the larger of the two numbers of channels (stored ones, as all here).
// S(channels) = separable_row: floats of a pixel of a tile in shared memory, those behind the channels zero.

struct SeparableSum4 { ConvSum x, y, z, w; };

DEV float separable_fma(float a, float b, float c) { return fmaf(a, b, c); }
DEV double separable_fma(float a, float b, double c) { return (double)a * b + c; }
DEV void separable_add(SeparableSum4& s, float4 a, float4 b) {
    s.x = separable_fma(a.x, b.x, s.x);
    s.y = separable_fma(a.y, b.y, s.y);
    s.z = separable_fma(a.z, b.z, s.z);
    s.w = separable_fma(a.w, b.w, s.w);
}
DEV void separable_zero(SeparableSum4* s, int n) {
#pragma unroll
    for (int i = 0; i < n; i++) s[i].x = s[i].y = s[i].z = s[i].w = 0;
}
DEV float4 separable_float4(const SeparableSum4& s) { return make_float4((float)s.x, (float)s.y, (float)s.z, (float)s.w); }

DEV int separable_pixels(int channels) {
    return channels <= 16 ? 256 : channels <= 32 ? 128 : channels <= 128 ? 64 : channels <= 256 ? 32 : 16;
}
// An odd multiple of 16; every other pair of pixels has the halves of its runs of 16 channels the other way round. So the tensor
// cores' operands lie in different banks, be it that lanes read 16 channels of eight pixels or 16 channels of four.
DEV int separable_row(int channels) { return 16 * (conv_up(channels, 16) | 1); }
DEV int separable_spot(int row, int pixel, int c) { return pixel * row + (c ^ (pixel & 2) << 2); }

// ---- Depthwise ----------------------------------------------------------------------------------------------------------------

// Four channels of an image that a depthwise convolution reads: max(a x + t, floor); PLAIN: x as it is.
struct SeparableSource {
    const float* x;
    float4 a, t;
    float floor;
    int h, w, c;
};

DEV SeparableSource separable_source(const Source& s, int h, int w, int c, int channel) {
    SeparableSource in;
    in.x = s.x + channel;
    in.a = s.a ? conv_ld4(s.a + channel) : f4(1.f);
    in.t = s.a ? conv_ld4(s.t + channel) : f4(0.f);
    in.floor = s.relu ? 0.f : __uint_as_float(0xff800000u);
    in.h = h;
    in.w = w;
    in.c = c;
    return in;
}
template <bool PLAIN>
DEV float4 separable_made(const SeparableSource& in, float4 v) {
    if (PLAIN) return v;
    v = fma4(in.a, v, in.t);
    return make_float4(not_below(v.x, in.floor), not_below(v.y, in.floor), not_below(v.z, in.floor), not_below(v.w, in.floor));
}
// Pixel x of the row that begins at `row`, zero outside of it.
template <bool PLAIN>
DEV float4 separable_at(const SeparableSource& in, const float* row, int x) {
    return (unsigned)x < (unsigned)in.w ? separable_made<PLAIN>(in, conv_ld4(row + x * in.c)) : f4(0.f);
}
// N neighbours from x on, zero outside of the row. What is outside is read at its end: without branches, all loads go out at once.
template <bool PLAIN, int N>
DEV void separable_row_of(float4* v, const SeparableSource& in, const float* row, int x, bool there) {
#pragma unroll
    for (int j = 0; j < N; j++) v[j] = conv_ld4(row + min(max(x + j, 0), in.w - 1) * in.c);
#pragma unroll
    for (int j = 0; j < N; j++) {
        float4 made = separable_made<PLAIN>(in, v[j]);
        v[j] = there & ((unsigned)(x + j) < (unsigned)in.w) ? made : f4(0.f);
    }
}

// Four neighbouring outputs, the first one's window beginning at (y, x), stride 1: a row is read once for all of them. `w` is the
// first tap that counts, `step` the floats to the next one.
template <bool PLAIN, int K, int D>
DEV void separable_slide(SeparableSum4* u, const SeparableSource& in, int image, int y, int x, const float* w, int step) {
#pragma unroll 1
    for (int i = 0; i < K; i++, y += D, w += K * step) {
        // A row outside is read at the border: the next row's loads need not wait for a branch.
        const float* row = in.x + (image * in.h + min(max(y, 0), in.h - 1)) * in.w * in.c;
        float4 v[D * (K - 1) + 4];
        separable_row_of<PLAIN, D * (K - 1) + 4>(v, in, row, x, (unsigned)y < (unsigned)in.h);
#pragma unroll
        for (int j = 0; j < K; j++) {
            float4 tap = conv_ld4(w + j * step);
#pragma unroll
            for (int r = 0; r < 4; r++) separable_add(u[r], tap, v[r + D * j]);
        }
    }
}
// The same for any window.
template <bool PLAIN>
DEV void separable_step(SeparableSum4* u, const SeparableSource& in, int image, int y, int x, const Window& n, const float* w,
                        int step) {
#pragma unroll 1
    for (int i = 0; i < n.k; i++, y += n.dilation, w += n.k * step) {
        if ((unsigned)y >= (unsigned)in.h) continue;
        const float* row = in.x + (long long)(image * in.h + y) * in.w * in.c;
#pragma unroll 2
        for (int j = 0; j < n.k; j++) {
            float4 tap = conv_ld4(w + j * step);
#pragma unroll
            for (int r = 0; r < 4; r++) separable_add(u[r], tap, separable_at<PLAIN>(in, row, x + r * n.stride + j * n.dilation));
        }
    }
}
template <bool PLAIN>
DEV void separable_window(SeparableSum4* u, const SeparableSource& in, int image, int y, int x, const Window& n, const float* w,
                          int step) {
    if (n.stride == 1 && n.k == 3 && n.dilation == 1) separable_slide<PLAIN, 3, 1>(u, in, image, y, x, w, step);
    else if (n.stride == 1 && n.k == 3 && n.dilation == 2) separable_slide<PLAIN, 3, 2>(u, in, image, y, x, w, step);
    else if (n.stride == 1 && n.k == 5 && n.dilation == 1) separable_slide<PLAIN, 5, 1>(u, in, image, y, x, w, step);
    else if (n.stride == 1 && n.k == 5 && n.dilation == 2) separable_slide<PLAIN, 5, 2>(u, in, image, y, x, w, step);
    else separable_step<PLAIN>(u, in, image, y, x, n, w, step);
}

// u of a tile, `channels` from c0 on.
DEV void separable_depthwise(float* u, int row, const Source& x, const Window& n, const float* weights, int tile, int pixels,
                             int c0, int channels) {
    int fours = conv_up(channels, 16) * 4, line = conv_up(n.ow, 4), groups = n.b * n.oh * line;
    for (int i = threadIdx.x; i < pixels / 4 * fours; i += THREADS) {
        int group = i / fours, c = 4 * (i % fours), at = tile * (pixels / 4) + group, left = 0;
        SeparableSum4 sum[4];
        separable_zero(sum, 4);
        if (at < groups && c < channels) {
            int y = at / line, ox = at % line * 4, image = y / n.oh;
            left = n.ow - ox;
            separable_window<false>(sum, separable_source(x, n.h, n.w, n.c, c0 + c), image, (y - image * n.oh) * n.stride - n.pad,
                             ox * n.stride - n.pad, n, weights + c0 + c, n.c);
        }
#pragma unroll
        for (int r = 0; r < 4; r++) st4(u + separable_spot(row, 4 * group + r, c), r < left ? separable_float4(sum[r]) : f4(0.f));
    }
}

// The first pixel of a tile, counted in [b, oh, ow].
DEV int separable_first(const Window& n, int tile, int pixels) {
    int line = conv_up(n.ow, 4), at = tile * (pixels / 4);
    return at / line * n.ow + at % line * 4;
}
// All of them, counted from the first; -1 behind the end of a row.
DEV void separable_places(short* places, const Window& n, int tile, int pixels) {
    int line = conv_up(n.ow, 4), groups = n.b * n.oh * line, first = separable_first(n, tile, pixels);
    for (int i = threadIdx.x; i < pixels; i += THREADS) {
        int at = tile * (pixels / 4) + i / 4, x = at % line * 4 + i % 4;
        places[i] = (short)(at < groups && x < n.ow ? at / line * n.ow + x - first : -1);
    }
}

// ---- Pointwise ----------------------------------------------------------------------------------------------------------------

// The products of 16 outputs and 32 pixels of a tile from `first` on, `runs` times 8 of which are there: sums of conv_multiply.
DEV void separable_product(ConvSum* sum, const float* weights, const float* u, int row, int first, int channels, int runs) {
    int g = threadIdx.x % 32 / 4, mine = ARITHMETIC == 1 ? threadIdx.x % 4 * 4 : 0;
    const float* of[1] = {weights};
#pragma unroll
    for (int i = 0; i < 16; i++) sum[i] = 0;
#pragma unroll 2
    for (int c = 0; c < channels; c += CONV_CHANNELS) {
        float4 values[4];
#pragma unroll
        for (int n = 0; n < 4; n++)
            values[n] = n < runs ? ld4(u + separable_spot(row, first + 8 * n + g, c + mine)) : f4(0.f);
        conv_multiply<1>(sum, values, of, c * 16 * CONV_PARTS);
    }
}
// Floats of the weights of 16 outputs.
DEV long long separable_tile(int channels) { return (long long)conv_up(channels, 16) * 256 * CONV_PARTS; }

// Writes z (from the tile's first pixel on) of 16 outputs and 32 pixels, and its sums to `sums`, [2][oc].
DEV void separable_store(const ConvSum* product, float* z, const short* places, int tile, int oc, int channels, int runs,
                         double* sums) {
    const int OUTPUTS = ARITHMETIC == 1 ? 2 : 4;   // Of a lane.
    int lane = threadIdx.x % 32;
    double rows[2][OUTPUTS] = {};
#pragma unroll
    for (int i = 0; i < 8; i++) {
        int pixel, o, s = ARITHMETIC == 1 ? 0 : i % 2 * 2;
        float v[2];
        conv_pair(product, i, pixel, o, v[0], v[1]);
        o += 16 * tile;
        int place = pixel < 8 * runs ? places[pixel] : -1;
        if (place < 0 || o >= oc) continue;
        if (o >= channels) v[0] = 0.f;
        if (o + 1 >= channels) v[1] = 0.f;
        st2(z + (long long)place * oc + o, make_float2(v[0], v[1]));
#pragma unroll
        for (int j = 0; j < 2; j++) {
            rows[0][s + j] += v[j];
            rows[1][s + j] += (double)v[j] * v[j];
        }
    }
    // Over the lanes that have the same outputs.
#pragma unroll
    for (int row = 0; row < 2; row++)
#pragma unroll
        for (int i = 0; i < OUTPUTS; i++) {
            double s = rows[row][i];
            for (int mask = ARITHMETIC == 1 ? 1 : 4; mask < (ARITHMETIC == 1 ? 4 : 32); mask *= 2)
                s += __shfl_xor_sync(0xffffffffu, s, mask);
            int o = 16 * tile + (ARITHMETIC == 1 ? lane / 4 * 2 : lane % 4 * 4) + i;
            if (o < oc && (ARITHMETIC == 1 ? lane % 4 == 0 : lane < 4)) sums[row * oc + o] = s;
        }
}

// z of [b, oh, ow, oc] and the sums for the norm behind it. A block has `each` tiles, one after the other.
//   P = P(max(c, oc)), Q = max(P / 32, 1)
//   blocks = ceil(tiles / each), tiles = ceil(b oh ceil(ow / 4) / (P / 4)); sums.parts = 2 oc doubles a block
//   shared = 16 + max(4 P (S(c) + 1) + 16 (Q + 1) oc, 16 oc + 2048) bytes
KERNEL(separable_forward, SeparableForwardJob, 2) {
    const SeparableForwardJob& job = jobs[work[blockIdx.x].x];
    SKIP(job);
    int block = work[blockIdx.x].y;
    SHARED(float, shared);
    const Window& n = job.window;
    int pixels = separable_pixels(max(n.c, n.oc)), quads = max(pixels / 32, 1), runs = min(pixels / 8, 4);
    int row = separable_row(n.c);
    int* flag = reinterpret_cast<int*>(shared);
    float* u = shared + 4;
    short* places = reinterpret_cast<short*>(u + pixels * row);
    double* sums = reinterpret_cast<double*>(u + pixels * (row + 1));
    double* all = sums + 2 * quads * n.oc;   // Of all tiles so far.
    int end = min((block + 1) * job.each, conv_up(n.b * n.oh * conv_up(n.ow, 4), pixels / 4));
    for (int tile = block * job.each; tile < end; tile++) {
        separable_places(places, n, tile, pixels);
        separable_depthwise(u, row, job.x, n, job.depthwise, tile, pixels, 0, n.c);
        float* z = job.z + (long long)separable_first(n, tile, pixels) * n.oc;
        __syncthreads();
        for (int unit = threadIdx.x / 32; unit < quads * conv_up(n.oc, 16); unit += THREADS / 32) {
            int quad = unit % quads, outputs = unit / quads;
            ConvSum product[16];
            separable_product(product, job.pointwise + outputs * separable_tile(n.c), u, row, 32 * quad, n.c, runs);
            separable_store(product, z, places + 32 * quad, outputs, n.oc, job.norm.channels, runs, sums + 2 * quad * n.oc);
        }
        __syncthreads();
        for (int i = threadIdx.x; i < 2 * n.oc; i += THREADS) {
            double sum = tile == block * job.each ? 0 : all[i];
            for (int quad = 0; quad < quads; quad++) sum += sums[2 * quad * n.oc + i];
            all[i] = sum;
            if (tile + 1 == end) job.sums.parts[(long long)block * 2 * n.oc + i] = sum;
        }
    }
    if (!is_last(job.sums.done, job.blocks, flag)) return;
    double* total = reinterpret_cast<double*>(u);
    add_parts(job.sums.parts, job.blocks, 2 * n.oc, total, total + 2 * n.oc);
    double count = (double)n.b * n.oh * n.ow;
    for (int i = threadIdx.x; i < n.oc; i += THREADS) norm_forward(job.norm, pass, i, total[i], total[n.oc + i], count);
}
