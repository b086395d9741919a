// The gradient of a dense convolution's weights:
//   dw[o, i, tap] = sum over pixels p of dz[p, o] read(x)[p stride - pad + tap dilation, i]
// A warp makes 16 outputs of up to nine slots, a slot being 16 inputs under one tap, for some of the pixels of its block's split:
// dz is read once for all slots. Slots go tap by tap, then to the next 16 inputs: nine taps of a 3x3, 9 x 16 inputs of a 1x1.
// Warps add up through shared memory, splits through `parts`, always in their order.

#define CONV_SLOTS 9
#define CONV_PITCH 24   // Floats between staged pixels: eight channels of four neighbours are in banks of their own.
#define CONV_CLUSTER 16  // Splits whose parts are added up before those of all clusters.
#if ARITHMETIC == 1
#define CONV_AT_ONCE 8   // Pixels that a warp multiplies at a time,
#define CONV_MINE 2      // and those of a lane: t and t + 4.
#else
#define CONV_AT_ONCE 1
#define CONV_MINE 1
#endif

// A pixel of the output that moves on by the same number of pixels again and again, without divisions.
struct ConvStep {
    int images, y, x;
};
DEV void conv_go_on(int& image, int& y, int& x, const ConvStep& by, const Window& win) {
    x += by.x;
    y += by.y;
    image += by.images;
    if (x >= win.ow) {
        x -= win.ow;
        y++;
    }
    if (y >= win.oh) {
        y -= win.oh;
        image++;
    }
}

// dz as a lane holds it. Tensor cores: outputs 2 g and 2 g + 1 of its two pixels, the rows g and g + 8 of an operand A whose
// columns are pixels; else four outputs from 4 t on.
struct ConvGradient {
#if ARITHMETIC == 1
    uint32_t high[4], low[4];
#else
    float v[4];
#endif
};
// `coefficients`: a, b, g of the block's 16 outputs, 0 where there is none.
DEV void conv_gradient_of(ConvGradient& to, const Gradient& d, const float* coefficients, const Window& win, const int* image,
                          const int* y, const int* x, int tile) {
    int lane = threadIdx.x % 32, o = ARITHMETIC == 1 ? lane / 4 * 2 : lane % 4 * 4;
    coefficients += o;
    o += tile * 16;
#pragma unroll
    for (int j = 0; j < CONV_MINE; j++) {
        bool there = (image[j] < win.b) & (o < win.oc);
        int at = ((image[j] * win.oh + y[j]) * win.ow + x[j]) * win.oc + o;
        float r = there & (d.r != 0) ? __ldg(d.r + image[j]) : 1.f;
        // As gradient1, without branches. A pixel that does not exist is g here, and meets zeros of x.
#if ARITHMETIC == 1
        float2 none = make_float2(0.f, 0.f), v = there ? conv_ld2(d.dy + at) : none;
        float2 z = there & (d.z != 0) ? conv_ld2(d.z + at) : none;
        float2 a = ld2(coefficients), b = ld2(coefficients + 16), g = ld2(coefficients + 32);
        v = make_float2(fmaf(b.x, z.x, g.x) + a.x * (r * v.x), fmaf(b.y, z.y, g.y) + a.y * (r * v.y));
        conv_split(v.x, to.high[2 * j], to.low[2 * j]);
        conv_split(v.y, to.high[2 * j + 1], to.low[2 * j + 1]);
#else
        float4 v = there ? conv_ld4(d.dy + at) : f4(0.f), z = there & (d.z != 0) ? conv_ld4(d.z + at) : f4(0.f);
        v = add4(fma4(ld4(coefficients + 16), z, ld4(coefficients + 32)), mul4(ld4(coefficients), scale4(r, v)));
        to.v[0] = v.x;
        to.v[1] = v.y;
        to.v[2] = v.z;
        to.v[3] = v.w;
#endif
    }
}

