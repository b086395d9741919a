// The forward pass of dense convolutions: products of conv.cu, which goes before this file, and the norm behind them.

// What a lane reads of its pixels, at `from` floats from the start, for four channels from c on. No branches: all loads go out
// at once.
DEV void conv_read(const Source& s, const int* from, const bool* inside, int c, bool exists, float4* values) {
#pragma unroll
    for (int n = 0; n < 4; n++) values[n] = inside[n] && exists ? conv_ld4(s.x + (from[n] + c)) : f4(0.f);
    float4 a = s.a && exists ? conv_ld4(s.a + c) : f4(1.f), t = s.a && exists ? conv_ld4(s.t + c) : f4(0.f);
#pragma unroll
    for (int n = 0; n < 4; n++) {
        float4 v = fma4(a, values[n], t);
        if (s.relu) v = relu4(v);
        values[n] = inside[n] && exists ? v : f4(0.f);
    }
}

// The weights of a block's tiles: of several convolutions, or of tiles of one from `tile` on.
template <int TILES>
DEV void conv_forward_weights(const ConvForwardJob& job, int tile, const float* (&weights)[TILES]) {
    int tile_len = job.window.k * job.window.k * conv_up(job.window.c, 16) * 256 * CONV_PARTS;
#pragma unroll
    for (int m = 0; m < TILES; m++) weights[m] = job.n_of > 1 ? job.of[m].weights : job.of->weights + (tile + m) * tile_len;
}

template <int TILES>
DEV void conv_forward_sums(const ConvForwardJob& job, const ConvPlace& place, int first, const float* const (&weights)[TILES],
                           ConvSum* sum) {
    const Window& win = job.window;
    int g = threadIdx.x % 32 / 4, first_c = CONV_FIRST, k = win.k, chunks = conv_up(win.c, CONV_CHANNELS);
    int tap_len = conv_up(win.c, 16) * 256 * CONV_PARTS, tap = 0;
    int at[4], y[4], x[4];
#pragma unroll
    for (int n = 0; n < 4; n++) {
        int p = first + 8 * n + g, image = p / (win.oh * win.ow), q = p % (win.oh * win.ow);
        // A pixel that does not exist is outside for all taps.
        y[n] = image < win.b ? q / win.ow * win.stride - win.pad : -(1 << 28);
        x[n] = q % win.ow * win.stride - win.pad;
        at[n] = image < win.b ? (image * win.h + y[n]) * win.w + x[n] : 0;
    }
    Source source = job.x;
    int chunk = place.part, split = job.split, dy = 0, dx = 0, end = k * win.dilation;
    for (; dy < end; tap += tap_len, chunk -= chunks) {
        int from[4];
        bool inside[4];
#pragma unroll
        for (int n = 0; n < 4; n++) {
            inside[n] = (unsigned)(y[n] + dy) < (unsigned)win.h && (unsigned)(x[n] + dx) < (unsigned)win.w;
            from[n] = (at[n] + dy * win.w + dx) * win.c;
        }
        dx += win.dilation;
        if (dx == end) {
            dx = 0;
            dy += win.dilation;
        }
        for (; chunk < chunks; chunk += split) {
            int c = chunk * CONV_CHANNELS + first_c;
            float4 values[4];
            conv_read(source, from, inside, c, c < win.c, values);
            conv_multiply<TILES>(sum, values, weights, tap + chunk * CONV_CHANNELS * 16 * CONV_PARTS);
        }
    }
}

// The same from shared memory, for a block's pixels from `first` on.
template <int TILES>
DEV void conv_forward_staged(const ConvForwardJob& job, const ConvPlace& place, int first, const float* const (&weights)[TILES],
                             ConvSum* sum, float* image) {
    const Window& win = job.window;
    ConvFrame frame = conv_frame(win);
    int pixels = win.b * win.oh * win.ow, reach = (win.k - 1) * win.dilation, c = win.c, c16 = conv_up(c, 16);
    int begin = conv_position(frame, first), end = conv_position(frame, min(first + place.groups * 32, pixels) - 1);
    int len = end - begin + reach * (frame.pw + 1) + 1, at[4];
    conv_stage<16, 4>(image, frame, job.x, begin, len, 0, 4 * c16);
    first += place.group * 32 + threadIdx.x % 32 / 4;
    conv_places(frame, first, pixels, begin, at);
    __syncthreads();
    conv_staged_sums(sum, image, len, at, win.k, win.dilation * 16, win.dilation * frame.pw * 16, c, weights, place.part, job.split);
    __syncthreads();
}

// Writes z of a tile's 16 outputs and a warp's 32 pixels from `first` on, and its sums to room[row][16]: of z, of its squares.
DEV void conv_forward_store(const ConvSum* sum, const ConvForwardOf& of, const Window& win, int first, int tile, double* room) {
    int lane = threadIdx.x % 32, oc = win.oc, pixels = win.b * win.oh * win.ow, channels = of.norm.channels;
    bool wanted = !of.live || *of.live;
    const int OUTPUTS = ARITHMETIC == 1 ? 2 : 4;   // Of a lane.
    double sums[2][OUTPUTS];
#pragma unroll
    for (int i = 0; i < OUTPUTS; i++) sums[0][i] = sums[1][i] = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        int pixel, o;
        float v[2];
        conv_pair(sum, i, pixel, o, v[0], v[1]);
        o += tile * 16;
        if (!wanted || first + pixel >= pixels || o >= oc) continue;
        if (o >= channels) v[0] = 0.f;
        if (o + 1 >= channels) v[1] = 0.f;
        st2(of.z + (long long)(first + pixel) * oc + o, make_float2(v[0], v[1]));
        int s = ARITHMETIC == 1 ? 0 : i % 2 * 2;
#pragma unroll
        for (int j = 0; j < 2; j++) {
            sums[0][s + j] += v[j];
            sums[1][s + j] += (double)v[j] * v[j];
        }
    }
    // Over the lanes that have the same outputs.
