// The IIM score (He et al., AAAI 2024), summed over the images: of an image, 3 (C - 1) / C times the mean over the pixels of s^-4, s^2 the
// unbiased variance over its C channels at a pixel. Infinite for NaN, and where s^6 is zero in f32 (mod.rs says why).
// `blocks = ceil(b h w / 1024)`; shared: THREADS doubles, then an int.

DEV float4 scored4(const ScoreJob& job, int p, int ch) {
    float4 v;
    if (job.stride) {
        int x = p % job.w * job.stride, y = p / job.w % job.h * job.stride, b = p / job.w / job.h;
        v = average3(job.x + (long long)b * job.sh * job.sw * job.c + ch, job.sh, job.sw, job.c, y, x);
    } else {
        v = ld4(job.x + (long long)p * job.c + ch);
    }
    return job.a ? fma4(ld4(job.a + ch), v, ld4(job.t + ch)) : v;
}

// What a pixel adds, from the sum over its channels of (v - mean)^2.
DEV double scored(const ScoreJob& job, float squares) {
    float variance = squares / (job.channels - 1);
    return variance * variance * variance > 0.f ? 1 / ((double)variance * variance) : INFINITE;
}
DEV float sum_of4(float4 v) { return (v.x + v.y) + (v.z + v.w); }
// Of real channels, of the four from ch on. Those behind them are zeros.
DEV float squares4(const ScoreJob& job, float4 v, float mean, int ch) {
    float one[4] = {v.x - mean, v.y - mean, v.z - mean, v.w - mean}, squares = 0;
#pragma unroll
    for (int k = 0; k < 4; k++)
        if (ch + k < job.channels) squares = fmaf(one[k], one[k], squares);
    return squares;
}

KERNEL(score, ScoreJob, 4) {
    SHARED(double, shared);
    const ScoreJob& job = jobs[work[blockIdx.x].x];
    int block = work[blockIdx.x].y, all = job.b * job.h * job.w, from = block * 1024, end = min(from + 1024, all), quads = job.c / 4;
    double total = 0;
    if (quads <= 32 && (quads & (quads - 1)) == 0) {
        // A lane has four channels of four pixels: neighbours read neighbours, once, and several at a time.
        int lanes = THREADS / quads, ch = threadIdx.x % quads * 4;
        for (int first = from; first < end; first += 4 * lanes) {
            int p = first + threadIdx.x / quads;
            float4 v[4];
            float sum[4], squares[4];
#pragma unroll
            for (int i = 0; i < 4; i++) v[i] = p + i * lanes < end ? scored4(job, p + i * lanes, ch) : f4(0.f);
#pragma unroll
            for (int i = 0; i < 4; i++) sum[i] = sum_of4(v[i]);
            for (int mask = 1; mask < quads; mask *= 2)
#pragma unroll
                for (int i = 0; i < 4; i++) sum[i] += __shfl_xor_sync(0xffffffffu, sum[i], mask);
#pragma unroll
            for (int i = 0; i < 4; i++) squares[i] = squares4(job, v[i], sum[i] / job.channels, ch);
            for (int mask = 1; mask < quads; mask *= 2)
#pragma unroll
                for (int i = 0; i < 4; i++) squares[i] += __shfl_xor_sync(0xffffffffu, squares[i], mask);
#pragma unroll
            for (int i = 0; i < 4; i++)
                if (ch == 0 && p + i * lanes < end) total += scored(job, squares[i]);
        }
    } else {
        for (int p = from + threadIdx.x; p < end; p += THREADS) {
            float sum = 0, squares = 0;
            for (int ch = 0; ch < job.c; ch += 4) sum += sum_of4(scored4(job, p, ch));
            float mean = sum / job.channels;
            for (int ch = 0; ch < job.c; ch += 4) squares += squares4(job, scored4(job, p, ch), mean, ch);
            total += scored(job, squares);
        }
    }
    total = block_sum(total, shared);
    if (threadIdx.x == 0) job.parts[block] = total;
    if (!is_last(job.done, job.blocks, (int*)(shared + THREADS))) return;
    double sum = 0;
    for (int i = threadIdx.x; i < job.blocks; i += THREADS) sum += job.parts[i];
    sum = block_sum(sum, shared) * 3.0 * (job.channels - 1) / job.channels / (job.h * job.w);
    if (threadIdx.x == 0) *job.score = sum != sum || job.channels < 2 ? INFINITE : sum;
}
