"""Shapley-NAS (Xiao et al., CVPR 2022, arXiv:2206.09811; github.com/Euphoria16/Shapley-NAS, `train_search.py`)."""
import numpy as np
import torch
import torch.nn.functional as F
from replay import Sgd, best_ops, cosine, cross_entropy, genotype
from darts import softmax


def shapley_nas(run, cfg):
    """`shap_estimation`: for each permutation of the ops of all edges a batch; ops are taken out one by one (`remove_players`), each is worth the fall of
    the accuracy; it ends below `threshold` times the first accuracy. Mean less (population) deviation; `change_alpha`: to mean 0 and
    (sample) deviation 1 of a cell type, a running mean, which is added to alpha before the epoch."""
    train, valid = run.halves()
    net = run.supernet(cfg, pool_norm=cfg["pool_norm"], head_norm=cfg["head_norm"], partial=cfg["partial"])
    if run.types == 2:
        none = run.op_names.index("none")
        gone = [c for c in run.candidates if c[2] == none]
        for t, e, o in gone: run.mask[t][e, o] = 0.0
        run.say("drop", candidates=[list(c) for c in gone])
    players = [(t, e, o) for t, e, o in run.candidates if run.mask[t][e, o] > 0]
    alphas = run.architecture(std=cfg.get("arch_init", 1e-3))
    running = [(run.draw("normal_like") * 1e-3).numpy() for _ in alphas]
    w, seen = Sgd(run, net, cfg, cfg["nesterov"]), []

    def accuracy(mix):
        x, y, images = run.batch("evaluate", valid)
        net.eval()
        past = [torch.cat([p, torch.ones_like(p[:, :1])], 1) for p in mix]      # the other channels pass by an edge without ops, too
        with torch.no_grad(): logits = net(x, past)
        net.train()
        right = int((logits.argmax(-1) == y).sum())
        run.say("evaluation", loss=F.cross_entropy(logits, y).item(), accuracy=right / len(y))
        return right / len(y), images

    for epoch in range(cfg["epochs"]):
        if epoch >= cfg["warmup_epochs"]:
            values, used = np.zeros((len(players), cfg["orders"])), []
            for j in range(cfg["orders"]):
                mix = [p.detach().clone() for p in softmax(run, alphas)]
                first, images = accuracy(mix)
                if j < -(-len(valid) // cfg["sample_images"]):
                    assert not set(images) & set(used), "batches of an epoch that overlap"
                used += images
                before = first
                order = np.argsort(-run.draw("uniform_like").numpy(), kind="stable")
                for i in order:
                    t, e, o = players[i]
                    mix[t][e, o] = 0.0
                    after, same = accuracy(mix)
                    assert same == images
                    values[i, j] = before - after
                    before = after
                    if after < cfg["truncation"] * first: break
            worth = values.mean(-1) - cfg["deviations"] * values.std(-1)
            for t, v in enumerate(alphas):
                own = [i for i, c in enumerate(players) if c[0] == t]
                spread = worth[own].std(ddof=1)
                table = np.zeros(run.shape)
                for i in own: table[players[i][1:]] = (worth[i] - worth[own].mean()) / (spread or 1.0)
                running[t] = running[t] * cfg["shapley_momentum"] + table * (1 - cfg["shapley_momentum"])
                with torch.no_grad(): v += torch.tensor(cfg["shapley_step"] * running[t], dtype=v.dtype)
        for i, total, fetch in run.epoch("train", train, cfg["batch_size"]):
            with torch.no_grad(): mix = softmax(run, alphas)
            x, y = fetch()
            w.learn(cross_entropy(net, x, y, mix), cosine(cfg, epoch + 1, i, total))
        run.weights(net)
    return genotype(run, best_ops(run, softmax(run, alphas)))


METHODS = {"shapley_nas": shapley_nas}
