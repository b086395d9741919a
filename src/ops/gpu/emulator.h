// CUDA C++ on a CPU, for tests: what `device.cuh` asks of CUDA, so that the same kernels run here. x86-64 and aarch64 Unix.
//
// The threads of a block are fibers of one OS thread; a barrier is a switch to the next fiber. Blocks run on several OS threads.
// What it refuses, as an error of the launch: threads of a block that wait at different barriers, accesses of vectors that are
// not aligned, writes behind the end of shared memory. Shared memory is NaN before each block. Two schedules, blocks, warps and
// lanes in their order or the other way round, show what depends on an order: compare the bits.
#pragma once
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#define EMULATED 1
#define DEV static inline
#define __device__
#define __forceinline__ inline

struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(8) int2 { int x, y; };
struct alignas(4) uchar4 { unsigned char x, y, z, w; };
struct alignas(16) double2 { double x, y; };
static inline float4 make_float4(float x, float y, float z, float w) { return float4{x, y, z, w}; }
static inline float2 make_float2(float x, float y) { return float2{x, y}; }
static inline double2 make_double2(double x, double y) { return double2{x, y}; }
static inline int2 make_int2(int x, int y) { return int2{x, y}; }

// Saves the stack of the fiber that runs to *save and goes on with that of another.
extern "C" void emulator_switch(void** save, void* to);
#if defined(__x86_64__)
asm(".text\n.globl emulator_switch\n.hidden emulator_switch\nemulator_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\nmovq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n");
#define SAVED 6
#elif defined(__aarch64__)
asm(".text\n.globl emulator_switch\n.hidden emulator_switch\nemulator_switch:\n"
    "sub sp,sp,#160\nstp x19,x20,[sp]\nstp x21,x22,[sp,#16]\nstp x23,x24,[sp,#32]\nstp x25,x26,[sp,#48]\nstp x27,x28,[sp,#64]\n"
    "stp x29,x30,[sp,#80]\nstp d8,d9,[sp,#96]\nstp d10,d11,[sp,#112]\nstp d12,d13,[sp,#128]\nstp d14,d15,[sp,#144]\n"
    "mov x2,sp\nstr x2,[x0]\nmov sp,x1\n"
    "ldp x19,x20,[sp]\nldp x21,x22,[sp,#16]\nldp x23,x24,[sp,#32]\nldp x25,x26,[sp,#48]\nldp x27,x28,[sp,#64]\n"
    "ldp x29,x30,[sp,#80]\nldp d8,d9,[sp,#96]\nldp d10,d11,[sp,#112]\nldp d12,d13,[sp,#128]\nldp d14,d15,[sp,#144]\n"
    "add sp,sp,#160\nret\n");
#else
#error "the emulator knows x86-64 and aarch64"
#endif

