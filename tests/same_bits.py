#!/usr/bin/env python3
"""`same_bits.py A B`: whether the runs in two sweeps' folders came to the same: metrics, measurements, genotypes, and the weights, momentum
and architecture parameters of their checkpoints. Times may differ."""
import csv
import pathlib
import sys


def safetensors(path):
    """The bytes behind the header, and the header without the members that tell times."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return data[8 + length :]


def outcome(run):
    found = {}
    for name in ["genotype.txt", "iim.csv"]:
        if (run / name).exists():
            found[name] = (run / name).read_bytes()
    rows = list(csv.DictReader(open(run / "metrics.csv")))
    found["metrics.csv"] = [{key: value for key, value in row.items() if "seconds" not in key} for row in rows]
    for path in sorted(run.glob("checkpoint/**/*.safetensors")):
        found[str(path.relative_to(run))] = safetensors(path)
    return found


a, b = map(pathlib.Path, sys.argv[1:3])
names = sorted(path.parent.name for path in a.glob("*/manifest.json"))
assert names and names == sorted(path.parent.name for path in b.glob("*/manifest.json")), names
bad = 0
for name in names:
    one, other = outcome(a / name), outcome(b / name)
    if one.keys() != other.keys():
        print(f"{name}: {sorted(one.keys() ^ other.keys())}")
        bad += 1
    for what in one.keys() & other.keys():
        if one[what] != other[what]:
            print(f"{name}: {what} differs")
            bad += 1
size = sum(len(v) for v in outcome(a / names[0]).values())
print(f"{len(names)} runs, {len(outcome(a / names[0]))} things each ({size} bytes or rows in the first): {bad} differ")
sys.exit(bad > 0)
