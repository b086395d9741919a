// Stochastic gradient descent with momentum over all weights in two launches (mod.rs has the formula): the norm of all gradients
// together, then the step. Where a gradient is not finite, nothing moves.
// `blocks = ceil(n / 4096)` a weight.

#define RUN 4096

DEV bool sgd_flows(const SgdJob& job) { return job.g && !(job.live && !*job.live); }

// Shared: THREADS doubles, then an int.
KERNEL(sgd_norm, SgdJob, 4) {
    SHARED(double, shared);
    const SgdJob& job = jobs[work[blockIdx.x].x];
    int block = work[blockIdx.x].y;
    double sum = 0;
    if (sgd_flows(job))
        for (int i = block * RUN + threadIdx.x; i < min((block + 1) * RUN, job.n); i += THREADS) sum += (double)job.g[i] * job.g[i];
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) job.parts[job.first + block] = sum;
    if (!is_last(job.done, job.all_blocks, (int*)(shared + THREADS))) return;
    sum = 0;
    for (int i = threadIdx.x; i < job.all_blocks; i += THREADS) sum += job.parts[i];
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) {
        double norm = sqrt(sum), limit = pass->clip;
        job.state->norm = norm;
        job.state->finite = norm - norm == 0;
        job.state->scale = limit > 0 && limit / (norm + 1e-6) < 1 ? (float)(limit / (norm + 1e-6)) : 1.f;
    }
}

KERNEL(sgd_step, SgdJob, 4) {
    const SgdJob& job = jobs[work[blockIdx.x].x];
    if (!job.state->finite) return;
    float scale = job.state->scale;
    bool flows = sgd_flows(job);
    int block = work[blockIdx.x].y;
    for (int i = block * RUN + threadIdx.x; i < min((block + 1) * RUN, job.n); i += THREADS) {
        float w = job.w[i], d = fmaf(pass->decay, w, flows ? scale * job.g[i] : 0.f), m = fmaf(pass->momentum, job.m[i], d);
        job.m[i] = m;
        job.w[i] = w - pass->lr * (pass->nesterov ? fmaf(pass->momentum, m, d) : m);
    }
}

// Whether the running statistics that a pass moved are finite, all of them; a block each. No shared memory.
KERNEL(commit_check, CommitJob, 4) {
    const CommitJob& job = jobs[work[blockIdx.x].x];
    for (int i = threadIdx.x; i < job.n; i += THREADS) {
        float v = job.from[i];
        if (v - v != 0.f) atomicAdd(job.spoiled, 1);
    }
}

// They are taken over, if so. Shared: an int.
KERNEL(commit, CommitJob, 4) {
    SHARED(int, flag);
    const CommitJob& job = jobs[work[blockIdx.x].x];
    bool moves = *job.spoiled == 0 && !(job.state && !job.state->finite);
    for (int i = threadIdx.x; moves && i < job.n; i += THREADS) job.to[i] = job.from[i];
    // All have read it by then.
    if (is_last(job.done, job.all, flag) && threadIdx.x == 0) *job.spoiled = 0;
}
