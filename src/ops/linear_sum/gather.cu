// The gradient of a node: what came through convolutions (`base`), and what arrives from copies, pools and nodes made of it. While a
// run of pixels is in shared memory, the sums by channel that the norms of the node's own terms need, and the gradients of the weights
// before copies and pools. The last block of a group of channels makes of them how the gradient goes on.
// `blocks = groups x blocks of pixels`, see rows.cuh. Shared: ROWS * THREADS float4, THREADS doubles, an int; 16 bytes on, 32 bytes for each
// source and each row, then `tiles` times the pixels of a block times its channels, floats.

DEV float arriving1(const GatherSource& s, int b, int y, int x, int ch) {
    // A pixel of the image that dz belongs to, one channel.
    return gradient1(s.dz, (((long long)b * s.h + y) * s.w + x) * s.c + ch, b, ch);
}
DEV float4 plain4(const GatherSource& s, int b, int y, int x, int ch) {
    long long at = (((long long)b * s.h + y) * s.w + x) * s.c + ch;
    if (s.dz.a) return gradient4(s.dz, at, b, ch);
    float4 v = ld4(s.dz.dy + at);
    return s.dz.r ? scale4(ld(s.dz.r + b), v) : v;
}
DEV float plain1(const GatherSource& s, int b, int y, int x, int ch) {
    if (s.dz.a) return arriving1(s, b, y, x, ch);
    float v = s.dz.dy[(((long long)b * s.h + y) * s.w + x) * s.c + ch];
    return s.dz.r ? v * s.dz.r[b] : v;
}
// Whether nothing arrives: the node that is made of this one is not computed, or its term is not.
DEV bool is_left_out(const GatherSource& s, const Pass* pass) {
    return s.live && !*s.live || pass->drawn && s.mix && *s.mix == 0.f;
}

// What all threads know of a source that arrives as it is or by averages: no thread looks for it while pixels wait.
struct alignas(16) GatherWay {
    const float* dy;
    const float* r;
    float weight;
    int there;       // Whether anything arrives.
    int unused[2];
};

// One over the pixels of the image under the 3x3 window around i, along an axis of n.
DEV NodeSum share3(int i, int n) {
    int under = min(i + 2, n) - max(i - 1, 0);
    return under == 3 ? (NodeSum)1 / 3 : under == 2 ? (NodeSum)0.5 : (NodeSum)1;
}

// Adds what arrives by 3x3 averages of stride 1 from `n` sources, with their weights: where the pixels are is found once for all.
DEV void averages4(NodeSum4& sum, const GatherJob& job, const GatherWay* ways, int n, int b, int y, int x, int ch) {
    int at = ((b * job.h + y) * job.w + x) * job.c + ch;
    NodeSum down[3], across[3];
#pragma unroll
    for (int i = 0; i < 3; i++) {
        // A share of 0 is beyond the border.
        down[i] = (unsigned)(y + i - 1) < (unsigned)job.h ? share3(y + i - 1, job.h) : (NodeSum)0;
        across[i] = (unsigned)(x + i - 1) < (unsigned)job.w ? share3(x + i - 1, job.w) : (NodeSum)0;
    }
    for (int k = 0; k < n; k++) {
        if (!ways[k].there) continue;
        const float* dy = ways[k].dy + at;
        NodeSum weight = ways[k].weight;
        if (ways[k].r) weight *= ways[k].r[b];
#pragma unroll
        for (int i = 0; i < 3; i++) {
            float4 d[3];
#pragma unroll
            for (int j = 0; j < 3; j++)
                d[j] = down[i] != 0 && across[j] != 0 ? ld4(dy + ((i - 1) * job.w + j - 1) * job.c) : f4(0);
#pragma unroll
            for (int j = 0; j < 3; j++) node_add(sum, weight * down[i] * across[j], d[j]);
        }
    }
}

