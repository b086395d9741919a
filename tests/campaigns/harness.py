"""What all campaigns share: the program under limits, what counts as a failure, tries that a number repeats, a record.

Python 3.9 or later on Linux, nothing else. A campaign is a class with `prepare` (once) and `attempt` (one try, all of whose
draws come from `rng`); a failure is `Wrong`, raised anywhere in a try.
"""
import collections
import hashlib
import json
import os
import pathlib
import random
import re
import resource
import shutil
import subprocess
import tempfile
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"

Result = collections.namedtuple("Result", "code out err seconds megabytes late")


class Wrong(Exception):
    """What a try found."""


def politely():
    """Take the niceness along into a session of its own: Linux weighs sessions against each other, not processes."""
    try:
        with open("/proc/self/autogroup", "w") as group:
            group.write(str(os.nice(0)))
    except OSError:
        pass  # there are none here


class Host:
    """The program, run by one thread, below limits of time, memory and file size."""

    def __init__(self, program, work, patience=1.0):
        self.program, self.work = str(program), work
        self.command = [self.program]
        self.patience = patience  # factor of all time limits
        self.most = 2048  # MB of resident memory
        (work / "home").mkdir(parents=True, exist_ok=True)

    def environment(self, **more):
        env = {"PATH": os.environ["PATH"], "HOME": str(self.work / "home"), "ISDARTS_CACHE": str(self.work / "cache"),
               "LANG": "C.UTF-8", "RAYON_NUM_THREADS": "1", **more}
        return {name: value for name, value in env.items() if value is not None}

    def limits(self, gigabytes, file_mb, before):
        def set_them():
            politely()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_AS, (int(gigabytes * 2**30),) * 2)
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_mb * 2**20,) * 2)
            if before:
                before()
        return set_them

    def start(self, args, cwd, **more):
        """In the background, all output dropped; a session of its own."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL,
                   "env": self.environment(), **more}
        return subprocess.Popen([*self.command, *args], cwd=cwd, start_new_session=True, preexec_fn=politely, **streams)

    def run(self, args, cwd, stdin=b"", seconds=20, gigabytes=6, file_mb=256, env=None, before=None, command=None):
        """To its end, or killed after so many seconds."""
        out, err, given = (tempfile.TemporaryFile(dir=self.work) for _ in range(3))
        with out, err, given:
            given.write(stdin)
            given.seek(0)
            start = time.time()
            child = subprocess.Popen([*(command or self.command), *args], cwd=cwd, stdin=given, stdout=out, stderr=err,
                                     env=env or self.environment(), start_new_session=True,
                                     preexec_fn=self.limits(gigabytes, file_mb, before))
            late = []
            timer = threading.Timer(seconds * self.patience, lambda: (late.append(1), child.kill()))
            timer.start()
            _, status, usage = os.wait4(child.pid, 0)
            timer.cancel()
            child.returncode = os.waitstatus_to_exitcode(status)
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(stream.read(4 << 20))
        return Result(child.returncode, *texts, time.time() - start, usage.ru_maxrss / 1024, bool(late))

    def judge(self, result, names=(), code=None):
        """Raise if it ended as no program should; `names`: one of them must be in an error; `code`: the only exit code that is
        right. Gives the result back."""
        told = result.err.decode(errors="replace")
        tail = told[-400:]
        if result.late:
            raise Wrong(f"hang: not over after {result.seconds:.1f} s: {tail}")
        if b"panicked at" in result.err or b"bug of isdarts-host" in result.err or result.code == 101:
            raise Wrong(f"panic, exit code {result.code}: {tail}")
        if result.code < 0:
            raise Wrong(f"signal {-result.code}: {tail}")
        if result.megabytes > self.most:
            raise Wrong(f"memory: {result.megabytes:.0f} MB: {tail}")
        if code is not None and result.code != code:
            raise Wrong(f"exit code {result.code}, expected {code}: {tail}")
        if result.code not in (0, 130) and not re.search(r"^error: .{8,}", told, re.M):
            raise Wrong(f"exit code {result.code} without an error in words: {tail!r}")
        if result.code not in (0, 130) and names and not any(str(name) in told for name in names):
            raise Wrong(f"the error names none of {list(map(str, names))}: {tail}")
        if b"\x1b" in result.err.replace(b"\x1b[0m", b"") and not result.late:
            raise Wrong(f"orders to a terminal in an error: {tail!r}")
        return result

    def judged(self, args, cwd, names=(), code=None, **more):
        return self.judge(self.run(args, cwd, **more), names, code)


class Campaign:
    """One kind of trouble. `short` and `long`: tries in each form; `lies`: how a program may misbehave that the campaign must
    notice, besides those that all must."""

    name, short, long = "", 10, 300
    lies = ()

    def __init__(self, host, work):
        self.host, self.work = host, work
        self.did = ""

    def fresh(self, name):
        """An empty folder."""
        path = self.work / name
        remove(path)
        path.mkdir(parents=True)
        return path

    def prepare(self):
        """What all tries start from. Raises [`Skip`] where the machine has not what is needed."""

    def attempt(self, rng, number):
        """One try. Sets `did`, raises [`Wrong`]."""
        raise NotImplementedError


class Skip(Exception):
    """Why a campaign cannot run here."""


def remove(path):
    """A file, link or folder, whatever its rights; nothing if it is not there."""
    if path.is_symlink() or path.is_file() or path.is_fifo():
        path.unlink()
    elif path.is_dir():
        for folder in (p for p in path.rglob("*") if p.is_dir() and not p.is_symlink()):
            folder.chmod(0o700)
        shutil.rmtree(path, ignore_errors=True)


def sets(**values):
    """--set KEY=VALUE of each."""
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


SMALL = {"channels": 2, "cells": 1, "batch_size": 16}
SEARCH = [str(SCRIPTS / "is_darts.rhai"), "--seed", "4", "--quiet",
          *sets(epochs=6, limit=6, shrink_steps=2, shrink_every=2, iim_samples=16, **SMALL)]
TRAINING = [str(SCRIPTS / "train_genotype.rhai"), "--seed", "4", "--quiet", *sets(epochs=4, limit=4, **SMALL)]

# Files of a run whose last column is a time; of metrics.csv it is the last but one.
TIMED = ("curve.csv", "compare.csv", "ablation.csv", "evaluate.csv", "shrink_rates.csv", "replacement.csv")


def outcome(folder):
    """Sums of all that a run left, but for times and what only resuming needs."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = str(path.relative_to(folder))
        # Times stand among all the rest of a result and of an event file.
        if name in ("manifest.json", "result.json", "lock") or name.startswith(("checkpoint/", "script/", "events.out.tfevents")):
            continue
        data = path.read_bytes()
        if path.name in TIMED:
            data = re.sub(rb",[^,\n]*$", b"", data, flags=re.M)
        elif path.name == "metrics.csv":
            data = re.sub(rb",[^,\n]*(,[^,\n]*)$", rb"\1", data, flags=re.M)
        found[name] = hashlib.sha256(data).hexdigest()
    return found


