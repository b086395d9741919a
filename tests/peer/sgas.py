"""SGAS (Li et al., CVPR 2020, arXiv:1912.00195; github.com/lightaime/sgas, cnn/train_search.py and model_search.py)."""
import math
import torch
from replay import Adam, Sgd, cosine, cross_entropy, genotype, incoming
from darts import softmax


def normalize(v):
    span = v.max() - v.min()
    return (v - v.min()) / span if span > 0 else torch.zeros_like(v)


def scores(run, alpha, history, cfg, criterion):
    """`edge_decision`: importance, certainty, and by criterion 2 the mean histogram intersection with the epochs before."""
    p = torch.softmax(alpha.detach(), -1)
    keep = [o for o, name in enumerate(run.op_names) if name != "none"]
    importance = p[:, keep].sum(-1)
    probs = p[:, keep] / importance[:, None]
    entropy = -(probs * probs.log()).sum(-1) / math.log(len(keep))
    score = normalize(importance) * normalize(1 - entropy)
    if criterion == 2:
        overlap = torch.zeros_like(score)
        for old in history: overlap += torch.minimum(old, probs).sum(-1)
        score = score * normalize(overlap / max(len(history), 1))
    history.append(probs)
    if len(history) > cfg["history"]: history.pop(0)
    return score, probs, keep


def sgas(run, cfg):
    """Alphas of decided edges stay as they are (`requires_grad = False`). In the program they decay during an epoch and are set back
    after it; nothing reads them meanwhile. Theirs is an Adam that steps each edge for itself: the same."""
    train, valid = run.halves()
    net = run.supernet(cfg, pool_norm=cfg["pool_norm"], head_norm=cfg["head_norm"])
    alphas = run.architecture(std=cfg.get("arch_init", 1e-3))
    w, a = Sgd(run, net, cfg, cfg["nesterov"]), Adam(run, alphas, cfg)
    undecided = [[True] * run.shape[0] for _ in range(run.types)]
    history, decisions = [[] for _ in range(run.types)], 0
    frozen = [v.detach().clone() for v in alphas]

    def decide(due, criterion):
        nonlocal decisions
        if due and any(map(any, undecided)): decisions += 1
        for t in range(run.types):
            score, probs, keep = scores(run, alphas[t], history[t], cfg, criterion)
            if not due or not any(undecided[t]): continue
            edge = max((e for e in range(run.shape[0]) if undecided[t][e]), key=lambda e: (score[e].item(), -e))
            op = keep[probs[edge].argmax()]
            undecided[t][edge] = False
            gone = [(t, edge, o) for o in range(run.shape[1]) if o != op]
            node = next(edges for edges in incoming(run) if edge in edges)      # `check_edges`
            if run.types > 1 and sum(not undecided[t][e] for e in node) == 2:
                for e in node:
                    if undecided[t][e]:
                        undecided[t][e] = False
                        gone += [(t, e, o) for o in range(run.shape[1])]
            for c in gone: run.mask[t][c[1], c[2]] = 0.0
            run.say("drop", candidates=sorted(list(c) for c in gone))

    for epoch in range(cfg["epochs"]):
        for i, total, fetch in run.epoch("train", train, cfg["batch_size"] + cfg["batch_increase"] * decisions):
            x, y, _ = run.batch("loss", valid)
            loss = cross_entropy(net, x, y, softmax(run, alphas))
            run.say("loss", loss=loss.item())
            a.learn(loss)
            x, y = fetch()
            with torch.no_grad(): p = softmax(run, alphas)
            w.learn(cross_entropy(net, x, y, p), cosine(cfg, epoch + 1, i, total))
        with torch.no_grad():
            for t, v in enumerate(alphas):
                for e in range(run.shape[0]):
                    if not undecided[t][e]: v[e] = frozen[t][e]
            frozen = [v.detach().clone() for v in alphas]
        since = epoch - cfg["warmup_epochs"]
        decide(since >= 0 and since % cfg["decide_every"] == 0, cfg["criterion"])
        run.weights(net)
    while any(map(any, undecided)): decide(True, 1)
    return genotype(run, [(t, e, o) for t, m in enumerate(run.mask) for e, o in (m > 0).nonzero().tolist()])


METHODS = {"sgas": sgas}