// One slot: `sum` += dz x inputs g and g + 8 of the lane's pixels. Tensor cores: one product for each of the two, sum[4 of
// the first, 4 of the second]; else sum[2 output + input].
DEV void conv_slot(ConvSum* sum, const ConvGradient& dz, const float2* v) {
#if ARITHMETIC == 1
    uint32_t high[2][2], low[2][2];
#pragma unroll
    for (int j = 0; j < 2; j++) {
        conv_split(v[j].x, high[0][j], low[0][j]);
        conv_split(v[j].y, high[1][j], low[1][j]);
    }
#pragma unroll
    for (int product = 0; product < 3; product++)
#pragma unroll
        for (int n = 0; n < 2; n++) mma_tf32(sum + 4 * n, product == 0 ? dz.low : dz.high, product == 1 ? low[n] : high[n]);
#else
#pragma unroll
    for (int o = 0; o < 4; o++) {
        ConvSum d = dz.v[o];
        sum[2 * o] += d * v->x;
        sum[2 * o + 1] += d * v->y;
    }
#endif
}
// Output and input, of 16 each, of sum i of a lane.
DEV void conv_slot_place(int i, int lane, int& o, int& c) {
    int g = lane / 4, t = lane % 4;
#if ARITHMETIC == 1
    o = 2 * g + i % 4 / 2;
    c = 2 * t + i % 2 + i / 4 * 8;
#else
    o = 4 * t + i / 2;
    c = g + i % 2 * 8;
#endif
}

DEV void conv_weight_store(const ConvWeightJob& job, int o, int i, int tap, float v) {
    if (o >= job.co || i >= job.ci) return;
    int ci = job.ci, half = 0;
    if (job.kind == 1) {
        half = o >= job.co / 2;
        ci /= 2;
        if (half) {
            o -= job.co / 2;
            i -= ci;
        }
        if (i < 0 || i >= ci) return;
    }
    job.dw[half][((long long)o * ci + i) * job.window.k * job.window.k + tap] = v;
}

// What all threads know of a slot.
struct alignas(16) ConvSlot {
    int dy, dx, c, at;   // Its tap's place, its first input, where that is, in floats from the pixel under tap 0.
};

