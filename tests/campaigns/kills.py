"""kill -9 at random moments: once, twice, three times in a row, while a file is being written, while resuming; or SIGINT, SIGTERM,
SIGHUP. Then --resume: logs (but seconds), genotypes, curves, tables and weights are those of the run that nothing disturbed, to
the bit."""
import os
import signal
import subprocess
import time

from harness import Campaign, SCRIPTS, SMALL, Wrong, outcome, remove, resumed, same, sets

# Loops in loops, state beside the networks, draws between loops; several searches in one script.
OWN = {
    "nested.rhai": """
let d = data(#{ limit: 6 }).train;
let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
let s = run_state(#{ log: [], best: 0.0 });
for outer in epochs(3) {
    for inner in epochs(3) {
        let r = net.train_epoch(d, #{ epochs: 9, batch_size: 16 });
        s.log.push(r.loss);
        if r.accuracy > s.best { s.best = r.accuracy; }
    }
    s.log.push(random_below(1000));
    net.measure_iim(d, 16);
}
write_text("end.txt", `${s.log} ${s.best} ${random_below(1000000)}`);
""",
    "several.rhai": """
let d = data(#{ limit: 5 }).train;
let all = [];
for k in 0..4 {
    label(`search ${k}`);
    set_seed(k);
    let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
    let alpha = architecture_parameters(net, #{ arch_lr: 0.1 });
    for epoch in epochs(3) {
        for batch in net.batches(d, #{ batch_size: 16, epochs: 3 }) {
            let gradients = net.backward(net.loss(batch, alpha.softmax().map(|t| t + gumbel_like(t) * 0.01)));
            net.step(gradients, batch, #{ batch_size: 16, epochs: 3 });
            alpha.step(gradients);
        }
    }
    report(`search ${k}`, alpha.genotype());
    all.push(alpha.genotype().to_string());
}
write_csv("all.csv", ["genotype"], all.map(|g| [g]));
for epoch in epochs(2) { random_below(10); }
write_text("end.txt", `${random_below(1000000)}`);
""",
}
SHRINK = {"shrink_steps": 2, "shrink_every": 1, "iim_samples": 8}
# Script, settings, words.
CASES = [
    ("is_darts.rhai", {"epochs": 12, "limit": 20, "iim_samples": 20}, []),
    ("darts.rhai", {"epochs": 6, "limit": 10}, []),
    ("nested.rhai", None, []),
    ("train_genotype.rhai", {"epochs": 8, "limit": 20}, []),
    ("darts_search.rhai", {"epochs": 4, "limit": 3, **SHRINK}, []),
    ("several.rhai", None, []),
    ("darts_search.rhai", {"method": "gdas", "epochs": 3, "limit": 3}, []),
    ("darts_search.rhai", {"method": "snas", "epochs": 3, "limit": 3}, []),
    ("darts_search.rhai", {"method": "darts_pt", "epochs": 2, "limit": 2}, []),
    ("train_genotype.rhai", {"epochs": 4, "limit": 6}, ["--", "DARTS_V2"]),
    ("compare.rhai", {"epochs": 4, "seeds": 1, "limit": 3, **SHRINK}, []),
    ("stability.rhai", {"epochs": 10, "limit": 3, "images": 20, "shrink_steps": 1, "shrink_every": 1, "iim_samples": 8}, []),
    ("ablation.rhai", {"epochs": 4, "limit": 3, "seeds": 1, **SHRINK}, []),
    ("shrink_rates.rhai", {"epochs": 6, "limit": 3}, []),
    ("replacement.rhai", {"epochs": 2, "limit": 3}, []),
    ("evaluate.rhai", {"epochs": 2, "limit": 4}, []),
]
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def names(folder):
    """Of what lies there, now."""
    try:
        return os.listdir(folder)
    except OSError:
        return []  # not made yet, or gone again


class Kills(Campaign):
    name, short, long = "kills", 8, 480
    lies = ("agree", "drift", "lose")

    def prepare(self):
        self.whole = {}

    def command(self, case):
        script, values, words = case
        if values is None:
            path = self.work / script
            path.write_text(OWN[script])
            return [str(path), "--seed", "4", "--quiet"], words
        return [str(SCRIPTS / script), "--seed", "4", "--quiet", *sets(**SMALL, **values)], words

    def undisturbed(self, number):
        """What the case leaves, and how long it takes; by the program itself, once."""
        if number not in self.whole:
            begun, words = self.command(CASES[number])
            folder = self.work / f"whole-{number}"
            start = time.time()
            self.host.judged([*begun, "--out", folder.name, *words], self.work, code=0, seconds=300, command=[self.host.program])
            self.whole[number] = (outcome(folder), time.time() - start)
        return self.whole[number]

    def attempt(self, rng, number):
        case = number % len(CASES)
        self.did = f"{CASES[case][0]} {CASES[case][1] or ''}"
        expected, length = self.undisturbed(case)
        begun, words = self.command(CASES[case])
        folder = self.work / "run"
        remove(folder)
        how = rng.choice(["once", "twice", "three times", "in a write", "signal"])
        count = {"twice": 2, "three times": 3}.get(how, 1)
        self.did += f" {how}"
        for k in range(count):
            args = resumed(self.host, folder, begun, words) if k else [*begun, "--out", "run", *words]
            if how == "in a write":
                self.kill_in_a_write(args, folder, rng.randint(1, 25))
            else:
                moment = rng.uniform(0, 1.1 * length)
                self.did += f" {moment:.3f} s"
                self.end(args, moment, rng.choice(SIGNALS) if how == "signal" else signal.SIGKILL)
        self.host.judged(resumed(self.host, folder, begun, words), self.work, code=0, seconds=300)
        same(folder, expected, "resumed")

    def end(self, args, moment, by):
        child = self.host.start(args, self.work)
        try:
            child.wait(moment)
        except subprocess.TimeoutExpired:
            child.send_signal(by)
            try:
                code = child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                raise Wrong(f"alive 10 s after {by.name}")
            if by in SIGNALS and code not in (0, 130, -by):
                raise Wrong(f"{by.name}: exit code {code}, expected 130")

    def kill_in_a_write(self, args, folder, nth):
        """At the nth moment at which a temporary file is seen in the run folder."""
        child, seen, was, end = self.host.start(args, self.work), 0, False, time.time() + 300
        places = [".", "train-000", *(f"checkpoint/loop-{i:03}" for i in range(6))]
        try:
            while child.poll() is None and time.time() < end:
                now = any(name.endswith(".tmp") for place in places for name in names(folder / place))
                seen += now and not was
                was = now
                if seen == nth:
                    break
        finally:
            child.kill()
            child.wait()
