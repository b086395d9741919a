"""IS-DARTS, I-DARTS and S-DARTS (He et al., AAAI 2024, arXiv:2312.12648), as in the authors' code (github.com/HY-HE/IS-DARTS)
but for what the paper says otherwise: weight decay, images of a measurement, S-DARTS in the DARTS space."""
import math
import torch
from replay import Adam, Sgd, cosine, cross_entropy, genotype, incoming


def importance(run, net, cfg, samples):
    """Scores of the first images of a shuffle, in eval mode under the mask (`shrink_metric.py`)."""
    net.eval()
    total, seen, wanted = None, 0, min(samples or len(run.train), len(run.train))
    while seen < wanted:
        x, _, images = run.batch("measure", run.train)
        batch = [s * len(images) for s in net.scores(x, net.masks_to_weights(run.mask), len(images))]
        total = batch if total is None else [a + b for a, b in zip(total, batch)]
        seen += len(images)
    net.train()
    scores = [torch.where(m > 0, s / seen, math.nan) for s, m in zip(total, run.mask)]
    run.say("iim", scores=[s.tolist() for s in scores])
    return scores


def subsets(run):
    """Candidates that compete, and how many of them stay: an op of every edge; DARTS: two of all ops into a node."""
    for t in range(run.types):
        for edges in [[e] for e in range(run.shape[0])] if run.types == 1 else incoming(run):
            alive = [(t, e, o) for e in edges for o in range(run.shape[1]) if run.mask[t][e, o] > 0]
            yield alive, 1 if run.types == 1 else 2


def drop_worst(run, worth, steps_left):
    """Of each subset ceil((alive - keep) / steps left) go: those of least worth; of equals the first."""
    dropped = []
    for alive, keep in list(subsets(run)):
        n = math.ceil((len(alive) - keep) / steps_left)
        dropped += sorted(alive, key=lambda c: worth[c[0]][c[1], c[2]].item())[:n]
    for t, e, o in dropped: run.mask[t][e, o] = 0.0
    run.say("drop", candidates=sorted(list(c) for c in dropped))


def survivors(run):
    return genotype(run, [c for alive, _ in subsets(run) for c in alive])


def steps_left(cfg, epoch):
    """Shrinking falls after the epochs E - S I, E - (S - 1) I, .., E - I; how many are left with this one, or 0."""
    due = range(cfg["epochs"] - cfg["shrink_steps"] * cfg["shrink_every"], cfg["epochs"], cfg["shrink_every"])
    return len(due) - list(due).index(epoch) if epoch in due else 0


def train_supernet(run, net, opt, cfg, epoch):
    """w <- argmin L_train(w, mask), every candidate weighing 1 / |O|, on the whole training set."""
    for i, total, fetch in run.epoch("train", run.train, cfg["batch_size"]):
        x, y = fetch()
        opt.learn(cross_entropy(net, x, y, net.masks_to_weights(run.mask)), cosine(cfg, epoch, i, total))
    run.weights(net)


def is_darts(run, cfg):
    net = run.supernet(cfg)
    opt = Sgd(run, net, cfg)
    for epoch in range(1, cfg["epochs"] + 1):
        train_supernet(run, net, opt, cfg, epoch)
        if left := steps_left(cfg, epoch):
            drop_worst(run, [1 / s for s in importance(run, net, cfg, cfg["iim_samples"])], left)
    return survivors(run)


def i_darts(run, cfg):
    net = run.supernet(cfg)
    opt = Sgd(run, net, cfg)
    for epoch in range(1, cfg["epochs"] + 1):
        train_supernet(run, net, opt, cfg, epoch)
    drop_worst(run, [1 / s for s in importance(run, net, cfg, cfg["iim_samples"])], 1)
    return survivors(run)


def s_darts(run, cfg):
    train, valid = run.halves()
    net = run.supernet(cfg)
    alphas = run.architecture(std=cfg.get("arch_init", 1e-3))
    w, a = Sgd(run, net, cfg), Adam(run, alphas, cfg)
    softmax = lambda: [torch.softmax(a.masked_fill(m == 0, -math.inf), -1).nan_to_num() for a, m in zip(alphas, run.mask)]
    for epoch in range(1, cfg["epochs"] + 1):
        for i, total, fetch in run.epoch("train", train, cfg["batch_size"]):
            x, y, _ = run.batch("loss", valid)
            loss = cross_entropy(net, x, y, softmax())
            run.say("loss", loss=loss.item())
            a.learn(loss)
            x, y = fetch()
            w.learn(cross_entropy(net, x, y, [p.detach() for p in softmax()]), cosine(cfg, epoch, i, total))
        if left := steps_left(cfg, epoch):
            worth = [p.detach().clone() for p in softmax()]
            if cfg.get("none_first"):                           # DARTS space: as by IIM, and no cell of DARTS has it
                for p in worth: p[:, run.op_names.index("none")] = 0.0
            drop_worst(run, worth, left)
        run.weights(net)
    return survivors(run)


METHODS = {"is_darts": is_darts, "i_darts": i_darts, "s_darts": s_darts}
