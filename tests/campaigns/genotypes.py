"""Texts of cells, spoiled a little or much: as an expression, to `query`, to train_genotype.rhai, in the genotype.txt of a run folder.
Right: an error that says what was got and expected, or a cell with finite costs whose own text reads back as itself."""
import json

from harness import Campaign, TRAINING, Wrong, finite

GOOD = [
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|skip_connect~0|none~1|none~2|",
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), "
    "('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), "
    "('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])",
    "DARTS_V2", "9930", "GDAS_V1", "[4, 4, 1, 2, 0, 3]",
    '{"normal": [["sep_conv_3x3", 0], ["sep_conv_3x3", 1]], "normal_concat": [2, 3, 4, 5], "reduce": [["max_pool_3x3", 0]], "reduce_concat": [2]}',
    "cell = Genotype(  # step 1\n normal=[[('sep_conv_3x3', 0, 0.3), ('sep_conv_3x3', 1, 0.2)]], normal_concat=range(2, 6))",
]
# Those that an expression takes (a number within a text is one for the command line).
SOUND = [GOOD[0], GOOD[1], "DARTS_V2", "GDAS_V1"]
PIECES = ["|", "~", "+", "9", "99999999999999999999", "none", "é", "\U0001f600", "'", '"', "(", ")", ",", " ", "[", "]", "{", "\t", "=", "-", "\0",
          "\x1b[2J", "nan", "1e400", "#", "\n", "np.int64(", "range(", "None", "lambda", "*", "..."]
LARGE = ["|" * 100_000, "(" * 100_000, "Genotype(" + "normal=[" * 10_000, "9" * 400, "-1", "15625", "15624.0", "1e3", "\0", " " * 100_000,
         "[" * 100_000, "{" * 50_000, "'" * 99_999, "normal=" * 9999, "[0," * 30_000, "", "\n", "-" * 100_000 + "1"]


def spoiled(rng):
    text = list(rng.choice(GOOD))
    for _ in range(rng.randint(1, 5)):
        at, how = rng.randrange(len(text) + 1), rng.randrange(6)
        if how == 0:
            del text[at:at + rng.randint(1, 5)]
        elif how == 1:
            text[at:at] = rng.choice(PIECES)
        elif how == 2:
            text[at:at] = text[rng.randrange(len(text) + 1):][:rng.randint(1, 30)]
        elif how == 3 and text:
            text[at % len(text)] = chr(rng.choice([0, 32, 127, 0xE9, 0x2028, 0x10FFFF, rng.randrange(33, 127)]))
        elif how == 4:
            del text[at:]
        elif rng.random() < 0.1:
            rng.shuffle(text)
    return "".join(text)


def quoted(text):
    """As a text of the script language."""
    return '"' + "".join(c if c.isalnum() and c.isascii() or c in " _~|+,()[]='" else f"\\U{ord(c):08x}" for c in text) + '"'


class Genotypes(Campaign):
    name, short, long = "genotypes", 60, 1500
    lies = ("agree", "escape", "nan", "drift")

    def attempt(self, rng, number):
        whole = number % 10 == 0
        text = rng.choice(SOUND) if whole else LARGE[number % 30] if number % 30 < len(LARGE) and number % 2 else spoiled(rng)
        way = "expression" if whole else rng.choice(["expression"] * 3 + ["query", "training", "folder"])
        self.did = f"{way}: {text[:150]!r}"
        if way == "query" and "\0" not in text:
            found = self.host.judged(["query", "--", text], self.work)
            if found.code == 0 and not found.out.strip():
                raise Wrong("exit code 0, and nothing is told")
        elif way == "training" and "\0" not in text and len(text) < 100_000:
            self.train(text)
        elif way == "folder":
            (self.fresh("found") / "genotype.txt").write_text(text)
            self.train("found")
        else:
            self.expression(text, 0 if whole else None)

    def expression(self, text, code):
        line = f"let g = genotype({quoted(text)}); let c = g.cost(); print(json.dumps(c)); assert(genotype(g.to_string()) == g); print(g)"
        line = line.replace("json.dumps(c)", "c")
        found = self.host.judged(["--quiet"], self.work, stdin=(line + "\n").encode(), code=code)
        if found.code == 0:
            finite(found.out.decode(), "a cost")
            if len(found.out.strip().splitlines()) < 2:
                raise Wrong(f"exit code 0, and nothing is told: {found.out[:200]}")
            told = found.out.decode().strip().splitlines()[-1]
            again = self.host.judged(["-e", f"genotype({quoted(told)})"], self.work, code=0)
            # Below it comes a drawing.
            if again.out.decode().splitlines()[0].strip() != told:
                raise Wrong(f"{told!r} reads back as {again.out.decode()!r}")

    def train(self, words):
        found = self.host.judged([*TRAINING, "--set", "epochs=1", "--out", str(self.fresh("g") / "run"), "--", words], self.work, seconds=60)
        if found.code == 0:
            finite((self.work / "g/run/metrics.csv").read_text(), "training")
