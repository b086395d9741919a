"""Pickles where ImageNet16's batches are expected: opcodes that would run a command, depths, cycles, lengths that lie, copies of a
megabyte by the thousand, spoiled bytes. Right: an error that names the file; nothing is run, and memory stays small."""
import struct

from harness import Campaign, Wrong
from makers import mangled


def batch(labels, rows=None):
    """As numpy writes it."""
    rows = len(labels) if rows is None else rows
    data = bytes(i % 256 for i in range(768 * rows))
    return (b"\x80\x02}q\x00(X\x04\x00\x00\x00dataq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85q\x04C\x01bq\x05"
            b"\x87q\x06Rq\x07(K\x01J" + struct.pack("<i", rows) + b"M\x00\x03\x86cnumpy\ndtype\nX\x02\x00\x00\x00u1K\x00K\x01\x87R(K\x03X\x01\x00\x00"
            b"\x00|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89B" + struct.pack("<I", len(data)) + data + b"tbX\x06\x00\x00\x00labels]("
            + b"".join(b"M" + struct.pack("<H", n) for n in labels) + b"eu.")


GOOD = batch([1, 2, 3, 120, 121, 1000])
MEGA = b"B" + struct.pack("<I", 1 << 20) + bytes(1 << 20)
TEXT = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20)


def named(module, name):
    return b"c" + module + b"\n" + name + b"\n"


CASES = {
    "os.system": named(b"os", b"system") + b"X\x10\x00\x00\x00touch hacked.txt\x85R.",
    "os.system by STACK_GLOBAL": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x10touch hacked.txt\x85R.",
    "eval": named(b"builtins", b"eval") + b"X\x01\x00\x00\x001\x85R.", "INST": b"(X\x01\x00\x00\x00xios\nsystem\n.",
    "empty": b"", "only stop": b".", "no stop": b"}" * 100, "deep lists": b"]" * 3_000_000 + b"a" * 2_999_999 + b".",
    "deep tuples": b"N" + b"\x85" * 3_000_000 + b".", "deep marks": b"(" * 3_000_000 + b".",
    "marks, tuples": b"(" * 2_000_000 + b"t" * 2_000_000 + b".", "list in itself": b"]q\x00h\x00a.",
    "dict in itself": b"}q\x00X\x04\x00\x00\x00datah\x00s.", "length 2^64 - 1": b"\x8e" + b"\xff" * 8 + b"x.",
    "length 2^63": b"\x8d" + b"\0" * 7 + b"\x80x.", "length 2^32 - 1": b"B\xff\xff\xff\xffx.", "memo 2^64": b"Np99999999999999999999\n.",
    "memo negative": b"Np-1\n.", "get nothing": b"h\x07.", "long of 255 bytes": b"\x8a\xff" + b"\xff" * 255 + b".",
    "long of 2^31": b"\x8b\xff\xff\xff\x7f.", "int text": b"I" + b"9" * 1_000_000 + b"\n.", "float nan": b"Fnan\n.",
    "surrogate": b"V\\ud800\n.", "no UTF-8": b"X\x01\x00\x00\x00\xff.", "pop of nothing": b"0.", "proto 255": b"\x80\xff.",
    "persistent id": b"Pfile\n.", "extension": b"\x82\x01.",
    "ten times a list": b"(" + b"]q\x00" + b"".join(b"](" + b"h\x00" * 10 + b"eq\x00" for _ in range(30)) + b"t.",
    "shape 2^62": GOOD.replace(b"J" + struct.pack("<i", 6) + b"M\x00\x03\x86", b"\x8a\x08" + struct.pack("<q", 2**62) + b"K\x04\x86"),
    "label 0": batch([0]), "label -1": GOOD.replace(b"M" + struct.pack("<H", 120), b"J" + struct.pack("<i", -1)), "label 1001": batch([1001]),
    "copies by dtype": named(b"numpy", b"dtype") + b"q\x00" + TEXT + b"\x85q\x01" + b"h\x00h\x01R0" * 6000 + b"N.",
    "copies by BUILD": named(b"numpy.core.multiarray", b"_reconstruct") + b"q\x00cnumpy\nndarray\nK\x00\x85C\x01b\x87q\x01(K\x01J\x00\x00\x10\x00\x85"
        + named(b"numpy", b"dtype") + b"X\x02\x00\x00\x00u1\x85R\x89" + MEGA + b"tq\x02" + b"h\x00h\x01Rh\x02b0" * 6000 + b"N.",
    "copies by encode": named(b"_codecs", b"encode") + b"q\x00" + TEXT + b"X\x06\x00\x00\x00latin1\x86q\x01" + b"h\x00h\x01R0" * 6000 + b"N.",
    "bytearrays": (b"\x96" + struct.pack("<Q", 1 << 20) + bytes(1 << 20)) * 8 + b".",
    "doubling": b"]q\x00" + b"".join(b"](h\x00h\x00eq\x00" for _ in range(200)) + b".",
}


class Pickles(Campaign):
    name, short, long = "pickles", 45, 500
    lies = ("agree", "fat", "refuse")

    def prepare(self):
        for name in [*(f"train_data_batch_{i}" for i in range(1, 11)), "val_data"]:
            (self.fresh("pickles") if name == "train_data_batch_1" else self.work / "pickles").joinpath(name).write_bytes(GOOD)

    def attempt(self, rng, number):
        sound = number % 40 == 39
        what = list(CASES)[number % 40] if number < len(CASES) and not sound else "sound" if sound else "mangled"
        self.did = what
        data = GOOD if sound else CASES.get(what) or (b"" if what in CASES else mangled(rng.choice([GOOD, batch([1, 2]), batch([120], 4)]), rng))
        (self.work / "pickles/train_data_batch_3").write_bytes(data)
        found = self.host.judged(["data", "info", "pickles"], self.work, names=["train_data_batch_3", "pickles"], gigabytes=12,
                                 code=0 if sound else None)
        if list(self.work.rglob("hacked.txt")):
            raise Wrong("a pickle ran a command")
        if found.code == 0 and (what in CASES or b"images" not in found.out):
            raise Wrong(f"taken: {found.out[:200]}")
