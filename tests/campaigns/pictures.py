"""Folders of pictures: odd depths, sizes that lie, small files of huge pictures, spoiled bytes, odd settings of `resize`, folders in
other shapes than expected. Right: an error that names the file, or pictures that are whole; never much time or memory."""
import os
import shutil
import struct
import zlib

from harness import Campaign, Wrong, remove
from makers import JPEGS, chunk, jpeg, mangled, png

GOOD = png(8, 8)
# (what, bytes, whether it must be refused)
PICTURES = [
    *[(f"{depth} bits of colour {colour}", lambda d=depth, c=colour: png(9, 7, d, c), False)
      for colour, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items() for depth in depths],
    *[(f"jpeg {i}", lambda i=i: JPEGS[i], False) for i in range(3)],
    *[(f"jpeg {i} says {w} x {h}", lambda i=i, w=w, h=h: jpeg(i, w, h), False)
      for i in (0, 2) for w, h in [(65535, 65535), (0, 8), (8, 0), (65535, 1), (1, 65535)]],
    ("0 x 0", lambda: png(0, 0, raw=b""), True), ("0 x 9", lambda: png(0, 9, raw=bytes(9)), True),
    ("1 x 1", lambda: png(1, 1), False), ("5 x 7", lambda: png(5, 7), False),
    ("says 65535 x 65535", lambda: png(65535, 65535, raw=bytes(99)), True),
    ("says 2^31", lambda: png(2**31 - 1, 2**31 - 1, raw=bytes(99)), True),
    ("says 2^32 - 1", lambda: png(2**32 - 1, 1, raw=b""), True),
    ("empty", lambda: b"", True), ("text", lambda: b"hello", True), ("gif", lambda: b"GIF89a" + bytes(40), True),
    ("bmp", lambda: b"BM" + bytes(80), True), ("tiff", lambda: b"II*\0" + bytes(80), True),
    ("depth 3", lambda: png(8, 8, 3), True), ("colour 9", lambda: png(8, 8, 8, 9), True),
    ("huge text", lambda: png(8, 8, more=chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 28), 9))), False),
    ("huge profile", lambda: png(8, 8, more=chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(1 << 28), 9))), False),
    ("length 2^31", lambda: GOOD[:33] + b"\x7f\xff\xff\xffIDATxx", True),
    ("12000 x 12000", lambda: png(12000, 12000), False), ("30000 x 30000 bits", lambda: png(30000, 30000, 1, 0), False),
    ("1 x 1000000", lambda: png(1, 1_000_000), False), ("1000000 x 1", lambda: png(1_000_000, 1), False),
    ("1 x 20000000 bits", lambda: png(1, 20_000_000, 1, 0), False), ("60 % of a jpeg", lambda: JPEGS[2][:len(JPEGS[2]) * 6 // 10], True),
]
RESIZE = ["0", "-1", "1", "7", "4096", "100000", "4294967296", "9223372036854775807", "18446744073709551615", "1e3", "1e300", "nan", "abc",
          "[]", "", "true"]
SHAPES = {
    "no train": lambda f: remove(f / "train"), "no test": lambda f: remove(f / "test"), "empty class": lambda f: (f / "train/c").mkdir(),
    "empty train": lambda f: (remove(f / "train"), (f / "train").mkdir()), "a class is a file": lambda f: (f / "train/c").write_text("x"),
    "another class of test": lambda f: (f / "test/z").mkdir(), "pipe": lambda f: os.mkfifo(f / "train/a/3.png"),
    "link to itself": lambda f: (f / "train/a/3.png").symlink_to("3.png"), "link to /dev/zero": lambda f: (f / "train/a/3.png").symlink_to("/dev/zero"),
    "a class links above": lambda f: (f / "train/up").symlink_to(".."), "one class": lambda f: remove(f / "train/b"),
    "no UTF-8 file": lambda f: open(bytes(f) + b"/train/a/\xff\xfe.png", "wb").write(GOOD), "no UTF-8 class": lambda f: os.mkdir(bytes(f) + b"/train/\xff"),
    "orders in a class": lambda f: ((f / "train/\x1b[2Jx").mkdir(), (f / "train/\x1b[2Jx/1.png").write_bytes(GOOD)),
    "deep": lambda f: ((f / ("train/a/" + "d/" * 200)).mkdir(parents=True), (f / ("train/a/" + "d/" * 200 + "9.png")).write_bytes(GOOD)),
}


class Pictures(Campaign):
    name, short, long = "pictures", 70, 700
    lies = ("agree", "escape", "fat", "refuse")

    def prepare(self):
        self.folder = self.work / "pics"
        for name in ("train/a/1.png", "train/a/2.png", "train/b/1.png", "test/a/1.png"):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(GOOD)
        self.host.judged(["data", "info", "pics"], self.work, code=0)

    def look(self, args, names, told=b"images"):
        found = self.host.judged(args, self.work, names=names, gigabytes=8)
        if b"\x1b" in found.out:
            raise Wrong(f"orders to a terminal: {found.out[:200]}")
        if found.code == 0 and told not in found.out:
            raise Wrong(f"exit code 0, and nothing is told: {found.out[:200]}")
        return found

    def attempt(self, rng, number):
        table = len(PICTURES)
        if number < table or rng.random() < 0.6:
            what, make, refuse = PICTURES[number] if number < table else ("mangled", lambda: mangled(
                rng.choice([GOOD, png(9, 9, 16, 6), png(8, 8, 4, 3), *JPEGS]), rng), False)
            self.did = what
            path = self.folder / "train/a/2.png"
            path.write_bytes(make())
            found = self.look(["data", "info", "pics"], ["2.png"])
            path.write_bytes(GOOD)
            if refuse and found.code == 0:
                raise Wrong("taken")
        elif rng.random() < 0.4:
            value = rng.choice(RESIZE)
            self.did = f"resize={value}"
            self.look(["-e", "data().train", "--data", "pics", "--set", f"resize={value}"], ["resize"])
        else:
            what, act = rng.choice(list(SHAPES)), rng.choice(["info", "check"])
            self.did = f"{what}, data {act}"
            remove(self.work / "shape")
            shutil.copytree(self.folder, self.work / "shape")
            SHAPES[what](self.work / "shape")
            self.look(["data", act, "shape"], ["shape"])
