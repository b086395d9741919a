// Sums by channel, as kernels that work in groups of 64 channels make them: a block takes a run of pixels of one group.
// Threads stand in columns of four channels, `lanes` pixels side by side.

#define GROUP 64
#define ROWS 4
// Blocks whose sums are added up before those of all are.
#define BUNCH 16

struct Group {
    int first, width;    // Channels.
    int quads, lanes;    // Columns of four channels, and threads in each.
    int column, lane;    // Of this thread; a lane that is not below `lanes` has no work.
    int pixels;          // Of a block.
    int blocks;          // Of pixels.
    int index;
};

// Blocks go over the pixels of a group, `each` of them a block, then to the next one.
DEV Group group_of(int block, int all_pixels, int c, int each) {
    Group g;
    g.pixels = each;
    g.blocks = (all_pixels + g.pixels - 1) / g.pixels;
    g.index = block / g.blocks;
    g.first = g.index * GROUP;
    g.width = c - g.first < GROUP ? c - g.first : GROUP;
    g.quads = g.width / 4;
    g.lanes = THREADS / g.quads;
    g.column = threadIdx.x % g.quads;
    g.lane = threadIdx.x / g.quads;
    return g;
}

// Where the part of pixel block `block` begins, of `rows` rows.
DEV double* group_parts(const Group& g, double* parts, int rows, int block) {
    return parts + (long long)g.blocks * rows * g.first + (long long)block * rows * g.width;
}

// Adds up `n` (up to ROWS) numbers of four channels each thread over the lanes, in a fixed order, to out[row][channel of the group].
// `shared`: ROWS * THREADS float4, then THREADS doubles.
DEV void group_sums(const Group& g, const float4* mine, int n, double* out, float* shared) {
    double* runs_of = (double*)(shared + 4 * ROWS * THREADS);
    __syncthreads();
    if (g.lane < g.lanes)
        for (int r = 0; r < n; r++) st4(shared + 4 * ((r * g.lanes + g.lane) * g.quads + g.column), mine[r]);
    __syncthreads();
    // Several threads a number, each a run of lanes. There are at most THREADS numbers.
    int numbers = n * g.width, runs = THREADS / numbers, i = threadIdx.x % numbers, run = threadIdx.x / numbers;
    double sum = 0;
    if (run < runs) {
        const float* from = shared + (i / g.width) * g.lanes * g.width + i % g.width;
        for (int l = g.lanes * run / runs; l < g.lanes * (run + 1) / runs; l++) sum += from[l * g.width];
        runs_of[threadIdx.x] = sum;
    }
    __syncthreads();
    if (run == 0) {
        for (int r = 1; r < runs; r++) sum += runs_of[r * numbers + i];
        out[i] = sum;
    }
}

// The sums of four channels and of their squares, in f64: what norms make of them is a small difference of large numbers.
DEV void moments_add(double* sums, float4 v) {
    float one[4] = {v.x, v.y, v.z, v.w};
    for (int k = 0; k < 4; k++) {
        sums[k] += one[k];
        sums[4 + k] += (double)one[k] * one[k];
    }
}

// Adds these up over the lanes, in their order, to out[2][channel of the group]. `shared`: 8 THREADS doubles.
DEV void group_moments(const Group& g, const double* mine, double* out, double* shared) {
    if (g.lane < g.lanes)
        for (int k = 0; k < 8; k++) shared[((k / 4 * g.lanes + g.lane) * g.quads + g.column) * 4 + k % 4] = mine[k];
    __syncthreads();
    for (int i = threadIdx.x; i < 2 * g.width; i += THREADS) {
        const double* from = shared + (i / g.width) * g.lanes * g.width + i % g.width;
        double sum = 0;
        for (int l = 0; l < g.lanes; l++) sum += from[l * g.width];
        out[i] = sum;
    }
}

// Adds up the parts of `n` blocks, `step` blocks apart, into the first one's place; `len` numbers each.
DEV void add_blocks(double* parts, int n, int step, int len) {
    for (int i = threadIdx.x; i < len; i += THREADS) {
        double sum = 0;
        // Loads of all of a bunch go out at once.
#pragma unroll 16
        for (int b = 0; b < n; b++) sum += parts[(long long)b * step * len + i];
        parts[i] = sum;
    }
}

// Whether this block is the last of its group; then the sums of all its pixel blocks stand in the first one's place. The last block of
// each bunch adds up the bunch, the last of these the bunches: no block reads many parts. `done`: 1 + bunches counters a group.
DEV bool group_ends(const Group& g, const Sums& sums, int rows, int block, int* flag) {
    int bunches = (g.blocks + BUNCH - 1) / BUNCH, bunch = block / BUNCH, n = min(BUNCH, g.blocks - bunch * BUNCH);
    int* done = sums.done + g.index * (1 + bunches);
    if (!is_last(done + 1 + bunch, n, flag)) return false;
    add_blocks(group_parts(g, sums.parts, rows, bunch * BUNCH), n, 1, rows * g.width);
    if (!is_last(done, bunches, flag)) return false;
    add_blocks(group_parts(g, sums.parts, rows, 0), bunches, BUNCH, rows * g.width);
    __syncthreads();
    return true;
}

// The norm of a group's channels, by its last block, from rows of sums and of sums of squares over `count` values.
DEV void norm_of_group(const Group& g, const Sums& sums, const Norm& norm, const Pass* pass, int block, int count, int* flag) {
    if (!group_ends(g, sums, 2, block, flag)) return;
    const double* total = group_parts(g, sums.parts, 2, 0);
    for (int i = threadIdx.x; i < g.width; i += THREADS)
        norm_forward(norm, pass, g.first + i, total[i], total[g.width + i], count);
}
