"""Scripts spoiled token by token: the examples of the manual and the shipped ones. Right: an error in words that names a file, or an end
with exit code 0; never more than two gigabytes, nor a hang."""
import re

from harness import Campaign, SCRIPTS, SMALL, Wrong, finite, remove, sets

NUMBERS = ["0", "-1", "1", "2", "7", "9223372036854775807", "-9223372036854775808", "4294967296", "1e308", "-1e308", "1e-320", "0.0", "-0.0",
           "0.5", "(0.0/0.0)", "(1.0/0.0)", "(-1.0/0.0)", "1000000", "65536"]
TEXTS = ['""', '"none"', '"\\x00"', '"../x"', '"/"', '"."', '"\\u{1f600}"', '"digits"', '"nas-bench-201"', '"darts"', '"x".pad(1000, "y")', '"%s%n"',
         '"|none~0|"']
TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|`[^`]*`|[A-Za-z_]\w*|\d+(?:\.\d+)?(?:e-?\d+)?|//[^\n]*|\s+|[-+*/<>=!&|:.?%]{1,3}|.', re.S)


def mutated(text, donors, rng):
    """With a few tokens left out, doubled, exchanged, replaced, put in; lines exchanged or added."""
    tokens = TOKEN.findall(text)
    for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 6])):
        solid = [i for i, token in enumerate(tokens) if not token.isspace()]
        if not solid:
            break
        at, how = rng.choice(solid), rng.randrange(9)
        donor = TOKEN.findall(rng.choice(donors)) or [" "]
        if how == 0:
            del tokens[at]
        elif how == 1:
            tokens[at:at] = [tokens[at], " "]
        elif how == 2:
            other = rng.choice(solid)
            tokens[at], tokens[other] = tokens[other], tokens[at]
        elif how in (3, 4, 5):
            token = tokens[at]
            tokens[at] = rng.choice(NUMBERS if re.match(r"\d", token) else TEXTS if token[0] in '"`' else donor)
        elif how == 6:
            begin = rng.randrange(len(donor))
            tokens[at:at] = donor[begin:begin + rng.randint(1, 12)]
        elif how == 7:
            lines = "".join(tokens).split("\n")
            a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
            lines[a], lines[b] = lines[b], lines[a]
            tokens = TOKEN.findall("\n".join(lines))
        else:
            tokens += ["\n", *TOKEN.findall(rng.choice(rng.choice(donors).split("\n")))]
    return "".join(tokens)


def examples(host, work):
    """The manual's."""
    manual = host.judged(["doc", "--format", "markdown"], work, code=0, seconds=60).out.decode()
    return [text for text in re.findall(r"```rhai\n(.*?)```", manual, re.S) if len(text) < 1500]


class Scripts(Campaign):
    name, short, long = "scripts", 50, 3000
    lies = ("agree", "escape", "fat")

    def prepare(self):
        self.examples = examples(self.host, self.work)
        self.shipped = [path.read_text() for path in sorted(SCRIPTS.glob("*.rhai"))]
        assert len(self.examples) > 100 and len(self.shipped) > 10

    def attempt(self, rng, number):
        large = rng.random() < 0.12
        donors = self.examples + self.shipped if rng.random() < 0.5 else self.examples
        text = mutated(rng.choice(self.shipped if large else self.examples), donors, rng)
        if re.search(r"\bsleep\b|\bloop\b|\bwhile\b", text):
            text = "1 + 1"  # those that are asked to run for ever
        self.did = text
        (self.work / "s.rhai").write_text(text + '\nprint("the end");')
        remove(self.work / "run")
        small = sets(**{**SMALL, "epochs": 3, "limit": 3}) if large else []
        found = self.host.judged(["s.rhai", "--quiet", "--out", "run", *small], self.work, seconds=60)
        if found.code == 0 and b"the end\n" not in found.out and "exit" not in text:
            raise Wrong("exit code 0 before the end")
        if found.code == 0 and (self.work / "run/metrics.csv").is_file():
            finite((self.work / "run/metrics.csv").read_text(), "metrics.csv")
