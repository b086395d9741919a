"""Methods whose weights learn on one path at a time: RSPS (Li and Talwalkar, UAI 2019, arXiv:1902.07638), SETN (Dong and Yang, ICCV 2019,
arXiv:1910.05733), DSNAS (Hu et al., CVPR 2020, arXiv:2002.09128), Single Path One-Shot (Guo et al., ECCV 2020, arXiv:1904.00420).
github.com/D-X-Y/AutoDL-Projects, github.com/liamcli/randomNAS_release, github.com/SNAS-Series/SNAS-Series,
github.com/megvii-model/SinglePathOneShot."""
import itertools, math, re
import torch
import torch.nn.functional as F
from replay import Adam, Part, Sgd, best_ops, cosine, cross_entropy, genotype, incoming
from darts import softmax
from darts_pt import accuracy


def one_hot(run, text):
    """The mixing weights of a cell: 1 at its ops."""
    mix = [torch.zeros(run.shape, dtype=run.dtype) for _ in range(run.types)]
    if run.types == 1:
        for e, op in enumerate(re.findall(r"(\w+)~", text)): mix[0][e, run.op_names.index(op)] = 1
        return mix
    for t, cell in enumerate(re.findall(r"=\[(.*?)\]", text)):
        for k, (op, source) in enumerate(re.findall(r"'(\w+)', (\d+)", cell)):
            e = next(e for e in incoming(run)[k // 2] if run.edges[e][1] == int(source))
            mix[t][e, run.op_names.index(op)] = 1
    return mix


def step_on_path(run, net, w, cfg, epoch, i, total, fetch):
    path = one_hot(run, run.draw("random_genotype"))
    x, y = fetch()
    w.learn(cross_entropy(net, x, y, path), cosine(cfg, epoch, i, total))


def evaluated(run, net, batches, mix):
    """`network.eval()`, over the batches that come."""
    loss = right = seen = 0
    net.eval()
    for x, y in batches():
        with torch.no_grad(): logits = net(x, mix)
        loss += F.cross_entropy(logits, y, reduction="sum").item()
        right += int((logits.argmax(-1) == y).sum())
        seen += len(y)
    net.train()
    run.say("evaluation", loss=loss / seen, accuracy=right / seen)
    return right / seen


def on_next_batches(run, net, cells, valid, size):
    """`search_find_best`, `get_best_arch`: each cell on the next batch; the loader begins anew when it is through."""
    seen, accuracies = [], []
    for cell in cells:
        def batch():
            x, y, images = run.batch("evaluate", valid, min(size, len(valid) - len(seen)))
            assert not set(images) & set(seen)
            seen.extend(images)
            yield x, y
        accuracies.append(evaluated(run, net, batch, one_hot(run, cell)))
        if len(seen) == len(valid): seen.clear()
    return accuracies


def trained_on_paths(run, cfg, train):
    net = run.supernet(cfg, pool_norm=cfg["pool_norm"], head_norm=cfg["head_norm"])
    w = Sgd(run, net, cfg, cfg["nesterov"])
    for epoch in range(1, cfg["epochs"] + 1):
        for i, total, fetch in run.epoch("train", train, cfg["batch_size"]): step_on_path(run, net, w, cfg, epoch, i, total, fetch)
        run.weights(net)
    return net


def rsps(run, cfg):
    """`RANDOM-NAS.py`; in the DARTS space `random_weight_share.py`, whose 10 best are evaluated on all of the second half."""
    train, valid = run.halves()
    net = trained_on_paths(run, cfg, train)
    cells = [run.draw("random_genotype") for _ in range(cfg["samples"])]
    accuracies = on_next_batches(run, net, cells, valid, cfg["sample_images"])
    best = sorted(range(len(cells)), key=lambda i: -accuracies[i])[:cfg["finalists"]]
    if len(best) == 1: return cells[best[0]]
    def everything():
        left = len(valid)
        while left:
            x, y, images = run.batch("evaluate", valid)
            left -= len(images)
            yield x, y
    full = [evaluated(run, net, everything, one_hot(run, cells[i])) for i in best]
    return cells[best[max(range(len(best)), key=lambda i: (full[i], -i))]]


def setn(run, cfg):
    """`SETN.py`: w on a uniform path of the first half, then alpha by the softmax of all (`joint`) on the second; `return_topK`, all cells
    by the sum of log-probabilities, and the best of them on single batches. DARTS space: `genotype()` of `search_model_setn_nasnet.py`."""
    train, valid = run.halves()
    net = run.supernet(cfg)
    alphas = run.architecture(std=cfg.get("arch_init", 1e-3))
    w, a = Sgd(run, net, cfg), Adam(run, alphas, cfg)
    for epoch in range(1, cfg["epochs"] + 1):
        for i, total, fetch in run.epoch("train", train, cfg["batch_size"]):
            step_on_path(run, net, w, cfg, epoch, i, total, fetch)
            x, y, _ = run.batch("loss", valid)
            loss = cross_entropy(net, x, y, softmax(run, alphas))
            run.say("loss", loss=loss.item())
            a.learn(loss)
        run.weights(net)
    weights = softmax(run, alphas)
    if run.types == 1:
        logs = weights[0].detach().log().tolist()
        every = itertools.product(range(run.shape[1]), repeat=run.shape[0])
        top = sorted(every, key=lambda ops: -sum(logs[e][o] for e, o in enumerate(ops)))[:cfg["samples"]]
        cells = [genotype(run, [(0, e, o) for e, o in enumerate(ops)]) for ops in top]
        accuracies = on_next_batches(run, net, cells, valid, cfg["sample_images"])
        return cells[max(range(len(cells)), key=lambda i: (accuracies[i], -i))]
    chosen = []
    for t, p in enumerate(weights):
        for edges in incoming(run):
            own = [(t, e, o) for e in edges for o in range(run.shape[1]) if run.op_names[o] != "none"]
            chosen += sorted(own, key=lambda c: -p[c[1], c[2]].item())[:2]
    run.say("drop", candidates=sorted(list(c) for c in run.candidates if c not in chosen))
    return genotype(run, chosen)


def dsnas(run, cfg):
    """`network.py`: Z one-hot from softmax(alpha); backward of loss + sum log p(Z); then the gradient of an edge's alphas times that of
    its Z, of which only the drawn op's is not zero (`block_reward`). One level, the same batch for w and alpha."""
    net = run.supernet(cfg, pool_norm=cfg["pool_norm"], head_norm=cfg["head_norm"])
    alphas = run.architecture(cfg["arch_mean"], cfg["arch_init"])
    w, a = Sgd(run, net, cfg, cfg["nesterov"]), Adam(run, alphas, cfg)
    for epoch in range(1, cfg["epochs"] + 1):
        for i, total, fetch in run.epoch("loss", run.train, cfg["batch_size"]):
            masked = [v.masked_fill(m == 0, -math.inf) for v, m in zip(alphas, run.mask)]
            z = [F.one_hot((torch.log_softmax(v.detach(), -1) + run.draw("gumbel_like")).argmax(-1), run.shape[1]).to(run.dtype)
                 .requires_grad_() for v in masked]
            x, y = fetch()
            loss = cross_entropy(net, x, y, z)
            run.say("loss", loss=loss.item())
            net.zero_grad()
            loss.backward()
            for v, m, one in zip(alphas, masked, z):
                log_p = torch.log_softmax(m, -1)[one.detach() > 0].sum()
                reward = (one.grad * one.detach()).sum(-1, keepdim=True)
                v.grad = torch.autograd.grad(log_p, v)[0] * reward
            w.step(cosine(cfg, epoch, i, total))
            a.opt.step()
            run.say("adam", values=[v.detach().tolist() for v in alphas])
        run.weights(net)
    return genotype(run, best_ops(run, softmax(run, alphas)))


def spos(run, cfg):
    """`search.py`: the best seen are parents; `get_mutation`, `get_crossover`, then `get_random` up to the population. A slot is what a layer is
    there: an edge, in the DARTS space the two ops into a node."""
    train, valid = run.halves()
    net = trained_on_paths(run, cfg, train)
    judges = Part("the judges", run.take("split")["parts"][0])
    assert set(judges) <= set(valid) and len(judges) == min(cfg["sample_images"], len(valid))
    keep = 1 if run.types == 1 else 2

    def slots(text):
        chosen = [(t, e, o) for t, m in enumerate(one_hot(run, text)) for e, o in (m > 0).nonzero().tolist()]
        return [chosen[i:i + keep] for i in range(0, len(chosen), keep)]

    def parent(parents):
        drawn = run.draw("random_below")
        assert drawn["n"] == len(parents)
        return parents[drawn["value"]]

    def child(a, b, rate):
        u = run.draw("uniform_like").tolist()
        return genotype(run, [c for x, y, p in zip(a, b, u) for c in (y if p < rate else x)])

    seen, cells = {}, []
    for _ in range(cfg["generations"]):
        while len(cells) < cfg["population"]: cells.append(run.draw("random_genotype"))
        for cell in cells:
            if cell not in seen: seen[cell] = accuracy(run, net, judges, one_hot(run, cell))
        parents = [slots(c) for c in sorted(seen, key=lambda c: -seen[c])[:cfg["parents"]]]
        half = cfg["population"] // 2
        cells = [child(parent(parents), slots(run.draw("random_genotype")), cfg["mutate"]) for _ in range(half)]
        cells += [child(parent(parents), parent(parents), 0.5) for _ in range(half)]
    return max(seen, key=lambda c: seen[c])


METHODS = {"spos": spos, "rsps": rsps, "setn": setn, "dsnas": dsnas}
