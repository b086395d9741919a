#!/usr/bin/env python3
"""Records the searches of tests/methods/cases: `tests/peer/record.py [--program PATH] [BEGINNING OF A CASE'S NAME ...]`.

Each case is a search of a few steps. The program runs it with --trace; PyTorch replays the trace with the method as it is
written in this folder: in f64, in f64 from weights 1e-6 off (three times), and in f32. A case is kept only if all of them stay
within half the bounds of tests/methods/tolerances.json of each other: else a ReLU or a rank decided by rounding turns the run,
and it would test nothing. Seeds are tried until one is found, that of the case there is first; all replays but the first end at their
first deviation. What the f64 run came to is written down; where the program does not keep to it, that is said, and nothing
written. A case that is not found leaves the file there was, and an exit code. Needs torch, numpy, safetensors and xxhash.
"""
import argparse, json, pathlib, subprocess, sys, tempfile
import numpy as np, torch
from safetensors.torch import load_file

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))
import by_gradients, compare, darts, darts_pt, drop_nas, enas, golden, is_darts, look_ahead, node_norm, opp_darts, partial, paths, sampled, sgas, shapley, staged
from replay import Apart, Disagreement, Replay, sketch

METHODS = {name: method for module in (is_darts, darts, darts_pt, sampled, paths, sgas, look_ahead, partial, staged, by_gradients, shapley, drop_nas, opp_darts, enas, node_norm)
           for name, method in module.METHODS.items()}
TESTS = HERE.parent / "methods"
DEFAULTS = json.load(open(TESTS / "defaults.json"))

# Sizes: NAS-Bench-201 of 5 blocks, the DARTS space of 5 cells, both from 8x8 images. A step an epoch in the DARTS space: there
# each further step doubles the seeds that are fragile. IIM hangs on few pixels, but for 16 channels and more.
SMALL = dict(channels=4, cells=1, limit=3, batch_size=6)
WIDER = dict(channels=8, cells=2, limit=2, batch_size=7)
DARTS = dict(channels=4, cells=1, limit=1, batch_size=5, epochs=2)
IIM_DARTS = dict(channels=16, cells=1, limit=1, batch_size=5)
WIDE_DARTS = dict(channels=24, cells=1, limit=1, batch_size=5)
# Settings under which each counts within a few steps.
STRONG = dict(lr=0.03, lr_min=0.01, weight_decay=0.02)
ARCH = dict(arch_lr=0.05, arch_weight_decay=0.1)
SHRINK = dict(epochs=4, shrink_steps=2, shrink_every=1, iim_samples=18)
# As the code of IS-DARTS has it.
AUTHORS = dict(iim_samples=0, iim_augment=True, shuffle=False)

CASES = [
    ("is_darts", "nas-bench-201", "small", SMALL | SHRINK | dict(channels=8)),
    ("is_darts", "nas-bench-201", "wider", WIDER | STRONG | dict(channels=16, cells=1, batch_size=10, epochs=5, shrink_steps=2, shrink_every=2, iim_samples=0)),
    ("is_darts", "nas-bench-201", "authors", SMALL | SHRINK | AUTHORS | dict(channels=8)),
    ("i_darts", "nas-bench-201", "authors", SMALL | STRONG | AUTHORS | dict(epochs=2, channels=8, cells=1)),
    ("i_darts", "nas-bench-201", "small", SMALL | dict(epochs=2, iim_samples=18, channels=8)),
    ("i_darts", "nas-bench-201", "wider", WIDER | STRONG | dict(epochs=3, iim_samples=0)),
    ("s_darts", "nas-bench-201", "small", SMALL | dict(epochs=4, shrink_steps=2, shrink_every=1)),
    ("s_darts", "nas-bench-201", "wider", WIDER | STRONG | ARCH | dict(cells=1, batch_size=10, epochs=5, shrink_steps=2, shrink_every=2)),
    ("is_darts", "darts", "small", WIDE_DARTS | dict(batch_size=10, lr=0.002, resize=4, epochs=3, shrink_steps=2, shrink_every=1, iim_samples=10)),
    ("is_darts", "darts", "wider", WIDE_DARTS | dict(batch_size=10, lr=0.005, resize=4, epochs=2, shrink_steps=1, shrink_every=1, iim_samples=0)),
    ("i_darts", "darts", "small", IIM_DARTS | dict(batch_size=10, lr=0.005, resize=4, epochs=2, iim_samples=10)),
    ("i_darts", "darts", "wider", WIDE_DARTS | dict(resize=4, epochs=1, iim_samples=0)),
    ("s_darts", "darts", "small", DARTS | ARCH | dict(arch_init=1.0, epochs=3, shrink_steps=2, shrink_every=1)),
    ("random", "nas-bench-201", "any", dict()),
    ("random", "darts", "any", dict()),
]
# In darts a batch of few images turns the second step of alpha; FairDARTS from alpha = 0 has no use for the mask.
OWN = {"darts": dict(cells=1, batch_size=10), "fair_darts": dict(arch_init=0.5)}
for method in ["darts", "beta_darts", "darts_minus", "sdarts_rs", "fair_darts", "gdas", "snas"]:
    CASES += [
        (method, "nas-bench-201", "small", SMALL | dict(epochs=2)),
        (method, "nas-bench-201", "wider", WIDER | STRONG | ARCH | dict(epochs=3) | OWN.get(method, {})),
        (method, "darts", "small", DARTS | ARCH | (dict(arch_lr=1.0) if method == "fair_darts" else {})
                                                | (dict(drop_path=0.3) if method == "snas" else {})),
    ]
