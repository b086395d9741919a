// A node as the sum of its terms. A thread adds up four channels of one pixel: it waits for memory alone, so there are many.
// `blocks = ceil(b h w c / 4 / THREADS)`.

KERNEL(fill, FillJob, 6) {
    const FillJob& job = jobs[work[blockIdx.x].x];
    SKIP(job);
    int quads = job.c / 4, pixels = job.h * job.w;
    int i = work[blockIdx.x].y * THREADS + threadIdx.x;
    if (i >= job.b * pixels * quads) return;
    int p = i / quads, ch = (i - p * quads) * 4, b = p / pixels;
    NodeSum4 sum = {0, 0, 0, 0};
    for (int n = 0; n < job.n_terms; n++) {
        const FillTerm& term = job.terms[n];
        float weight = term.mix ? *term.mix : 1.f;
        if (pass->drawn && term.mix && weight == 0.f) continue;
        if (term.scale) weight *= term.scale[b];
        float4 v;
        if (term.kind == 2) {
            int q = p - b * pixels, y = q / job.w, x = q - y * job.w;
            v = average3(term.x + (long long)b * term.h * term.w * job.c + ch, term.h, term.w, job.c, y * term.stride, x * term.stride);
        } else {
            v = ld4(term.x + (long long)i * 4);
            if (term.kind == 0) v = fma4(ld4(term.a + ch), v, ld4(term.t + ch));
        }
        node_add(sum, weight, v);
    }
    st4(job.x + (long long)i * 4, node_sum(sum));
}