namespace emulator {
const int BLOCK = 256, LANES = 32;
const size_t STACK = 64 << 10;
enum Wait { RUNNING, AT_BLOCK, AT_WARP };
struct Index { unsigned x, y, z; };

struct Fiber {
    void* sp;
    char* stack;
    Wait wait;
    bool done;
    // What a warp exchanges: operands in, results out.
    const void* in;
    void* out;
    const void* in2;
};

// One block on one OS thread.
struct Machine {
    Fiber fibers[BLOCK];
    void* home;
    int running;
    unsigned block, blocks;
    char* shared;
    size_t shared_len;
    // What the lanes of a warp that all wait at AT_WARP do together.
    void (*together[BLOCK / LANES])(Fiber* lanes);
    std::string error;
    void (*body)(const void*, const int2*, const void*);
    const void* jobs;
    const int2* work;
    const void* pass;
};
static thread_local Machine* here;

static inline void wait(Wait kind) {
    Machine* m = here;
    Fiber& f = m->fibers[m->running];
    f.wait = kind;
    emulator_switch(&f.sp, m->home);
}
static void fail(const char* what) {
    if (here->error.empty())
        here->error = std::string(what) + ", thread " + std::to_string(here->running) + " of block " + std::to_string(here->block);
    here->fibers[here->running].done = true;
    wait(RUNNING);
    abort();
}
static void enter() {
    Machine* m = here;
    m->body(m->jobs, m->work, m->pass);
    m->fibers[m->running].done = true;
    wait(RUNNING);
    abort();
}

static bool run_block(Machine& m, bool reversed) {
    memset(m.shared, 0xff, m.shared_len);
    memset(m.shared + m.shared_len, 0xab, 64);
    for (int i = 0; i < BLOCK; i++) {
        Fiber& f = m.fibers[i];
        if (!f.stack) f.stack = (char*)aligned_alloc(64, STACK);
        f.done = false;
        f.wait = RUNNING;
        void** top = (void**)(f.stack + STACK - 64);
#if defined(__x86_64__)
        *--top = nullptr;
        *--top = (void*)enter;
        for (int k = 0; k < SAVED; k++) *--top = nullptr;
#else
        top -= 20;
        memset(top, 0, 160);
        top[11] = (void*)enter;
#endif
        f.sp = top;
    }
    const int warps = BLOCK / LANES;
    for (;;) {
        for (int v = 0; v < warps; v++) {
            int w = reversed ? warps - 1 - v : v;
            // A warp goes on until it waits for the block or is done.
            for (;;) {
                int waiting = 0, live = 0;
                for (int l = 0; l < LANES; l++) {
                    int i = w * LANES + (reversed ? LANES - 1 - l : l);
                    Fiber& f = m.fibers[i];
                    if (f.done) continue;
                    if (f.wait == RUNNING) {
                        m.running = i;
                        emulator_switch(&m.home, f.sp);
                        if (!m.error.empty()) return false;
                    }
                    if (f.done) continue;
                    live++;
                    if (f.wait == AT_WARP) waiting++;
                }
                if (live == 0 || waiting == 0) break;
                if (waiting != LANES) {
                    m.error = "lanes of warp " + std::to_string(w) + " of block " + std::to_string(m.block) + " wait at different barriers";
                    return false;
                }
                if (m.together[w]) m.together[w](&m.fibers[w * LANES]);
                m.together[w] = nullptr;
                for (int l = 0; l < LANES; l++) m.fibers[w * LANES + l].wait = RUNNING;
            }
        }
        int done = 0;
        for (int i = 0; i < BLOCK; i++) done += m.fibers[i].done;
        if (done == BLOCK) break;
        if (done) {
            m.error = "threads of block " + std::to_string(m.block) + " wait for others that are done";
            return false;
        }
        for (int i = 0; i < BLOCK; i++) m.fibers[i].wait = RUNNING;
    }
    for (int k = 0; k < 64; k++)
        if ((unsigned char)m.shared[m.shared_len + k] != 0xab) {
            m.error = "block " + std::to_string(m.block) + " wrote behind the end of its shared memory";
            return false;
        }
    return true;
}

// Machines of threads that are done, to be used again.
static std::mutex idle_lock;
static std::vector<Machine*> idle;

static int launch(void (*body)(const void*, const int2*, const void*), unsigned blocks, unsigned shared, const void* jobs, const void* work,
                  const void* pass, int reversed, int threads, char* error, size_t error_len) {
    std::atomic<unsigned> next(0);
    std::atomic<bool> failed(false);
    std::mutex lock;
    auto run = [&] {
        Machine* m = nullptr;
        {
            std::lock_guard<std::mutex> guard(idle_lock);
            if (!idle.empty()) {
                m = idle.back();
                idle.pop_back();
            }
        }
        if (!m) m = new Machine();
        here = m;
        m->body = body;
        m->jobs = jobs;
        m->work = (const int2*)work;
        m->pass = pass;
        m->blocks = blocks;
        m->error.clear();
        for (auto& t : m->together) t = nullptr;
        if (m->shared_len < shared || !m->shared) {
            free(m->shared);
            m->shared = (char*)aligned_alloc(64, (shared + 191) / 64 * 64);
        }
        m->shared_len = shared;
        while (!failed) {
            unsigned b = next++;
            if (b >= blocks) break;
            m->block = reversed ? blocks - 1 - b : b;
            if (!run_block(*m, reversed != 0)) {
                std::lock_guard<std::mutex> guard(lock);
                if (!failed) snprintf(error, error_len, "%s", m->error.c_str());
                failed = true;
            }
        }
        std::lock_guard<std::mutex> guard(idle_lock);
        idle.push_back(m);
    };
    if (threads < 2 || blocks < 2) {
        run();
    } else {
        std::vector<std::thread> others;
        for (int i = 1; i < threads; i++) others.emplace_back(run);
        run();
        for (auto& t : others) t.join();
    }
    return failed ? 1 : 0;
}

static inline void collect(void (*f)(Fiber*), const void* in, void* out, const void* in2 = nullptr) {
    Machine* m = here;
    Fiber& me = m->fibers[m->running];
    me.in = in;
    me.in2 = in2;
    me.out = out;
    m->together[m->running / LANES] = f;
    wait(AT_WARP);
}
}  // namespace emulator

