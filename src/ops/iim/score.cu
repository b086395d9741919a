// The IIM score (He et al., AAAI 2024), summed over the images: of an image, 3 (C - 1) / C times the mean over the pixels of s^-4, s^2 the
// unbiased variance over its C channels at a pixel. Infinite for NaN, and where s^6 is zero in f32 (mod.rs says why).
// A thread takes a pixel at a time. `blocks = ceil(b h w / 1024)`; shared: THREADS doubles, then an int.

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

KERNEL(score, ScoreJob, 4) {
    SHARED(double, shared);
    const ScoreJob& job = jobs[work[blockIdx.x].x];
    int block = work[blockIdx.x].y, all = job.b * job.h * job.w;
    double total = 0;
    for (int p = block * 1024 + threadIdx.x; p < min((block + 1) * 1024, all); p += THREADS) {
        // Padded channels are zeros.
        float sum = 0, squares = 0;
        for (int ch = 0; ch < job.c; ch += 4) {
            float4 v = scored4(job, p, ch);
            sum += v.x + v.y + v.z + v.w;
        }
        float mean = sum / job.channels;
        for (int ch = 0; ch < job.c; ch += 4) {
            float4 v = scored4(job, p, ch);
            float one[4] = {v.x - mean, v.y - mean, v.z - mean, v.w - mean};
            for (int k = 0; k < 4; k++)
                if (ch + k < job.channels) squares = fmaf(one[k], one[k], squares);
        }
        float variance = squares / (job.channels - 1);
        total += variance * variance * variance > 0.f ? 1 / ((double)variance * variance) : INFINITE;
    }
    shared[threadIdx.x] = total;
    __syncthreads();
    if (threadIdx.x == 0) {
        double sum = 0;
        for (int i = 0; i < THREADS; i++) sum += shared[i];
        job.parts[block] = sum;
    }
    if (!is_last(job.done, job.blocks, (int*)(shared + THREADS))) return;
    if (threadIdx.x == 0) {
        double sum = 0;
        for (int i = 0; i < job.blocks; i++) sum += job.parts[i];
        sum *= 3.0 * (job.channels - 1) / job.channels / (job.h * job.w);
        *job.score = sum != sum || job.channels < 2 ? INFINITE : sum;
    }
}