CASES += [
    ("darts", "s1", "small", DARTS | ARCH),
    ("beta_darts", "s1", "small", DARTS | ARCH),
    ("sdarts_rs", "s1", "small", DARTS | ARCH),
    ("gdas", "s1", "small", DARTS | ARCH | dict(tau=30.0)),
    ("darts", "s4", "small", DARTS | ARCH),
    ("sdarts_rs", "s4", "small", DARTS | ARCH),
    ("gdas", "s4", "small", DARTS | ARCH | dict(tau=30.0)),
    ("sdarts_rs", "s3", "small", DARTS | ARCH | dict(epsilon=4.0, epsilon_min=4.0)),
    ("darts_pt", "nas-bench-201", "small", SMALL | dict(epochs=1, tune_epochs=1)),
    ("darts_pt", "nas-bench-201", "wider", WIDER | STRONG | dict(cells=1, batch_size=10, lr=0.01, epochs=1, tune_epochs=2)),
    ("darts_pt", "s2", "small", DARTS | dict(lr=0.002, epochs=1, tune_epochs=1)),
    ("darts_pt", "darts", "small", DARTS | dict(epochs=1, tune_epochs=0)),
]
# Few cells to choose from, of few images each; in the DARTS space two finalists.
PICKS = dict(samples=4, sample_images=4)
# A step an epoch where a step has several passes.
FEW = dict(batch_size=15, epochs=3, lr=0.01, arch_lr=0.05, arch_init=0.1)
for method, own, last in [
    ("rsps", PICKS, dict(finalists=2)), ("setn", PICKS, dict(epochs=1)), ("dsnas", {}, dict(epochs=1, arch_init=0.1)),
    ("sp_darts", dict(tau=0.05, tau_last=0.02), {}), ("beta_darts_pp", dict(flood_level=2.4), {}),
    ("spos", dict(sample_images=6, generations=3, population=5, parents=2, mutate=0.4), {}), ("reinmax", {}, {}), ("dr_nas", {}, {}),
    ("darts_2nd", FEW, dict(epochs=1, lr=0.001)), ("flat_darts", FEW | dict(rho=3.0, epsilon=0.1), dict(epochs=1, rho=0.1, epsilon=0.05)), ("sdarts_adv", dict(attack_steps=2), {}), ("darts_plus", {}, {}),
    ("sgas", dict(warmup_epochs=0, decide_every=1, batch_increase=1), {}),
]:
    CASES += [
        (method, "nas-bench-201", "small", SMALL | dict(epochs=2) | own),
        (method, "nas-bench-201", "wider", WIDER | STRONG | (ARCH if method not in ("rsps", "spos") else {}) | dict(epochs=3, cells=1, batch_size=10) | own),
        (method, "darts", "small", DARTS | (ARCH if method == "setn" else ARCH | dict(arch_init=0.2, lr=0.004) if method not in ("rsps", "spos") else {}) | own | last),
    ]
