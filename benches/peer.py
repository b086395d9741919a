#!/usr/bin/env python3
"""isdarts-host and its PyTorch peer in turn: a Markdown table of training step, IIM and peak memory, with ratios.

  benches/peer.py --peer PATH/torch_supernet.py [--python PYTHON] [--program target/release/isdarts-host]
                  [--runs 3] [--steps 5] [--threads N] [--device cpu] [--row NAME ...] [--compile] [--json FILE]

--peer    the PyTorch program; or the variable PEER_SCRIPT
--python  an interpreter that has torch, numpy and safetensors; or PEER_PYTHON; python3 otherwise

Every run is a process of its own, so that peak memory means something; the two programs alternate, so that a slow minute
of the machine hits both. Cells of the table are medians over the runs. Needs nothing but Python 3.9. Exit code 1 if a
run failed (its row says why; the others go on), 2 if something is missing.
"""
import argparse, json, os, platform, shutil, statistics, subprocess, sys, time

# Name -> (label, arguments of both programs, bars of the ratios (step, IIM, peak)).
ROWS = {
    "large": ("NAS-Bench-201, C=16, N=5, 64 x 32x32", "--space nas-bench-201 -c 16 -n 5 -b 64 --size 32", (0.22, 0.08, 0.40)),
    "small": ("NAS-Bench-201, C=8, N=1, 64 x 32x32", "--space nas-bench-201 -c 8 -n 1 -b 64 --size 32", (0.30, 0.10, 0.30)),
    "tiny": ("NAS-Bench-201, C=8, N=1, 64 x 8x8", "--space nas-bench-201 -c 8 -n 1 -b 64 --size 8", (0.15, 0.10, 0.15)),
    "darts": ("DARTS, C=16, 8 cells, 64 x 32x32", "--space darts -c 16 -n 2 -b 64 --size 32", (0.16, 0.10, 0.30)),
}
# The large row with 3 of 5 candidates of every edge dropped, against the program's own large row: drawn, and so that the
# two heaviest stay everywhere.
MASKED = {
    "masked": ("3 of 5 candidates of every edge dropped, drawn", ["--masked", "3"]),
    "heaviest": ("all but the two convolutions dropped", ["--drop", "none,skip_connect,avg_pool_3x3"]),
}
MASKED_BAR = 0.60
KEYS = ("step_ms", "iim_ms", "peak_mb")


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--peer", default=os.environ.get("PEER_SCRIPT"))
    p.add_argument("--python", default=os.environ.get("PEER_PYTHON", "python3"))
    p.add_argument("--program", default=os.path.join("target", "release", "isdarts-host"))
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--steps", type=int, default=5, help="timed steps a run")
    p.add_argument("--threads", type=int, default=0, help="of both programs (default: what each chooses)")
    p.add_argument("--device", default="cpu")
    p.add_argument("--row", action="append", choices=[*ROWS, *MASKED], help="only this row; may be repeated")
    p.add_argument("--compile", action="store_true", help="also the peer under torch.compile (minutes of compiling a run)")
    p.add_argument("--json", help="write every measured line to this file")
    args = p.parse_args()
    if args.runs < 1 or args.steps < 1:
        sys.exit("peer.py: --runs and --steps must be at least 1")
    return args


def missing(args):
    """What has to be there before the first run, in words; None if all is."""
    if shutil.which(args.program) is None:
        return f"no program {args.program}; build it (cargo build --release) or name it with --program"
    if not args.peer:
        return "the PyTorch program torch_supernet.py is not named; use --peer PATH or PEER_SCRIPT"
    if not os.path.isfile(args.peer):
        return f"no PyTorch program {args.peer} (--peer, PEER_SCRIPT)"
    if shutil.which(args.python) is None:
        return f"no Python {args.python} (--python, PEER_PYTHON)"
    check = subprocess.run([args.python, "-c", "import torch, numpy, safetensors"], capture_output=True, text=True)
    if check.returncode:
        why = (check.stderr.strip().splitlines() or ["it ended with no word"])[-1]
        return f"{args.python} cannot import torch, numpy, safetensors: {why}; pip install them or use --python"
    return None


