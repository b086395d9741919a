//! Of separable convolutions.

use super::Faults;
use isdarts_host::ops::gpu::Arithmetic::{Single, Split};

pub const FAULTS: &[Faults] = &[
    Faults {
        file: "conv/conv.cu",
        family: "separable",
        arithmetic: Split,
        faults: &[("a tap behind the last", "if (tap < taps) job.forward[i]", "if (tap <= taps) job.forward[i]")],
    },
    Faults {
        file: "depthwise/separable.cu",
        family: "separable",
        arithmetic: Split,
        faults: &[
            (
                "no barrier behind the depthwise part",
                "        __syncthreads();\n        for (int unit",
                "        for (int unit",
            ),
            (
                "no barrier before sums of warps are read",
                "        __syncthreads();\n        for (int i = threadIdx.x; i < 2 * n.oc",
                "        for (int i = threadIdx.x; i < 2 * n.oc",
            ),
            ("pixels before the row", "there & ((unsigned)(x + j) < (unsigned)in.w)", "there & (x + j < in.w)"),
            ("rows outside of the image", "(unsigned)y < (unsigned)in.h);", "true);"),
            ("sums of the last tile alone", "tile == block * job.each ? 0 : all[i]", "0"),
            ("pixels behind the row", "at < groups && x < n.ow ?", "at < groups ?"),
            ("outputs behind the last", "if (place < 0 || o >= oc) continue;", "if (place < 0) continue;"),
            ("the first block ends it", "if (!is_last(job.sums.done, job.blocks, flag)) return;", "if (block) return;"),
            ("no dilation", "separable_add(u[r], tap, v[r + D * j])", "separable_add(u[r], tap, v[r + j])"),
        ],
    },
    Faults {
        file: "depthwise/separable_back.cu",
        family: "separable",
        arithmetic: Split,
        faults: &[
            (
                "no barrier behind a tile's gradient",
                "        __syncthreads();\n        for (int unit",
                "        for (int unit",
            ),
            (
                "no barrier before the next tile",
                "        __syncthreads();\n    }\n\n    // The shares",
                "    }\n\n    // The shares",
            ),
            (
                "no barrier before shares are added up",
                "    __syncthreads();\n    for (int i = threadIdx.x; i < outputs * inputs",
                "    for (int i = threadIdx.x; i < outputs * inputs",
            ),
            (
                "no barrier before taps are added up",
                "    __syncthreads();\n    for (int i = threadIdx.x; i < n.k * here",
                "    for (int i = threadIdx.x; i < n.k * here",
            ),
            ("one room for places of two tiles", "places + (tile + 1) % 2 * pixels", "places + tile % 2 * pixels"),
            ("the first eight end it", "if (!is_last(done, n, flag)) return;", "if (first) return;"),
            ("r of the first image", "ld(d.r + (base + place[j]) / (n.oh * n.ow))", "ld(d.r)"),
            ("taps of pixels behind the row", "if (r >= left) continue;", ""),
            ("odd rows under stride 2", "oy < 0 || oy & 1 ||", "oy < 0 ||"),
            ("da of channels behind the last", "if (place < 0 || o >= channels) continue;", "if (place < 0) continue;"),
            (
                "no low part of gradients",
                "for (int product = 0; product < 3; product++)",
                "for (int product = 1; product < 3; product++)",
            ),
            ("taps in the order of forward", "(n.k * n.k - 1) * n.c + c, -n.c", "c, n.c"),
        ],
    },
    Faults {
        file: "depthwise/separable_back.cu",
        family: "separable",
        arithmetic: Single,
        faults: &[
            (
                "splits are added up from the last one on",
                "sum = add4(sum, ld4(parts + j * step * len + i));",
                "sum = add4(sum, ld4(parts + (j + split) % n * step * len + i));",
            ),
            ("one share only", "j < shares; j++) v = add4", "j < 1; j++) v = add4"),
            ("walks past the last row", "if (w.y >= w.oh) {", "if (w.y > w.oh) {"),
        ],
    },
];
