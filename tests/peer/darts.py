"""DARTS, first order (Liu et al., ICLR 2019, arXiv:1806.09055), and what differs from it in a line or two."""
import math
import torch
from replay import Adam, Sgd, best_ops, cosine, cross_entropy, genotype


def softmax(run, alphas):
    """Over the candidates that an edge has."""
    return [torch.softmax(a.masked_fill(m == 0, -math.inf), -1).nan_to_num() for a, m in zip(alphas, run.mask)]


def bilevel(run, cfg, mix, penalty=None, weight_mix=None, betas=(0.5, 0.999), init=1e-3, before=None, derive=None,
            weight_loss=lambda loss: loss, stop=None, draw=None, attack=None):
    """`Architect.step`, then the weights (quark0/darts `train_search.py`): a step of alpha on a batch of the second half, then
    a step of w on one of the first; AutoDL-Projects on NAS-Bench-201 (`DARTS-V1.py`) the other way round. `mix(alphas, epoch)` gives mixing weights, `penalty` what is added to the loss of alpha,
    `weight_mix` the mixing weights of the step of w where they are others, `weight_loss` what w learns from instead of the loss,
    `attack` them with passes of its own, `stop` whether an epoch was the last, `draw` what both steps of a pair share (in place of the epoch)."""
    train, valid = run.halves()
    net = run.supernet(cfg, pool_norm=cfg.get("pool_norm", False), head_norm=cfg.get("head_norm", True))
    alphas = run.architecture(std=cfg.get("arch_init", init))
    if before: before()
    w = Sgd(run, net, cfg, cfg.get("nesterov", True))
    a = Adam(run, alphas, cfg, betas)
    flooded = "flood_level" in cfg
    for epoch in range(1, cfg["epochs"] + 1):
        for i, total, fetch in run.epoch("loss" if flooded else "train", train, cfg["batch_size"]):
            at = draw(epoch) if draw else epoch
            def step_w():
                with torch.no_grad(): p = attack(alphas, epoch, net, train) if attack else (weight_mix or mix)(alphas, at)
                x, y = fetch()
                w.learn(cross_entropy(net, x, y, p), cosine(cfg, epoch, i, total), "loss" if flooded else "train", weight_loss)
            if cfg.get("weights_first"): step_w()
            m = mix(alphas, at)
            x, y, _ = run.batch("loss", valid)
            loss = cross_entropy(net, x, y, m)
            run.say("loss", loss=loss.item())
            a.learn(loss + penalty(alphas, epoch) if penalty else loss)
            if not cfg.get("weights_first"): step_w()
        run.weights(net)
        if stop and stop(alphas): break
    return genotype(run, derive(alphas) if derive else best_ops(run, softmax(run, alphas)))


def darts(run, cfg):
    return bilevel(run, cfg, lambda alphas, epoch: softmax(run, alphas))


def beta_darts(run, cfg, **more):
    """Ye et al., CVPR 2022, arXiv:2203.01665; github.com/Sunshine-Ye/Beta-DARTS, `optimizers/darts/architect.py`:
    `loss + weights * mean(logsumexp(arch_parameters, -1))`, the weight 50 * epoch / 100, epoch from 0; an edge has alphas of its own
    ops alone."""
    def penalty(alphas, epoch):
        edges = torch.cat([torch.logsumexp(a.masked_fill(m == 0, -math.inf), -1) for a, m in zip(alphas, run.mask)])
        return cfg["beta_weight"] * (epoch - 1) / cfg["epochs"] * edges.mean()
    return bilevel(run, cfg, lambda alphas, epoch: softmax(run, alphas), penalty, **more)


def beta_darts_pp(run, cfg):
    """Ye et al., 2023, arXiv:2301.06393: Beta-DARTS, and w learns from |loss - b| + b (flooding, Ishida et al., 2020)."""
    b = cfg["flood_level"]
    return beta_darts(run, cfg, weight_loss=lambda loss: (loss - b).abs() + b)


def darts_plus(run, cfg):
    """Liang et al., 2019, arXiv:1909.06035: DARTS that ends after the epoch in which the chosen normal cell has two skips
    (criterion 1), or after which the alphas of ops with weights have kept their order on every edge for so many epochs (1*)."""
    names = next(e["ops"] for e in run.events if e["event"] == "supernet")
    learnable = [o for o, name in enumerate(names) if name.startswith(("sep", "dil", "nor"))]
    orders = []
    def stop(alphas):
        p = softmax(run, alphas)
        rank = lambda t, e: tuple(sorted((o for o in learnable if (t, e, o) in run.candidates), key=lambda o: -p[t][e, o].item()))
        orders.append([rank(t, e) for t in range(run.types) for e in range(run.shape[0])])
        normal = [run.op_names[o] for t, _, o in best_ops(run, p) if t == 0]
        if cfg["max_skips"] and normal.count("skip_connect") >= cfg["max_skips"]: return True
        n = cfg["stable"]
        return n > 0 and len(orders) > n and all(o == orders[-1] for o in orders[-n - 1:])
    return bilevel(run, cfg, lambda alphas, epoch: softmax(run, alphas), stop=stop)


def sp_darts(run, cfg):
    """Zhang and Ding, 2021, arXiv:2306.06858; github.com/chaoji90/SP-DARTS: softmax(alpha / T) in both steps; T = 10 in the first epoch,
    then tau with probability C, else tau_factor * tau; C grows by sparse / (epochs - 1) an epoch (`softmax_rand`). On
    NAS-Bench-201 tau is smaller in the last five epochs (`DARTS-V1-100.py`: from epoch 45 of 50)."""
    def draw(epoch):
        if epoch == 1: return 10.0
        tau = cfg["tau_last"] if epoch - 1 >= cfg["epochs"] - 5 else cfg["tau"]
        dense = run.draw("uniform_like").item() >= cfg["sparse"] / (cfg["epochs"] - 1) * (epoch - 1)
        return tau * (cfg["tau_factor"] if dense else 1)
    return bilevel(run, cfg, lambda alphas, tau: softmax(run, [a / tau for a in alphas]), draw=draw)


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


METHODS = {"beta_darts_pp": beta_darts_pp, "darts_plus": darts_plus, "sp_darts": sp_darts, "darts": darts, "beta_darts": beta_darts, "darts_minus": darts_minus, "sdarts_rs": sdarts_rs,
           "fair_darts": fair_darts, "random": random}
