"""Several processes at once: on one --out, without --out, a resume beside the run, resumes beside each other, two runs that share a
cache, starts by the dozen. Right: exactly one works in a folder (the others end with exit code 75 or 1, in words), and what it leaves is
what one alone leaves."""
import subprocess
import time

from harness import Campaign, SEARCH, SMALL, Wrong, outcome, remove, resumed, same, sets
from makers import png

LONGER = [*SEARCH[:4], *sets(epochs=20, limit=20, shrink_steps=2, shrink_every=2, iim_samples=16, **SMALL)]


class Together(Campaign):
    name, short, long = "together", 25, 400
    lies = ("agree", "drift", "both")

    def prepare(self):
        self.host.judged([*LONGER, "--out", "whole"], self.work, code=0)
        self.expected = outcome(self.work / "whole")
        (self.work / "s.rhai").write_text('write_text(`by ${args()[0]}.txt`, "x");\n')
        for name in ("train/a/1.png", "train/b/1.png", "test/a/1.png"):
            path = self.work / "pics" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(40, 40, value=len(name)))

    def begin(self, *args):
        return self.host.start(args, self.work, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(self, children):
        """Exit codes; an error of each that was refused is in words."""
        codes = []
        for child in children:
            try:
                out, err = child.communicate(timeout=60 * self.host.patience)
            except subprocess.TimeoutExpired:
                for one in children:
                    one.kill()
                    one.wait()
                raise Wrong("hang")
            if child.returncode not in (0, 1, 75) or (child.returncode and b"error: " not in err) or b"panicked" in err:
                raise Wrong(f"exit code {child.returncode}: {err[-300:]!r}")
            codes.append(child.returncode)
        return codes

    def one(self, codes):
        if codes.count(0) != 1:
            raise Wrong(f"exit codes {codes}, expected one 0")

    def attempt(self, rng, number):
        for name in ("run", "runs", "cache"):
            remove(self.work / name)
        [self.one_out, self.no_out, self.resume_beside, self.resumes, self.caches][number % 5](rng)

    def one_out(self, rng):
        delay = rng.choice([0, 0, rng.uniform(0, 0.1)])
        self.did = f"two on one --out, {delay:.3f} s apart"
        first = self.begin(*LONGER, "--out", "run")
        time.sleep(delay)
        self.one(self.end([first, self.begin(*LONGER, "--out", "run")]))
        same(self.work / "run", self.expected, "one was refused")

    def no_out(self, rng):
        count = rng.randint(2, 5)
        self.did = f"{count} without --out"
        codes = self.end([self.begin("s.rhai", "--quiet", "--", str(k)) for k in range(count)])
        made = [p for p in (self.work / "runs").iterdir()] if (self.work / "runs").is_dir() else []
        if codes != [0] * count or len(made) != count or any(len(list(p.glob("by *.txt"))) != 1 for p in made):
            raise Wrong(f"exit codes {codes}, folders {sorted(p.name for p in made)}")

    def until(self, child, rows):
        log, end = self.work / "run/metrics.csv", time.time() + 60 * self.host.patience
        while child.poll() is None and time.time() < end and not (log.is_file() and log.read_bytes().count(b"\n") >= rows):
            time.sleep(0.001)

    def resume_beside(self, rng):
        rows = rng.randint(2, 15)
        self.did = f"--resume beside the run, at row {rows}"
        first = self.begin(*LONGER, "--out", "run")
        self.until(first, rows)
        if first.poll() is None:
            codes = self.end([first, self.begin("--resume", "run", "--quiet")])
            # It may have ended in between: then the second finds a finished run.
            if codes[0] != 0 or codes[1] not in (0, 75):
                raise Wrong(f"exit codes {codes}")
        else:
            self.end([first])
        same(self.work / "run", self.expected, "one was refused")

    def resumes(self, rng):
        count = rng.randint(2, 4)
        self.did = f"{count} resumes at once"
        first = self.begin(*LONGER, "--out", "run")
        self.until(first, rng.randint(2, 10))
        first.kill()
        first.communicate()
        codes = self.end([self.begin(*resumed(self.host, self.work / "run", LONGER)) for _ in range(count)])
        if 0 not in codes:
            raise Wrong(f"exit codes {codes}, expected a 0")
        same(self.work / "run", self.expected, "one was refused")

    def caches(self, rng):
        count = rng.randint(2, 4)
        self.did = f"{count} that make one cache of pictures"
        alone = self.host.judged(["data", "info", "pics"], self.work, code=0).out
        remove(self.work / "cache")
        children = [self.begin("data", "info", "pics") for _ in range(count)]
        for child in children:
            out, err = child.communicate(timeout=60)
            if child.returncode or out != alone:
                raise Wrong(f"exit code {child.returncode}: {err[-200:]!r} {out[-200:]!r}")
