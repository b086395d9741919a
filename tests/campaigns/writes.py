"""Writing that fails: the n-th write, fsync, rename, open, mkdir, truncate or unlink below the run folder (no space, input/output
error, half written; once, or from then on), a limit of file sizes, a small disk, a folder that may not be written, that vanishes.
Right: an exit code that is not 0 and words, or a whole result; and --resume without the fault comes to the undisturbed result."""
import errno
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import time

from harness import Campaign, SCRIPTS, SEARCH, SMALL, Skip, TRAINING, Wrong, outcome, remove, resumed, same, sets

DARTS = [str(SCRIPTS / "darts_search.rhai"), "--seed", "4", "--quiet",
         *sets(epochs=3, limit=3, iim_samples=8, shrink_steps=2, shrink_every=1, **SMALL)]
BEGUN = [SEARCH, TRAINING, DARTS]
OPERATIONS = ["write", "fsync", "rename", "open", "mkdir", "truncate", "unlink"]


class Disturbed(Campaign):
    """Runs that something goes wrong with, and their resuming."""

    def prepare(self):
        self.expected = []
        for i, begun in enumerate(BEGUN):
            self.host.judged([*begun, "--out", f"whole-{i}"], self.work, code=0)
            self.expected.append(outcome(self.work / f"whole-{i}"))

    def check(self, kind, result, folder, by="resumed"):
        """A disturbed run was right to end so, and one without the fault ends as it should."""
        self.host.judge(result)
        if result.code == 0:
            same(folder, self.expected[kind], "exit code 0")
            status = json.loads((folder / "manifest.json").read_text())["status"]
            if status != "finished":
                raise Wrong(f"exit code 0, and the manifest says {status}")
        self.host.judged(resumed(self.host, folder, BEGUN[kind]), folder.parent, code=0, seconds=60)
        same(folder, self.expected[kind], by)


class Writes(Disturbed):
    name, short, long = "writes", 40, 900
    lies = ("agree", "drift", "lose")

    def prepare(self):
        self.shim = self.work / "failing.so"
        source = pathlib.Path(__file__).with_name("failing.c")
        try:
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(self.shim), str(source), "-ldl"], check=True)
        except (OSError, subprocess.CalledProcessError) as e:
            raise Skip(f"no C compiler that makes failing.so: {e}")
        super().prepare()

    def attempt(self, rng, number):
        operation, kind = OPERATIONS[number % len(OPERATIONS)], rng.randrange(len(BEGUN))
        n, folder = rng.choice([1, 2, 3, rng.randint(1, 12), rng.randint(1, 60)]), self.work / "run"
        fault = {"OP": operation, "N": str(n), "IN": "/run" if operation in ("write", "fsync", "truncate") else "run",
                 "ERRNO": str(rng.choice([errno.ENOSPC, errno.EIO, errno.EDQUOT])),
                 "FOREVER": rng.choice([None, None, "1"]), "SHORT": rng.choice([None, "1"])}
        resuming = rng.random() < 0.3
        self.did = f"{BEGUN[kind][0].rsplit('/')[-1]}{' resumed' if resuming else ''}: {fault}"
        remove(folder)
        if resuming:
            child, log, end = self.host.start([*BEGUN[kind], "--out", "run"], self.work), folder / "metrics.csv", time.time() + 60
            while child.poll() is None and time.time() < end and not (log.is_file() and log.read_bytes().count(b"\n") >= 3):
                pass
            child.kill()
            child.wait()
        args = resumed(self.host, folder, BEGUN[kind]) if resuming else [*BEGUN[kind], "--out", "run"]
        result = self.host.run(args, self.work, seconds=60, env=self.host.environment(LD_PRELOAD=str(self.shim), **fault))
        self.check(kind, result, folder)



VANISH = {
    "folder deleted": lambda f: shutil.rmtree(f, ignore_errors=True),
    "checkpoint deleted": lambda f: shutil.rmtree(f / "checkpoint", ignore_errors=True),
    "metrics.csv deleted": lambda f: (f / "metrics.csv").unlink(),
    "metrics.csv emptied": lambda f: (f / "metrics.csv").write_bytes(b""),
    "iim.csv deleted": lambda f: (f / "iim.csv").unlink(),
    "folder renamed": lambda f: f.rename(f.parent / "elsewhere"),
    "checkpoint a file": lambda f: (f.joinpath("checkpoint").rename(f.parent / "elsewhere"), (f / "checkpoint").write_text("x")),
    "folder swapped": lambda f: (f.rename(f.parent / "elsewhere"), f.mkdir()),
}


