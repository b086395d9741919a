// The backward pass of separable.cu, which stands before it.

// Adds up the parts that `splits` runs of tiles left, [splits][rows][c], in a fixed order, and writes the real ones as a
// gradient: number (row, channel) to dw[row row_step + channel channel_step]. Called by all blocks of a job, `pieces` of each
// split. The last block of eight splits adds up those, the last one of these the sums of the others: no block reads many parts.
//   counters = 1 + ceil(splits / 8), 0 between launches
DEV void separable_finish(float* parts, int* done, float* dw, int split, int splits, int pieces, int rows, int c, int real_rows,
                          int channels, int row_step, int channel_step, int* flag) {
    int first = split / 8 * 8, n = min(8, splits - first), step = 1;
    long long len = (long long)rows * c;
    if (!is_last(done + 1 + first / 8, pieces * n, flag)) return;
    if (splits > 8) {
        for (long long i = threadIdx.x * 4; i < len; i += THREADS * 4) {
            float4 sum = f4(0.f);
#pragma unroll 8
            for (int j = 0; j < n; j++) sum = add4(sum, ld4(parts + (first + j) * len + i));
            st4(parts + first * len + i, sum);
        }
        n = (splits + 7) / 8;
        step = 8;
        if (!is_last(done, n, flag)) return;
    }
    for (long long i = threadIdx.x * 4; i < len; i += THREADS * 4) {
        int r = (int)(i / c), channel = (int)(i % c);
        float4 sum = f4(0.f);
#pragma unroll 8
        for (int j = 0; j < n; j++) sum = add4(sum, ld4(parts + j * step * len + i));
        if (r >= real_rows) continue;
        float v[4] = {sum.x, sum.y, sum.z, sum.w};
#pragma unroll
        for (int j = 0; j < 4; j++)
            if (channel + j < channels) dw[(long long)r * row_step + (long long)(channel + j) * channel_step] = v[j];
    }
}

// dz of a tile whose first pixel is `base`, outputs from o0 on. A thread keeps its four channels and reads four pixels at a time.
DEV void separable_gradient(float* dz, int row, const Gradient& d, const Window& n, const short* places, int base, int pixels,
                            int o0, int outputs) {
    int fours = conv_up(outputs, 16) * 4, step = THREADS / fours, c = 4 * (threadIdx.x % fours), o = o0 + c;
    if (threadIdx.x >= fours * step) return;
    bool there = c < outputs;
    float4 a = f4(0.f), b = f4(0.f), g = f4(0.f);
    if (there) a = conv_ld4(d.a + o);
    if (there && d.z) {
        b = conv_ld4(d.b + o);
        g = conv_ld4(d.g + o);
    }
    for (int first = threadIdx.x / fours; first < pixels; first += 4 * step) {
        float4 v[4], z[4];
        int place[4];
        // Without branches, all loads go out at once.
#pragma unroll
        for (int j = 0; j < 4; j++) {
            int p = first + j * step;
            place[j] = p < pixels && there ? places[p] : -1;
            int at = (base + place[j]) * n.oc + o;
            v[j] = place[j] >= 0 ? conv_ld4(d.dy + at) : f4(0.f);
            z[j] = place[j] >= 0 && d.z ? conv_ld4(d.z + at) : f4(0.f);
        }
#pragma unroll
        for (int j = 0; j < 4; j++) {
            if (d.r && place[j] >= 0) v[j] = scale4(ld(d.r + (base + place[j]) / (n.oh * n.ow)), v[j]);
            v[j] = add4(fma4(b, z[j], g), mul4(a, v[j]));
            if (first + j * step < pixels) st4(dz + separable_spot(row, first + j * step, c), place[j] >= 0 ? v[j] : f4(0.f));
        }
    }
}

