#!/usr/bin/env python3
"""Packs the NAS-Bench-201 table: pack.py nas_bench_201.csv table.bin.z

The CSV has the columns of FIELDS below behind `arch`, one row a cell. Rows are written in the order of their ops (six base-5
digits, the op of edge 0 first), so that `arch` need not be stored and neighbours resemble each other. Every column
is an integer, the decimal number times SCALE, as 32 bits in four byte planes, lowest first: 10 x 4 x 15,625 bytes, zlib.
"""
import csv, re, sys, zlib
from decimal import Decimal

OPS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
FIELDS = {"index": 1, "cifar10_valid": 10**4, "cifar10_test": 10**4, "cifar100_valid": 10**4, "cifar100_test": 10**4,
          "imagenet16_valid": 10**4, "imagenet16_test": 10**4, "params_mb": 10**6, "flops_m": 10**5,
          "train_s_per_epoch": 10**4}


def code(arch):
    ops = re.fullmatch(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|", arch).groups()
    return sum(OPS.index(op) * 5 ** (5 - edge) for edge, op in enumerate(ops))


def integer(text, scale):
    value = Decimal(text) * scale
    assert value == int(value) and 0 <= value < 2**32, (text, scale)
    return int(value)


rows = {code(row["arch"]): row for row in csv.DictReader(open(sys.argv[1]))}
assert sorted(rows) == list(range(5**6))
planes = bytearray()
for name, scale in FIELDS.items():
    column = [integer(rows[i][name], scale) for i in range(5**6)]
    for plane in range(4):
        planes += bytes(value >> 8 * plane & 255 for value in column)
open(sys.argv[2], "wb").write(zlib.compress(bytes(planes), 9))
