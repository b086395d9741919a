//! Of dense convolutions, and of what all kernels begin with.

use super::Faults;
use isdarts_host::ops::gpu::Arithmetic::{Exact, Single, Split};

pub const FAULTS: &[Faults] = &[
    Faults {
        file: "conv/conv.cu",
        family: "conv",
        arithmetic: Split,
        faults: &[
            (
                "no barrier before another warp's sums are read",
                "mine[i * 32] = sum[i];\n        __syncthreads();",
                "mine[i * 32] = sum[i];",
            ),
            (
                "no barrier before its place is taken",
                "part < split; part++) {\n        __syncthreads();",
                "part < split; part++) {",
            ),
            ("no frame at the right", "& ((unsigned)ix < (unsigned)f.w) &", "&"),
            ("halves see all inputs", "if (half != (i >= ci)) return 0.f;", ""),
            (
                "no low part of weights",
                "for (int product = 0; product < 3; product++)",
                "for (int product = 1; product < 3; product++)",
            ),
            ("no low part of pixels", "low = __float_as_uint(v - __uint_as_float(high));", "low = 0;"),
            ("weights of another lane", "o = 2 * (lane / 4) + j % 2;", "o = lane / 4 + j % 2 * 8;"),
        ],
    },
    Faults {
        file: "conv/conv.cu",
        family: "conv",
        arithmetic: Single,
        faults: &[("another output's weight", "s[2] += v * w.z;", "s[2] += v * w.y;")],
    },
    Faults {
        file: "conv/conv.cu",
        family: "conv",
        arithmetic: Exact,
        faults: &[("no room for f64 sums", "room + place.group * TILES * 512", "room + place.group * TILES * 256")],
    },
    Faults {
        file: "conv/conv_forward.cu",
        family: "conv",
        arithmetic: Split,
        faults: &[
            (
                "a row behind the image",
                "(unsigned)(y[n] + dy) < (unsigned)win.h",
                "(unsigned)(y[n] + dy) <= (unsigned)win.h",
            ),
            ("a pixel behind the last", "first + pixel >= pixels ||", "first + pixel > pixels ||"),
            ("another convolution's weights", "job.n_of > 1 ? job.of[m].weights", "job.n_of > 1 ? job.of[0].weights"),
            ("outputs of all at one place", "(job.n_of > 1 ? m * oc : 0) + o] = s;", "o] = s;"),
            ("convolutions that are not wanted", "bool wanted = !of.live || *of.live;", "bool wanted = true;"),
            ("outputs behind the last", "pixels || o >= oc) continue;", "pixels) continue;"),
            (
                "no barrier before sums of warps are read",
                "    __syncthreads();\n    if (threadIdx.x < 32 * TILES) {",
                "    if (threadIdx.x < 32 * TILES) {",
            ),
            (
                "the first block ends it",
                "if (!is_last(job.sums.done, job.blocks, (int*)shared)) return;",
                "if (work[blockIdx.x].y) return;",
            ),
            ("a race for the totals' place", "double* total = room + THREADS;", "double* total = room;"),
            ("padded outputs are not zeroed", "if (o + 1 >= channels) v[1] = 0.f;", ""),
            (
                "no barrier behind what a block reads",
                "    __syncthreads();\n    conv_staged_sums(",
                "    conv_staged_sums(",
            ),
            (
                "no barrier before its place is used again",
                "place.part, job.split);\n    __syncthreads();\n}",
                "place.part, job.split);\n}",
            ),
            (
                "lanes left out of a sum",
                "(ARITHMETIC == 1 ? 4 : 32); mask *= 2)",
                "(ARITHMETIC == 1 ? 4 : 32); mask *= 4)",
            ),
            ("no mask at the border", "values[n] = inside[n] && exists ? v : f4(0.f);", "values[n] = v;"),
        ],
    },
    Faults {
        file: "conv/conv_input.cu",
        family: "conv",
        arithmetic: Split,
        faults: &[
            ("odd pixels that none has", " || x >= job.w || y >= job.h", ""),
            ("pixels between those of stride 2", " & (((oy | ox) & odd) == 0)", ""),
            ("lanes of a warp part", "conv_any(inside[0] || inside[1] || inside[2] || inside[3])", "inside[0]"),
            ("no mask of the ReLU", "if (s.y <= 0.f) v.y = 0.f;", ""),
            ("r is forgotten", "scale4(r[n], values[n])", "values[n]"),
            ("parts that are left out", "if (part.live && !*part.live) continue;", ""),
            ("another lane's pixel", "at[i / 2 % 4], pixel % 8 * 4)", "at[i / 2 % 4], pixel % 8)"),
        ],
    },
    Faults {
        file: "conv/conv_weight.cu",
        family: "conv",
        arithmetic: Split,
        faults: &[
            ("a row behind the image", "if (y >= win.oh) {", "if (y > win.oh) {"),
            ("one room for two slots", "s % 2 * 2048", "0"),
            (
                "no barrier before sums of warps are read",
                "            __syncthreads();\n            ConvSum v = 0;",
                "            ConvSum v = 0;",
            ),
            (
                "no barrier behind the table",
                "affine, coefficients);\n        __syncthreads();",
                "affine, coefficients);",
            ),
            (
                "no barrier behind what a block reads",
                "        __syncthreads();\n        if (slots == CONV_SLOTS)",
                "        if (slots == CONV_SLOTS)",
            ),
            (
                "no barrier before the next pixels",
                "        __syncthreads();\n        // A pixel that does not exist",
                "        // A pixel that does not exist",
            ),
            ("one counter for all groups", "int* done = job.done + group * (1 + clusters);", "int* done = job.done;"),
            ("the first split ends it", "if (!is_last(done + 1 + cluster, here, flag)) return;", "if (split) return;"),
            ("inputs that a half does not see", "if (i < 0 || i >= ci) return;", ""),
            (
                "no low part of gradients",
                "for (int product = 0; product < 3; product++)",
                "for (int product = 1; product < 3; product++)",
            ),
            ("a warp left out", "for (int w = 0; w < 8; w++) v +=", "for (int w = 0; w < 7; w++) v +="),
        ],
    },
    Faults {
        file: "gpu/device.cuh",
        family: "conv",
        arithmetic: Split,
        faults: &[
            ("jobs that are left out run", "if ((job).live && !*(job).live) return", ""),
            ("counters are not reset", "if (*flag) *done = 0;", ""),
            (
                "no barrier before runs are added up",
                "scratch[run * n + i] = sum;\n        }\n        __syncthreads();",
                "scratch[run * n + i] = sum;\n        }",
            ),
            (
                "blocks are added up from the last one on",
                "for (; b < end; b++, part += len) sum += *part;",
                "for (int k = b; k < end; k++) sum += part[(long long)((k - b + blockIdx.x) % (end - b)) * len];",
            ),
            ("norms of channels that none has", "if (i >= n.channels || n.kind == 0) {", "if (n.kind == 0) {"),
        ],
    },
    Faults {
        file: "gpu/device.cuh",
        family: "moments",
        arithmetic: Single,
        faults: &[
            ("the variance is biased", "0.1 * (count / (count > 2 ? count - 1 : 1) * var)", "0.1 * var"),
            ("biases that are not finite pass", "if (bias) t +=", "if (false) t +="),
            (
                "every block ends it too early",
                "*flag = atomicAdd(done, 1) == blocks - 1;",
                "*flag = atomicAdd(done, 1) == 0;",
            ),
        ],
    },
];