// What arrives at (b, y, x) of four channels from ch on, without its weight; the node is h x w.
DEV float4 arriving4(const GatherJob& job, const GatherSource& s, int b, int y, int x, int ch) {
    float4 v = f4(0);
    if (s.kind == 0) return plain4(s, b, y, x, ch);
    if (s.kind == 1 || s.kind == 2) {
        // Windows whose centre, a multiple of the stride, is next to this pixel. Without branches: loads of a row go out at once.
#pragma unroll
        for (int i = 0; i < 3; i++) {
            int r = y + i - 1, oy = s.stride == 1 ? r : r >> 1;
            bool row = r >= 0 && oy < s.h && (s.stride == 1 || !(r & 1));
            float4 d[3];
            bool inside[3];
#pragma unroll
            for (int j = 0; j < 3; j++) {
                int q = x + j - 1, ox = s.stride == 1 ? q : q >> 1;
                inside[j] = row && q >= 0 && ox < s.w && (s.stride == 1 || !(q & 1));
                d[j] = inside[j] ? plain4(s, b, oy, ox, ch) : f4(0);
            }
#pragma unroll
            for (int j = 0; j < 3; j++) {
                int q = x + j - 1, ox = s.stride == 1 ? q : q >> 1;
                if (s.kind == 1) {
                    float share = (float)(share3(r, job.h) * share3(q, job.w));
                    v = fma4(f4(share), d[j], v);
                } else if (inside[j]) {
                    // The place of this pixel in that window.
                    int place = 8 - 3 * i - j;
                    uchar4 choice = *reinterpret_cast<const uchar4*>(s.choice + (((long long)b * s.h + oy) * s.w + ox) * s.c + ch);
                    if (choice.x == place) v.x += d[j].x;
                    if (choice.y == place) v.y += d[j].y;
                    if (choice.z == place) v.z += d[j].z;
                    if (choice.w == place) v.w += d[j].w;
                }
            }
        }
        return v;
    }
    if (s.kind == 3) {
        if (y / 2 < s.h && x / 2 < s.w) v = scale4(0.25f, plain4(s, b, y / 2, x / 2, ch));
        return v;
    }
    if (s.kind == 7) {
        if (y / 2 >= s.h || x / 2 >= s.w) return v;
        float4 d = plain4(s, b, y / 2, x / 2, ch);
        uchar4 choice = *reinterpret_cast<const uchar4*>(s.choice + (((long long)b * s.h + y / 2) * s.w + x / 2) * s.c + ch);
        int place = y % 2 * 2 + x % 2;
        return make_float4(choice.x == place ? d.x : 0.f, choice.y == place ? d.y : 0.f, choice.z == place ? d.z : 0.f,
                           choice.w == place ? d.w : 0.f);
    }
    float one[4] = {0, 0, 0, 0};
    for (int k = 0; k < 4; k++) {
        int i = ch + k;
        if (i >= s.channels) break;
        if (s.kind == 4) {
            if (y % 2 == x % 2) one[k] = plain1(s, b, y / 2, x / 2, (y % 2) * s.channels + i);
        } else if (s.kind == 5) {
            one[k] = plain1(s, b, y, x, s.at + i);
        } else if (s.kind == 8) {
            // Runs are as long as the first one, which is all of its node, or ends where the others begin.
            int n = s.at ? s.at : s.channels;
            if (i >= s.at) one[k] = plain1(s, b, y, x, i % n * s.stride + i / n);
        } else {
            if (job.x[(((long long)b * job.h + y) * job.w + x) * job.c + i] <= 0.f) continue;
            for (int oy = 0; oy < s.h; oy++) {
                int r = y - oy * s.stride;
                if (r < 0 || r >= s.at) continue;
                for (int ox = 0; ox < s.w; ox++) {
                    int q = x - ox * s.stride;
                    if (q >= 0 && q < s.at) one[k] += plain1(s, b, oy, ox, i) / (s.at * s.at);
                }
            }
        }
    }
    return make_float4(one[0], one[1], one[2], one[3]);
}