SHAPLEY = dict(epochs=2, warmup_epochs=1, orders=2, sample_images=6, shapley_step=0.5, lr=0.01, arch_init=0.1)
STAGES = dict(epochs=2, arch_begin=1, arch_lr=0.05, arch_init=0.1, lr=0.01)
PART = dict(epochs=4, arch_begin=1, arch_init=0.1, lr=0.01)
LSTM = dict(lr=0.01, hidden=4, controller_lr=0.1, controller_steps=2, aggregate=2, entropy_weight=0.05, baseline_decay=0.7, samples=3)
CASES += [
    ("pc_darts", "nas-bench-201", "small", SMALL | ARCH | PART | dict(channels=8, batch_size=15)),
    ("pc_darts", "nas-bench-201", "wider", WIDER | ARCH | PART | dict(cells=1, batch_size=10, channels=16, partial=2)),
    ("pc_darts", "darts", "small", DARTS | ARCH | PART | dict(channels=8, epochs=3, lr=0.004)),
    ("r_darts", "nas-bench-201", "small", SMALL | dict(epochs=7, window=4, delta=1, stop_from=1, factor=0.01, batch_size=15, lr=0.01, arch_init=0.1, arch_lr=0.6)),
    ("r_darts", "nas-bench-201", "wider", WIDER | STRONG | ARCH | dict(epochs=6, window=3, delta=1, stop_from=2, factor=0.01, cells=1, batch_size=10)),
    ("r_darts", "darts", "small", DARTS | ARCH | dict(epochs=3, arch_init=0.2, lr=0.004, factor=0.0, drop_path=0.3)),
    ("dr_nas", "nas-bench-201", "progressive", SMALL | FEW | dict(channels=8, batch_size=5, epochs=4, arch_begin=1, partial=4, partial_2=2, ops_2=3)),
    ("dr_nas", "darts", "progressive", DARTS | FEW | dict(channels=12, epochs=2, lr=0.004, batch_size=5, partial=6, partial_2=4, ops_2=4)),
    ("r_darts", "nas-bench-201", "adaptive", SMALL | dict(epochs=4, window=1, delta=1, stop_from=0, factor=1.1, batch_size=15, lr=0.01, arch_init=0.1, arch_lr=0.3, adaptive=True, weight_decay=0.01, max_weight_decay=0.09)),
    ("r_darts", "s2", "adaptive", DARTS | ARCH | dict(epochs=3, window=1, delta=1, stop_from=0, factor=0.01, lr=0.004, arch_init=0.2, adaptive=True, weight_decay=0.01, max_weight_decay=0.03)),
    ("sp_darts", "nas-bench-201", "late", SMALL | FEW | dict(epochs=8, tau=0.05, tau_last=0.02)),
    ("sdarts_adv", "s1", "small", DARTS | ARCH | dict(attack_steps=2, epsilon=3.0, epsilon_min=3.0, epochs=1)),
    ("beta_darts_pp", "s1", "small", DARTS | ARCH | dict(epochs=2, flood_level=2.4)),
    # At the last epoch it has grown, and nothing comes of it.
    ("r_darts", "nas-bench-201", "final", SMALL | FEW | dict(batch_size=7, window=1, delta=2, stop_from=0, factor=0.01, adaptive=True, weight_decay=0.01, max_weight_decay=0.03)),
    ("sgas", "nas-bench-201", "stability", SMALL | dict(epochs=7, arch_lr=0.1, arch_init=0.3, criterion=2, history=2, warmup_epochs=3, decide_every=1, batch_size=15)),
    ("darts_plus", "nas-bench-201", "stable", SMALL | dict(epochs=6, max_skips=0, stable=1, batch_size=15, channels=8, arch_lr=0.01, arch_init=0.005)),
    ("p_darts", "nas-bench-201", "small", SMALL | STAGES | dict(batch_size=15, deeper=1, dropout_1=0.5, max_skips=1)),
    ("p_darts", "nas-bench-201", "later", SMALL | STAGES | dict(batch_size=15, epochs=4, arch_begin=2, deeper=1, dropout_1=0.5, max_skips=1)),
    ("p_darts", "nas-bench-201", "wider", WIDER | STRONG | ARCH | STAGES | dict(cells=1, batch_size=10, deeper=0, max_skips=0)),
    ("p_darts", "darts", "small", DARTS | ARCH | STAGES | dict(deeper=0, max_skips=0, lr=0.004)),
    ("lambda_darts", "nas-bench-201", "small", SMALL | FEW | dict(epsilon=0.03, **{"lambda": 2.0})),
    ("lambda_darts", "nas-bench-201", "wider", WIDER | FEW | dict(epochs=2, cells=1, batch_size=10, epsilon=0.03, **{"lambda": 3.0})),
    ("lambda_darts", "darts", "small", DARTS | FEW | dict(epochs=2, batch_size=5, lr=0.004, epsilon=0.03, reduction_cells=True, **{"lambda": 2.0})),
    ("lambda_darts", "darts", "normal", DARTS | FEW | dict(epochs=2, batch_size=5, lr=0.004, epsilon=0.03, **{"lambda": 4.0})),
    ("oles", "nas-bench-201", "small", SMALL | FEW | dict(window=2, epochs=6, threshold=0.2, weight_decay=0.02)),
    ("oles", "nas-bench-201", "wider", WIDER | FEW | dict(epochs=2, batch_size=10, window=1, threshold=0.3, accumulated=True, weight_decay=0.02)),
    ("oles", "darts", "small", DARTS | FEW | dict(epochs=1, batch_size=5, window=1, threshold=0.0, weight_decay=0.02)),
    ("shapley_nas", "nas-bench-201", "small", SMALL | SHAPLEY | dict(channels=8, batch_size=15, epochs=3, orders=3, sample_images=8)),
    ("shapley_nas", "nas-bench-201", "wider", WIDER | SHAPLEY | dict(cells=1, limit=4, batch_size=10, channels=16, partial=2, deviations=0.5, lr=0.03, sample_images=20, truncation=0.0)),
    ("shapley_nas", "darts", "small", DARTS | SHAPLEY | dict(channels=8, limit=2, batch_size=10, sample_images=10, epochs=1, warmup_epochs=0, truncation=1.0)),
    ("drop_nas", "nas-bench-201", "small", SMALL | ARCH | dict(epochs=2, drop_rate=0.05, arch_init=0.1, weight_decay=0.02, batch_size=15)),
    ("drop_nas", "nas-bench-201", "wider", WIDER | ARCH | dict(epochs=2, cells=1, batch_size=20, drop_rate=0.1, arch_init=0.1, weight_decay=0.02)),
    ("drop_nas", "darts", "small", DARTS | ARCH | dict(batch_size=10, drop_rate=0.1, arch_init=0.1, weight_decay=0.02, lr=0.01)),
    ("opp_darts", "nas-bench-201", "small", SMALL | FEW | dict(epochs=5, add_every=1, weight_decay=0.02)),
    ("opp_darts", "nas-bench-201", "wider", WIDER | FEW | dict(cells=1, batch_size=10, epochs=4, add_every=3, weight_decay=0.02)),
    ("opp_darts", "darts", "small", DARTS | FEW | dict(epochs=2, batch_size=5, add_every=1, lr=0.004, weight_decay=0.02)),
    ("enas", "nas-bench-201", "small", SMALL | LSTM | dict(epochs=2, controller_steps=3, aggregate=3)),
    ("enas", "nas-bench-201", "wider", WIDER | LSTM | dict(cells=1, batch_size=10, epochs=3, hidden=5, lr_period=2, controller_clip=0.1, samples=4)),
    ("enas", "darts", "small", DARTS | LSTM | dict(limit=3, train_share=0.67, batch_size=20, epochs=4, lr_period=2)),
    ("idarts_norm", "nas-bench-201", "small", SMALL | ARCH | dict(epochs=2, sample_images=12, batch_size=15, arch_init=0.5)),
    ("idarts_norm", "nas-bench-201", "wider", WIDER | ARCH | dict(epochs=3, cells=1, batch_size=10, sample_images=25, epsilon=0.1, arch_init=0.5, lr=0.01)),
    ("idarts_norm", "darts", "small", DARTS | ARCH | dict(sample_images=8, arch_init=0.2, lr=0.004)),
    # Of the seeds recorded the first has two skips after an epoch, the second after the last.
    ("darts_plus", "nas-bench-201", "skips", SMALL | dict(epochs=4, arch_lr=0.2, arch_init=1.0, batch_size=15)),
    ("darts_plus", "nas-bench-201", "late", SMALL | dict(epochs=4, arch_lr=0.2, arch_init=1.0, batch_size=15)),
]