// sum += the products of dz and u over the pixels from `first` to `end` of a tile: 16 outputs from o on, `runs` times 16 inputs.
// A lane has the outputs 2 g and 2 g + 1 and the inputs 4 t to 4 t + 3 of each run:
//   tensor cores: [run][input % 2][output][input / 2], else [run][output][input].
DEV void separable_outer(ConvSum* sum, const float* dz, int dz_row, const float* u, int u_row, int first, int end, int o,
                         int runs) {
    int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
#if ARITHMETIC == 1
    for (int p = first; p < end; p += 8) {
        uint32_t ah[4], al[4];
#pragma unroll
        for (int j = 0; j < 2; j++) {
            float2 v = ld2(dz + separable_spot(dz_row, p + t + 4 * j, o + 2 * g));
            conv_split(v.x, ah[2 * j], al[2 * j]);
            conv_split(v.y, ah[2 * j + 1], al[2 * j + 1]);
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (i >= runs) continue;
            uint32_t bh[2][2], bl[2][2];
#pragma unroll
            for (int j = 0; j < 2; j++) {
                float2 v = ld2(u + separable_spot(u_row, p + t + 4 * j, 16 * i + 2 * g));
                conv_split(v.x, bh[0][j], bl[0][j]);
                conv_split(v.y, bh[1][j], bl[1][j]);
            }
#pragma unroll
            for (int product = 0; product < 3; product++)
#pragma unroll
                for (int odd = 0; odd < 2; odd++)
                    mma_tf32(sum + 8 * i + 4 * odd, product == 0 ? al : ah, product == 1 ? bl[odd] : bh[odd]);
        }
    }
#else
    for (int p = first; p < end; p++) {
        float2 d = ld2(dz + separable_spot(dz_row, p, o + 2 * g));
#pragma unroll
        for (int i = 0; i < 4; i++) {
            if (i >= runs) continue;
            float4 v = ld4(u + separable_spot(u_row, p, 16 * i + 4 * t));
            float in[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
            for (int j = 0; j < 4; j++) {
                sum[8 * i + j] = separable_fma(d.x, in[j], sum[8 * i + j]);
                sum[8 * i + 4 + j] = separable_fma(d.y, in[j], sum[8 * i + 4 + j]);
            }
        }
    }
#endif
}
DEV float4 separable_outer_at(const ConvSum* sum, int run, int output) {
#if ARITHMETIC == 1
    const float* s = sum + 8 * run + 2 * output;
    return make_float4(s[0], s[4], s[1], s[5]);
#else
    const ConvSum* s = sum + 8 * run + 4 * output;
    return make_float4((float)s[0], (float)s[1], (float)s[2], (float)s[3]);
#endif
}

// da (from the tile's first pixel on) of 16 inputs from c on and 32 pixels; of the stored channels `real` ones are real.
DEV void separable_store_da(const ConvSum* product, float* da, const short* places, int c, int channels, int real, int runs) {
#pragma unroll
    for (int i = 0; i < 8; i++) {
        int pixel, o;
        float v0, v1;
        conv_pair(product, i, pixel, o, v0, v1);
        int place = pixel < 8 * runs ? places[pixel] : -1;
        o += c;
        if (place < 0 || o >= channels) continue;
        st2(da + (long long)place * channels + o, make_float2(o < real ? v0 : 0.f, o + 1 < real ? v1 : 0.f));
    }
}

// da = pointwise^T(dz), [b, oh, ow, c], and dw[o, c] = sum over pixels of dz[o] u[c]. A block has a run of tiles and a piece of
// dw, up to 128 outputs by up to 64 inputs; pieces of the first 128 outputs also make da of their inputs.
//   P = P(max(c, oc)), tiles = ceil(b oh ceil(ow / 4) / (P / 4)), pieces = ceil(c / 64) ceil(oc / 128), oc <= 1024
//   blocks = splits pieces, splits from 1 to tiles; parts = splits oc c floats; counters: see separable_finish
//   shared = 16 + max(4 P (S(oc) + S(min(c, 64)) + 1), 512 R(min(c, 64))) bytes, R(c) = c rounded up to 16
KERNEL(separable_inner, SeparableInnerJob, 2) {
    const SeparableInnerJob& job = jobs[work[blockIdx.x].x];
    SKIP(job);
    int block = work[blockIdx.x].y;
    SHARED(float, shared);
    const Window& n = job.window;
    int pixels = separable_pixels(max(n.c, n.oc)), quads = max(pixels / 32, 1), quad_runs = min(pixels / 8, 4);
    int pieces_c = conv_up(n.c, 64), pieces = pieces_c * conv_up(n.oc, 128), split = block / pieces, piece = block % pieces;
    int c0 = piece % pieces_c * 64, o0 = piece / pieces_c * 128;
    int inputs = min(64, n.c - c0), outputs = min(128, n.oc - o0), runs = conv_up(inputs, 16), width = 16 * runs;
    int dz_row = separable_row(n.oc), u_row = separable_row(min(n.c, 64));
    int* flag = reinterpret_cast<int*>(shared);
    float* dz = shared + 4;
    float* u = dz + pixels * dz_row;
    short* places = reinterpret_cast<short*>(u + pixels * u_row);   // Of this tile and the next one, by turns.

    // The warps have 16 rows of dw each, where there are fewer than 128 some of the pixels, too.
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, rows = conv_up(outputs, 16), shares = 8;
    while (shares * rows > 8 || shares * 8 > pixels) shares /= 2;
    int my_row = warp % rows, share = warp / rows, part = pixels / shares;
    ConvSum sum[32];
#pragma unroll
    for (int i = 0; i < 32; i++) sum[i] = 0;

    int tiles = conv_up(n.b * n.oh * conv_up(n.ow, 4), pixels / 4), end = (int)((long long)tiles * (split + 1) / job.splits);
    int tile = (int)((long long)tiles * split / job.splits);
    separable_places(places + tile % 2 * pixels, n, tile, pixels);
    __syncthreads();
    for (; tile < end; tile++) {
        const short* here = places + tile % 2 * pixels;
        int base = separable_first(n, tile, pixels);
        separable_places(places + (tile + 1) % 2 * pixels, n, tile + 1, pixels);
        separable_gradient(dz, dz_row, job.dz, n, here, base, pixels, o0, o0 == 0 ? n.oc : outputs);
        separable_depthwise(u, u_row, job.x, n, job.depthwise, tile, pixels, c0, inputs);
        __syncthreads();
        for (int unit = warp; o0 == 0 && unit < quads * runs; unit += THREADS / 32) {
            int quad = unit % quads, tile_c = c0 / 16 + unit / quads;
            ConvSum product[16];
            separable_product(product, job.pointwise + tile_c * separable_tile(n.oc), dz, dz_row, 32 * quad, n.oc, quad_runs);
            separable_store_da(product, job.da + (long long)base * n.c, here + 32 * quad, 16 * tile_c, n.c, job.ci,
                               quad_runs);
        }
        if (share < shares) separable_outer(sum, dz, dz_row, u, u_row, share * part, (share + 1) * part, 16 * my_row, runs);
        __syncthreads();
    }

    // The shares in their order.
    if (share < shares) {
        float* to = dz + ((share * rows + my_row) * 16 + lane / 4 * 2) * width + lane % 4 * 4;
#pragma unroll
        for (int i = 0; i < 8; i++)
            if (i / 2 < runs) st4(to + i % 2 * width + i / 2 * 16, separable_outer_at(sum, i / 2, i % 2));
    }
    __syncthreads();
    for (int i = threadIdx.x; i < outputs * inputs; i += THREADS) {
        int o = i / inputs, c = i % inputs;
        ConvSum v = 0;
        for (int j = 0; j < shares; j++) v += dz[(j * rows * 16 + o) * width + c];
        job.parts[((long long)split * n.oc + o0 + o) * n.c + c0 + c] = (float)v;
    }
    separable_finish(job.parts, job.done, job.dw, split, job.splits, pieces, n.oc, n.c, job.co, job.ci, job.ci, 1, flag);
}

// What stride 2 makes of da: the outputs that read the pixels (y, x) to (y, x + 3) of the image.
DEV void separable_apart(SeparableSum4* sum, const float* da, const Window& n, int image, int y, int x, const float* w) {
    for (int i = 0; i < n.k; i++) {
        int oy = y + n.pad - i * n.dilation;
        if (oy < 0 || oy & 1 || oy / 2 >= n.oh) continue;
        const float* row = da + (long long)(image * n.oh + oy / 2) * n.ow * n.c;
        for (int j = 0; j < n.k; j++) {
            float4 tap = conv_ld4(w + (i * n.k + j) * n.c);
#pragma unroll
            for (int r = 0; r < 4; r++) {
                int ox = x + r + n.pad - j * n.dilation;
                if (ox >= 0 && !(ox & 1) && ox / 2 < n.ow) separable_add(sum[r], tap, conv_ld4(row + ox / 2 * n.c));
            }
        }
    }
}

// dx of [b, h, w, c]. A thread has four channels of four neighbouring pixels.
//   blocks = ceil(b h ceil(w / 4) (c / 4) / THREADS); no shared memory
KERNEL(separable_input, SeparableInputJob, 2) {
    const SeparableInputJob& job = jobs[work[blockIdx.x].x];
    SKIP(job);
    int fours = job.c / 4, line = conv_up(job.w, 4);
    long long i = (long long)work[blockIdx.x].y * THREADS + threadIdx.x;
    if (i >= (long long)job.b * job.h * line * fours) return;
    int c = 4 * (int)(i % fours), group = (int)(i / fours), y = group / line, x = group % line * 4, image = y / job.h;
    y -= image * job.h;
    SeparableSum4 sum[4];
    separable_zero(sum, 4);
    for (int part = 0; part < job.n_parts; part++) {
        const SeparableInputPart& p = job.parts[part];
        if (p.live && !*p.live) continue;
        Window n = p.window;
        if (n.stride == 1) {
            // The same sum as forward, taps from the last to the first.
            Source s = {p.da, nullptr, nullptr, 0, 0};
            int before = (n.k - 1) * n.dilation - n.pad;
            separable_window<true>(sum, separable_source(s, n.oh, n.ow, n.c, c), image, y - before, x - before, n,
                             p.depthwise + (n.k * n.k - 1) * n.c + c, -n.c);
        } else {
            separable_apart(sum, p.da + c, n, image, y, x, p.depthwise + c);
        }
    }
    for (int r = 0; r < 4 && x + r < job.w; r++) {
        long long at = ((long long)(image * job.h + y) * job.w + x + r) * job.c + c;
        float4 v = separable_float4(sum[r]);
        if (job.x.relu) v = relu_gradient4(value4(job.x, at, c), v);
        st4(job.dx + at, job.add ? add4(ld4(job.dx + at), v) : v);
    }
}

// A group of four pixels that goes on by `step` groups again and again, without divisions.
struct SeparableWalk {
    int group, image, y, x;    // The x-th group of row y.
    int step, images, ys, xs;
    int oh, line;
};
DEV SeparableWalk separable_walk(const Window& n, int group, int step) {
    int line = conv_up(n.ow, 4), y = group / line, ys = step / line;
    return {group, y / n.oh, y % n.oh, group % line, step, ys / n.oh, ys % n.oh, step % line, n.oh, line};
}
DEV void separable_go_on(SeparableWalk& w) {
    w.group += w.step;
    w.image += w.images;
    w.y += w.ys;
    w.x += w.xs;
    if (w.x >= w.line) {
        w.x -= w.line;
        w.y++;
    }
    if (w.y >= w.oh) {
        w.y -= w.oh;
        w.image++;
    }
}

// One row of taps, number ty: sum[j] += da read(x) over groups of outputs, from the walk's on to `end`. K 0: any window.
template <int K, int D>
DEV void separable_taps_run(SeparableSum4* sum, const SeparableTapJob& job, const SeparableSource& in, SeparableWalk walk, int end,
                            int c, int ty) {
    const Window& n = job.window;
    for (; walk.group < end; separable_go_on(walk)) {
        int iy = walk.y * n.stride - n.pad + ty * n.dilation, ox = walk.x * 4;
        if ((unsigned)iy >= (unsigned)n.h) continue;
        const float* row = in.x + (walk.image * n.h + iy) * n.w * n.c;
        const float* da = job.da + ((walk.image * n.oh + walk.y) * n.ow + ox) * n.c + c;
        int x = ox * n.stride - n.pad, left = n.ow - ox;
        if (K > 0) {
            const int SEEN = K > 0 ? D * (K - 1) + 4 : 1;
            float4 v[SEEN], d[4];
#pragma unroll
            for (int r = 0; r < 4; r++) d[r] = conv_ld4(da + min(r, left - 1) * n.c);
            separable_row_of<false, SEEN>(v, in, row, x, true);
#pragma unroll
            for (int r = 0; r < 4; r++) {
                // An output that is not there counts for nothing, whatever would be under it.
                if (r >= left) continue;
#pragma unroll
                for (int j = 0; j < K; j++) separable_add(sum[j], d[r], v[r + D * j]);
            }
        } else {
            for (int r = 0; r < 4 && r < left; r++) {
                float4 d = conv_ld4(da + r * n.c);
#pragma unroll
                for (int j = 0; j < 7; j++)
                    if (j < n.k) separable_add(sum[j], d, separable_at<false>(in, row, x + r * n.stride + j * n.dilation));
            }
        }
    }
}

// dw[c][tap] = sum over pixels of da read(x). A block has a run of groups of pixels and up to 256 tasks, a task being a row of
// taps of four channels; where there are fewer tasks, several threads share the groups of one.
//   tasks = k c / 4, pieces = ceil(tasks / THREADS), blocks = splits pieces, splits from 1 to b oh ceil(ow / 4)
//   shared = 16 + 16 k THREADS bytes; parts = splits x k k x c; of the number of counters see separable_finish
KERNEL(separable_taps, SeparableTapJob, 2) {
    const SeparableTapJob& job = jobs[work[blockIdx.x].x];
    SKIP(job);
    int block = work[blockIdx.x].y;
    SHARED(float, shared);
    int* flag = reinterpret_cast<int*>(shared);
    float* sums = shared + 4;
    const Window& n = job.window;
    int fours = n.c / 4, tasks = n.k * fours, pieces = conv_up(tasks, THREADS), split = block / pieces;
    int first = block % pieces * THREADS, here = min(THREADS, tasks - first), shares = THREADS / here;
    int share = threadIdx.x / here, task = first + threadIdx.x % here, c = 4 * (task % fours), ty = task / fours;
    SeparableSum4 sum[7];
    separable_zero(sum, 7);
    if (share < shares) {
        int groups = n.b * n.oh * conv_up(n.ow, 4), end = (int)((long long)groups * (split + 1) / job.splits);
        SeparableSource in = separable_source(job.x, n.h, n.w, n.c, c);
        SeparableWalk walk = separable_walk(n, (int)((long long)groups * split / job.splits) + share, shares);
        int how = n.stride == 1 ? 10 * n.k + n.dilation : 0;
        if (how == 31) separable_taps_run<3, 1>(sum, job, in, walk, end, c, ty);
        else if (how == 32) separable_taps_run<3, 2>(sum, job, in, walk, end, c, ty);
        else if (how == 51) separable_taps_run<5, 1>(sum, job, in, walk, end, c, ty);
        else if (how == 52) separable_taps_run<5, 2>(sum, job, in, walk, end, c, ty);
        else separable_taps_run<0, 0>(sum, job, in, walk, end, c, ty);
#pragma unroll
        for (int j = 0; j < 7; j++)
            if (j < n.k) st4(sums + ((share * n.k + j) * here + threadIdx.x % here) * 4, separable_float4(sum[j]));
    }
    __syncthreads();
    for (int i = threadIdx.x; i < n.k * here; i += THREADS) {
        float4 v = f4(0.f);
        for (int j = 0; j < shares; j++) v = add4(v, ld4(sums + (j * n.k * here + i) * 4));
        int tap = (first + i % here) / fours * n.k + i / here;
        st4(job.parts + ((long long)split * n.k * n.k + tap) * n.c + (first + i % here) % fours * 4, v);
    }
    int taps = n.k * n.k;
    separable_finish(job.parts, job.done, job.dw, split, job.splits, pieces, taps, n.c, taps, job.ci, 1, taps, flag);
}
