"""Command lines: options and words in any order, bytes that are no UTF-8, sizes of benchmarks beyond any machine. Right: an error in
words with exit code 1 or 2, or something done."""
from harness import Campaign, Wrong

POOL = ["s.rhai", "-e", "1", "--repl-after", "--set", "a=1", "a", "--data", "digits", "nowhere", "--device", "cpu", "cuda", "cuda:9", "auto", "cpu:1", "--threads", "0", "1", "1025",
        "65536", "--seed", "-1", "18446744073709551615", "18446744073709551616", "--out", "o", "/proc/x", "", "--resume", ".", "--quiet", "--", "query", "9930", "|none~0|",
        "data", "info", "check", "get", "mnist", "--dir", "--from", "http://127.0.0.1:9/", "file:///etc/", "predict", "--weights", "export", "--onnx", "--fold", "--top", "0",
        "doc", "search", "--format", "markdown", "definitions", "completions", "bash", "man", "bench", "step", "train", "-c", "-n", "-b", "--size", "--classes", "--steps",
        "--masked", "--drop", "none", "--space", "darts", "--strict", "--help", "--version", "-h", "-V", "é", "x" * 5000, "-", "--=", "-e=1", "--genotype", "--network",
        "--accept-changes", "--trace", b"\xff", b"\xff.rhai", "a\nb", "\x1b[2J", "--paths", "--split", "/dev/null", "/dev/zero", "o/p/q", "x/" * 2500, "n" * 300]
SIZES = ["-c", "-n", "-b", "--size", "--classes", "--steps", "--masked", "--seed"]
NUMBERS = ["0", "1", "3", "1000000", "4294967296", "9223372036854775807", "18446744073709551615", "-1", "x", "1.5", ""]


class Words(Campaign):
    name, short, long = "words", 60, 1500
    lies = ("escape", "agree", "fat")

    def attempt(self, rng, number):
        folder = self.fresh("words")
        (folder / "s.rhai").write_text("print(1);")
        if number % 10 == 0:
            self.did = "a sound line"
            if self.host.judged(["s.rhai", "--out", "run"], folder, code=0).out != b"1\n":
                raise Wrong("the script's output is not there")
        elif rng.random() < 0.3:
            kind, size, value = rng.choice(["step", "train"]), rng.choice(SIZES), rng.choice(NUMBERS)
            sizes = {"-c": "2", "-n": "1", "-b": "2", "--size": "8", "--steps": "1", size: value}
            args = ["bench", kind, *[word for pair in sizes.items() for word in pair]]
            self.did = " ".join(args)
            # A benchmark of so many steps is as long as it was asked to be.
            if size != "--steps" or value in ("0", "1", "3", "-1", "x", "1.5", ""):
                self.host.judged(args, folder, seconds=60)
        else:
            args = [rng.choice(POOL) for _ in range(rng.randint(1, 7))]
            self.did = repr([word if len(word) < 400 else word[:9] for word in args])
            self.host.judged(args, folder, seconds=60)