#define threadIdx (emulator::Index{(unsigned)emulator::here->running, 0, 0})
#define blockIdx (emulator::Index{emulator::here->block, 0, 0})
#define gridDim (emulator::Index{emulator::here->blocks, 1, 1})
#define blockDim (emulator::Index{256, 1, 1})
#define SHARED(T, NAME) T* NAME = reinterpret_cast<T*>(emulator::here->shared)
#define ALIGNED(p, n)                                                                  \
    do {                                                                               \
        if ((uintptr_t)(p) % (n)) emulator::fail("a vector at an address that is not aligned"); \
    } while (0)
#define KERNEL(NAME, JOB, BLOCKS)                                                                                             \
    static void NAME##_body(const JOB* jobs, const int2* work, const Pass* pass);                                               \
    extern "C" int NAME(unsigned blocks, unsigned shared, const void* jobs, const void* work, const void* pass, int reversed, \
                        int threads, char* error, size_t error_len) {                                                           \
        return emulator::launch(                                                                                                \
            [](const void* j, const int2* w, const void* p) { NAME##_body((const JOB*)j, w, (const Pass*)p); }, blocks, shared, \
            jobs, work, pass, reversed, threads, error, error_len);                                                             \
    }                                                                                                                           \
    static void NAME##_body(const JOB* jobs, const int2* work, const Pass* pass)

static inline void __syncthreads() { emulator::wait(emulator::AT_BLOCK); }
static inline void __syncwarp() { emulator::collect(nullptr, nullptr, nullptr); }
static inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
static inline int atomicAdd(int* p, int v) { return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST); }
template <class T>
struct Shuffle {
    T value;
    int lane;
};
template <class T>
static inline T shuffle(T value, int lane) {
    Shuffle<T> in = {value, lane};
    T out;
    emulator::collect(
        [](emulator::Fiber* f) {
            for (int l = 0; l < emulator::LANES; l++) {
                int from = ((const Shuffle<T>*)f[l].in)->lane;
                *(T*)f[l].out = ((const Shuffle<T>*)f[from].in)->value;
            }
        },
        &in, &out);
    return out;
}
#define EMULATOR_LANE ((int)(emulator::here->running % emulator::LANES))
template <class T>
static inline T __shfl_xor_sync(unsigned, T v, int mask) { return shuffle(v, EMULATOR_LANE ^ mask); }
template <class T>
static inline T __shfl_sync(unsigned, T v, int lane) { return shuffle(v, lane & 31); }
template <class T>
static inline T __shfl_down_sync(unsigned, T v, int by) { return shuffle(v, EMULATOR_LANE + by < 32 ? EMULATOR_LANE + by : EMULATOR_LANE); }
template <class T>
static inline T __ldg(const T* p) { return *p; }
static inline float rsqrtf(float x) { return 1.f / sqrtf(x); }
static inline uint32_t __float_as_uint(float f) { uint32_t u; memcpy(&u, &f, 4); return u; }
static inline float __uint_as_float(uint32_t u) { float f; memcpy(&f, &u, 4); return f; }
static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
// As cvt.rna: to the nearest, ties away from zero; what is not finite stays.
static inline uint32_t to_tf32(float f) {
    uint32_t u = __float_as_uint(f);
    return (u & 0x7f800000u) == 0x7f800000u ? u : (u + 0x1000u) & 0xffffe000u;
}
// d += A B. A is 16 x 8: entry (m, k) is register m / 8 + 2 (k / 4) of lane 4 (m % 8) + k % 4. B is 8 x 8: (k, n) is register k / 4 of lane
// 4 n + k % 4. D is 16 x 8: (m, n) is register n % 2 + 2 (m / 8) of lane 4 (m % 8) + n / 2. The 13 low bits of the operands do not count.
static inline void mma_tf32(float* d, const uint32_t* a, const uint32_t* b) {
    emulator::collect(
        [](emulator::Fiber* f) {
            float A[16][8], B[8][8];
            for (int l = 0; l < 32; l++) {
                const uint32_t *a = (const uint32_t*)f[l].in, *b = (const uint32_t*)f[l].in2;
                for (int r = 0; r < 4; r++) A[l / 4 + 8 * (r % 2)][l % 4 + 4 * (r / 2)] = __uint_as_float(a[r] & 0xffffe000u);
                for (int r = 0; r < 2; r++) B[l % 4 + 4 * r][l / 4] = __uint_as_float(b[r] & 0xffffe000u);
            }
            for (int m = 0; m < 16; m++) {
                float sum[8] = {0};
                for (int k = 0; k < 8; k++)
                    for (int n = 0; n < 8; n++) sum[n] += A[m][k] * B[k][n];
                for (int n = 0; n < 8; n++) ((float*)f[4 * (m % 8) + n / 2].out)[n % 2 + 2 * (m / 8)] += sum[n];
            }
        },
        a, d, b);
}
