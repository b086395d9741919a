"""The golden cases tests/golden/darts-* and of networks with options, tests/golden/partial-*: a pass with free mixing weights and a short IS-DARTS run. Recorded by
record.py --golden, which keeps a case only if PyTorch agrees with itself in f64, in f32, and from weights 1e-6 off.

Networks of 16 channels and more have a million weights: they begin at values of a formula (`first_weights`), and of long
tensors the case has sketches (replay.py)."""
import json, math
import numpy as np, torch
from safetensors.torch import save_file
import torch_supernet
from replay import sketch, splitmix

torch.set_num_threads(1)
BOUNDS = {"mix": 5e-4, "run.losses": 1e-3, "shrink": 1e-2, "final": 1e-3, "final_eval": 5e-3}


def first_weights(name, shape, seed):
    """Uniform in +- 1/sqrt(fan in), from SplitMix64 at (hash of the name, position); of batch norms near 1 and 0."""
    h = 0xcbf29ce484222325 ^ seed                               # FNV-1a
    for byte in name.encode(): h = (h ^ byte) * 0x100000001b3 % 2 ** 64
    n = int(np.prod(shape))
    z = splitmix(np.arange(n, dtype=np.uint64) + np.uint64(h))
    u = (z >> np.uint64(11)).astype(np.float64) / 2.0 ** 53 * 2 - 1
    one = name.endswith("running_var") or name.endswith("weight") and len(shape) == 1
    scale = 1 / math.sqrt(np.prod(shape[1:])) if len(shape) > 1 else 0.1
    return torch.tensor((u * scale + float(one)).astype(np.float32)).reshape(shape)


def case_run(c, dtype, perturbed=False):
    options = {key: c[key] for key in ("partial", "auxiliary_skip", "pool_norm", "head_norm") if key in c}
    net = torch_supernet.Supernet(c["space"], c["channels"], c["cells"], c["classes"], **options)
    state = {k: first_weights(k, list(v.shape), c["seed"]) for k, v in net.state_dict().items() if "num_batches" not in k}
    generator = torch.Generator().manual_seed(c["seed"])
    x = torch.randn(c["batch"], 3, c["size"], c["size"], generator=generator)
    y = torch.randint(0, c["classes"], (c["batch"],), generator=generator)
    # Behind the candidates' weights those of edges, if there are any.
    edges = int(c.get("partial", 1) > 1) + int(c.get("auxiliary_skip", False))
    shape = (net.shape[0], net.shape[1] + edges)
    free = [torch.softmax(torch.randn(shape, generator=generator), -1) for _ in range(1 + (c["space"] == "darts"))]
    state = {k: v.to(dtype) for k, v in state.items()}
    if perturbed: state = {k: v * (1 + 1e-6 * torch.randn(v.shape, dtype=dtype, generator=generator)) for k, v in state.items()}
    net.to(dtype).load_state_dict(state, strict=False)
    opt = torch.optim.SGD(net.parameters(), c["lr"], 0.9, weight_decay=c["weight_decay"], nesterov=True)
    t, dropped = torch_supernet.golden_run(net, opt, x.to(dtype), y, [w.to(dtype) for w in free], c["shrinks"], c["steps"])
    return {"input": x, "target": y} | {k: v.double() for k, v in t.items()}, dropped


def agree(a, b):
    """Whether two runs keep within half the bounds of tests/golden.rs."""
    if a[1] != b[1]: return False
    for name, want in a[0].items():
        bound = BOUNDS.get(name) or BOUNDS.get(name.split(".")[0])
        if bound is None or name.endswith(".bias") and want.norm() < 1e-6: continue
        got, finite = b[0][name], torch.isfinite(want)
        if name.startswith("shrink") and "score" in name:
            d = ((got - want).abs() / want.abs())[finite].max()
        else: d = (got - want).norm() / want.norm().clamp(min=1e-7)
        if d > bound / 2: return False
    return True


def record(folder, c, seeds):
    for seed in range(seeds):
        c = c | dict(seed=seed)
        want = case_run(c, torch.float64)
        if agree(want, case_run(c, torch.float64, True)) and agree(want, case_run(c, torch.float32)): break
    else:
        print(f"{folder.name}: {seeds} seeds, none of them robust", flush=True)
        return False
    t, dropped = want
    whole = {k: v for k, v in t.items() if not (k.startswith("mix.grad.") or k.startswith("final."))}
    sketches = {k: torch.tensor(sketch(k, v), dtype=torch.float64) for k, v in t.items() if k not in whole}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: (v if k == "target" else v.float() if k in whole else v).contiguous() for k, v in (whole | sketches).items()},
              folder / "tensors.safetensors")
    head = dict(**c, momentum=0.9, nesterov=True, clip=5.0, dropped=dropped, torch=torch.__version__, sketched=True,
                note="as the other cases, but the first weights are those of a formula (first_weights in tests/peer/golden.py), and "
                     "of gradients and final tensors there is the norm and two sums under random signs (sketch in replay.py)")
    (folder / "case.json").write_text(json.dumps(head, indent=1) + "\n")
    print(f"{folder.name}: seed {seed}", flush=True)
    return True


BASE = dict(space="darts", cells=1, classes=10, batch=4, size=8, lr=0.025, weight_decay=3e-4)
CASES = {
    "darts-16": BASE | dict(channels=16, shrinks=2, steps=1),
    "darts-16-steps": BASE | dict(channels=16, shrinks=1, steps=2, batch=6),
    "darts-24": BASE | dict(channels=24, shrinks=2, steps=1),
    "partial-nas-bench-201": BASE | dict(space="nas-bench-201", channels=16, shrinks=2, steps=1, partial=4),
    "partial-darts": BASE | dict(channels=16, shrinks=2, steps=1, partial=4, pool_norm=True, head_norm=False),
    "partial-with-skips": BASE | dict(channels=16, shrinks=2, steps=1, partial=2, auxiliary_skip=True),
    "skips-darts": BASE | dict(channels=16, shrinks=2, steps=1, auxiliary_skip=True),
}