def program_run(program, method, space, seed, settings, folder):
    words = [program, "--quiet", "--threads", "1", "--seed", str(seed), "--trace", folder / "trace", "--out", folder / "run"]
    for key, value in settings.items(): words += ["--set", f"{key}={json.dumps(value)}"]
    words += [TESTS / "search.rhai", "--", method, space]
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if done.returncode: raise Disagreement("the program fails: " + done.stderr.strip())
    return done.stdout.splitlines()


def of_program(folder, found):
    events = [json.loads(line) for line in open(folder / "trace" / "trace.jsonl")]
    for e in events:
        if e["event"] == "weights":
            e["sketches"] = {k: sketch(k, v) for k, v in sorted(load_file(folder / "trace" / e["file"]).items())}
        if e["event"] == "variable":
            tensors = load_file(folder / "trace" / e["file"])
            e["values"] = [tensors[str(i)].flatten().tolist() for i in range(len(tensors))]
    return compare.outcomes(events, found)


def of_peer(folder, method, space, cfg, **how):
    run = Replay(folder / "trace", space, **how)
    torch.manual_seed(0)
    found = METHODS[method](run, cfg)
    run.take("the end")
    run.say("genotype", text=found)
    return run.outcomes


def turns(want, *search):
    """What keeps PyTorch from coming to the same in f64 from weights 1e-6 off, whatever the noise, and in f32, or None."""
    try:
        for how in dict(perturbed=1), dict(dtype=torch.float32), dict(perturbed=2), dict(perturbed=3): of_peer(*search, beside=want, **how)
    except Apart as apart: return str(apart)


