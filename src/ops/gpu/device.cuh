// What all kernels are written with. No headers: NVRTC compiles this as it is, and `emulator.h` stands in for CUDA on a CPU.
//
// ARITHMETIC says how convolutions multiply: 0 in f32; 1 by tensor cores, each f32 in two TF32 parts and three products (from compute
// capability 8.0 on); 2 in f32 with sums in f64 (strict).

#ifndef EMULATED
#define DEV static __device__ __forceinline__
#define KERNEL(NAME, JOB, BLOCKS)                                                                                          \
    static __device__ __forceinline__ void NAME##_body(const JOB* jobs, const int2* work, const Pass* pass);                \
    extern "C" __global__ void __launch_bounds__(256, BLOCKS) NAME(const JOB* jobs, const int2* work, const Pass* pass) {   \
        NAME##_body(jobs, work, pass);                                                                                      \
    }                                                                                                                       \
    static __device__ __forceinline__ void NAME##_body(const JOB* jobs, const int2* work, const Pass* pass)
// All of a block's shared memory, 16-byte aligned.
#define SHARED(T, NAME) extern __shared__ float4 shared_memory[]; T* NAME = reinterpret_cast<T*>(shared_memory)
#define ALIGNED(p, n)
typedef unsigned int uint32_t;
DEV void mma_tf32(float* d, const uint32_t* a, const uint32_t* b) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
DEV uint32_t to_tf32(float v) {
    uint32_t r;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(v));
    return r;
}
#endif

#define THREADS 256
// Not CUDA's NAN, which needs a header.
#define EPSILON 1e-5
#define INFINITE (1e300 * 1e300)

// Where a job is to be left out, all its blocks end here.
#define SKIP(job) if ((job).live && !*(job).live) return

DEV float4 f4(float v) { return make_float4(v, v, v, v); }
DEV float ld(const float* p) { return *p; }
DEV float4 ld4(const float* p) { ALIGNED(p, 16); return *reinterpret_cast<const float4*>(p); }
DEV float2 ld2(const float* p) { ALIGNED(p, 8); return *reinterpret_cast<const float2*>(p); }
DEV void st4(float* p, float4 v) { ALIGNED(p, 16); *reinterpret_cast<float4*>(p) = v; }
DEV void st2(float* p, float2 v) { ALIGNED(p, 8); *reinterpret_cast<float2*>(p) = v; }
DEV float4 add4(float4 a, float4 b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }
DEV float4 mul4(float4 a, float4 b) { return make_float4(a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w); }
DEV float4 scale4(float s, float4 a) { return make_float4(s * a.x, s * a.y, s * a.z, s * a.w); }
DEV float4 fma4(float4 a, float4 b, float4 c) {
    return make_float4(fmaf(a.x, b.x, c.x), fmaf(a.y, b.y, c.y), fmaf(a.z, b.z, c.z), fmaf(a.w, b.w, c.w));
}
// NaN stays NaN.
DEV float not_below(float v, float floor) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    float most;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(most) : "f"(v), "f"(floor));
    return most;
#else
    return v <= floor ? floor : v;
#endif
}
DEV float relu(float v) { return not_below(v, 0.f); }
DEV float4 relu4(float4 v) { return make_float4(relu(v.x), relu(v.y), relu(v.z), relu(v.w)); }
// `g` where `x` is not at or below 0.
DEV float4 relu_gradient4(float4 x, float4 g) {
    return make_float4(x.x <= 0.f ? 0.f : g.x, x.y <= 0.f ? 0.f : g.y, x.z <= 0.f ? 0.f : g.z, x.w <= 0.f ? 0.f : g.w);
}

// Four channels of a node, or of its gradient, as its terms are added up.
#if ARITHMETIC == 2
typedef double NodeSum;
#else
typedef float NodeSum;
#endif
struct NodeSum4 {
    NodeSum x, y, z, w;
};
DEV void node_add(NodeSum4& sum, NodeSum weight, float4 v) {
    sum.x += weight * v.x;
    sum.y += weight * v.y;
    sum.z += weight * v.z;
    sum.w += weight * v.w;
}
DEV float4 node_sum(const NodeSum4& sum) { return make_float4((float)sum.x, (float)sum.y, (float)sum.z, (float)sum.w); }

// The value of four channels from channel c on, `at` floats from the start; before the ReLU.
DEV float4 value4(const Source& s, long long at, int c) {
    float4 v = ld4(s.x + at);
    return s.a ? fma4(ld4(s.a + c), v, ld4(s.t + c)) : v;
}
// The same as the convolution reads it.
DEV float4 read4(const Source& s, long long at, int c) {
    float4 v = value4(s, at, c);
    return s.relu ? relu4(v) : v;
}
// One channel of it.
DEV float read1(const Source& s, long long at, int c) {
    float v = ld(s.x + at);
    if (s.a) v = fmaf(ld(s.a + c), v, ld(s.t + c));
    return s.relu ? relu(v) : v;
}
// The gradient of four channels of a pixel of image `image`.
DEV float4 gradient4(const Gradient& d, long long at, int image, int c) {
    float4 v = ld4(d.dy + at);
    if (d.r) v = scale4(ld(d.r + image), v);
    v = mul4(ld4(d.a + c), v);
    return d.z ? add4(fma4(ld4(d.b + c), ld4(d.z + at), ld4(d.g + c)), v) : v;
}
DEV float gradient1(const Gradient& d, long long at, int image, int c) {
    float v = ld(d.dy + at);
    if (d.r) v *= ld(d.r + image);
    v *= ld(d.a + c);
    return d.z ? fmaf(ld(d.b + c), ld(d.z + at), ld(d.g + c)) + v : v;
}