def measure(command):
    """The last JSON line that `command` prints; a text if it failed."""
    print("  " + " ".join(command), file=sys.stderr)
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as e:
        return str(e)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
    try:
        found = json.loads(done.stdout.strip().splitlines()[-1])
        return {**found, **{key: float(found[key]) for key in KEYS}}
    except (IndexError, KeyError, TypeError, ValueError) as e:
        return f"no JSON line with {', '.join(KEYS)} ({e!r}) in: {done.stdout.strip()[-200:]!r}"


def plan(args):
    """(row, who) -> command, in the order of one round."""
    rows = args.row or [*ROWS, *MASKED]
    if any(row in MASKED for row in rows) and "large" not in rows:
        rows = ["large", *rows]
    common = ["--steps", str(args.steps), "--device", args.device]
    if args.threads: common += ["--threads", str(args.threads)]
    commands = {}
    for row in rows:
        options = ROWS["large" if row in MASKED else row][1].split() + common
        ours, theirs = [args.program, "bench", "step", *options], [args.python, args.peer, "bench", *options]
        if row in MASKED:
            commands[row, "ours"] = [*ours, *MASKED[row][1]]
            continue
        commands[row, "ours"], commands[row, "torch"] = ours, theirs
        if args.compile: commands[row, "compile"] = [*theirs, "--compile"]
    return commands


def median(results, key):
    return statistics.median(r[key] for r in results)


def triple(results):
    if isinstance(results, str): return f"failed: {results.replace('|', '/')}"
    step, iim, peak = (median(results, key) for key in KEYS)
    return f"{step:.4g} ms, {iim:.4g} ms, {peak:.0f} MB"


def ratio(ours, theirs, key, bar):
    if isinstance(ours, str) or isinstance(theirs, str): return f"- (bar {bar:.2f})"
    value = median(ours, key) / median(theirs, key)
    return f"{value:.3f} {'<=' if value <= bar else '**>**'} {bar:.2f}"


def table(results, args):
    head = ["supernet, batch", "PyTorch: step, IIM, peak", "isdarts-host: step, IIM, peak", "step", "IIM", "peak"]
    if args.compile: head.insert(2, "torch.compile: step, IIM, peak")
    yield head
    for row, (label, _, bars) in ROWS.items():
        if (row, "ours") not in results: continue
        ours, theirs = results[row, "ours"], results[row, "torch"]
        cells = [label, triple(theirs), triple(ours), *(ratio(ours, theirs, k, bar) for k, bar in zip(KEYS, bars))]
        if args.compile: cells.insert(2, triple(results[row, "compile"]))
        yield cells
    for row in MASKED:
        if (row, "ours") not in results: continue
        ours = results[row, "ours"]
        cells = [f"{ROWS['large'][0]}, {MASKED[row][0]} (ratio to the full step)", "", triple(ours),
                 ratio(ours, results["large", "ours"], "step_ms", MASKED_BAR), "", ""]
        if args.compile: cells.insert(2, "")
        yield cells


def machine(args, results):
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as f:
            name = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), name)
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    def said(who, key):
        values = {str(r.get(key)) for (_, w), rs in results.items() if w == who and not isinstance(rs, str) for r in rs}
        return ", ".join(sorted(values)) or "?"
    return (f"{time.strftime('%Y-%m-%d')}, {name}, {cores} cores, device {args.device}; {said('torch', 'peer')} on "
            f"{said('torch', 'threads')} threads, isdarts-host on {said('ours', 'threads')}; medians of {args.runs} "
            f"alternating runs of {args.steps} steps; the last columns are isdarts-host / PyTorch and the bar.")


def main():
    args = arguments()
    problem = missing(args)
    if problem:
        print(f"peer.py: {problem}", file=sys.stderr)
        return 2
    commands = plan(args)
    results = {key: [] for key in commands}
    for run in range(args.runs):
        print(f"run {run + 1} of {args.runs}", file=sys.stderr)
        for key, command in commands.items():
            if isinstance(results[key], str): continue  # failed before
            found = measure(command)
            if isinstance(found, str):
                print(f"  failed: {found}", file=sys.stderr)
                results[key] = found
            else:
                results[key].append(found)
    if args.json:
        with open(args.json, "w") as f:
            json.dump([{"row": row, "program": who, "results": r} for (row, who), r in results.items()], f, indent=1)
    rows = list(table(results, args))
    rows.insert(1, ["---"] * len(rows[0]))
    print("\n".join(f"| {' | '.join(cells)} |" for cells in rows))
    print("\n" + machine(args, results))
    return 1 if any(isinstance(r, str) for r in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
