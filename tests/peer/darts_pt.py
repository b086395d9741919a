"""DARTS-PT with fixed alpha (Wang et al., ICLR 2021, arXiv:2108.04392; github.com/ruocwang/darts-pt, "blank")."""
import torch
import torch.nn.functional as F
from replay import Sgd, cosine, cross_entropy, genotype, incoming


def mean(mask):
    """What is alive on an edge weighs the same (`get_projected_weights`)."""
    return [m / m.sum(-1, keepdim=True).clamp(min=1) for m in mask]


def accuracy(run, net, part, mix):
    """`infer(valid_queue, model, eval=False)`: in train mode, over all of the second half. In PyTorch running statistics move
    meanwhile, in the program they do not (its manual says so)."""
    right = loss = seen = 0
    before = {k: v.clone() for k, v in net.named_buffers()}
    net.train()
    with torch.no_grad():
        while seen < len(part):
            x, y, images = run.batch("evaluate", part)
            logits = net(x, mix)
            loss += F.cross_entropy(logits, y, reduction="sum").item()
            right += int((logits.argmax(-1) == y).sum())
            seen += len(images)
    for k, v in net.named_buffers(): v.copy_(before[k])
    run.say("evaluation", loss=loss / seen, accuracy=right / seen)
    return right / seen


def project(run, net, group, keep, part):
    """`project_op`, `project_edge`: without each in turn; kept are those without which accuracy is lowest, of equals the first."""
    costs = []
    for t, e, o in group:
        mix = mean(run.mask)
        mix[t][e, o] = 0.0
        costs.append(accuracy(run, net, part, mix))
    order = sorted(range(len(group)), key=lambda i: costs[i])
    gone = [group[i] for i in order[keep:]]
    for t, e, o in gone: run.mask[t][e, o] = 0.0
    run.say("drop", candidates=sorted(list(c) for c in gone))


def undecided(run, t):
    """Edges with several ops; when there are none, nodes with more than two edges."""
    alive = lambda edges: [(t, e, o) for e in edges for o in range(run.shape[1]) if run.mask[t][e, o] > 0]
    edges = [(alive([e]), 1) for e in range(run.shape[0])]
    edges = [g for g in edges if len(g[0]) > 1]
    if edges or run.types == 1: return edges
    return [(alive(node), 2) for node in incoming(run) if len(alive(node)) > 2]


def darts_pt(run, cfg):
    """Train on the first half; then decide a random edge (of each cell type) on the second and tune between decisions, at a tenth
    of the learning rate with a new optimiser. In the DARTS space without `none` from the beginning."""
    train, valid = run.halves()
    net = run.supernet(cfg, pool_norm=cfg.get("pool_norm", False), head_norm=cfg.get("head_norm", True))
    if run.types > 1:
        none = [list(c) for c in run.candidates if run.op_names[c[2]] == "none"]
        for t, e, o in none: run.mask[t][e, o] = 0.0
        run.say("drop", candidates=none)

    def learn(opt, purpose, epochs, rate):
        for epoch in range(1, epochs + 1):
            for i, total, fetch in run.epoch(purpose, train, cfg["batch_size"]):
                x, y = fetch()
                opt.learn(cross_entropy(net, x, y, mean(run.mask)), rate(epoch, i, total))
            run.weights(net)

    nesterov = cfg.get("nesterov", True)
    learn(Sgd(run, net, cfg, nesterov), "train", cfg["epochs"], lambda epoch, i, total: cosine(cfg, epoch, i, total))
    tuner, first = Sgd(run, net, cfg, nesterov), True
    while any(undecided(run, t) for t in range(run.types)):
        if not first: learn(tuner, "train", cfg["tune_epochs"], lambda epoch, i, total: cfg["lr"] / 10)
        first = False
        for t in range(run.types):
            if groups := undecided(run, t):
                drawn = run.draw("random_below")
                assert drawn["n"] == len(groups)
                project(run, net, *groups[drawn["value"]], valid)
    alive = [(t, e, o) for t, m in enumerate(run.mask) for e, o in (m > 0).nonzero().tolist()]
    return genotype(run, alive)


METHODS = {"darts_pt": darts_pt}
