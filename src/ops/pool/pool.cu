// A 3x3 pool with a batch norm behind it: z[b, y, x] = average (of the pixels of the image) or maximum around (y stride, x stride);
// or x itself, of stride 1.
// `blocks = groups of 64 channels x blocks of pixels`, see rows.cuh. Shared: ROWS * THREADS float4, then an int.

KERNEL(pool_forward, PoolForwardJob, 2) {
    SHARED(float, shared);
    const PoolForwardJob& job = jobs[work[blockIdx.x].x];
    SKIP(job);
    const Window& n = job.window;
    int all = n.b * n.oh * n.ow;
    Group g = group_of(work[blockIdx.x].y, all, n.oc, job.each);
    int block = work[blockIdx.x].y % g.blocks;
    double sums[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    int end = min((block + 1) * g.pixels, all), ch = g.first + 4 * g.column;
    if (g.lane < g.lanes) {
        for (int p = block * g.pixels + g.lane; p < end; p += g.lanes) {
            int x = p % n.ow * n.stride, y = p / n.ow % n.oh * n.stride, b = p / n.ow / n.oh;
            const float* image = job.x + (long long)b * n.h * n.w * n.c + ch;
            float4 v;
            if (job.kind == 0) {
                v = average3(image, n.h, n.w, n.c, y, x);
            } else if (job.kind == 2) {
                v = ld4(job.x + (long long)p * n.oc + ch);
            } else {
                unsigned char* choice = job.choice + (long long)p * n.oc + ch;
                v.x = max3(image, n.h, n.w, n.c, y, x, choice);
                v.y = max3(image + 1, n.h, n.w, n.c, y, x, choice + 1);
                v.z = max3(image + 2, n.h, n.w, n.c, y, x, choice + 2);
                v.w = max3(image + 3, n.h, n.w, n.c, y, x, choice + 3);
            }
            st4(job.z + (long long)p * n.oc + ch, v);
            moments_add(sums, v);
        }
    }
    group_moments(g, sums, group_parts(g, job.sums.parts, 2, block), (double*)shared);
    norm_of_group(g, job.sums, job.norm, pass, block, all, (int*)(shared + 4 * ROWS * THREADS));
}