def rounded(value):
    if isinstance(value, float): return float(f"{value:.8g}") if np.isfinite(value) else str(value)
    if isinstance(value, list): return [rounded(v) for v in value]
    if isinstance(value, dict): return {k: rounded(v) for k, v in value.items()}
    return value


def write(name, head, outcome):
    """Events line by line; of the weights, their sketches in the order of their names."""
    lines = []
    for e in rounded(outcome):
        if e["event"] == "weights":
            line = lambda k, v: " ".join([k] + [f"{x:.6g}" for x in v])
            e = {"event": "weights", "sketches": [line(k, v) for k, v in e["sketches"].items()]}
        lines.append(json.dumps(e))
    head = json.dumps(head)[1:-1]
    new = TESTS / "cases" / f"{name}.new"
    new.write_text("{" + head + ', "outcome": [\n' + ",\n".join(lines) + "\n]}\n")
    new.replace(new.with_suffix(".json"))


def record(program, method, space, size, settings, seeds, verbose):
    name = f"{method}-{space}-{size}"
    family = "nas-bench-201" if space == "nas-bench-201" else "darts"
    defaults = DEFAULTS[method].get(family) or DEFAULTS[method]["nas-bench-201"]
    cfg = defaults["settings"] | settings
    fragile, known = 0, TESTS / "cases" / f"{name}.json"
    first = [json.load(open(known))["seed"]] if known.exists() else []
    for seed in first + [s for s in range(seeds) if s not in first]:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            printed = program_run(program, method, space, seed, settings, folder)
            want = of_peer(folder, method, space, cfg)
            if why := turns(want, folder, method, space, cfg):
                if verbose: print(f"{name}, seed {seed} is fragile: {why}", flush=True)
                fragile += 1
                continue
            deviates, worst = compare.compare(of_program(folder, printed[-1]), want)
            if deviates:
                print(f"{name}, seed {seed}: THE PROGRAM DEVIATES: {deviates}", flush=True)
                return False
            write(name, dict(method=method, space=space, seed=seed, settings=settings), want)
            worst = ", ".join(f"{k} {v:.1e}" for k, v in worst.items() if v)
            print(f"{name}: seed {seed} after {fragile} fragile ones, {len(want)} events; worst: {worst}", flush=True)
            return True
    print(f"{name}: {fragile} seeds, none of them robust", flush=True)
    return False


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default=HERE.parent.parent / "target/release/isdarts-host")
    p.add_argument("--seeds", type=int, default=60, help="how many to try")
    p.add_argument("--verbose", action="store_true", help="say of each seed what turns it")
    p.add_argument("names", nargs="*")
    p.add_argument("--golden", action="store_true", help="the golden cases of the DARTS space, instead")
    args = p.parse_args()
    if args.golden:
        folder = HERE.parent / "golden"
        sys.exit(not all([golden.record(folder / name, c, args.seeds) for name, c in golden.CASES.items()]))
    chosen = [c for c in CASES if not args.names or any("-".join(c[:3]).startswith(n) for n in args.names)]
    (TESTS / "cases").mkdir(exist_ok=True)
    good = all([record(args.program, *case, args.seeds, args.verbose) for case in chosen])
    known = {"-".join(c[:3]) for c in CASES}
    for old in (TESTS / "cases").glob("*.json"):
        if old.stem not in known: old.unlink()
    sys.exit(not good)


if __name__ == "__main__":
    main()
