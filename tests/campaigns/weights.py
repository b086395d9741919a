"""Weights files: the JSON of the metadata changed place by place, headers, offsets, shapes and types that lie, bytes flipped. `predict`,
`export` and `net.load`. Right: an error that names the file, or the answer of the sound file."""
import json
import struct

from folders import changed, places, read_tensors
from harness import Campaign, TRAINING, Wrong, finite
from makers import mangled, png

ODD = [None, True, 0, 1, 2, 9, -1, 2**31, 2**63 + 4, 2**64 - 1, 1e308, 0.5, "", "x", "SkipConnect", "SepConv3x3", "None", "Noise", "darts",
       "Darts", "cifar", "imagenet", [], {}, [[]], [["SkipConnect", 9]], ["SkipConnect", 0], ["NorConv3x3", 1], [0] * 100,
       [100_000, 100_000], [2**63 + 4, 2**63 + 4], [5, 7], [1, 1], "\x1b[2Jx", ["a\tb\nc"] * 10, 10**6]
SHAPES = [[], [0], [2**32, 2**32], [2**63], [-1], [1.5], "x", [1] * 5000, None]
OFFSETS = [[0, 0], [0, 2**63], [2**64 - 1, 2**64 - 1], [-1, 4], [8, 4], [4, 8], [0], [], "x", [0, 2**65]]
TYPES = ["F16", "F64", "BF16", "I8", "BOOL", "X", 3, "F8_E4M3"]
HEADS = [b"", b"[" * 100_000, b'{"a":' * 100_000, b"{\xff}", b"{}", b"null"]
BY_SUM = ("sound", "mangled", "flipped", "body", "length")
LOAD = 'let n = supernet("nas-bench-201", #{ channels: 2, cells: 1 }); n.load("w.safetensors")'


class Weights(Campaign):
    name, short, long = "weights", 50, 900
    lies = ("agree", "escape", "refuse", "drift")

    def prepare(self):
        (self.work / "a.png").write_bytes(png(8, 8, value=90))
        self.known = []
        for name, words in (("nas", []), ("darts", ["--", "DARTS_V2"])):
            self.host.judged([*TRAINING, "--set", "epochs=1", "--out", name, *words], self.work, code=0)
            source = self.work / name / "train-000/last.safetensors"
            (self.work / "w.safetensors").write_bytes(source.read_bytes())
            answer = self.host.judged(["predict", "--weights", "w.safetensors", "a.png"], self.work, code=0).out
            self.host.judged(["export", "--weights", "w.safetensors", "--onnx", "o.onnx"], self.work, code=0)
            onnx = (self.work / "o.onnx").read_bytes()
            self.known.append((source.read_bytes(), *read_tensors(source), answer, onnx))

    def attempt(self, rng, number):
        whole, header, body, answer, onnx = self.known[number % 2]
        header = json.loads(json.dumps(header))
        names = [n for n in header if n != "__metadata__"]
        how = rng.choice(["about"] * 6 + ["shape", "offsets", "type", "length", "head", "body", "mangled", "flipped"])
        length, head = None, None
        if number % 10 < 2:
            how, self.did = "sound", "sound"
        if how == "about":
            about = json.loads(header["__metadata__"]["isdarts-network"])
            about.pop("isdarts-sum", None)  # whoever changes a file leaves out its sum, too
            place, odd = rng.choice(list(places(about))), rng.choice([*ODD, ..., ...])
            header["__metadata__"]["isdarts-network"] = json.dumps(changed(about, place, odd))
            self.did = f"{'.'.join(map(str, place))} = {str(odd)[:40]}"
        elif how in ("shape", "offsets", "type"):
            name, odd = rng.choice(names), rng.choice({"shape": SHAPES, "offsets": OFFSETS, "type": TYPES}[how])
            header[name][{"shape": "shape", "offsets": "data_offsets", "type": "dtype"}[how]] = odd
            self.did = f"{name}, {how} = {str(odd)[:40]}"
        elif how == "length":
            length = rng.choice([0, 1, 2**32, 2**63, 2**64 - 1, 100_000_001, rng.randrange(100_000)])
        elif how == "head":
            head = rng.choice(HEADS)
        elif how == "body":
            body = rng.choice([b"", body[:len(body) // 2], body + b"x" * 99, bytes(len(body)), b"\xff" * len(body)])
        text = head if head is not None else json.dumps(header).encode()
        data = struct.pack("<Q", len(text) if length is None else length) + text + body
        if how == "sound":
            data = whole
        elif how == "mangled":
            data = mangled(whole, rng)
        elif how == "flipped":
            at = rng.randrange(len(whole))
            data = whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1:]
        self.did = self.did or f"{how} {length if length is not None else str(head)[:20] if head is not None else len(body)}"
        (self.work / "w.safetensors").write_bytes(data)
        (self.work / "o.onnx").unlink(missing_ok=True)
        found = self.host.judged(["predict", "--weights", "w.safetensors", "a.png"], self.work, names=["w.safetensors"],
                                 code=0 if how == "sound" else None)
        if b"\x1b" in found.out:
            raise Wrong(f"orders to a terminal: {found.out[:200]}")
        if found.code == 0:
            finite(found.out.decode(), "predict")
        # Other names, sizes and means are another network's; of bytes there is a sum.
        if found.code == 0 and how in BY_SUM and found.out != answer:
            raise Wrong(f"another answer: {found.out[:200]}")
        out = self.host.judged(["export", "--weights", "w.safetensors", "--onnx", "o.onnx"], self.work, names=["w.safetensors"])
        if (out.code == 0) != (self.work / "o.onnx").is_file() or (out.code == 0) != (found.code == 0):
            raise Wrong(f"predict ends with {found.code}, export with {out.code}")
        if out.code == 0 and how in BY_SUM and (self.work / "o.onnx").read_bytes() != onnx:
            raise Wrong("another network is exported")
        if rng.random() < 0.3:
            self.host.judged(["--quiet", "-e", LOAD], self.work, names=["w.safetensors"])