class Limits(Disturbed):
    name, short, long = "limits", 20, 260
    lies = ("agree", "drift")

    def prepare(self):
        super().prepare()
        self.ways = [self.sizes, self.descriptors, self.memory, self.vanish, self.closed, self.disk]

    def attempt(self, rng, number):
        for name in ("run", "elsewhere", "closed"):
            remove(self.work / name)
        self.ways[number % len(self.ways)](rng)

    def limited(self, rng, what, limit, number):
        kind = rng.randrange(len(BEGUN))
        self.did = f"{BEGUN[kind][0].rsplit('/')[-1]}, {what} {number}"
        set_it = lambda: resource.setrlimit(limit, (number, number))
        result = self.host.run([*BEGUN[kind], "--out", "run"], self.work, before=set_it, seconds=60)
        # Where the program does not even start, that is said by the system's loader.
        if result.code == 127 or b"error while loading shared libraries" in result.err:
            return
        self.check(kind, result, self.work / "run")

    def sizes(self, rng):
        self.limited(rng, "bytes of a file", resource.RLIMIT_FSIZE, rng.choice([1024, 4096, rng.randrange(1024, 100_000)]))  # errors are a file, too

    def descriptors(self, rng):
        self.limited(rng, "open files", resource.RLIMIT_NOFILE, rng.randint(3, 16))

    def memory(self, rng):
        """Too little memory may abort (an allocator cannot be asked), but never lose what was saved."""
        kind, megabytes = rng.randrange(len(BEGUN)), rng.randint(24, 400)
        self.did = f"{BEGUN[kind][0].rsplit('/')[-1]}, {megabytes} MB of memory"
        result = self.host.run([*BEGUN[kind], "--out", "run"], self.work, gigabytes=megabytes / 1024, seconds=60)
        folder = self.work / "run"
        if result.code == 0:
            same(folder, self.expected[kind], "exit code 0")
        self.host.judged(resumed(self.host, folder, BEGUN[kind]), self.work, code=0, seconds=60)
        same(folder, self.expected[kind], "resumed")

    def vanish(self, rng):
        what = rng.choice(list(VANISH))
        self.did = what
        longer = [*SEARCH, *sets(epochs=300, limit=20)]
        child = self.host.start([*longer, "--out", "run"], self.work, stderr=subprocess.PIPE)
        log, end = self.work / "run/metrics.csv", time.time() + 60
        while child.poll() is None and time.time() < end and not (log.is_file() and log.read_bytes().count(b"\n") >= 4):
            time.sleep(0.002)
        # A checkpoint that is gone is written anew, whole.
        harmless = what == "checkpoint deleted"
        try:
            VANISH[what](self.work / "run")
        except OSError:
            harmless = True  # the program was in between
        try:
            err = child.communicate(timeout=60 * self.host.patience)[1]
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise Wrong("hang")
        if child.returncode < 0 or b"panicked" in err:
            raise Wrong(f"exit code {child.returncode}: {err[-300:]}")
        if child.returncode == 0 and not harmless or child.returncode and b"error: " not in err:
            raise Wrong(f"exit code {child.returncode}, and something was gone: {err[-300:]!r}")

    def closed(self, rng):
        """A folder that may not be written: root may write everywhere, so another user tries."""
        self.did = "a folder that may not be written"
        if os.getuid() != 0:
            return
        remove(self.work / "closed")
        (self.work / "closed").mkdir(mode=0o555)
        os.chmod(self.work, 0o755)
        result = self.host.run([*SEARCH, "--out", "closed/run"], self.work, before=lambda: (os.setgid(65534), os.setuid(65534)))
        if b"can't open file" not in result.err:  # an interpreter that may not be read
            self.host.judge(result, names=["closed"], code=1)

    def disk(self, rng):
        """A small file system of its own; only root may make one."""
        small, kilobytes = self.work / "small", rng.choice([4, 16, 64, 100, 150, 200, 300, 400, 600])
        self.did = f"a disk of {kilobytes} kB"
        small.mkdir(exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(small)]
        if os.getuid() != 0 or subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
            return
        kind = rng.randrange(len(BEGUN))
        try:
            result = self.host.run([*BEGUN[kind], "--out", "run"], small, seconds=60)
            subprocess.run(["mount", "-o", "remount,size=50m", str(small)], check=True)
            self.check(kind, result, small / "run")
        finally:
            subprocess.run(["umount", str(small)], check=True)