def same(folder, expected, what):
    """Raise unless the folder holds what an undisturbed run left."""
    got = outcome(folder)
    other = [name for name in sorted(set(got) | set(expected)) if got.get(name) != expected.get(name)]
    if other:
        raise Wrong(f"{what}: other than the undisturbed run: {', '.join(other)}")


def resumed(host, folder, begun, words=()):
    """The command that goes on with a run, or begins it again where it had not come to its manifest."""
    folder.mkdir(exist_ok=True)
    if (folder / "manifest.json").is_file():
        return ["--resume", folder.name, "--quiet"]
    return [*begun, "--resume", folder.name, *words]


def finite(text, what):
    """Raise if a word of the text is no finite number."""
    words = set(re.split(r"[\s,;:\[\](){}]+", text.lower()))
    found = words & {"nan", "inf", "-inf", "infinity", "-infinity"}
    if found:
        raise Wrong(f"{what}: {', '.join(sorted(found))} and exit code 0")


class Record:
    """A line of JSON for each try, so that a campaign that was cut goes on where it was. Tries of another program count as not
    made."""

    def __init__(self, path, program):
        self.path = path
        digest = hashlib.sha256()
        with open(program, "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
        self.program = digest.hexdigest()[:12]
        self.made = {}
        if path and path.is_file():
            for line in path.read_text().splitlines():
                try:
                    line = json.loads(line)
                    if line["program"] == self.program:
                        self.made[line["campaign"], line["seed"], line["number"]] = line["failure"]
                except (ValueError, KeyError):
                    pass  # the line that was being written when it was cut

    def add(self, campaign, seed, number, failure, did, seconds):
        self.made[campaign, seed, number] = failure
        if self.path:
            line = {"campaign": campaign, "seed": seed, "number": number, "program": self.program, "failure": failure,
                    "did": did, "seconds": round(seconds, 3)}
            with open(self.path, "a") as file:
                file.write(json.dumps(line) + "\n")


def try_once(campaign, seed, number):
    """The failure of one try, or None."""
    campaign.did = ""
    try:
        campaign.attempt(random.Random(f"{campaign.name} {seed} {number}"), number)
    except Wrong as wrong:
        return str(wrong)
    except Exception:
        return "the campaign itself: " + traceback.format_exc()[-1500:]
    return None


def conduct(campaign, seed, numbers, record, say):
    """Make the tries that the record has not; (made, failed)."""
    failed, prepared = 0, False
    for number in numbers:
        key = (campaign.name, seed, number)
        if key not in record.made:
            if not prepared:
                try:
                    campaign.prepare()
                except Skip:
                    raise
                except Exception:
                    say(f"{campaign.name}: what all its tries start from cannot be made: {traceback.format_exc()[-1500:]}")
                    return len(numbers), len(numbers)
                prepared = True
            start = time.time()
            failure = try_once(campaign, seed, number)
            record.add(*key, failure, campaign.did, time.time() - start)
            if failure:
                say(f"{campaign.name} {seed} {number}: {campaign.did}: {failure}")
        failed += record.made[key] is not None
    return len(numbers), failed