// What conv_weight_direct needs: slots, a and t of the inputs, coefficients of the gradient.
DEV void conv_weight_tables(const ConvWeightJob& job, int tile, int slot, ConvSlot* table, float* affine, float* coefficients) {
    const Window& win = job.window;
    const Gradient& gradient = job.dz;
    int taps = win.k * win.k;
    // A slot that does not exist has inputs behind the last one.
    for (int i = threadIdx.x; i < CONV_SLOTS * 16; i += THREADS) {
        int s = i / 16, tap = (slot + s) % taps, first = (slot + s) / taps * 16, c = first + i % 16;
        int dy = tap / win.k * win.dilation, dx = tap % win.k * win.dilation;
        if (i % 16 == 0) table[s] = {dy, dx, first, (dy * win.w + dx) * win.c + first};
        bool exists = job.x.a && c < win.c;
        affine[s * 32 + i % 16] = exists ? job.x.a[c] : 1.f;
        affine[s * 32 + 16 + i % 16] = exists ? job.x.t[c] : 0.f;
    }
    if (threadIdx.x < 16) {
        int o = tile * 16 + threadIdx.x;
        bool exists = o < win.oc;
        coefficients[threadIdx.x] = exists ? gradient.a[o] : 0.f;
        coefficients[threadIdx.x + 16] = exists && gradient.z ? gradient.b[o] : 0.f;
        coefficients[threadIdx.x + 32] = exists && gradient.z ? gradient.g[o] : 0.f;
    }
}
// The sums of pixels `from` to `to`, straight from the images.
DEV void conv_weight_direct(const ConvWeightJob& job, const ConvSlot* table, const float* affine, const float* coefficients,
                            int tile, int slots, int from, int to, ConvSum* sum) {
    const Window win = job.window;
    const Gradient gradient = job.dz;
    const float* image_of_x = job.x.x;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    int image[CONV_MINE], y[CONV_MINE], x[CONV_MINE];
#pragma unroll
    for (int j = 0; j < CONV_MINE; j++) {
        int p = from + warp * CONV_AT_ONCE + (ARITHMETIC == 1 ? t + 4 * j : 0);
        image[j] = p / (win.oh * win.ow);
        y[j] = p / win.ow % win.oh;
        x[j] = p % win.ow;
    }
    const int BY = 8 * CONV_AT_ONCE;
    ConvStep by = {BY / (win.oh * win.ow), BY / win.ow % win.oh, BY % win.ow};
    bool with_relu = job.x.relu;
    for (int p = from + warp * CONV_AT_ONCE; p < to; p += BY) {
        ConvGradient dz;
        conv_gradient_of(dz, gradient, coefficients, win, image, y, x, tile);
        int first_y[CONV_MINE], first_x[CONV_MINE], at[CONV_MINE];
#pragma unroll
        for (int j = 0; j < CONV_MINE; j++) {
            first_y[j] = y[j] * win.stride - win.pad;
            first_x[j] = x[j] * win.stride - win.pad;
            at[j] = ((image[j] * win.h + first_y[j]) * win.w + first_x[j]) * win.c + g;
            // A pixel that does not exist is outside for all taps.
            if (image[j] >= win.b) first_y[j] = -(1 << 28);
            conv_go_on(image[j], y[j], x[j], by, win);
        }
        // Three slots at a time: all their loads go out before the products.
#pragma unroll
        for (int s = 0; s < CONV_SLOTS; s += 3) {
            if (s < slots) {
                float2 v[3][CONV_MINE];
                bool inside[3][CONV_MINE];
#pragma unroll
                for (int i = 0; i < 3; i++) {
                    ConvSlot here = table[s + i];
#pragma unroll
                    for (int j = 0; j < CONV_MINE; j++) {
                        unsigned iy = first_y[j] + here.dy, ix = first_x[j] + here.dx;
                        inside[i][j] = (iy < (unsigned)win.h) & (ix < (unsigned)win.w) & (here.c < win.c);
                        v[i][j].x = inside[i][j] ? __ldg(image_of_x + (at[j] + here.at)) : 0.f;
                        v[i][j].y = inside[i][j] & (here.c + 8 < win.c) ? __ldg(image_of_x + (at[j] + here.at + 8)) : 0.f;
                    }
                }
#pragma unroll
                for (int i = 0; i < 3; i++) {
                    if (s + i >= slots) continue;
                    const float* of = affine + (s + i) * 32 + g;
                    float2 a = make_float2(of[0], of[8]), b = make_float2(of[16], of[24]);
#pragma unroll
                    for (int j = 0; j < CONV_MINE; j++) {
                        float2 u = make_float2(fmaf(a.x, v[i][j].x, b.x), fmaf(a.y, v[i][j].y, b.y));
                        if (with_relu) u = make_float2(relu(u.x), relu(u.y));
                        v[i][j] = make_float2(inside[i][j] ? u.x : 0.f, inside[i][j] ? u.y : 0.f);
                    }
                    conv_slot(sum + 8 * (s + i), dz, v[i]);
                }
            }
        }
    }
}

