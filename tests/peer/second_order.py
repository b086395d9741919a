"""What tests/scripts/second_order.rhai must come to, computed in PyTorch in f64 from a trace of it:

    isdarts-host tests/scripts/second_order.rhai --trace DIR;  python tests/peer/second_order.py DIR

The script fails where its numbers are not those; the trace is written all the same. The step is `architect.py` of quark0/darts
(`_compute_unrolled_model`, `_hessian_vector_product`).
"""
import json, pathlib, sys
import torch
from replay import Part, Replay, cross_entropy

LR, MOMENTUM, DECAY = 0.1, 0.9, 3e-2


def norm(vectors):
    return torch.sqrt(sum((v ** 2).sum() for v in vectors if v is not None)).item()


def main(folder):
    run = Replay(pathlib.Path(folder), "nas-bench-201")
    events = run.events
    supernet = next(e for e in events if e["event"] == "supernet")
    run.inputs = iter(e for e in events if e["event"] in ("supernet", "architecture"))
    net = run.supernet({"channels": supernet["config"]["channels"], "cells": supernet["config"]["cells"]})
    alpha = torch.tensor(next(e for e in events if e["event"] == "architecture")["values"][0], dtype=run.dtype, requires_grad=True)
    run.inputs = iter(e for e in events if e["event"] in ("train", "loss"))
    part = Part("the training set", range(len(run.labels)))
    x1, y1, _ = run.batch("train", part)
    x2, y2, _ = run.batch("loss", part)
    xv, yv, _ = run.batch("loss", part)
    assert torch.equal(x1, x2) and torch.equal(y1, y2)
    w = [p for p in net.parameters()]

    def gradients(x, y):
        loss = cross_entropy(net, x, y, [torch.softmax(alpha, -1)])
        g = torch.autograd.grad(loss, [alpha] + w, allow_unused=True)
        return g[0], [torch.zeros_like(p) if v is None else v for v, p in zip(g[1:], w)]

    @torch.no_grad()
    def move(vectors, factor):
        for p, v in zip(w, vectors): p += factor * v

    _, g = gradients(x1, y1)
    momentum = [v + DECAY * p.detach() for v, p in zip(g, w)]
    move(momentum, -LR)
    want = {"weights": norm(w), "momentum": norm(momentum)}
    before = [p.detach().clone() for p in w]
    _, g = gradients(x2, y2)
    want["train"] = norm(g)
    move([MOMENTUM * m + v + DECAY * p.detach() for m, v, p in zip(momentum, g, w)], -LR)
    want["ahead"] = norm(w)
    dalpha, v = gradients(xv, yv)
    want["valid"] = norm(v)
    names = [n for n, _ in net.named_parameters()]
    of = lambda e, o: norm(t for n, t in zip(names, v) if any(n.startswith(f"cells.{k}.edges.{run.edges[e][0]}<-{run.edges[e][1]}.{o}.") for k in range(5)))
    want["of"] = [[of(e, o) for o in (2, 3)] for e in range(6)]
    with torch.no_grad():
        for p, b in zip(w, before): p.copy_(b)
    e = 0.01 / norm(v)
    move(v, e)
    up, w_up = gradients(x2, y2)
    move(v, -2 * e)
    down, w_down = gradients(x2, y2)
    move(v, e)
    authors = (up - down) / (2 * e)
    want |= {"authors": authors.tolist(), "gradient": (dalpha - LR * authors).tolist(), "size": norm([authors]),
             "in_weights": norm([(a - b) / (2 * e) for a, b in zip(w_up, w_down)])}
    rounded = lambda x: [rounded(y) for y in x] if isinstance(x, list) else float(f"{x:.7g}")
    print("#" + json.dumps({k: rounded(v) for k, v in want.items()}))


main(sys.argv[1])
