"""Run folders whose files were damaged (any file: flipped, cut, emptied, filled, swapped, gone, replaced by a folder, a link, a
pipe) or forged (contents changed by whoever can make the sums right again), then --resume. Right: an error that names the file, or
the result of the sound folder."""
import json
import os
import re
import shutil
import signal
import struct
import time

from harness import Campaign, SEARCH, TRAINING, Wrong, outcome, remove, same
from xxh3 import xxh3_64, xxh3_128

ODD = [None, True, 0, 1, -1, 2**31, 2**63, 2**64 - 1, 1e308, 0.5, "", "x", [], {}, [[]], [0] * 100, {"a": 1}, "1 supernet", 10**6]


def half(campaign, begun, name, rows):
    """A run that kill -9 ended once metrics.csv had so many lines."""
    folder = campaign.work / name
    for _ in range(50):
        remove(folder)
        child = campaign.host.start([*begun, "--out", name], campaign.work)
        log, end = folder / "metrics.csv", time.time() + 60
        while child.poll() is None and time.time() < end:
            if log.is_file() and log.read_bytes().count(b"\n") >= rows:
                break
        child.send_signal(signal.SIGKILL)
        child.wait()
        if (folder / "checkpoint").is_dir() and log.read_bytes().count(b"\n") <= rows + 1:
            return folder
    raise RuntimeError(f"no half of {name}")


def swap(path, rng):
    others = [p for p in sorted(path.parent.iterdir()) if p.is_file() and p != path]
    path.write_bytes(rng.choice(others).read_bytes() if others else b"other")


def flip(path, rng):
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 1, 1, 5])):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(data))


def replaced(path, make):
    path.unlink()
    make(path)


DAMAGES = {
    "flip": flip,
    "empty": lambda p, rng: p.write_bytes(b""),
    "cut": lambda p, rng: p.write_bytes(p.read_bytes()[:rng.randrange(max(p.stat().st_size, 1))]),
    "cut by one": lambda p, rng: p.write_bytes(p.read_bytes()[:-1]),
    "append": lambda p, rng: p.write_bytes(p.read_bytes() + b"\0garbage\xff"),
    "random": lambda p, rng: p.write_bytes(rng.randbytes(min(p.stat().st_size, 5000))),
    "zeros": lambda p, rng: p.write_bytes(bytes(p.stat().st_size)),
    "repeat": lambda p, rng: p.write_bytes(2 * p.read_bytes()),
    "swap": swap,
    "gone": lambda p, rng: p.unlink(),
    "folder": lambda p, rng: replaced(p, lambda p: p.mkdir()),
    "dangling link": lambda p, rng: replaced(p, lambda p: p.symlink_to("/nonexistent/x")),
    "endless link": lambda p, rng: replaced(p, lambda p: p.symlink_to("/dev/zero")),
    "pipe": lambda p, rng: replaced(p, os.mkfifo),
}


class Folders(Campaign):
    name, short, long = "folders", 50, 700
    lies = ("agree", "drift", "lose", "refuse")

    def prepare(self):
        self.sources = []
        for kind, begun, rows in (("search", SEARCH, 4), ("training", TRAINING, 3)):
            self.host.judged([*begun, "--out", f"whole-{kind}"], self.work, code=0)
            expected = outcome(self.work / f"whole-{kind}")
            self.sources += [(half(self, begun, f"half-{kind}", rows), expected), (self.work / f"whole-{kind}", expected)]

    def attempt(self, rng, number):
        source, expected = self.sources[number % len(self.sources)]
        files = sorted(str(p.relative_to(source)) for p in source.rglob("*") if p.is_file())
        name, how = rng.choice(files), rng.choice(list(DAMAGES))
        self.did = f"{source.name}/{name}: {how}"
        folder = self.work / "run"
        remove(folder)
        shutil.copytree(source, folder)
        if name == "lock":
            (folder / name).write_text("host far.example process 7\n" if rng.random() < 0.5 else "")
        DAMAGES[how](folder / name, rng)
        # Of a missing file what was found in its place is told; a run without its manifest is no run.
        names = [os.path.basename(name), "checkpoint", "manifest.json" if how == "gone" else os.path.basename(name)]
        result = self.host.judged(["--resume", "run", "--quiet"], self.work, names=names)
        if result.code == 0:
            same(folder, expected, "resumed without a word")


def places(value, path=()):
    """The paths of all that lies in a JSON value."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value[:6]) if isinstance(value, list) else ():
        yield path + (key,)
        yield from places(inner, path + (key,))


def changed(value, path, odd):
    """A copy with another value at a place; without it, if `odd` is `...`."""
    value = json.loads(json.dumps(value))
    place = value
    for key in path[:-1]:
        place = place[key]
    if odd is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = odd
    return value


def plain(value):
    """As the program writes JSON whose sum it takes: numbers that were read as they stood there."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    text = re.sub(r"(?<=\d)e([-+])0*(\d+)", lambda found: f"e{found[1].strip('+')}{found[2]}", text)
    return re.sub(r'"\\u0000([^"]*)"', r"\1", text)


def parsed(text):
    """Of JSON; numbers with a point keep their text, for other languages print them otherwise."""
    return json.loads(text, parse_float=lambda number: "\0" + number)


