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

// The running statistics of all norms, in one block; shared: an int.
KERNEL(commit, CommitJobs, 4) {
    SHARED(int, spoiled);
    const CommitJobs& job = jobs[work[blockIdx.x].x];
    if (job.state && !job.state->finite) return;
    if (threadIdx.x == 0) *spoiled = 0;
    __syncthreads();
    int mine = 0;
    for (int j = 0; j < job.n; j++)
        for (int i = threadIdx.x; i < job.jobs[j].n; i += THREADS) {
            float v = job.jobs[j].from[i];
            if (v - v != 0.f) mine = 1;
        }
    if (mine) atomicAdd(spoiled, 1);
    __syncthreads();
    if (*spoiled) return;
    for (int j = 0; j < job.n; j++)
        for (int i = threadIdx.x; i < job.jobs[j].n; i += THREADS) job.jobs[j].to[i] = job.jobs[j].from[i];
}
