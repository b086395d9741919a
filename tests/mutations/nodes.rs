//! Of all that goes in groups of channels or number by number: nodes, pools, heads, scores, the optimiser.

use super::Faults;
use isdarts_host::ops::gpu::Arithmetic::Single;

/// Their kernels multiply the same way in every arithmetic.
const fn of(file: &'static str, family: &'static str, faults: &'static [super::Fault]) -> Faults {
    Faults { file, family, arithmetic: Single, faults }
}

pub const FAULTS: &[Faults] = &[
    of(
        "gpu/rows.cuh",
        "pool",
        &[
            (
                "no barrier before lanes are added up",
                "    __syncthreads();\n    for (int i = threadIdx.x; i < 2 * g.width",
                "    for (int i = threadIdx.x; i < 2 * g.width",
            ),
            (
                "no barrier behind the totals",
                "BUNCH, rows * g.width);\n    __syncthreads();",
                "BUNCH, rows * g.width);",
            ),
            ("bunches at one place", "rows, bunch * BUNCH), n, 1,", "rows, 0), n, 1,"),
            (
                "lanes that have no work",
                "if (g.lane < g.lanes)\n        for (int k = 0; k < 8; k++)",
                "for (int k = 0; k < 8; k++)",
            ),
            ("the norm of the first group", "norm_forward(norm, pass, g.first + i,", "norm_forward(norm, pass, i,"),
        ],
    ),
    of(
        "gpu/rows.cuh",
        "gather",
        &[(
            "no barrier before lanes are added up",
            "    __syncthreads();\n    // Several threads a number",
            "    // Several threads a number",
        )],
    ),
    of(
        "gpu/side_by_side.cu",
        "side by side",
        &[(
            "work of another launch",
            "both.second_work - both.n_first, pass);\n}\n\nKERNEL(taps",
            "both.second_work, pass);\n}\n\nKERNEL(taps",
        )],
    ),
    of(
        "pool/pool.cu",
        "pool",
        &[
            ("a pixel behind the last", "min((block + 1) * g.pixels, all)", "min((block + 1) * g.pixels, all + 1)"),
            ("the choice of a neighbour", "y, x, choice + 2)", "y, x, choice + 1)"),
            ("the image itself as a maximum", "else if (job.kind == 2)", "else if (job.kind == 3)"),
        ],
    ),
    of(
        "pool/window.cuh",
        "pool",
        &[
            ("the last of equal ones", "v > best || v != v", "v >= best || v != v"),
            ("NaN is no maximum", "v > best || v != v", "v > best"),
            ("a row behind the image", "bool row = r >= 0 && r < h;", "bool row = r >= 0 && r <= h;"),
        ],
    ),
    of(
        "channels/derive.cu",
        "derive",
        &[
            (
                "a channel that the images lack",
                "if (ch < job.channels) v = job.x[",
                "if (ch <= job.channels) v = job.x[",
            ),
            ("a row behind the image", "r < job.sh && q < job.sw", "r <= job.sh && q < job.sw"),
            ("a number behind the last", "if (i >= len) break;", "if (i > len) break;"),
            ("all parts at the first one's place", "job.at + ch] = v;", "ch] = v;"),
            ("no zeros behind the parts", "} else if (ch < job.channels) {", "} else {"),
        ],
    ),
    of(
        "linear_sum/fill.cu",
        "fill",
        &[
            ("the first image's scale", "term.scale[b]", "term.scale[0]"),
            (
                "four numbers behind the last",
                "if (i >= job.b * pixels * quads) return;",
                "if (i > job.b * pixels * quads) return;",
            ),
            ("no stride", "y * term.stride, x * term.stride", "y, x * term.stride"),
            ("terms that are not drawn", "if (pass->drawn && term.mix && weight == 0.f) continue;", ""),
            ("no affine part", "if (term.kind == 0) v =", "if (false) v ="),
        ],
    ),
    of(
        "linear_sum/gather.cu",
        "mix",
        &[("a weight behind the last", "if (i >= job.n) return;", "if (i > job.n) return;")],
    ),
    of(
        "linear_sum/gather.cu",
        "gather",
        &[
            ("windows between those of stride 2", "ox < s.w && (s.stride == 1 || !(q & 1));", "ox < s.w;"),
            ("nodes that are not computed", "if (is_left_out(s, pass)) continue;", ""),
            ("plain ones that are not computed", "bool there = !is_left_out(s, pass);", "bool there = true;"),
            (
                "no barrier behind what is known of sources",
                "direct = stored && job.tiles == 1;\n    __syncthreads();",
                "direct = stored && job.tiles == 1;",
            ),
            ("rows of sources at one place", "parts + r * g.width, shared);", "parts, shared);"),
            ("windows are mirrored", "int place = 8 - 3 * i - j;", "int place = 3 * i + j;"),
            (
                "pixels under another window",
                "share3(r, job.h) * share3(q, job.w)",
                "share3(y, job.h) * share3(q, job.w)",
            ),
            ("an average for all of a row", "? share3(x + i - 1, job.w) :", "? share3(x, job.w) :"),
            ("halves of all pixels", "if (y % 2 == x % 2) one[k]", "one[k]"),
            ("no mask of the ReLU", "job.c + i] <= 0.f) continue;", "job.c + i] < -1e9f) continue;"),
            ("channels behind the last", "if (i >= s.channels) break;", ""),
            ("a vector at a place of its own", "st4(here, dx);", "st4(here + 1, dx);"),
            ("all rows at the first one's place", "parts + first * g.width, shared);", "parts, shared);"),
            (
                "no barrier behind the norms",
                "    __syncthreads();\n    // A warp each, over the channels.",
                "    // A warp each, over the channels.",
            ),
            (
                "the first block ends it",
                "if (!group_ends(g, job.sums, n_rows, block, flag)) return;",
                "if (block) return;",
            ),
            ("the mean of a neighbour", "(float)m[1]", "(float)m[0]"),
            ("all groups at one place", "to[g.index] = sum;", "to[0] = sum;"),
        ],
    ),
    of(
        "head/head.cu",
        "head",
        &[
            (
                "no barrier before lanes are added up",
                "        __syncthreads();\n        if (lane == 0) {\n            for (int l = 1; l < lanes; l++) sum +=",
                "        if (lane == 0) {\n            for (int l = 1; l < lanes; l++) sum +=",
            ),
            (
                "no barrier before the linear map",
                "        __syncthreads();\n    }\n    for (int k = threadIdx.x; k < job.classes",
                "    }\n    for (int k = threadIdx.x; k < job.classes",
            ),
            ("all biases at one place", "else job.dbias[k] = (float)sum;", "else job.dbias[0] = (float)sum;"),
            (
                "no barrier behind the gradient of the means",
                "dp[ch] = (float)sum / job.pixels;\n    }\n    __syncthreads();",
                "dp[ch] = (float)sum / job.pixels;\n    }",
            ),
            (
                "the first image ends it",
                "if (!is_last(job.sums.done, job.b, (int*)(dp + job.c))) return;",
                "if (b) return;",
            ),
            ("no mask of the ReLU", "<= 0.f ? 0.f : dp[ch];", "<= 0.f ? dp[ch] : dp[ch];"),
            ("the mean is not taken away", "dot - job.norm.mean[ch] * sum", "dot"),
            ("no ReLU before the tap", "sum += relu(job.x[", "sum += (job.x["),
        ],
    ),
    of(
        "head/head.cu",
        "moments",
        &[(
            "a pixel behind the last",
            "min((block + 1) * g.pixels, job.pixels)",
            "min((block + 1) * g.pixels, job.pixels + 1)",
        )],
    ),
    of(
        "iim/score.cu",
        "score",
        &[
            ("channels behind the last", "if (ch + k < job.channels) squares", "squares"),
            ("lanes of a pixel apart", "sum[i] += __shfl_xor_sync(0xffffffffu, sum[i], mask);", "sum[i] += sum[i];"),
            ("four pixels behind the last", "if (ch == 0 && p + i * lanes < end) total", "if (ch == 0) total"),
            (
                "the first block ends it",
                "if (!is_last(job.done, job.blocks, (int*)(shared + THREADS))) return;",
                "if (block) return;",
            ),
        ],
    ),
    of(
        "gpu/device.cuh",
        "sgd",
        &[(
            "no barrier in the tree",
            "shared[threadIdx.x] += shared[threadIdx.x + half];\n        __syncthreads();",
            "shared[threadIdx.x] += shared[threadIdx.x + half];",
        )],
    ),
    of(
        "sgd/sgd.cu",
        "sgd",
        &[
            (
                "the first block ends it",
                "if (!is_last(job.done, job.all_blocks, (int*)(shared + THREADS))) return;",
                "if (job.first + block) return;",
            ),
            (
                "blocks are added up from the last one on",
                "sum += job.parts[i];",
                "sum += job.parts[(i + blockIdx.x) % job.all_blocks];",
            ),
            ("a number behind the last", "job.n); i += THREADS) sum", "job.n + 1); i += THREADS) sum"),
            ("what is not finite moves weights", "if (!job.state->finite) return;", ""),
            ("gradients that are not live", "job.g && !(job.live && !*job.live)", "job.g"),
            ("statistics behind what is not finite", " && !(job.state && !job.state->finite);", ";"),
            ("no momentum before it", "fmaf(pass->momentum, m, d) : m", "d : m"),
            ("nobody counts", "if (v - v != 0.f) atomicAdd(job.spoiled, 1);", ""),
            (
                "the first block forgets it",
                "if (is_last(job.done, job.all, flag) && threadIdx.x == 0)",
                "if (threadIdx.x == 0)",
            ),
        ],
    ),
];