// From the totals of the group's rows: the norms of the terms, and gradients of weights.
DEV void gather_end(const GatherJob& job, const Group& g, const Pass* pass, double* total, int all) {
    for (int i = threadIdx.x; i < job.n_terms * g.width; i += THREADS) {
        const GatherTerm& term = job.terms[i / g.width];
        int ch = i % g.width;
        double *dot = total + term.dot * g.width + ch, sum = total[term.sum * g.width + ch], mean = term.norm.mean[g.first + ch];
        // Its place is nobody else's from here on.
        *dot = norm_backward(term.norm, pass, g.first + ch, sum, *dot + ((double)(float)mean - mean) * sum, all);
    }
    __syncthreads();
    // A warp each, over the channels.
    for (int i = threadIdx.x / 32; i < job.n_terms + job.n_dots + 1; i += THREADS / 32) {
        bool is_term = i < job.n_terms, is_dot = !is_term && i < job.n_terms + job.n_dots;
        double* to = is_term ? job.terms[i].norm.dmix : is_dot ? job.dots[i - job.n_terms].dmix : job.ghost;
        if (!to) continue;
        int row = is_term ? job.terms[i].dot : is_dot ? job.dots[i - job.n_terms].row : 0;
        double sum = 0;
        for (int ch = threadIdx.x % 32; ch < g.width; ch += 32) sum += total[row * g.width + ch];
        for (int mask = 16; mask; mask /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, mask);
        if (threadIdx.x % 32 == 0) to[g.index] = sum;
    }
}

// The gradient at pixel p, of four channels from ch on.
DEV float4 gathered4(const GatherJob& job, const GatherWay* ways, const Pass* pass, int p, int ch) {
    int pixels = job.h * job.w, b = p / pixels, q = p - b * pixels, y = q / job.w, x = q - y * job.w, n = 0;
    long long at = (long long)p * job.c + ch;
    NodeSum4 sum = {0, 0, 0, 0};
    if (job.base) node_add(sum, 1, ld4(job.base + at));
    if (job.n_averages) averages4(sum, job, ways, job.n_averages, b, y, x, ch);
    ways += job.n_averages;
    // Loads of several go out at once.
#pragma unroll 4
    for (n = 0; n < job.n_plain; n++) {
        float4 d = ways[n].there ? ld4(ways[n].dy + at) : f4(0);
        NodeSum weight = ways[n].weight;
        if (ways[n].r) weight *= ways[n].r[b];
        node_add(sum, weight, d);
    }
#pragma unroll 1
    for (n += job.n_averages; n < job.n_sources; n++) {
        const GatherSource& s = job.sources[n];
        if (is_left_out(s, pass)) continue;
        node_add(sum, s.mix ? *s.mix : 1.f, arriving4(job, s, b, y, x, ch));
    }
    return node_sum(sum);
}

// What a source brings, without its weight, times x, summed over the pixels of a thread.
DEV float4 brought4(const GatherJob& job, const Group& g, int source, int from, int end, int ch) {
    const GatherSource& s = job.sources[source];
    float4 sum = f4(0);
    int pixels = job.h * job.w;
    for (int p = from + g.lane; p < end; p += g.lanes) {
        int b = p / pixels, q = p - b * pixels, y = q / job.w, x = q - y * job.w;
        sum = fma4(ld4(job.x + (long long)p * job.c + ch), arriving4(job, s, b, y, x, ch), sum);
    }
    return sum;
}