def sealed_manifest(manifest):
    return plain({**manifest, "sum": f"{xxh3_128(plain(manifest).encode()):032x}"})


def read_tensors(path):
    data = path.read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + n]), data[8 + n:]


def write_tensors(path, header, body):
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + body)


def checkpoint_sum(header, body, text):
    parts = [text.encode()]
    for name in sorted(n for n in header if n != "__metadata__"):
        tensor = header[name]
        begin, end = tensor["data_offsets"]
        parts += [f"\n{name} {tensor['dtype']} {tensor['shape']}\n".encode(), body[begin:end]]
    return f"{xxh3_64(b''.join(parts)):016x}"


class Forged(Campaign):
    """With the sums in order, what is left is that nothing breaks, and that what a run is made of is compared."""
    name, short, long = "forged", 30, 500

    def prepare(self):
        self.host.judged([*SEARCH, "--out", "whole"], self.work, code=0)
        self.source = half(self, SEARCH, "half", 4)
        lines = [b'let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });', b"let d = data(#{ limit: 2 }).train;",
                 b"net.train_epoch(d, #{}); let iim = net.measure_iim(d, 4); let m = net.mask; let g = genotype(9930);",
                 b'let c = net.space.candidates[3]; let t = tensor([[1.0, 2.0]]); let a = [1, #{ x: 1.5 }]; let s = space("darts");',
                 b'let own = search_space(#{ ops: ["noise", "skip_connect"], nodes: 2 }); let w = genotype("DARTS_V2");', b":save s"]
        self.host.judged(["--quiet"], self.work, code=0, stdin=b"\n".join(lines))
        self.manifest = parsed((self.source / "manifest.json").read_text())
        written = self.manifest.pop("sum")
        assert json.loads(sealed_manifest(self.manifest))["sum"] == written, "the sum of a manifest is another now"
        for path in (self.source / "checkpoint/loop-000/state.safetensors", self.work / "s/state.safetensors"):
            header, body = read_tensors(path)
            written, text = header["__metadata__"]["isdarts-checkpoint"].split(" ", 1)
            assert checkpoint_sum(header, body, text) == written, "the sum of a checkpoint is another now"

    def attempt(self, rng, number):
        (self.manifest_field, self.checkpoint, self.session)[number % 3](rng)

    def manifest_field(self, rng):
        path, odd = rng.choice(list(places(self.manifest))), rng.choice([*ODD, ...])
        self.did = f"manifest.json: {'.'.join(map(str, path))} = {odd!r}"
        remove(self.work / "run")
        shutil.copytree(self.source, self.work / "run")
        (self.work / "run/manifest.json").write_text(sealed_manifest(changed(self.manifest, path, odd)))
        result = self.host.judged(["--resume", "run", "--quiet"], self.work)
        # Threads, times and the words of the command line change nothing.
        if result.code == 0:
            same(self.work / "run", outcome(self.work / "whole"), "resumed without a word")

    def checkpoint(self, rng):
        remove(self.work / "run")
        shutil.copytree(self.source, self.work / "run")
        self.forge(rng, self.work / "run/checkpoint/loop-000/state.safetensors")
        self.host.judged(["--resume", "run", "--quiet"], self.work)

    def session(self, rng):
        remove(self.work / "t")
        shutil.copytree(self.work / "s", self.work / "t")
        self.forge(rng, self.work / "t/state.safetensors")
        lines = [b":load t", b":scope", b"print(net); print(iim); print(m); print(g); print(c); print(t); print(s);",
                 b"print(own.candidates); print(w.cost());", b"net.evaluate(data(#{ limit: 1 }).train)", b"net.drop(c); net.mask",
                 b"supernet(own, #{ channels: 2, cells: 1 }).measure_iim(data().train, 2)", b"w.draw()", b"s.candidates.len"]
        self.host.judged(["--quiet"], self.work, stdin=b"\n".join(lines))

    def forge(self, rng, path):
        """Another value in the JSON of a checkpoint, or another tensor."""
        header, body = read_tensors(path)
        text = header["__metadata__"]["isdarts-checkpoint"].split(" ", 1)[1]
        value, tensors = parsed(text), [n for n in header if n != "__metadata__"]
        if rng.random() < 0.75 or not tensors:
            place, odd = rng.choice(list(places(value))), rng.choice([*ODD, ..., ...])
            text = plain(changed(value, place, odd))
            self.did = f"{path.parent.name}: {'.'.join(map(str, place))} = {odd!r}"
        else:
            name, how = rng.choice(tensors), rng.choice(["gone", "other shape", "NaN", "other name"])
            self.did = f"{path.parent.name}: tensor {name}: {how}"
            tensor, count = header[name], 1
            for side in tensor["shape"]:
                count *= side
            begin, end = tensor["data_offsets"]
            if how in ("gone", "other name"):
                header[("9/" if how == "gone" else "") + name + "x"] = header.pop(name)
            elif how == "other shape":
                tensor["shape"] = rng.choice([[count], [1, count], [count, 1], [1, 1, count]])
            else:
                body = body[:begin] + b"\xff" * (end - begin) + body[end:]
        header["__metadata__"]["isdarts-checkpoint"] = f"{checkpoint_sum(header, body, text)} {text}"
        write_tensors(path, header, body)
