#!/usr/bin/env python3
"""The PyTorch peer: the two supernets of the IS-DARTS paper, as its users run them today.

One plain PyTorch implementation of the NAS-Bench-201 and DARTS search-space supernets with the
semantics and the parameter names of the IS-DARTS authors' public code. It serves three purposes:

  torch_supernet.py bench  --space nas-bench-201 -c 16 -n 5 -b 64     time a training step
  torch_supernet.py golden --space darts ... --out DIR                write a golden case
  record.py                                                           the searches of tests/methods

Needs only torch, numpy and safetensors (`pip install torch numpy safetensors`); runs on CPU, or on
a GPU with --device cuda. Nothing here is a dependency of the project.

Semantics (what a golden case pins):
- mixed op:   y = sum_o w[e,o] * o(x); IS-DARTS uses w = mask / |O| (|O| = 5 or 8, constant).
- BN in candidate ops: no affine, no running statistics; batch statistics in train AND eval mode.
  BN in stem, reductions and head: affine with running statistics (momentum 0.1, eps 1e-5), so in
  eval mode those use the running ones.
- convs in candidate ops carry a bias (cancelled by the batch norm that follows).
- score(e,o) = mean over images, channels, pixels of 3 (x - m)^2 / s^6, with m and s the mean and
  the unbiased std over the channels at one pixel; NaN counts as +inf; averaged over the cells of
  one type. IIM = 1 / score. The op with the largest score is dropped first.
"""
import argparse, json, math, os, resource, time
import torch, torch.nn as nn, torch.nn.functional as F

NB201 = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
DARTS = ["none", "skip_connect", "dua_sepc_3x3", "dua_sepc_5x5", "dil_sepc_3x3", "dil_sepc_5x5",
         "avg_pool_3x3", "max_pool_3x3"]


def bn(c, affine):
    return nn.BatchNorm2d(c, affine=affine, track_running_stats=affine)