KERNEL(gather, GatherJob, 3) {
    SHARED(float, shared);
    int* flag = (int*)(shared + 4 * ROWS * THREADS + 2 * THREADS);
    GatherWay* ways = (GatherWay*)(shared + 4 * ROWS * THREADS + 2 * THREADS + 4);
    const GatherJob& job = jobs[work[blockIdx.x].x];
    SKIP(job);
    int n_rows = job.n_rows;
    GatherRow* rows = (GatherRow*)(ways + job.n_sources);
    float* tile = (float*)(rows + n_rows);
    for (int i = threadIdx.x; i < job.n_sources; i += THREADS) {
        const GatherSource& s = job.sources[i];
        bool there = !is_left_out(s, pass);
        ways[i].dy = s.dz.dy;
        ways[i].r = s.dz.r;
        ways[i].weight = there && s.mix ? *s.mix : 1.f;
        ways[i].there = there;
    }
    for (int i = threadIdx.x; i < n_rows; i += THREADS) rows[i] = job.rows[i];
    int pixels = job.h * job.w, all = job.b * pixels;
    Group g = group_of(work[blockIdx.x].y, all, job.c, job.each);
    int block = work[blockIdx.x].y - g.index * g.blocks, from = block * g.pixels, end = min(from + g.pixels, all);
    int ch = g.first + 4 * g.column, tile_len = g.pixels * g.width;
    // Where nothing is added to what came through convolutions, it is read where it stands.
    bool stored = job.base == job.dx && !job.n_sources, direct = stored && job.tiles == 1;
    __syncthreads();
    if (g.lane < g.lanes && !direct) {
        for (int p = from + g.lane; p < end; p += g.lanes) {
            float4 dx = gathered4(job, ways, pass, p, ch);
            long long at = (long long)p * job.c + ch;
            if (!stored) st4(job.dx + at, dx);
            float* here = tile + (p - from) * g.width + 4 * g.column;
            st4(here, dx);
            if (job.tiles > 1) st4(here + tile_len, ld4(job.x + at));
            if (job.tiles > 2) {
                int b = p / pixels, q = p - b * pixels, y = q / job.w;
                st4(here + 2 * tile_len, average3(job.x + (long long)b * pixels * job.c + ch, job.h, job.w, job.c, y, q - y * job.w));
            }
        }
    }
    if (n_rows == 0) return;
    double* parts = group_parts(g, job.sums.parts, n_rows, block);
    for (int first = 0; first < n_rows; first += ROWS) {
        int here = min(ROWS, n_rows - first);
        const GatherRow* row = rows + first;
        float4 sums[ROWS] = {f4(0), f4(0), f4(0), f4(0)};
        if (g.lane < g.lanes) {
            float4 mean[ROWS];
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                mean[r] = f4(0);
                if (r < here && row[r].mean) {
                    const double* m = row[r].mean + ch;
                    mean[r] = make_float4((float)m[0], (float)m[1], (float)m[2], (float)m[3]);
                }
            }
            for (int p = from + g.lane; p < end; p += g.lanes) {
                long long at = (long long)p * job.c + ch;
                // Without branches between them, the loads of all rows go out at once.
                float4 right[ROWS];
#pragma unroll
                for (int r = 0; r < ROWS; r++) right[r] = r < here && row[r].right ? ld4(row[r].right + at) : f4(1);
#pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    if (r >= here || row[r].source >= 0) continue;
                    // This thread wrote it.
                    float4 v = direct ? ld4(job.dx + at) : ld4(tile + row[r].left * tile_len + (p - from) * g.width + 4 * g.column);
                    float4 w = right[r], m = mean[r];
                    if (row[r].r) v = scale4(row[r].r[p / pixels], v);
                    sums[r] = fma4(v, make_float4(w.x - m.x, w.y - m.y, w.z - m.z, w.w - m.w), sums[r]);
                }
            }
        }
        group_sums(g, sums, here, parts + first * g.width, shared);
    }
    // What no image says: by themselves, for they take many registers.
#pragma unroll 1
    for (int r = 0; r < n_rows; r++) {
        if (rows[r].source < 0) continue;
        float4 sum = f4(0);
        if (g.lane < g.lanes) sum = brought4(job, g, rows[r].source, from, end, ch);
        group_sums(g, &sum, 1, parts + r * g.width, shared);
    }
    if (!group_ends(g, job.sums, n_rows, block, flag)) return;
    gather_end(job, g, pass, group_parts(g, job.sums.parts, n_rows, 0), all);
}

KERNEL(mix_gradient, MixJob, 4) {
    const MixJob& job = jobs[work[blockIdx.x].x];
    int i = work[blockIdx.x].y * THREADS + threadIdx.x;
    if (i >= job.n) return;
    double sum = 0;
    for (int j = job.start[i]; j < job.start[i + 1]; j++) sum += job.values[job.slots[j]];
    job.out[i] = (float)sum;
}
