#!/usr/bin/env python3
"""How a training step grows with batch, cells and live candidates, and with threads: Markdown tables.

  benches/scaling.py [--program target/release/isdarts-host] [--runs 3] [--steps 3] [--channels 16] [--size 32] [--threads N]

Every figure is the shortest step of all runs; the runs of a table go round in turn, so that a slow minute of the machine hits
all of its rows. The last column holds each row against the straight line through the first and the last one. Needs nothing but
Python 3.9.
"""
import argparse, itertools, json, os, subprocess, sys

NAS, DARTS = ["--space", "nas-bench-201"], ["--space", "darts"]
OPS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default=os.path.join("target", "release", "isdarts-host"))
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--steps", type=int, default=3)
    p.add_argument("--channels", type=int, default=16)
    p.add_argument("--size", type=int, default=32)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    return p.parse_args()


def step(args, options):
    """The shortest step in ms."""
    command = [args.program, "bench", "step", "-c", str(args.channels), "--size", str(args.size), "--steps", str(args.steps)]
    if "--threads" not in options: command += ["--threads", str(args.threads)]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    if done.returncode: sys.exit(f"scaling.py: {' '.join([*command, *options])}: {done.stderr.strip()}")
    return float(json.loads(done.stdout)["step_min_ms"])


def measure(args, rows):
    """(label, options) -> label, ms"""
    best = {label: float("inf") for label, _ in rows}
    for _ in range(args.runs):
        for label, options in rows:
            best[label] = min(best[label], step(args, options))
    return best


def table(title, head, rows):
    print(f"\n{title}\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows: print(f"| {' | '.join(row)} |")
    sys.stdout.flush()


def line(args, title, what, values, options):
    """Rows that should be on a straight line."""
    ms = measure(args, [(v, options(v)) for v in values])
    low, high = values[0], values[-1]
    slope = (ms[high] - ms[low]) / (high - low)
    expected = {v: ms[low] + slope * (v - low) for v in values}
    rows = [[str(v), f"{ms[v]:.1f}", f"{ms[v] / v:.2f}", f"{100 * (ms[v] / expected[v] - 1):+.1f} %"] for v in values]
    table(title, [what, "step, ms", f"ms / {what}", "from the line"], rows)


def candidates(args):
    """The 3x3 convolution is most of the work: fewer candidates with it, and without; then every choice of two."""
    drops = [OPS[:n] for n in range(3)] + [["nor_conv_3x3"], ["nor_conv_3x3", "none"]]
    drops += [[op for op in OPS if op not in pair] for pair in itertools.combinations(OPS, 2)]
    def name(drop):
        live = [op for op in OPS if op not in drop]
        return f"{len(live)}: {', '.join(live)}"
    base = [*NAS, "-n", "5", "-b", "64"]
    ms = measure(args, [(name(d), [*base, *(["--drop", ",".join(d)] if d else [])]) for d in drops])
    full = ms[name([])]
    rows = [[label, f"{value:.1f}", f"{value / full:.2f}"] for label, value in ms.items()]
    table("Live candidates of every edge (NAS-Bench-201, N=5, batch 64)", ["live", "step, ms", "of all"], rows)


def threads(args):
    rows = []
    for label, base in (("NAS-Bench-201, N=5", [*NAS, "-n", "5"]), ("DARTS, 8 cells", [*DARTS, "-n", "2"])):
        counts = sorted({1, args.threads})
        ms = measure(args, [(n, [*base, "-b", "64", "--threads", str(n)]) for n in counts])
        rows += [[label, str(n), f"{ms[n]:.0f}", f"{ms[1] / ms[n]:.2f}"] for n in counts]
    table("Threads (batch 64)", ["supernet", "threads", "step, ms", "speed, of one"], rows)


def main():
    args = arguments()
    line(args, "Batch (NAS-Bench-201, N=3)", "batch", [16, 32, 64, 128], lambda b: [*NAS, "-n", "3", "-b", str(b)])
    line(args, "Cells a stage (NAS-Bench-201, batch 64)", "N", [1, 2, 3, 4, 5], lambda n: [*NAS, "-n", str(n), "-b", "64"])
    candidates(args)
    threads(args)


if __name__ == "__main__":
    main()