#pragma unroll
    for (int row = 0; row < 2; row++)
#pragma unroll
        for (int i = 0; i < OUTPUTS; i++) {
            double s = sums[row][i];
            for (int mask = ARITHMETIC == 1 ? 1 : 4; mask < (ARITHMETIC == 1 ? 4 : 32); mask *= 2)
                s += __shfl_xor_sync(0xffffffffu, s, mask);
            int o = (ARITHMETIC == 1 ? lane / 4 * 2 : lane % 4 * 4) + i;
            if (ARITHMETIC == 1 ? lane % 4 == 0 : lane < 4) room[row * 16 + o] = s;
        }
}

template <int TILES>
DEV void conv_forward_block(const ConvForwardJob& job, int block, double* room) {
    const Window& win = job.window;
    ConvPlace place = conv_place(job.split);
    int warp = threadIdx.x / 32, oc = win.oc, all = job.n_of * oc, runs = job.n_of > 1 ? 1 : conv_up(oc, 16 * TILES);
    int pixel_block = (unsigned)block / (unsigned)runs, tile = (block - pixel_block * runs) * TILES;
    int first = (pixel_block * place.groups + place.group) * 32;
    const float* weights[TILES];
    conv_forward_weights(job, tile, weights);
    ConvSum sum[16 * TILES];
#pragma unroll
    for (int i = 0; i < 16 * TILES; i++) sum[i] = 0;
    if (job.staged)
        conv_forward_staged(job, place, pixel_block * place.groups * 32, weights, sum, (float*)room);
    else
        conv_forward_sums(job, place, first, weights, sum);
    if (job.split > 1) conv_gather<TILES>(sum, place, job.split, (ConvSum*)room);
    // room[tile][group of pixels][row][16]
    if (place.part == 0) {
#pragma unroll
        for (int m = 0; m < TILES; m++)
            conv_forward_store(sum + 16 * m, job.of[job.n_of > 1 ? m : 0], win, first, job.n_of > 1 ? 0 : tile + m, room + (m * 8 + warp) * 32);
    }
    __syncthreads();
    if (threadIdx.x < 32 * TILES) {
        int m = threadIdx.x / 32, row = threadIdx.x / 16 % 2, i = threadIdx.x % 16, o = (job.n_of > 1 ? 0 : (tile + m) * 16) + i;
        if (o < oc) {
            double s = 0;
            for (int group = 0; group < place.groups; group++) s += room[(m * 8 + group) * 32 + row * 16 + i];
            job.sums.parts[((long long)pixel_block * 2 + row) * all + (job.n_of > 1 ? m * oc : 0) + o] = s;
        }
    }
}

// z = conv(read(x)), [b, oh, ow, oc], of each convolution; sums of z and of its squares; the norms behind them, by the last block.
// Blocks: p * r, p = ceil(b oh ow / (256 / split)), r = 1 for several convolutions, else ceil(oc / 16) / tiles; sums.parts: p * 2 n_of
// oc doubles. Shared memory: 16 + max(16 n_of oc + 2048, 2048 tiles, split > 1 ? 16384 tiles / split : 0 (twice that where ARITHMETIC
// is 2), 4 staged) bytes, where `staged` is 0 or the most floats of an image that a block reads: its positions times c rounded up to 16.
KERNEL(conv_forward, ConvForwardJob, 2) {
    SHARED(char, shared);
    const ConvForwardJob& job = jobs[work[blockIdx.x].x];
    bool wanted = false;
    for (int m = 0; m < job.n_of; m++) wanted |= !job.of[m].live || *job.of[m].live;
    if (!wanted) return;
    int oc = job.window.oc, all = job.n_of * oc, block = work[blockIdx.x].y;
    double* room = (double*)(shared + 16);
    if (job.tiles == 1) conv_forward_block<1>(job, block, room);
    else if (job.tiles == 2) conv_forward_block<2>(job, block, room);
    else conv_forward_block<3>(job, block, room);
    if (!is_last(job.sums.done, job.blocks, (int*)shared)) return;
    int runs = job.n_of > 1 ? 1 : conv_up(oc, 16) / job.tiles;
    double* total = room + THREADS;
    add_parts(job.sums.parts, job.blocks / runs, 2 * all, total, room);
    double count = (double)job.window.b * job.window.oh * job.window.ow;
    for (int i = threadIdx.x; i < all; i += THREADS) {
        const ConvForwardOf& of = job.of[i / oc];
        if (!of.live || *of.live) norm_forward(of.norm, pass, i % oc, total[i], total[all + i], count);
    }
}
