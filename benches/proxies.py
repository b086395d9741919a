#!/usr/bin/env python3
"""Seconds of each zero-cost proxy of NAS-Bench-201 cells (C = 16, N = 5, three batches of 64 images of 32x32), in the code of their
authors in PyTorch and here, in turn: a Markdown table.

  benches/proxies.py --checkouts ZERO_COST_NAS NASLIB ZICO ZENNAS [--python PYTHON] [--program target/release/isdarts-host]
                     [--data cifar10] [--runs 3] [--threads N] [--cell TEXT ...]

--checkouts  of the repositories that tests/peer/proxies.py names; --python: an interpreter that has torch and numpy (PEER_PYTHON)
--data       of images of 32x32; their pixels do not matter to the time

A row a proxy: the shortest of the runs, summed over the cells; here each is asked for alone. The last row is all nine: there one after the
other, here in one call, in which they share passes. Needs nothing but Python 3.9.
"""
import argparse, json, os, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
# The best of the table, and one with a convolution fewer, a pool and a cut edge.
CELLS = [
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|",
    "|nor_conv_1x1~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_1x1~2|",
]
OURS = """
let names = "grad_norm snip grasp fisher synflow jacob_cov naswot zen zico".split(" ");
let batches = data().train.take(192).batches(64);
let found = #{};
for name in names + ["all"] {
    let net = network("CELL", #{ channels: 16, cells: 5 });
    let begun = run_seconds();
    net.proxies(if name == "all" { names } else { [name] }, batches);
    found[name] = run_seconds() - begun;
}
print(found.to_json());
"""


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--checkouts", nargs=4, required=True, metavar="DIR")
    p.add_argument("--python", default=os.environ.get("PEER_PYTHON", "python3"))
    p.add_argument("--program", default=os.path.join("target", "release", "isdarts-host"))
    p.add_argument("--data", default="cifar10")
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--cell", nargs="+", default=CELLS)
    return p.parse_args()


def seconds(command):
    print("  " + " ".join(command[:2]), file=sys.stderr)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode: sys.exit(f"proxies.py: {' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    args = arguments()
    peer = [args.python, os.path.join(HERE, "../tests/peer/proxies.py"), "--seconds", str(args.threads)]
    def run(who, cell):
        if who == "theirs":
            found = seconds([*peer, cell, *args.checkouts])
            return {**found, "all": sum(found.values())}
        ours = [args.program, "--quiet", "--data", args.data, "--threads", str(args.threads), "-e", OURS.replace("CELL", cell)]
        return seconds(ours)
    best = {}
    for _ in range(args.runs):
        for cell in args.cell:
            for who in ("theirs", "ours"):
                for name, value in run(who, cell).items():
                    at = (who, cell, name)
                    best[at] = min(value, best.get(at, value))
    total = lambda who, name: sum(best[who, cell, name] for cell in args.cell)
    print(f"{len(args.cell)} cells, {args.threads} threads, the shortest of {args.runs} runs\n")
    print("| proxy | PyTorch, s | isdarts-host, s | ratio |\n|---|---|---|---|")
    for name in dict.fromkeys(name for _, _, name in best):
        theirs, ours = total("theirs", name), total("ours", name)
        print(f"| {name} | {theirs:.2f} | {ours:.2f} | {ours / theirs:.3f} |")


if __name__ == "__main__":
    main()