// The products of staged pixels, `n` of them, with SLOTS slots, or with `slots` where that is 0. offsets[s]: from a pixel's first
// position to that of slot s, in bytes as `places`.
template <int SLOTS>
DEV void conv_weight_products(ConvSum* sum, const float* dz, const float* x, const int* places, const int* offsets, int n,
                              int slots) {
    int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    dz += ARITHMETIC == 1 ? 2 * g : 4 * t;
    x += g;
    for (int i = threadIdx.x / 32 * CONV_AT_ONCE + (ARITHMETIC == 1 ? t : 0); i < n; i += 8 * CONV_AT_ONCE) {
        const char* at[CONV_MINE];
        ConvGradient d;
#pragma unroll
        for (int j = 0; j < CONV_MINE; j++) {
            at[j] = (const char*)x + places[i + 4 * j];
#if ARITHMETIC == 1
            float2 v = ld2(dz + (i + 4 * j) * CONV_PITCH);
            conv_split(v.x, d.high[2 * j], d.low[2 * j]);
            conv_split(v.y, d.high[2 * j + 1], d.low[2 * j + 1]);
#else
            float4 v = ld4(dz + i * CONV_PITCH);
            d.v[0] = v.x;
            d.v[1] = v.y;
            d.v[2] = v.z;
            d.v[3] = v.w;
#endif
        }
#pragma unroll
        for (int s = 0; s < CONV_SLOTS; s++) {
            if (SLOTS == 0 && s >= slots) continue;
            float2 v[CONV_MINE];
#pragma unroll
            for (int j = 0; j < CONV_MINE; j++) {
                const float* from = (const float*)(at[j] + offsets[s]);
                v[j] = make_float2(from[0], from[8]);
            }
            conv_slot(sum + 8 * s, d, v);
        }
    }
}

// The same by tiles of pixels in shared memory: positions of x from slot `slot`'s 16 channels on (see conv.cu), and dz.
DEV void conv_weight_staged(const ConvWeightJob& job, int tile, int slot, int slots, int from, int to, ConvSum* sum,
                            float* room) {
    const Window& win = job.window;
    ConvFrame frame = conv_frame(win), of_dz = {win.b, win.oh, win.ow, win.oc, win.oh, win.ow, win.oh, win.ow, 1, 0};
    int taps = win.k * win.k, first_c = slot / taps, runs = (slot + slots - 1) / taps - first_c + 1, most = job.pixels;
    int reach = (win.k - 1) * win.dilation, pixels = win.b * win.oh * win.ow;
    int *offsets = (int*)room, *places = offsets + 16;   // places: of the pixels of a tile, in bytes from its first position.
    float *dz = room + 16 + most, *x = dz + most * CONV_PITCH;
    for (; from < to; from += most) {
        int n = min(most, to - from), begin = conv_position(frame, from), end = conv_position(frame, min(from + n, pixels) - 1);
        int len = end - begin + reach * (frame.pw + 1) + 1, p = from + threadIdx.x;
        __syncthreads();
        // A pixel that does not exist meets zeros of dz.
        if (threadIdx.x < n) places[threadIdx.x] = p < pixels ? (conv_position(frame, p) - begin) * CONV_PITCH * 4 : 0;
        if (threadIdx.x < slots) {
            int s = slot + threadIdx.x, run = s / taps, tap = s - run * taps, ty = tap / win.k, tx = tap - ty * win.k;
            offsets[threadIdx.x] = ((run - first_c) * len + (ty * frame.pw + tx) * win.dilation) * CONV_PITCH * 4;
        }
        conv_stage<CONV_PITCH, 2>(dz, of_dz, job.dz, from, n, tile * 16, 4);
        conv_stage<CONV_PITCH, 2>(x, frame, job.x, begin, len, first_c * 16, 4 * runs);
        __syncthreads();
        if (slots == CONV_SLOTS)
            conv_weight_products<CONV_SLOTS>(sum, dz, x, places, offsets, n, slots);
        else
            conv_weight_products<0>(sum, dz, x, places, offsets, n, slots);
    }
}

// Adds up the parts of `n` splits, `step` splits apart from `split` on, in their order: a thread's entry of each slot.
DEV void conv_weight_add(const float* parts, int n, long long step, int slots, ConvSum* total) {
#pragma unroll
    for (int s = 0; s < CONV_SLOTS; s++) total[s] = 0;
#pragma unroll 4
    for (int i = 0; i < n; i++, parts += step) {
#pragma unroll
        for (int s = 0; s < CONV_SLOTS; s++)
            if (s < slots) total[s] += parts[s * 256];
    }
}

