// The end of a network: the last node's norm, ReLU and mean over the pixels, then a linear map; the loss of its logits; and the way back.
// All of it is small.

// The norm of an image's channels. `blocks = groups x blocks of pixels`; shared: ROWS * THREADS float4, then an int (rows.cuh).
KERNEL(moments, MomentsJob, 2) {
    SHARED(float, shared);
    const MomentsJob& job = jobs[work[blockIdx.x].x];
    Group g = group_of(work[blockIdx.x].y, job.pixels, job.c, job.each);
    int block = work[blockIdx.x].y % g.blocks;
    double sums[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    int end = min((block + 1) * g.pixels, job.pixels), ch = g.first + 4 * g.column;
    if (g.lane < g.lanes) {
        for (int p = block * g.pixels + g.lane; p < end; p += g.lanes) {
            float4 v = ld4(job.x + (long long)p * job.c + ch);
            moments_add(sums, v);
        }
    }
    group_moments(g, sums, group_parts(g, job.sums.parts, 2, block), (double*)shared);
    norm_of_group(g, job.sums, job.norm, pass, block, job.pixels, (int*)(shared + 4 * ROWS * THREADS));
}

// pooled[b, c] = mean over the pixels of relu(a x + t); logits = pooled weight^T + bias. A block does an image.
// `blocks = b`; shared: THREADS floats, then c floats.
KERNEL(head, HeadJob, 4) {
    SHARED(float, shared);
    const HeadJob& job = jobs[work[blockIdx.x].x];
    int b = work[blockIdx.x].y;
    float* pooled = shared + THREADS;
    const float* image = job.x + (long long)b * job.pixels * job.c;
    for (int first = 0; first < job.c; first += THREADS) {
        // Some threads a channel, each every so many pixels.
        int n = min(THREADS, job.c - first), lanes = THREADS / n, i = threadIdx.x % n, lane = threadIdx.x / n, ch = first + i;
        float sum = 0;
        if (lane < lanes)
            for (int p = lane; p < job.pixels; p += lanes) {
                float v = image[(long long)p * job.c + ch];
                sum += job.a ? relu(fmaf(job.a[ch], v, job.t[ch])) : v;
            }
        shared[threadIdx.x] = sum;
        __syncthreads();
        if (lane == 0) {
            for (int l = 1; l < lanes; l++) sum += shared[l * n + i];
            pooled[ch] = sum / job.pixels;
            job.pooled[(long long)b * job.c + ch] = pooled[ch];
        }
        __syncthreads();
    }
    for (int k = threadIdx.x; k < job.classes; k += THREADS) {
        double y = job.bias[k];
        for (int ch = 0; ch < job.channels; ch++) y += (double)pooled[ch] * job.weight[(long long)k * job.channels + ch];
        job.logits[(long long)b * job.classes + k] = (float)y;
    }
}

// dn[b, p, c] = dp[c] / pixels where a x + t > 0, dp = dlogits weight; the norm on its way back; and, in blocks behind those of the images,
// dweight[k, c] = sum over the images of dlogits[k] pooled[c], dbias[k] = sum of dlogits[k].
// `blocks = b + weight_blocks`, `weight_blocks = ceil(classes (channels + 1) / THREADS)`; shared: 4 THREADS doubles, then c floats, then an int.
KERNEL(head_back, HeadBackJob, 4) {
    SHARED(double, shared);
    float* dp = (float*)(shared + 4 * THREADS);
    const HeadBackJob& job = jobs[work[blockIdx.x].x];
    int b = work[blockIdx.x].y;
    if (b >= job.b) {
        int i = (b - job.b) * THREADS + threadIdx.x, k = i / (job.channels + 1), ch = i % (job.channels + 1);
        if (k >= job.classes) return;
        double sum = 0;
        for (int n = 0; n < job.b; n++)
            sum += job.dlogits[(long long)n * job.classes + k] * (ch < job.channels ? (double)job.pooled[(long long)n * job.c + ch] : 1.0);
        if (ch < job.channels) job.dweight[(long long)k * job.channels + ch] = (float)sum;
        else job.dbias[k] = (float)sum;
        return;
    }
    for (int ch = threadIdx.x; ch < job.c; ch += THREADS) {
        double sum = 0;
        if (ch < job.channels)
            for (int k = 0; k < job.classes; k++)
                sum += (double)job.dlogits[(long long)b * job.classes + k] * job.weight[(long long)k * job.channels + ch];
        dp[ch] = (float)sum / job.pixels;
    }
    __syncthreads();
    long long image = (long long)b * job.pixels * job.c;
    for (int first = 0; first < job.c; first += THREADS) {
        int n = min(THREADS, job.c - first), lanes = THREADS / n, i = threadIdx.x % n, lane = threadIdx.x / n, ch = first + i;
        double sum = 0, dot = 0;
        if (lane < lanes)
            for (int p = lane; p < job.pixels; p += lanes) {
                float x = job.x[image + (long long)p * job.c + ch];
                float d = job.a && fmaf(job.a[ch], x, job.t[ch]) <= 0.f ? 0.f : dp[ch];
                job.dn[image + (long long)p * job.c + ch] = d;
                sum += d;
                dot += (double)d * x;
            }
        shared[threadIdx.x] = sum;
        shared[THREADS + threadIdx.x] = dot;
        __syncthreads();
        if (lane == 0) {
            for (int l = 1; l < lanes; l++) {
                sum += shared[l * n + i];
                dot += shared[THREADS + l * n + i];
            }
            job.sums.parts[((long long)b * 2) * job.c + ch] = sum;
            job.sums.parts[((long long)b * 2 + 1) * job.c + ch] = dot;
        }
        __syncthreads();
    }
    if (!is_last(job.sums.done, job.b, (int*)(dp + job.c))) return;
    for (int ch = threadIdx.x; ch < job.c; ch += THREADS) {
        double sum = 0, dot = 0;
        for (int n = 0; n < job.b; n++) {
            sum += job.sums.parts[((long long)n * 2) * job.c + ch];
            dot += job.sums.parts[((long long)n * 2 + 1) * job.c + ch];
        }
        norm_backward(job.norm, pass, ch, sum, dot - job.norm.mean[ch] * sum, (double)job.b * job.pixels);
    }
}

// y[b, oy, ox, ch] = the average of relu(x) over a k x k window without padding. `blocks = ceil(numbers / THREADS)`.
KERNEL(tap, TapJob, 4) {
    const TapJob& job = jobs[work[blockIdx.x].x];
    const Window& n = job.window;
    long long i = (long long)work[blockIdx.x].y * THREADS + threadIdx.x;
    if (i >= (long long)n.b * n.oh * n.ow * job.channels) return;
    int ch = i % job.channels, ox = i / job.channels % n.ow, oy = i / job.channels / n.ow % n.oh, b = i / job.channels / n.ow / n.oh;
    float sum = 0;
    for (int t = 0; t < n.k * n.k; t++) {
        int y = oy * n.stride + t / n.k, x = ox * n.stride + t % n.k;
        sum += relu(job.x[(((long long)b * n.h + y) * n.w + x) * n.c + ch]);
    }
    job.y[i] = sum / (n.k * n.k);
}

// loss = mean over the images of -sum_k q[k] log p[k], q = (1 - smoothing) of the label plus smoothing / classes;
// dlogits = (p - q) / b. One block; a thread takes an image at a time; shared: THREADS doubles.
KERNEL(cross_entropy, LossJob, 4) {
    SHARED(double, shared);
    const LossJob& job = jobs[work[blockIdx.x].x];
    double loss = 0, right = 0;
    for (int b = threadIdx.x; b < job.b; b += THREADS) {
        const float* y = job.logits + (long long)b * job.classes;
        int label = job.labels[b], best = 0;
        for (int k = 1; k < job.classes; k++)
            if (y[k] > y[best] || y[k] != y[k]) best = k;
        double sum = 0, all = 0;
        for (int k = 0; k < job.classes; k++) {
            sum += exp((double)y[k] - y[best]);
            all += y[k];
        }
        double log_sum = log(sum) + y[best];
        loss += log_sum - (1 - (double)pass->smoothing) * y[label] - pass->smoothing * all / job.classes;
        right += best == label;
        for (int k = 0; k < job.classes; k++) {
            double q = pass->smoothing / job.classes + (k == label ? 1 - (double)pass->smoothing : 0.0);
            job.dlogits[(long long)b * job.classes + k] = (float)((exp(y[k] - log_sum) - q) / job.b);
        }
    }
    loss = block_sum(loss, shared) / job.b;
    right = block_sum(right, shared);
    if (threadIdx.x < 2) job.loss[threadIdx.x] = threadIdx.x == 0 ? loss : right;
}
