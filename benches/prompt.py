"""How fast the prompt is: start to prompt, completion, an epoch beside a script's, Ctrl-C to prompt.

    cargo build --release && python3 benches/prompt.py

Drives the real program in a pseudo-terminal; needs Python 3 alone. One line for each figure: the least, the median and the
largest of the repeats, and the bar. The images of the Ctrl-C part are noise of CIFAR-10's form and size: 32x32, batch 64.
"""
import os
import pty
import random
import re
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.environ.get("ISDARTS_HOST", os.path.join(ROOT, "target", "release", "isdarts-host"))
READY = "\x1b[?2004h"  # the editor reads: pastes are to come in brackets
SUPERNET = 'supernet("darts", #{ channels: 16, cells: 2, batch_size: 64 })'
SMALL = 'supernet("nas-bench-201", #{ channels: 8, cells: 1 })'


class Prompt:
    """The program at its prompt."""

    def __init__(self, folder, *args):
        self.begin = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", NO_COLOR="1", ISDARTS_HISTORY=os.path.join(folder, "history"))
            os.chdir(folder)
            os.execv(PROGRAM, [PROGRAM, *args])
        self.seen = ""
        self.started = self.until(READY) - self.begin

    def until(self, text, limit=120):
        """Wait until `text` is on the screen; when it was."""
        begin = time.perf_counter()
        while text not in self.seen:
            if not select.select([self.fd], [], [], limit)[0] or time.perf_counter() - begin > limit:
                sys.exit(f"no {text!r} within {limit} s, but {self.seen[-500:]!r}")
            self.seen += os.read(self.fd, 65536).decode(errors="replace")
        now = time.perf_counter()
        self.before, self.seen = self.seen.split(text, 1)
        return now

    def send(self, keys):
        os.write(self.fd, keys.encode())
        return time.perf_counter()

    def do(self, line):
        """An input and all it prints."""
        self.send(line + "\r")
        self.until(READY)
        if "error: " in self.before:
            sys.exit(f"{line}: {self.before}")
        return self.before

    def leave(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def tell(what, seconds, bar):
    least, median, most = min(seconds), statistics.median(seconds), max(seconds)
    verdict = "" if bar is None else f"   bar {1e3 * bar:g} ms: {'met' if median < bar else 'missed'}"
    print(f"{what:58} {1e3 * least:8.2f} {1e3 * median:8.2f} {1e3 * most:8.2f} ms{verdict}", flush=True)


def start(folder):
    waits = []
    for _ in range(20):
        prompt = Prompt(folder)
        waits.append(prompt.started)
        prompt.leave()
    tell("start to prompt", waits, 0.05)


def completion(folder):
    prompt = Prompt(folder)
    prompt.do(f"let net = {SUPERNET};")
    prompt.do("let iim = []; let found = [net]; let cfg = #{ channels: 16 };")
    prompt.do('import "nas/is_darts" as is_darts;')
    for typed, shown in [
        ("net.measu", "measure_iim("),
        ("net.", "train_epoch"),
        ("found[0].space.candid", "candidates"),
        ("is_darts::se", "search("),
        ('supernet("darts", #{ chan', "channels: "),
        ('import "nas/rand', "nas/random\""),
        ("published_", "published_genotypes()"),
        ('genotype("ISD', 'ISDARTS"'),
        ("", "while"),
    ]:
        waits = []
        for _ in range(20):
            prompt.send(typed)
            time.sleep(0.03)
            while select.select([prompt.fd], [], [], 0.02)[0]:
                os.read(prompt.fd, 65536)
            prompt.seen = ""
            waits.append(-prompt.send("\t") + prompt.until(shown))
            prompt.send("\x15")
            time.sleep(0.02)
            while select.select([prompt.fd], [], [], 0.02)[0]:
                os.read(prompt.fd, 65536)
        tell(f"completion of `{typed}`", waits, 0.02)
    prompt.leave()


def epochs(folder):
    """An epoch at the prompt and in a script, by turns: the seconds that `train_epoch` itself gives, and those on the wall."""
    body = f"let net = {SMALL}; let train = data().train; let cfg = #{{ epochs: 10 }};"
    turn = "let wall = timestamp(); for e in 0..10 { net.train_epoch(train, cfg); }"
    script = os.path.join(folder, "epochs.rhai")
    with open(script, "w") as file:
        file.write(f"{body}\n{turn}\nprint(`took ${{wall.elapsed}}`);\n")
    at_prompt, in_script = [], []
    for i in range(9):
        prompt = Prompt(folder)
        prompt.do(body)
        at_prompt.append(float(re.search(r"took ([\d.]+)", prompt.do(turn + " print(`took ${wall.elapsed}`);"
                                                                    ).split("elapsed}`);")[-1]).group(1)) / 10)
        prompt.leave()
        run = subprocess.run([PROGRAM, script, "--out", os.path.join(folder, f"run{i}")], capture_output=True, text=True)
        in_script.append(float(re.search(r"took ([\d.]+)", run.stdout).group(1)) / 10)
    tell("an epoch at the prompt (NAS-Bench-201, C=8, N=1, digits)", at_prompt, None)
    tell("the same in a script", in_script, None)


def noise(folder):
    """A folder of CIFAR-10's form."""
    images = os.path.join(folder, "cifar-10-batches-bin")
    os.mkdir(images)
    for name in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
        with open(os.path.join(images, name), "wb") as file:
            for i in range(10000):
                file.write(bytes([i % 10]) + random.randbytes(3072))
    with open(os.path.join(images, "batches.meta.txt"), "w") as file:
        file.write("".join(f"class{i}\n" for i in range(10)))


def interrupt(folder):
    noise(folder)
    prompt = Prompt(folder, "--data", os.path.join(folder, "cifar-10-batches-bin"))
    prompt.do("let train = data().train;")
    prompt.do(f"let net = {SUPERNET};")
    works = {
        "train_epoch, DARTS, C=16, 8 cells, 32x32, batch 64": "net.train_epoch(train, #{ epochs: 10, batch_size: 64 });",
        "measure_iim, the same": "for i in 0..1000 { net.measure_iim(train, 2048); }",
        "evaluate, the same": "net.evaluate(train);",
    }
    for what, work in works.items():
        waits = []
        for i in range(12):
            prompt.send(work + "\r")
            prompt.until("\n")
            time.sleep(2.5 + 0.173 * i)
            prompt.seen = ""
            sent = prompt.send("\x03")
            waits.append(prompt.until(READY) - sent)
        tell(f"Ctrl-C to prompt: {what}", waits, 0.2)
    prompt.leave()


def main():
    parts = {"start": start, "completion": completion, "epochs": epochs, "interrupt": interrupt}
    print(f"{'':58}    least   median  largest")
    for name in sys.argv[1:] or parts:
        with tempfile.TemporaryDirectory() as folder:
            parts[name](folder)


main()
