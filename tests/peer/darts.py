"""DARTS, first order (Liu et al., ICLR 2019, arXiv:1806.09055), and what differs from it in a line or two."""
import math
import torch
from replay import Adam, Sgd, best_ops, cosine, cross_entropy, genotype


def softmax(run, alphas):
    """Over the candidates that an edge has."""
    return [torch.softmax(a.masked_fill(m == 0, -math.inf), -1).nan_to_num() for a, m in zip(alphas, run.mask)]


def bilevel(run, cfg, mix, penalty=None, weight_mix=None, betas=(0.5, 0.999), init=1e-3, before=None, derive=None):
    """`Architect.step`, then the weights (quark0/darts `train_search.py`): a step of alpha on a batch of the second half, then
    a step of w on one of the first; AutoDL-Projects on NAS-Bench-201 (`DARTS-V1.py`) the other way round. `mix(alphas, epoch)` gives mixing weights, `penalty` what is added to the loss of alpha,
    `weight_mix` the mixing weights of the step of w where they are others."""
    train, valid = run.halves()
    net = run.supernet(cfg, pool_norm=cfg.get("pool_norm", False), head_norm=cfg.get("head_norm", True))
    alphas = run.architecture(std=init)
    if before: before()
    w = Sgd(run, net, cfg, cfg.get("nesterov", True))
    a = Adam(run, alphas, cfg, betas)
    for epoch in range(1, cfg["epochs"] + 1):
        for i, total, fetch in run.epoch("train", train, cfg["batch_size"]):
            def step_w():
                with torch.no_grad(): p = (weight_mix or mix)(alphas, epoch)
                x, y = fetch()
                w.learn(cross_entropy(net, x, y, p), cosine(cfg, epoch, i, total))
            if cfg.get("weights_first"): step_w()
            x, y, _ = run.batch("loss", valid)
            loss = cross_entropy(net, x, y, mix(alphas, epoch))
            run.say("loss", loss=loss.item())
            a.learn(loss + penalty(alphas, epoch) if penalty else loss)
            if not cfg.get("weights_first"): step_w()
        run.weights(net)
    return genotype(run, derive(alphas) if derive else best_ops(run, softmax(run, alphas)))


def darts(run, cfg):
    return bilevel(run, cfg, lambda alphas, epoch: softmax(run, alphas))


def beta_darts(run, cfg):
    """Ye et al., CVPR 2022, arXiv:2203.01665; github.com/Sunshine-Ye/Beta-DARTS, `optimizers/darts/architect.py`:
    `loss + weights * mean(logsumexp(arch_parameters, -1))`, the weight 50 * epoch / 100, epoch from 0; an edge has alphas of its own
    ops alone."""
    def penalty(alphas, epoch):
        edges = torch.cat([torch.logsumexp(a.masked_fill(m == 0, -math.inf), -1) for a, m in zip(alphas, run.mask)])
        return cfg["beta_weight"] * (epoch - 1) / cfg["epochs"] * edges.mean()
    return bilevel(run, cfg, lambda alphas, epoch: softmax(run, alphas), penalty)


def darts_minus(run, cfg):
    """Chu et al., ICLR 2021, arXiv:2009.01027: beta * x beside every mixed op, beta = 1 - epoch / epochs, epoch from 0. The
    skip beside it shares the candidate's factorised reduction, as the script says."""
    def mix(alphas, epoch):
        beta = 1 - (epoch - 1) / cfg["epochs"]
        k = run.op_names.index("skip_connect") if "skip_connect" in run.op_names else None
        one = torch.zeros(run.shape, dtype=run.dtype)
        if k is not None: one[:, k] = 1
        return [p + beta * one * m for p, m in zip(softmax(run, alphas), run.mask)]
    return bilevel(run, cfg, mix)


def sdarts_rs(run, cfg):
    """Chen and Hsieh, ICML 2020, arXiv:2002.05283; github.com/xiangning-chen/SmoothDARTS: the step of w alone, and in the space
    of the softmax (`train_search.py`): U(-epsilon, epsilon) is added (`Random_alpha`), then `clip()` clamps to 0..1, gives a
    row of zeros to the largest of what it was, and divides by the row's sum. epsilon = 0.03 + (0.3 - 0.03) epoch / epochs."""
    def perturbed(alphas, epoch):
        epsilon = cfg["epsilon_min"] + (cfg["epsilon"] - cfg["epsilon_min"]) * (epoch - 1) / cfg["epochs"]
        mix = []
        for p, m in zip(softmax(run, alphas), run.mask):
            noise = run.draw("uniform_like") * 2 * epsilon - epsilon
            q = torch.zeros_like(p)
            for e in range(len(p)):
                own = m[e] > 0                                  # an edge has these ops and no others
                line = (p[e] + noise[e])[own]
                largest = line.argmax()
                line = line.clamp(0, 1)
                if line.sum() == 0: line[largest] = 1
                q[e, own] = line / line.sum()
            mix.append(q)
        return mix
    return bilevel(run, cfg, lambda alphas, epoch: softmax(run, alphas), weight_mix=perturbed)


def fair_darts(run, cfg):
    """Chu et al., ECCV 2020, arXiv:1911.12126; github.com/xiaomi-automl/FairDARTS: sigmoids, theirs from alpha = 0, ops without `none`,
    `ConvSeparateLoss`: cross-entropy - 10 * mse(sigmoid(alpha), 1/2), Adam's betas 0.9 and 0.999; `parse_genotype` by
    `threshold_sparse`. On NAS-Bench-201, which they have not, the largest op of every edge."""
    own = lambda: [m * torch.tensor([float(n != "none") for n in run.op_names], dtype=run.dtype) for m in run.mask]
    sigmoid = lambda alphas: [torch.sigmoid(a) * m for a, m in zip(alphas, own())]
    def penalty(alphas, epoch):
        values = torch.cat([torch.sigmoid(a)[m > 0] for a, m in zip(alphas, own())])
        return cfg["zero_one"] * -torch.nn.functional.mse_loss(values, torch.full_like(values, 0.5))
    def derive(alphas):
        weights, chosen = [s.detach() for s in sigmoid(alphas)], []
        for t, e, o in best_ops(run, weights):
            if weights[t][e, o] < cfg.get("threshold", 0.0): o = run.op_names.index("none")
            chosen.append((t, e, o))
        return chosen
    def drop_none(): run.say("drop", candidates=[list(c) for c in run.candidates if run.op_names[c[2]] == "none"])
    return bilevel(run, cfg, lambda alphas, epoch: sigmoid(alphas), penalty, betas=(0.9, 0.999), init=cfg["arch_init"],
                   before=drop_none, derive=derive)


def random(run, cfg):
    """A uniform draw, and nothing else; that the draw is uniform is a test of its own."""
    return run.draw("random_genotype")


METHODS = {"darts": darts, "beta_darts": beta_darts, "darts_minus": darts_minus, "sdarts_rs": sdarts_rs,
           "fair_darts": fair_darts, "random": random}
