"""Values of settings: every setting of every kind of script with numbers at the edges, texts, lists, too large ones. Right: an error that
names the setting, or a run whose logs hold finite numbers."""
from harness import Campaign, SCRIPTS, Wrong, finite, remove, sets

KEYS = ["epochs", "batch_size", "lr", "lr_min", "momentum", "nesterov", "weight_decay", "clip", "augment", "cutout", "channels", "cells", "strict", "resize",
        "limit", "split", "arch_lr", "arch_beta1", "arch_beta2", "arch_weight_decay", "arch_init", "arch_mean", "arch_clip", "shrink_steps", "shrink_every",
        "iim_samples", "network", "warmup", "photo", "drop_path", "auxiliary", "label_smoothing", "seeds", "method", "pool_norm", "head_norm", "recipe", "tau",
        "tau_min", "edges", "threshold", "nonsense"]
VALUES = ["", "0", "-1", "1", "2", "3", "5", "7", "1.5", "0.999999", "1e30", "-1e30", "1e38", "1e-30", "1e300", "1e-300", "1e400", "nan", "inf", "-inf",
          "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "-9223372036854775808", "-0", "true", "false", "null",
          "[]", "[1,2]", "{}", "x", "é", "=", "a=b", " 3", "3 ", "0x10", "1_000", "[" * 300, "1e-400", "100000", "4294967296", "\x1b[2J", '"1"', "1e3"]
SMALL = {"channels": 2, "limit": 3, "batch_size": 16}
SHRINK = {"shrink_steps": 1, "shrink_every": 1, "iim_samples": 8}
CASES = [
    ("is_darts.rhai", {"epochs": 2, **SHRINK}, []), ("darts.rhai", {"epochs": 1}, []), ("train_genotype.rhai", {"epochs": 1}, []),
    ("train_genotype.rhai", {"epochs": 1, "cells": 2}, ["--", "DARTS_V2"]), ("darts_search.rhai", {"epochs": 2, "cells": 1, **SHRINK}, []),
    ("darts_search.rhai", {"method": "snas", "epochs": 1, "cells": 1}, []), ("compare.rhai", {"epochs": 2, "seeds": 1, **SHRINK}, []),
]
# What is asked for and takes its time, or is more images than there are: no fault.
LONG = {("epochs", "100000"), ("epochs", "4294967296"), ("epochs", "9223372036854775807"), ("seeds", "100000"), ("seeds", "4294967296"),
        ("seeds", "9223372036854775807"), ("cells", "100000"), ("channels", "100000"), ("iim_samples", "100000")}


class Settings(Campaign):
    name, short, long = "settings", 60, 1800
    lies = ("agree", "nan", "escape", "refuse")

    def attempt(self, rng, number):
        script, small, words = CASES[number % len(CASES)]
        key, value = rng.choice([(k, v) for k in KEYS for v in VALUES if (k, v) not in LONG])
        sound = number % 20 == 0
        values = {**SMALL, **small} if sound else {k: v for k, v in {**SMALL, **small}.items() if k != key}
        given = [] if sound else ["--set", f"{key}={value}"]
        self.did = f"{script} {' '.join(words)} {given}"
        remove(self.work / "run")
        args = [str(SCRIPTS / script), "--quiet", "--seed", "1", "--out", "run", *sets(**values), *given, *words]
        found = self.host.judged(args, self.work, seconds=60, names=[key, key.replace("_", " "), "memory", "became"], code=0 if sound else None)
        if found.code == 0:
            if not found.out.strip():
                raise Wrong("exit code 0, and nothing is told")
            for log in [*(self.work / "run").rglob("metrics.csv"), *(self.work / "run").rglob("curve.csv")]:
                finite(log.read_text(), log.name)