class ReLUConvBN(nn.Module):
    def __init__(self, ci, co, k, stride, affine):
        super().__init__()
        self.op = nn.Sequential(nn.ReLU(), nn.Conv2d(ci, co, k, stride, k // 2, bias=not affine), bn(co, affine))

    def forward(self, x):
        return self.op(x)


class SepConv(nn.Module):
    def __init__(self, c, k, stride, dilation):
        super().__init__()
        pad = dilation * (k // 2)
        self.op = nn.Sequential(nn.ReLU(), nn.Conv2d(c, c, k, stride, pad, dilation, groups=c, bias=False),
                                nn.Conv2d(c, c, 1), bn(c, False))

    def forward(self, x):
        return self.op(x)


class DualSepConv(nn.Module):
    def __init__(self, c, k, stride):
        super().__init__()
        self.op_a, self.op_b = SepConv(c, k, stride, 1), SepConv(c, k, 1, 1)

    def forward(self, x):
        return self.op_b(self.op_a(x))


class Pool(nn.Module):
    def __init__(self, kind, stride):
        super().__init__()
        self.op = (nn.AvgPool2d(3, stride, 1, count_include_pad=False) if kind == "avg"
                   else nn.MaxPool2d(3, stride, 1))

    def forward(self, x):
        return self.op(x)


class Zero(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return x[:, :, ::self.stride, ::self.stride].mul(0.0)


class FactorizedReduce(nn.Module):
    def __init__(self, ci, co, affine=False):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(ci, o, 1, 2, bias=not affine) for o in (co // 2, co - co // 2))
        self.bn = bn(co, affine)

    def forward(self, x):
        x = F.relu(x)
        y = F.pad(x, (0, 1, 0, 1))
        return self.bn(torch.cat([self.convs[0](x), self.convs[1](y[:, :, 1:, 1:])], 1))


class Noise(nn.Module):
    """RobustDARTS, S4: standard normal draws in place of the input."""
    def __init__(self, stride):
        super().__init__()
        self.stride, self.draw = stride, torch.randn

    def forward(self, x):
        return self.draw(x[:, :, ::self.stride, ::self.stride].shape).to(x)


def primitive(name, c, stride, pool_norm=False):
    if pool_norm and name.endswith("pool_3x3"): return nn.Sequential(Pool(name[:3], stride), bn(c, False))
    if name == "noise": return Noise(stride)
    if name == "none": return Zero(stride)
    if name == "skip_connect": return nn.Identity() if stride == 1 else FactorizedReduce(c, c)
    if name.startswith("nor_conv"): return ReLUConvBN(c, c, int(name[-1]), stride, False)
    if name.startswith("dua_sepc"): return DualSepConv(c, int(name[-1]), stride)
    if name.startswith("dil_sepc"): return SepConv(c, int(name[-1]), stride, 2)
    return Pool(name[:3], stride)


class ResNetBasicblock(nn.Module):
    def __init__(self, ci, co):
        super().__init__()
        self.conv_a, self.conv_b = ReLUConvBN(ci, co, 3, 2, True), ReLUConvBN(co, co, 3, 1, True)
        self.downsample = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(ci, co, 1, bias=False))

    def forward(self, x):
        return self.downsample(x) + self.conv_b(self.conv_a(x))


def partial_edge(x, k, weight, mixed):
    """PC-DARTS `MixedOp.forward`: `mixed` of the first 1/k of the channels, the others beside it (2x2 maximum where it halves),
    shuffled (`channel_shuffle`); `weight()` is that of the others."""
    if k == 1: return mixed(x)
    c = x.shape[1]
    y, rest = mixed(x[:, :c // k]), x[:, c // k:]
    if y.shape[2] != x.shape[2]: rest = F.max_pool2d(rest, 2, 2)
    both = torch.cat([y, weight() * rest], 1)
    b, _, h, w = both.shape
    return both.view(b, k, c // k, h, w).transpose(1, 2).reshape(b, c, h, w)


def edge_weight(w, n_ops, column):
    """The weight of an edge that stands behind those of its candidates; without, 1, or 0 for an edge without live candidates."""
    if len(w) > n_ops: return w[n_ops + column]
    return float((w != 0).any())


def normed(x):
    """Batch norm of this batch, without affine part."""
    return F.batch_norm(x, None, None, training=True)


class SearchCell(nn.Module):
    """NAS-Bench-201: nodes 0..3, node i sums the edges from every j < i; the last node is the output."""
    def __init__(self, c, ops, partial=1, auxiliary_skip=False, node_norm=False):
        super().__init__()
        self.partial, self.auxiliary_skip, self.n_ops, self.node_norm = partial, auxiliary_skip, len(ops), node_norm
        self.edges = nn.ModuleDict({f"{i}<-{j}": nn.ModuleList(primitive(o, c // partial, 1) for o in ops)
                                    for i in range(1, 4) for j in range(i)})

    def forward(self, x, w, probe, ghost=None):
        nodes = [normed(x) if self.node_norm else x]
        for i in range(1, 4):
            total = 0
            for j in range(i):
                e = i * (i - 1) // 2 + j
                if self.partial > 1 or self.auxiliary_skip:
                    total = total + self.edge(nodes[j], self.edges[f"{i}<-{j}"], w[e], None if probe is None else
                                              (lambda o, y, e=e: probe(e, o, y)))
                    continue
                for o, op in enumerate(self.edges[f"{i}<-{j}"]):
                    if ghost is not None and o != w[e].argmax():    # GDAS: only the drawn op runs
                        if ghost: total = total + w[e, o]
                        continue
                    y = op(nodes[j])
                    if probe is not None: probe(e, o, y)
                    total = total + y * w[e, o]
            nodes.append(normed(total) if self.node_norm and i < 3 else total)
        return nodes[-1]

    def edge(self, x, ops, w, probe):
        def mixed(x):
            total = x * edge_weight(w, self.n_ops, 0) if self.auxiliary_skip else 0
            for o, op in enumerate(ops):
                y = op(x)
                if probe is not None: probe(o, y)
                total = total + y * w[o]
            return total
        return partial_edge(x, self.partial, lambda: edge_weight(w, self.n_ops, int(self.auxiliary_skip)), mixed)


class MixedOp(nn.Module):
    """`ops`: names of primitives; None where an edge has none (the spaces of RobustDARTS)."""
    def __init__(self, ops, c, stride, pool_norm=False, auxiliary_skip=False):
        super().__init__()
        if auxiliary_skip: self.skip = primitive("skip_connect", c, stride)
        self.ops = nn.ModuleList(primitive(o, c, stride, pool_norm) if o else nn.Identity() for o in ops)
        self.has = [o is not None for o in ops]


class NASNetCell(nn.Module):
    """DARTS: two inputs, four nodes, node i sums the edges from j < i + 2; output = concat of the four."""
    def __init__(self, ops, cpp, cp, c, reduction, reduction_prev, pool_norm=False, partial=1, auxiliary_skip=False,
                 node_norm=False):
        super().__init__()
        self.reduction, self.partial, self.auxiliary_skip, self.node_norm = reduction, partial, auxiliary_skip, node_norm
        edge_ops = iter(ops if isinstance(ops[0], list) else [ops] * 14)
        self.preprocess0 = FactorizedReduce(cpp, c) if reduction_prev else ReLUConvBN(cpp, c, 1, 1, False)
        self.preprocess1 = ReLUConvBN(cp, c, 1, 1, False)
        self.edges = nn.ModuleDict({f"{i}<-{j}": MixedOp(next(edge_ops), c // partial, 2 if reduction and j < 2 else 1, pool_norm,
                                                        auxiliary_skip)
                                    for i in range(4) for j in range(2 + i)})

    def forward(self, s0, s1, w, probe, ghost=None, drop=None):
        """`drop`: [edges, images], a factor of what an edge adds to its node."""
        states, e, sums = [self.preprocess0(s0), self.preprocess1(s1)], 0, []
        for i in range(4):
            total = 0
            for j in range(2 + i):
                mixed, own = self.edges[f"{i}<-{j}"], 0
                if self.partial > 1 or self.auxiliary_skip:
                    total = total + self.edge(states[j], mixed, w[e], None if probe is None else
                                              (lambda o, y, e=e: probe(e, o, y)))
                    e += 1
                    continue
                for o, op in enumerate(mixed.ops):
                    if not mixed.has[o]: continue
                    if ghost is not None and o != w[e].argmax():
                        if ghost: own = own + w[e, o]
                        continue
                    y = op(states[j])
                    if probe is not None: probe(e, o, y)
                    own = own + y * w[e, o]
                total = total + (own if drop is None else own * drop[e].reshape(-1, 1, 1, 1))
                e += 1
            sums.append(total)
            states.append(normed(total) if self.node_norm else total)
        return torch.cat(sums, 1)

    def edge(self, x, mixed, w, probe):
        n = len(mixed.ops)
        def sum_of(x):
            total = mixed.skip(x) * edge_weight(w, n, 0) if self.auxiliary_skip else 0
            for o, op in enumerate(mixed.ops):
                if not mixed.has[o]: continue
                y = op(x)
                if probe is not None: probe(o, y)
                total = total + y * w[o]
            return total
        return partial_edge(x, self.partial, lambda: edge_weight(w, n, int(self.auxiliary_skip)), sum_of)


class Supernet(nn.Module):
    """`weights`: one [edges, ops] tensor per cell type (1 for NAS-Bench-201; normal, reduce for DARTS)."""
    def __init__(self, space, c, n, classes, edge_ops=None, pool_norm=False, head_norm=True, partial=1,
                 auxiliary_skip=False, node_norm=False):
        """`edge_ops`: of each cell type a list of names (or None) for each edge, where they are not all of the space."""
        super().__init__()
        self.space, self.ops = space, NB201 if space == "nas-bench-201" else DARTS
        edge_ops = edge_ops or [self.ops] * 2
        self.ops = edge_ops[0][0] if isinstance(edge_ops[0][0], list) else edge_ops[0]
        self.shape = (6 if space == "nas-bench-201" else 14, len(self.ops))
        widths = [c] * n + [2 * c] + [2 * c] * n + [4 * c] + [4 * c] * n
        reductions = [i in (n, 2 * n + 1) for i in range(3 * n + 2)]
        stem = c if space == "nas-bench-201" else 3 * c
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem))
        self.cells, cpp, cp, rp = nn.ModuleList(), stem, stem, False
        for width, r in zip(widths, reductions):
            if space == "darts":
                self.cells.append(NASNetCell(edge_ops[int(r)], cpp, cp, width, r, rp, pool_norm, partial,
                                             auxiliary_skip, node_norm))
                cpp, cp, rp = cp, 4 * width, r
            else:
                self.cells.append(ResNetBasicblock(cp, width) if r else SearchCell(width, self.ops, partial, auxiliary_skip, node_norm))
                cp = width
        self.lastact = nn.Sequential(nn.BatchNorm2d(cp), nn.ReLU()) if head_norm else nn.Identity()
        self.classifier = nn.Linear(cp, classes)

    def forward(self, x, weights, probe=None, ghost=None, drop=None):
        """`ghost`: only the largest op of an edge runs, the others standing in the sum as bare weights, or (False) not at all.
        `drop`: drop path, [cells, edges, images]. More than two `weights` are of each cell its own."""
        s0 = s1 = self.stem(x)
        of_cells = iter(weights) if len(weights) > 2 else None
        for k, cell in enumerate(self.cells):
            watch = None if probe is None else (lambda e, o, y, k=k: probe(k, e, o, y))
            if self.space == "darts":
                own = next(of_cells) if of_cells else weights[int(cell.reduction)]
                s0, s1 = s1, cell(s0, s1, own, watch, ghost, None if drop is None else drop[k])
            else:
                s1 = cell(s1, next(of_cells) if of_cells else weights[0], watch, ghost) if isinstance(cell, SearchCell) else cell(s1)
        return self.classifier(self.lastact(s1).mean((2, 3)))

    def masks_to_weights(self, masks):
        return [m / len(self.ops) for m in masks]

    @torch.no_grad()
    def scores(self, x, weights, batch):
        """Score of every candidate per cell type, [types][edges, ops]; the larger, the less important."""
        total = torch.zeros(len(self.cells), *self.shape)
        def probe(k, e, o, y):
            m, s = y.mean(1, keepdim=True), y.std(1, keepdim=True)
            f = 3 * (y - m) ** 2 / s ** 6
            total[k, e, o] += torch.where(torch.isnan(f), torch.full_like(f, math.inf), f).mean((1, 2, 3)).sum().cpu()
        for i in range(0, len(x), batch):
            self(x[i:i + batch], weights, probe)
        total /= len(x)
        if self.space == "nas-bench-201":
            return [total[[k for k, c in enumerate(self.cells) if isinstance(c, SearchCell)]].mean(0)]
        return [total[[k for k, c in enumerate(self.cells) if c.reduction == r]].mean(0) for r in (False, True)]


def make(args):
    torch.manual_seed(args.seed)
    net = Supernet(args.space, args.channels, args.cells, args.classes).to(args.device)
    opt = torch.optim.SGD(net.parameters(), args.lr, 0.9, weight_decay=3e-4, nesterov=True)
    return net, opt


def train_step(net, opt, x, y, weights, clip=5.0):
    opt.zero_grad()
    loss = F.cross_entropy(net(x, weights), y)
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), clip)
    opt.step()
    return loss.detach()


def graph_ms(net, opt, x, y, weights, steps):
    """The kernels of a step as one CUDA graph, replayed: what they take without the host."""
    side = torch.cuda.Stream(); side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3): train_step(net, opt, x, y, weights)
    torch.cuda.current_stream().wait_stream(side)
    graph, times = torch.cuda.CUDAGraph(), []
    with torch.cuda.graph(graph): train_step(net, opt, x, y, weights)
    for _ in range(steps + 1):
        t = time.perf_counter(); graph.replay(); torch.cuda.synchronize(); times.append(time.perf_counter() - t)
    return round(1e3 * sorted(times[1:])[steps // 2], 2)


def bench(args):
    net, opt = make(args)
    x = torch.randn(args.batch, 3, args.size, args.size, device=args.device)
    y = torch.randint(0, args.classes, (args.batch,), device=args.device)
    types = 1 if args.space == "nas-bench-201" else 2
    weights = net.masks_to_weights([torch.ones(net.shape, device=args.device) for _ in range(types)])
    step = train_step
    if args.compile: net.compile()
    sync = torch.cuda.synchronize if args.device == "cuda" else (lambda: None)
    for _ in range(args.warmup): step(net, opt, x, y, weights)
    sync(); times = []
    for _ in range(args.steps):
        t = time.perf_counter(); step(net, opt, x, y, weights); sync(); times.append(time.perf_counter() - t)
    net.eval(); measured = []
    for _ in range(max(1, args.steps // 2)):
        sync(); t = time.perf_counter(); net.scores(x, weights, args.batch); sync(); measured.append(time.perf_counter() - t)
    times.sort(); measured.sort()
    peak = (torch.cuda.max_memory_allocated() / 2**20 if args.device == "cuda"
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)
    net.train()
    graph = graph_ms(net, opt, x, y, weights, args.steps) if args.device == "cuda" and not args.compile else None
    print(json.dumps(dict(peer="torch " + torch.__version__, space=args.space, channels=args.channels, cells=args.cells,
                          batch=args.batch, size=args.size, threads=torch.get_num_threads(), device=args.device,
                          step_ms=round(1e3 * times[len(times) // 2], 2), step_min_ms=round(1e3 * times[0], 2), graph_ms=graph,
                          iim_ms=round(1e3 * measured[len(measured) // 2], 2), peak_mb=round(peak))))


def golden_run(net, opt, x, y, free, shrinks, steps):
    """The tensors of a golden case, and what was dropped: one pass with the mixing weights `free`, then a short IS-DARTS run."""
    types, t = len(free), {}
    # 1. one forward/backward in train mode with free (differentiable) weights
    free = [w.requires_grad_() for w in free]
    logits = net(x, free); loss = F.cross_entropy(logits, y); loss.backward()
    t["mix.logits"], t["mix.loss"] = logits.detach().clone(), loss.detach().reshape(1).clone()
    for i, w in enumerate(free): t[f"mix.weights.{i}"], t[f"mix.grad_weights.{i}"] = w.detach().clone(), w.grad.clone()
    t |= {"mix.grad." + k: v.grad.clone() for k, v in net.named_parameters() if v.grad is not None}
    # 2. a short IS-DARTS run: steps of training, then measure and drop, `shrinks` times (buffers continue from 1)
    masks, losses, dropped = [torch.ones(net.shape, dtype=x.dtype) for _ in range(types)], [], []
    for s in range(shrinks):
        for _ in range(steps): losses.append(train_step(net, opt, x, y, net.masks_to_weights(masks)).item())
        net.eval(); scores = net.scores(x, net.masks_to_weights(masks), len(x)); net.train()
        for i, sc in enumerate(scores):
            t[f"shrink.{s}.score.{i}"] = sc.clone()
            alive = masks[i] > 0
            if net.space == "nas-bench-201": groups = [[(e, o) for o in range(5) if alive[e, o]] for e in range(6)]; keep = 1
            else:
                groups, e0, keep = [], 0, 2
                for node in range(4):
                    groups.append([(e, o) for e in range(e0, e0 + node + 2) for o in range(8) if alive[e, o]]); e0 += node + 2
            for g in groups:
                k = math.ceil((len(g) - keep) / (shrinks - s))
                for e, o in sorted(g, key=lambda c: -sc[c[0], c[1]].item())[:k]:
                    masks[i][e, o] = 0.0; dropped.append([s, i, e, o])
            t[f"shrink.{s}.mask.{i}"] = masks[i].clone()
    t["run.losses"] = torch.tensor(losses)
    t |= {"final." + k: v.clone() for k, v in net.state_dict().items() if "num_batches" not in k}
    net.eval(); t["final_eval.logits"] = net(x, net.masks_to_weights(masks)).detach().clone()
    return t, dropped


def golden(args):
    """One directory: case.json + tensors.safetensors (names as in `golden_run`)."""
    from safetensors.torch import save_file
    net, opt = make(args)
    # Batch norms in a real run are not at their initial values: shake every parameter a little.
    with torch.no_grad():
        for p in net.parameters(): p.add_(0.05 * torch.randn_like(p))
    types = 1 if args.space == "nas-bench-201" else 2
    x = torch.randn(args.batch, 3, args.size, args.size)
    y = torch.randint(0, args.classes, (args.batch,))
    t = {"input": x.clone(), "target": y.clone()}
    t |= {"init." + k: v.clone() for k, v in net.state_dict().items() if "num_batches" not in k}
    free = [torch.softmax(torch.randn(net.shape), -1) for _ in range(types)]
    run, dropped = golden_run(net, opt, x, y, free, args.shrinks, args.steps)
    t |= run
    os.makedirs(args.out, exist_ok=True)
    save_file({k: v.contiguous() for k, v in t.items()}, os.path.join(args.out, "tensors.safetensors"))
    case = dict(space=args.space, channels=args.channels, cells=args.cells, classes=args.classes, batch=args.batch, size=args.size,
                lr=args.lr, momentum=0.9, nesterov=True, weight_decay=3e-4, clip=5.0, shrinks=args.shrinks, steps=args.steps,
                ops=net.ops, edges=net.shape[0], dropped=dropped, torch=torch.__version__,
                note="init.* is the state before everything; mix.* one train-mode pass with free weights (it moves the running "
                     "statistics of stem, reductions and head, no parameter); shrink.*/run.*/final.* a run of SGD steps on the "
                     "same batch that continues from there; scores are measured in eval mode")
    json.dump(case, open(os.path.join(args.out, "case.json"), "w"), indent=1)
    print(args.out, "losses", [round(l, 4) for l in t["run.losses"].tolist()])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("command", choices=["bench", "golden"])
    p.add_argument("--space", choices=["nas-bench-201", "darts"], default="nas-bench-201")
    p.add_argument("-c", "--channels", type=int, default=16)
    p.add_argument("-n", "--cells", type=int, default=5, help="cells per stage (darts: 2 gives the usual 8 cells)")
    p.add_argument("-b", "--batch", type=int, default=64)
    p.add_argument("--size", type=int, default=32, help="image height and width")
    p.add_argument("--classes", type=int, default=10)
    p.add_argument("--lr", type=float, default=0.025)
    p.add_argument("--steps", type=int, default=3)
    p.add_argument("--warmup", type=int, default=1)
    p.add_argument("--shrinks", type=int, default=4)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--device", default="cpu")
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--compile", action="store_true")
    p.add_argument("--out", default="golden")
    args = p.parse_args()
    if args.threads: torch.set_num_threads(args.threads)
    bench(args) if args.command == "bench" else golden(args)


if __name__ == "__main__":
    main()