// Blocks: groups * splits, where groups = ceil(oc / 16) * ceil(k k ceil(c / 16) / 9); parts: splits * groups * 2304 floats; done:
// groups * (1 + ceil(splits / 16)) ints. Shared memory: 16 + max(1488 + 16384, 4 staged) bytes, 16384 more where ARITHMETIC is 2;
// `staged` is 0 or 16 + 25 pixels + 24 * (the most positions that `pixels` pixels see) * (the most runs of 16 channels of 9
// slots).
KERNEL(conv_weight, ConvWeightJob, 2) {
    SHARED(char, shared);
    const ConvWeightJob& job = jobs[work[blockIdx.x].x];
    SKIP(job);
    int* flag = (int*)shared;
    const Window& win = job.window;
    int block = work[blockIdx.x].y, groups = job.blocks / job.splits, group = block % groups, split = block / groups;
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int taps = win.k * win.k, all = taps * conv_up(win.c, 16), in_row = conv_up(all, CONV_SLOTS);
    int tile = group / in_row, slot = group % in_row * CONV_SLOTS, slots = min(CONV_SLOTS, all - slot);
    // Pixels of the split: whole runs of those read at a time, or eights.
    int run = job.staged ? job.pixels : 8, runs = conv_up(win.b * win.oh * win.ow, run);
    int from = (int)((long long)runs * split / job.splits) * run, to = (int)((long long)runs * (split + 1) / job.splits) * run;
    ConvSum sum[CONV_SLOTS * 8];
#pragma unroll
    for (int i = 0; i < CONV_SLOTS * 8; i++) sum[i] = 0;
    if (job.staged) {
        conv_weight_staged(job, tile, slot, slots, from, to, sum, (float*)(shared + 16));
    } else {
        ConvSlot* table = (ConvSlot*)(shared + 16);
        float* affine = (float*)(table + CONV_SLOTS);   // a and t of each slot's 16 inputs.
        float* coefficients = affine + CONV_SLOTS * 32;
        conv_weight_tables(job, tile, slot, table, affine, coefficients);
        __syncthreads();
        conv_weight_direct(job, table, affine, coefficients, tile, slots, from, to, sum);
    }
    __syncthreads();
    ConvSum* room = (ConvSum*)(shared + 16);
    float* parts = job.parts + ((long long)split * groups + group) * CONV_SLOTS * 256 + threadIdx.x;
#pragma unroll
    for (int s = 0; s < CONV_SLOTS; s++) {
        if (s < slots) {
            // Two rooms in turn: one barrier a slot.
            ConvSum* half = room + s % 2 * 2048;
#pragma unroll
            for (int i = 0; i < 8; i++) half[warp * 256 + i * 32 + lane] = sum[s * 8 + i];
            __syncthreads();
            ConvSum v = 0;
#pragma unroll
            for (int w = 0; w < 8; w++) v += half[w * 256 + threadIdx.x];
            parts[s * 256] = (float)v;
        }
    }
    // The parts of a cluster, then those of all clusters, at their first splits.
    int clusters = conv_up(job.splits, CONV_CLUSTER), cluster = split / CONV_CLUSTER, first = cluster * CONV_CLUSTER;
    int* done = job.done + group * (1 + clusters);
    int here = min(CONV_CLUSTER, job.splits - first);
    if (!is_last(done + 1 + cluster, here, flag)) return;
    ConvSum total[CONV_SLOTS];
    long long step = (long long)groups * CONV_SLOTS * 256;
    parts = job.parts + (long long)group * CONV_SLOTS * 256 + threadIdx.x;
    conv_weight_add(parts + first * step, here, step, slots, total);
    if (clusters > 1) {
#pragma unroll
        for (int s = 0; s < CONV_SLOTS; s++)
            if (s < slots) parts[first * step + s * 256] = (float)total[s];
        if (!is_last(done, clusters, flag)) return;
        conv_weight_add(parts, clusters, CONV_CLUSTER * step, slots, total);
    }
    int co, ci;
    conv_slot_place(warp, lane, co, ci);
#pragma unroll
    for (int s = 0; s < CONV_SLOTS; s++)
        if (s < slots) conv_weight_store(job, tile * 16 + co, (slot + s) / taps * 16 + ci, (slot + s) % taps, (float)total[s]);
}
