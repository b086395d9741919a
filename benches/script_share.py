#!/usr/bin/env python3
"""The share of a run that is spent in the script layer: samples of Linux' perf whose stack is in Rhai or the host's functions,
and in nothing that these call to compute (search, net, ops, data, candle, rayon).

  benches/script_share.py [--program target/release/isdarts-host] [--frequency 400] [--threads N] [-- ARGUMENTS OF THE PROGRAM]

Scripts run on the main thread. The share is of the processor time of all threads divided by their number: what the run would
take with no thread ever waiting, so it errs upwards, and other work on the machine hardly moves it. Needs perf, Python 3.9, and
the program with the symbols that a release build here has.
"""
import argparse, collections, os, re, subprocess, sys, tempfile, time

SCRIPT = re.compile(r"\brhai::|isdarts_host::host::|isdarts_host::repl::")
WORK = re.compile(r"isdarts_host::(search|net|ops|data|space)::|\bcandle_|\brayon|\bgemm")


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default=os.path.join("target", "release", "isdarts-host"))
    p.add_argument("--frequency", type=int, default=400, help="samples a second")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="that the program computes on")
    p.add_argument("arguments", nargs="*", default=["scripts/is_darts.rhai"])
    return p.parse_args()


def samples(file):
    """Of each sample: whether of the thread that scripts run on, which is named main; its frames, innermost first."""
    # --no-inline: names of inlined functions take perf hours.
    command = ["perf", "script", "--no-inline", "-i", file, "-F", "comm,pid,tid,ip,sym"]
    text = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    for sample in text.split("\n\n"):
        head, *frames = sample.strip().splitlines() or [""]
        ids = re.match(r"\s*(.+?)\s+(\d+)/(\d+)", head)
        if ids: yield ids[1] == "main" or ids[2] == ids[3], [frame.strip().partition(" ")[2] for frame in frames]


def kind(frames):
    if any(WORK.search(f) for f in frames): return "computing"
    return "script layer" if any(SCRIPT.search(f) for f in frames) else "start, end, system"


def main():
    args = arguments()
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "perf.data")
        perf = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(args.frequency), "--call-graph", "dwarf,16384", "-o", file]
        start = time.monotonic()
        done = subprocess.run([*perf, args.program, *args.arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wall = time.monotonic() - start
        if done.returncode: sys.exit(f"script_share.py: {done.stderr.strip()[-500:]}")
        counts, where = collections.Counter(), collections.Counter()
        for main_thread, frames in samples(file):
            what = kind(frames) if main_thread else "other threads"
            counts[what] += 1
            if what == "script layer": where[frames[0]] += 1
    whole = sum(counts.values()) / args.threads
    print(f"{' '.join(args.arguments)}: {wall:.1f} s of wall time under perf, {whole / args.frequency:.1f} s a thread")
    for what, n in counts.most_common():
        print(f"{what:20} {n:6} samples, {n / args.frequency:7.3f} s" + (f", {100 * n / whole:.2f} %" if what == "script layer" else ""))
    for name, n in where.most_common(8): print(f"    {n:4} {name[:110]}")


if __name__ == "__main__":
    main()
