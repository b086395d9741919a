"""Lines that are piped into the prompt: commands with odd words, spoiled examples, pieces of grammar, bytes. Right: each is answered
or refused in words, and the last line, which is sound, is answered."""
import re
import string

from harness import Campaign, Wrong, remove
from scripts import examples, mutated

COMMANDS = [":help", "??", "?", ":doc", ":time", ":scope", ":run", ":reload", ":device", ": help", ":nothing", "?x", "??x", ":save", ":load"]
PIECES = ["_", "x", "nas/is_darts", "nas/is_darts::search", "/", "..", "\0", "é", "`", '"', "/*", "//", "(", ")", "{", "}", "#{", "|x|", "|", "import", "fn", "let", "::",
          "${", "=>", "switch _ { _ => 1 }", "this", 'Fn("x")', "curry", 'eval("1")', "\x1b[2J", "\u202e", "a" * 3000, "0b1", "1..", "'x'", "'\\u{110000}'", '"\\x"',
          '"\\u{d800}"', "/dev/zero", "/dev/null", "x" * 300, "../../etc/passwd"]


class Prompt(Campaign):
    name, short, long = "prompt", 50, 1500
    lies = ("agree", "escape", "fat")

    def prepare(self):
        self.examples = examples(self.host, self.work)

    def attempt(self, rng, number):
        lines = []
        for _ in range(rng.randint(1, 6)):
            how = rng.randrange(4)
            if how == 0:
                lines.append(rng.choice(COMMANDS) + " " * rng.randint(0, 2) + rng.choice(PIECES))
            elif how == 1:
                lines.append(mutated(rng.choice(self.examples), self.examples, rng))
            elif how == 2:
                lines.append("".join(rng.choice(PIECES + list(string.printable)) for _ in range(rng.randint(1, 12))))
            else:
                lines.append(rng.randbytes(rng.randint(1, 30)).decode("latin1"))
        text = "\n".join(lines)
        if re.search(r"sleep|loop|while|exit|quit|:q", text):
            text = "1 + 1"
        self.did = repr(text)
        # What is open (a text, a bracket) takes all that follows for its own: only then is the last line no input.
        data = text.encode("utf-8", "surrogatepass") if rng.random() < 0.9 else text.encode("latin1", "replace")
        folder = self.fresh("prompt")
        found = self.host.judged(["--quiet"], folder, stdin=data + b"\n\n40 + 2\n", seconds=60)
        if found.code == 0 and b"42" not in found.out:
            raise Wrong(f"exit code 0, and the last line is not answered: {found.out[-200:]}")
        if found.code != 0 and b"42" not in found.out and b"not finished" not in found.err and number % 10 == 0:
            alone = self.host.judged(["--quiet"], folder, stdin=b"40 + 2\n", code=0)
            if b"42" not in alone.out:
                raise Wrong("a sound line is not answered")
