"""What tests/scripts/hessians.rhai must come to: exact second derivatives of a small supernet by PyTorch in f64, from a trace of it.

    isdarts-host tests/scripts/hessians.rhai --trace DIR;  python tests/peer/hessians.py DIR

Without convolutions in its cells, for at each ReLU that a difference steps over the gradient jumps: of a few channels and images
the jumps are larger than all second derivatives, for PyTorch's differences in f64 as for the engine's.
"""
import json, pathlib, sys
import torch
from replay import Part, Replay, cross_entropy

run = Replay(pathlib.Path(sys.argv[1]), "nas-bench-201")
events = run.events
run.inputs = iter(e for e in events if e["event"] in ("supernet", "architecture"))
net = run.supernet({"channels": 2, "cells": 1}, head_norm=False)
alpha = torch.tensor(next(e for e in events if e["event"] == "architecture")["values"][0], dtype=run.dtype, requires_grad=True)
run.inputs = iter(e for e in events if e["event"] == "loss")
x, y, _ = run.batch("loss", Part("the training set", range(len(run.labels))))
dead = torch.zeros(6, 5, dtype=run.dtype)
dead[:, 2:4] = -torch.inf
w = list(net.parameters())
loss = lambda a: cross_entropy(net, x, y, [torch.softmax(a + dead, -1)])
g = torch.autograd.grad(loss(alpha), [alpha] + w, create_graph=True, allow_unused=True)
g = [torch.zeros_like(p) if t is None else t for t, p in zip(g, [alpha] + w)]


def product(vector):
    found = torch.autograd.grad(sum((a * b).sum() for a, b in zip(g, vector)), [alpha] + w, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(p) if t is None else t for t, p in zip(found, [alpha] + w)]


h = torch.stack([product([e.reshape(6, 5)] + [torch.zeros_like(p) for p in w])[0].flatten() for e in torch.eye(30, dtype=run.dtype)])
own = [p.detach() for p in w]
along = product([torch.zeros_like(alpha)] + own)
want = {"matrix": h.norm().item(), "largest": torch.linalg.eigvalsh(h)[-1].item(), "least": torch.linalg.eigvalsh(h)[0].item(),
        "row": h[1].reshape(6, 5).tolist(), "mixed": along[0].tolist(), "norm": torch.sqrt(sum((t ** 2).sum() for t in along[1:])).item(),
        "curvature": sum((a * b).sum() for a, b in zip(along[1:], own)).item()}
rounded = lambda v: [rounded(u) for u in v] if isinstance(v, list) else float(f"{v:.7g}")
print("#" + json.dumps({k: rounded(v) for k, v in want.items()}))
