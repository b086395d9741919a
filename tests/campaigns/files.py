"""IDX files, plain and packed, and CIFAR's: axes that lie, missing files, spoiled bytes, a small file that unpacks to gigabytes. Right: an
error that names the file, or images that a network learns from to finite numbers."""
import gzip
import os
import zlib

from harness import Campaign, Wrong, finite, remove
from makers import idx_head, mangled

FIRST, LABELS, TEST = "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte"
GOOD = {FIRST: idx_head(12, 8, 8) + bytes(i % 256 for i in range(12 * 64)), LABELS: idx_head(12) + bytes(i % 3 for i in range(12)),
        TEST: idx_head(6, 8, 8) + bytes(i * 3 % 256 for i in range(6 * 64)), "t10k-labels-idx1-ubyte": idx_head(6) + bytes(i % 3 for i in range(6))}
CHANGES = {
    "0 images": {FIRST: idx_head(0, 8, 8), LABELS: idx_head(0)}, "5 x 7": {FIRST: idx_head(12, 5, 7) + bytes(12 * 35)},
    "1 x 1": {FIRST: idx_head(12, 1, 1) + bytes(12), TEST: idx_head(6, 1, 1) + bytes(6)}, "0 x 0": {FIRST: idx_head(12, 0, 0)},
    "axes of 2^32 - 1": {FIRST: idx_head(2**32 - 1, 2**32 - 1, 2**32 - 1)}, "a product that is 0": {FIRST: idx_head(2**31, 2**31, 4)},
    "other sides": {TEST: idx_head(6, 4, 4) + bytes(96)}, "labels of 255": {LABELS: idx_head(12) + bytes([255] * 12)},
    "floats": {FIRST: idx_head(12, 8, 8, kind=13) + bytes(12 * 256)}, "no labels": {LABELS: None}, "no test": {TEST: None},
    "a test label above": {"t10k-labels-idx1-ubyte": idx_head(6) + bytes([9] * 6)}, "one class": {LABELS: idx_head(12) + bytes(12)},
    "all the same": {FIRST: idx_head(12, 8, 8) + bytes([7] * 12 * 64)}, "one image": {FIRST: idx_head(1, 8, 8) + bytes(64), LABELS: idx_head(1) + bytes(1)},
}
TRAIN = 'let d = data(); let n = supernet("nas-bench-201", #{ channels: 2, cells: 1 }); n.train_epoch(d.train, #{ batch_size: 4 }).loss'


class Idx(Campaign):
    name, short, long = "idx", 40, 500
    lies = ("agree", "fat", "refuse", "nan")

    def attempt(self, rng, number):
        if number % 40 == 39:
            return self.bomb()
        if number % 40 >= 34:
            return self.cifar(rng)
        packed = rng.random() < 0.4
        folder = self.fresh("idx")
        whole = number % 8 == 0
        what = None if rng.random() < 0.5 or whole else rng.choice(list(CHANGES))
        for name, data in {**GOOD, **CHANGES.get(what, {})}.items():
            if data is not None:
                (folder / (name + ".gz" if packed else name)).write_bytes(gzip.compress(data, 1) if packed else data)
        names = list(GOOD)
        if what is None and not whole:
            name = rng.choice(names)
            path = folder / (name + ".gz" if packed else name)
            path.write_bytes(mangled(path.read_bytes(), rng))
            names = [name, "idx"]
        self.did = f"{'sound' if whole else what or names[0] + ' mangled'}{', packed' if packed else ''}"
        known = self.host.judged(["data", "info", "idx"], self.work, names=[*names, "idx"], code=0 if whole else None)
        if known.code == 0 and b"images" not in known.out:
            raise Wrong(f"exit code 0, and nothing is told: {known.out[:200]}")
        learnt = self.host.judged(["--quiet", "-e", TRAIN, "--data", "idx"], self.work)
        if learnt.code == 0:
            finite(learnt.out.decode(), "a loss")
            float(learnt.out.decode().strip().splitlines()[-1])

    def bomb(self):
        self.did = "4 GB in 4 MB"
        folder = self.fresh("idx")
        for name, data in GOOD.items():
            (folder / name).write_bytes(data)
        (folder / FIRST).unlink()
        packer = zlib.compressobj(1, wbits=31)
        block = bytes(1 << 24)
        (folder / (FIRST + ".gz")).write_bytes(b"".join(packer.compress(block) for _ in range(256)) + packer.flush())
        found = self.host.judged(["data", "info", "idx"], self.work, names=[FIRST], gigabytes=12)
        if found.code == 0:
            raise Wrong("taken")

    def cifar(self, rng):
        """Files of CIFAR-10's size that are all zero, but for what is done to one."""
        folder = self.fresh("cifar")
        for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
            (folder / name).touch()
            os.truncate(folder / name, 30_730_000)
        path, how = folder / "data_batch_2.bin", rng.choice(["size", "label", "a folder", "a pipe", "a device", "names"])
        self.did = f"CIFAR, {how}"
        refuse = how in ("size", "a folder", "a pipe", "a device")
        if how == "size":
            os.truncate(path, rng.choice([0, 1, 3073, 30_729_999, 30_730_001, 1 << 36]))
        elif how == "label":
            at, value = 3073 * rng.randrange(10000), rng.choice([9, 10, 255])
            refuse = value > 9
            with open(path, "r+b") as file:
                file.seek(at)
                file.write(bytes([value]))
        elif how == "names":
            (folder / "batches.meta.txt").write_bytes(rng.choice([b"x" * 3_000_000, b"\x1b[2J\n" * 10, b"\xff\n" * 10, b"a\n"]))
        else:
            path.unlink()
            {"a folder": path.mkdir, "a pipe": lambda: os.mkfifo(path), "a device": lambda: path.symlink_to("/dev/zero")}[how]()
        found = self.host.judged(["data", "info", "cifar"], self.work, names=["data_batch_2.bin", "batches.meta.txt", "cifar"])
        remove(folder)
        if b"\x1b" in found.out:
            raise Wrong(f"orders to a terminal: {found.out[:200]}")
        if found.code == 0 and (refuse or b"images" not in found.out):
            raise Wrong(f"taken: {found.out[:200]}")
