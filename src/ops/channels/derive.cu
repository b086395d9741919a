// Nodes made of another node without being a sum: images brought into NHWC, pools, halves, concatenations, shuffles. A thread makes one number at
// a time. `blocks = ceil(b h w width / 1024)`.

KERNEL(derive, DeriveJob, 4) {
    const DeriveJob& job = jobs[work[blockIdx.x].x];
    SKIP(job);
    long long len = (long long)job.b * job.h * job.w * job.width, from = (long long)work[blockIdx.x].y * 1024;
    for (int k = 0; k < 4; k++) {
        long long i = from + k * THREADS + threadIdx.x;
        if (i >= len) break;
        int ch = i % job.width;
        long long p = i / job.width;
        int x = p % job.w, y = p / job.w % job.h, b = p / job.w / job.h;
        const float* image = job.x + (long long)b * job.sh * job.sw * job.sc;
        float v = 0;
        if (job.kind == 0) {
            if (ch < job.channels) v = job.x[(((long long)b * job.channels + ch) * job.h + y) * job.w + x];
        } else if (job.kind == 1) {
            for (int t = 0; t < 4; t++) v += image[((long long)(2 * y + t / 2) * job.sw + 2 * x + t % 2) * job.sc + ch];
            v *= 0.25f;
        } else if (job.kind == 2) {
            v = max3(image + ch, job.sh, job.sw, job.sc, y * job.stride, x * job.stride, job.choice + i);
        } else if (job.kind == 3) {
            int half = ch >= job.channels, r = 2 * y + half, q = 2 * x + half;
            if (ch < 2 * job.channels && r < job.sh && q < job.sw)
                v = image[((long long)r * job.sw + q) * job.sc + ch - half * job.channels];
        } else if (job.kind == 5) {
            v = max2(image + ch, job.sw, job.sc, y, x, job.choice + i);
        } else if (job.kind == 6) {
            // Channel q of all runs comes to place `to`; what is behind them is zero.
            int q = job.at + ch, runs = job.channels * job.stride, to = q;
            if (q < runs) {
                v = image[((long long)y * job.sw + x) * job.sc + q];
                to = q % job.channels * job.stride + q / job.channels;
            }
            job.y[p * job.c + to] = v;
            continue;
        } else if (ch < job.channels) {
            v = image[((long long)y * job.sw + x) * job.sc + ch];
        }
        job.y[p * job.c + job.at + ch] = v;
    }
}