// An f32 in two TF32 parts.
DEV void split_tf32(float v, uint32_t& high, uint32_t& low) {
    high = to_tf32(v);
    low = to_tf32(v - __uint_as_float(high));
}

// Whether this block is the last of `blocks` to come here: then it sees what all the others wrote before. One call a block, by all
// its threads; `flag` is a shared int. The counter is 0 again afterwards.
DEV bool is_last(int* done, int blocks, int* flag) {
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        *flag = atomicAdd(done, 1) == blocks - 1;
        if (*flag) *done = 0;
    }
    __syncthreads();
    bool last = *flag;
    if (last) __threadfence();
    return last;
}

// The sum of a number of each thread, by a tree; all threads have it. `shared`: THREADS doubles.
DEV double block_sum(double mine, double* shared) {
    __syncthreads();
    shared[threadIdx.x] = mine;
    __syncthreads();
    for (int half = THREADS / 2; half; half /= 2) {
        if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
        __syncthreads();
    }
    return shared[0];
}

// The norm of channel i, from the sums of its values and of their squares over `count` of them.
DEV void norm_forward(const Norm& n, const Pass* pass, int i, double sum, double squares, double count) {
    if (i >= n.channels || n.kind == 0) {
        float one = i < n.channels ? 1.f : 0.f;
        n.mean[i] = 0;
        n.istd[i] = one;
        n.a[i] = one;
        n.t[i] = 0.f;
        return;
    }
    double mean = sum / count, var = squares / count - mean * mean;
    // Rounding may leave less than 0; NaN stays.
    if (var < 0) var = 0;
    double gamma = 1, beta = 0;
    if (n.kind == 2) {
        gamma = n.gamma[i];
        beta = n.beta[i];
        if (pass->mode == 0) {
            n.new_mean[i] = (float)(0.9 * n.running_mean[i] + 0.1 * mean);
            n.new_var[i] = (float)(0.9 * n.running_var[i] + 0.1 * (count / (count > 2 ? count - 1 : 1) * var));
        }
        if (pass->mode == 2) {
            mean = n.running_mean[i];
            var = n.running_var[i];
        }
    }
    double istd = 1 / sqrt(var + EPSILON), t = beta - gamma * istd * mean;
    const float* bias = i < n.first ? n.bias[0] : n.bias[1];
    if (bias) t += 0.0 * bias[i < n.first ? i : i - n.first];
    n.mean[i] = mean;
    n.istd[i] = istd;
    n.a[i] = (float)(gamma * istd);
    n.t[i] = (float)t;
}

// Adds up the parts of rows of `c` channels of all blocks, in their order, in the last block: total[row][channel] into shared
// memory, where it stands after the call. `scratch`: THREADS doubles of shared memory.
DEV void add_parts(const double* parts, int blocks, int len, double* total, double* scratch) {
    // Several threads a number, each a run of blocks, then those in their order.
    for (int from = 0; from < len; from += THREADS) {
        int n = len - from < THREADS ? len - from : THREADS, runs = THREADS / n;
        int i = threadIdx.x % n, run = threadIdx.x / n;
        if (run < runs) {
            double sum = 0;
            int b = (long long)blocks * run / runs, end = (long long)blocks * (run + 1) / runs;
            const double* part = parts + (long long)b * len + from + i;
            // Loads do not wait for each other.
#pragma unroll 16
            for (; b < end; b++, part += len) sum += *part;
            scratch[run * n + i] = sum;
        }
        __syncthreads();
        if (run == 0) {
            double sum = 0;
            for (int r = 0; r < runs; r++) sum += scratch[r * n + i];
            total[from + i] = sum;
        }
        __syncthreads();
    }
}

// How dz is made of dy and z, for channel i, from `sum = sum of r dy` and `along = sum of r dy (z - mean)` over `count` values; gives the
// channel's part of the gradient of the term's weight.
//   istd along = sum of dy zhat is dgamma / w;
//   dz = w gamma istd (dy - sum / count - zhat istd along / count) with the batch's own statistics.
DEV double norm_backward(const NormGradient& n, const Pass* pass, int i, double sum, double along, double count) {
    double w = n.mix ? (double)*n.mix : 1.0;
    if (i >= n.channels) {
        n.a[i] = 0;
        n.b[i] = 0;
        n.g[i] = 0;
        return 0;
    }
    if (n.kind == 0) {
        n.a[i] = (float)w;
        n.b[i] = 0;
        n.g[i] = 0;
        return along;
    }
    double gamma = n.kind == 2 ? n.gamma[i] : 1.0, beta = n.kind == 2 ? n.beta[i] : 0.0;
    double mean = n.mean[i], istd = n.istd[i], scale = w * gamma * istd;
    along *= istd;
    bool of_batch = n.kind == 1 || pass->mode != 2;
    n.a[i] = (float)scale;
    n.b[i] = of_batch ? (float)(-scale * istd * along / count) : 0.f;
    n.g[i] = of_batch ? (float)(scale * (istd * mean * along - sum) / count) : 0.f;
    if (n.dgamma) {
        n.dgamma[i] = (float)(w * along);
        n.dbeta[i] = (float)(w * sum);
    }
    return gamma * along + beta * sum;
}
