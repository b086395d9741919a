"""Threads: any number of them comes to the same bits; more than are of use, more than the system gives, odd values in the environment;
stacks that are small. Right: the result, or an error in words."""
import os
import resource

from harness import Campaign, SEARCH, Wrong, outcome, remove, resumed, same

ENVIRONMENTS = ["", "0", "1", "2", "7", "64", "5000", "x", "-1", "99999999999999999999"]


class Threads(Campaign):
    name, short, long = "threads", 20, 300
    lies = ("agree", "drift", "refuse")

    def prepare(self):
        self.host.judged([*SEARCH, "--out", "whole"], self.work, code=0)
        self.expected = outcome(self.work / "whole")
        os.chmod(self.work, 0o777)

    def attempt(self, rng, number):
        remove(self.work / "run")
        [self.option, self.environment, self.few, self.resumed_by_others, self.stack][number % 5](rng)

    def option(self, rng):
        many = rng.choice([1, 2, 3, 7, 64, 1024])
        self.did = f"--threads {many}"
        self.host.judged([*SEARCH, "--threads", str(many), "--out", "run"], self.work, code=0, gigabytes=16)
        same(self.work / "run", self.expected, self.did)

    def environment(self, rng):
        value = rng.choice(ENVIRONMENTS)
        self.did = f"RAYON_NUM_THREADS={value}"
        self.host.judged([*SEARCH, "--out", "run"], self.work, code=0, gigabytes=16, env=self.host.environment(RAYON_NUM_THREADS=value))
        same(self.work / "run", self.expected, self.did)

    def few(self, rng):
        """As clusters limit them; needs to become a user without other processes."""
        limit, user = rng.randint(1, 6), rng.randint(60_000, 64_000)
        self.did = f"a user who may have {limit} threads"
        if os.getuid() != 0:
            return

        def become():
            resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))
            os.setgid(user)
            os.setuid(user)
        more = ["--threads", str(rng.choice([2, 4]))] if rng.random() < 0.5 else []
        found = self.host.run([*SEARCH, *more, "--out", "run"], self.work, before=become, env=self.host.environment(HOME="/nonexistent", RAYON_NUM_THREADS=None))
        if b"Permission denied" in found.err and found.code in (2, 126) and b"error: " not in found.err:
            return  # the program itself is where another user may not read
        self.host.judge(found, code=0)
        same(self.work / "run", self.expected, self.did)

    def resumed_by_others(self, rng):
        many = rng.choice([2, 3, 8])
        self.did = f"killed with 1 thread, resumed with {many}"
        child = self.host.start([*SEARCH, "--out", "run"], self.work)
        try:
            child.wait(rng.uniform(0.02, 0.2))
        except Exception:
            child.kill()
            child.wait()
        self.host.judged([*resumed(self.host, self.work / "run", SEARCH), "--threads", str(many)], self.work, code=0)
        same(self.work / "run", self.expected, self.did)

    def stack(self, rng):
        kilobytes = rng.choice([256, 512, 1024, 8192])
        self.did = f"a stack of {kilobytes} kB"
        limit = lambda: resource.setrlimit(resource.RLIMIT_STACK, (kilobytes * 1024,) * 2)
        self.host.judged([*SEARCH, "--out", "run"], self.work, code=0, before=limit)
        same(self.work / "run", self.expected, self.did)
