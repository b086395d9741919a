"""Standard streams that are closed, full, or read by nobody; standard input that is a folder, bytes, or ends within a line. Right: the exit
code of the table, no panic, and a run's result as it always is."""
import shlex
import subprocess

from harness import Campaign, SEARCH, Wrong, outcome, remove, same

# What the shell runs; `host` is the program, `RUN` a run in ./run. The exit codes that are right; none: any but a crash.
CASES = [
    ("RUN >&-", [0, 1]), ("RUN 2>&-", [0]), ("RUN <&- >&- 2>&-", [0, 1]), ("RUN > /dev/full", [1]), ("RUN 2> /dev/full", [0]), ("RUN | true; exit ${PIPESTATUS[0]}", [0]),
    ("RUN 2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}", [0]), ("host bad.rhai --out run 2> /dev/full", [1]), ("host bad.rhai --out run 2>&1 | sleep 0; exit ${PIPESTATUS[0]}", [1]),
    ("host prints.rhai --quiet --out run | head -1; exit ${PIPESTATUS[0]}", [0]), ("host doc | head -1; exit ${PIPESTATUS[0]}", [0]), ("host doc > /dev/full", [1]), ("host -e 1 > /dev/full", [1]),
    ("host query 3 > /dev/full", [1]), ("host data info digits > /dev/full", [1]), ("host completions bash > /dev/full", [1]), ("host completions bash | true; exit ${PIPESTATUS[0]}", [0]),
    ("host man > /dev/full", [1]), ("host --help > /dev/full", [1]), ("host --version > /dev/full", [1]), ("host --quiet < many.txt | head -1; exit ${PIPESTATUS[0]}", [0]), ("host --quiet < many.txt > /dev/full", [1]),
    ("host < many.txt 2> /dev/full > /dev/null", [0, 1]), ("host < many.txt 2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}", [0]), ("host <&-", [0, 1]), ("host < .", [1]),
    ("head -c 100000 /dev/urandom | host --quiet > /dev/null", [1]), ("printf '1 +' | host --quiet", [1]), ("host -e 1 >&-", [0, 1]), ("host predict --weights /dev/null x", [1]),
    ("host bench step -c 2 -n 1 -b 2 --size 8 --steps 1 > /dev/full", [1]), ("host -e 'print(1)' > /dev/full", [1]), ("host --nothing 2> /dev/full", [2]), ("host gone.rhai 2>&-", [1]),
    ("yes '1 + 1' | head -2000 | host --quiet | head -1; exit ${PIPESTATUS[2]}", [0]), ("host data get mnist --dir d --from http://127.0.0.1:9/ 2> /dev/full", [1]),
]


class Streams(Campaign):
    name, short, long = "streams", len(CASES), 8 * len(CASES)
    lies = ("agree",)

    def prepare(self):
        (self.work / "many.txt").write_text("1 + 1\n" * 2000)
        (self.work / "bad.rhai").write_text("throw 1;")
        (self.work / "prints.rhai").write_text("for i in 0..20000 { print(i); }")
        self.host.judged([*SEARCH, "--out", "whole"], self.work, code=0)
        self.expected = outcome(self.work / "whole")

    def attempt(self, rng, number):
        line, codes = CASES[number % len(CASES)]
        self.did = line
        remove(self.work / "run")
        program, run = shlex.join(self.host.command), shlex.join([*SEARCH, "--out", "run"])
        text = f"host() {{ {program} \"$@\"; }}; {line.replace('RUN', f'host {run}')}"
        try:
            found = subprocess.run(["bash", "-c", text], cwd=self.work, capture_output=True, env=self.host.environment(),
                                   timeout=60 * self.host.patience)
        except subprocess.TimeoutExpired:
            raise Wrong("hang")
        if b"panicked" in found.stderr or found.returncode not in codes:
            raise Wrong(f"exit code {found.returncode}, expected {codes}: {found.stderr[-300:]}")
        if "2>" not in line and found.returncode and b"error: " not in found.stderr:
            raise Wrong(f"exit code {found.returncode} without words")
        if "RUN" in line and found.returncode == 0:
            same(self.work / "run", self.expected, "a run")
