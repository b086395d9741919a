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

DEV void conv_forward_sums(const ConvForwardJob& job, const ConvPlace& place, int first, int tile, ConvSum* sum) {
    const Window& win = job.window;
    int g = threadIdx.x % 32 / 4, first_c = CONV_FIRST, k = win.k, chunks = conv_up(win.c, CONV_CHANNELS);
    int tap_len = conv_up(win.c, 16) * 256 * CONV_PARTS, tile_len = k * k * tap_len;
    const float* weights = job.weights + tile * tile_len;
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
    for (; dy < end; weights += tap_len, chunk -= chunks) {
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
            conv_multiply<1>(sum, values, weights + chunk * CONV_CHANNELS * 16 * CONV_PARTS, tile_len);
        }
    }
}

// The same from shared memory, for a block's pixels from `first` on.
DEV void conv_forward_staged(const ConvForwardJob& job, const ConvPlace& place, int first, int tile, ConvSum* sum, float* image) {
    const Window& win = job.window;
    ConvFrame frame = conv_frame(win);
    int pixels = win.b * win.oh * win.ow, reach = (win.k - 1) * win.dilation, c = win.c, k = win.k, c16 = conv_up(c, 16);
    int begin = conv_position(frame, first), end = conv_position(frame, min(first + place.groups * 32, pixels) - 1);
    int len = end - begin + reach * (frame.pw + 1) + 1, at[4];
    conv_stage<16, 4>(image, frame, job.x, begin, len, 0, 4 * c16);
    first += place.group * 32 + threadIdx.x % 32 / 4;
    conv_places(frame, first, pixels, begin, at);
    __syncthreads();
    conv_staged_sums(sum, image, len, at, k, win.dilation * 16, win.dilation * frame.pw * 16, c,
                     job.weights + tile * k * k * c16 * 256 * CONV_PARTS, place.part, job.split);
    __syncthreads();
}

DEV void conv_forward_block(const ConvForwardJob& job, int block, double* room) {
    const Window& win = job.window;
    ConvPlace place = conv_place(job.split);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, oc = win.oc, pixels = win.b * win.oh * win.ow;
    int channels = job.norm.channels;
    float* z = job.z;
    int tiles = conv_up(oc, 16), pixel_block = (unsigned)block / (unsigned)tiles, tile = block - pixel_block * tiles;
    int first = (pixel_block * place.groups + place.group) * 32;
    ConvSum sum[16];
#pragma unroll
    for (int i = 0; i < 16; i++) sum[i] = 0;
    if (job.staged)
        conv_forward_staged(job, place, pixel_block * place.groups * 32, tile, sum, (float*)room);
    else
        conv_forward_sums(job, place, first, tile, sum);
    if (job.split > 1) conv_gather<1>(sum, place, job.split, (ConvSum*)room);
    // Sums of a lane's pixels by output: rows of z and of its squares, by group of pixels.
    const int OUTPUTS = ARITHMETIC == 1 ? 2 : 4;
    double sums[2][OUTPUTS];
#pragma unroll
    for (int i = 0; i < OUTPUTS; i++) sums[0][i] = sums[1][i] = 0;
    if (place.part == 0) {
#pragma unroll
        for (int i = 0; i < 8; i++) {
            int pixel, o;
            float v[2];
            conv_pair(sum, i, pixel, o, v[0], v[1]);
            o += tile * 16;
            if (first + pixel >= pixels || o >= oc) continue;
            if (o >= channels) v[0] = 0.f;
            if (o + 1 >= channels) v[1] = 0.f;
            st2(z + (long long)(first + pixel) * oc + o, make_float2(v[0], v[1]));
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
                if (ARITHMETIC == 1 ? lane % 4 == 0 : lane < 4) room[(warp * 2 + row) * 16 + o] = s;
            }
    }
    __syncthreads();
    int o = tile * 16 + threadIdx.x % (16), row = threadIdx.x / (16);
    if (row < 2 && o < oc) {
        double s = 0;
        for (int group = 0; group < place.groups; group++) s += room[(group * 2 + row) * 16 + threadIdx.x % (16)];
        job.sums.parts[((long long)pixel_block * 2 + row) * oc + o] = s;
    }
}

// z = conv(read(x)), [b, oh, ow, oc]; sums of z and of its squares; the norm behind it, by the last block.
// Blocks: p * ceil(oc / 16), p = ceil(b oh ow / (256 / split)); sums.parts: p * 2 oc doubles. Shared memory: 16 +
// max(16 oc + 2048, split > 1 ? 16384 / split : 0 (twice that where ARITHMETIC is 2), 4 staged) bytes, where `staged` is 0 or
// the most floats of an image that a block reads: its positions times c rounded up to 16.
KERNEL(conv_forward, ConvForwardJob, 3) {
    SHARED(char, shared);
    const ConvForwardJob& job = jobs[work[blockIdx.x].x];
    SKIP(job);
    int oc = job.window.oc;
    double* room = (double*)(shared + 16);
    conv_forward_block(job, work[blockIdx.x].y, room);
    if (!is_last(job.sums.done, job.blocks, (int*)shared)) return;
    double* total = room + THREADS;
    add_parts(job.sums.parts, job.blocks / conv_up(oc, 16), 2 * oc, total, room);
    double count = (double)job.window.b * job.window.oh * job.window.ow;
    for (int i = threadIdx.x; i < oc; i += THREADS) norm_forward(job.norm, pass, i, total[i], total[oc + i], count);
}
