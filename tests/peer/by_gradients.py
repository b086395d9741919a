"""Methods that look at the gradients of cells and ops: Lambda-DARTS (Movahedi et al., ICLR 2023, arXiv:2210.07998; github.com/dr-faustus/Lambda-DARTS)."""
import torch
from replay import Adam, Sgd, best_ops, cosine, cross_entropy, genotype
from darts import softmax


def lambda_darts(run, cfg):
    """`get_perturbations` (of normal cells; in the DARTS space those of reduction cells are zeros) and `get_reg_grads`: with u = g / |g| of the gradient
    g of a cell, weight 1 / (number of pairs), a cell is moved along weight (I - u u') sum(u) / |g|, all of them together by epsilon; (gradient at minus
    less gradient at plus) / 2 epsilon, times lambda, is added to the gradient of w; lambda grows linearly from 0, epoch from 0."""
    train, valid = run.halves()
    net = run.supernet(cfg, pool_norm=cfg["pool_norm"], head_norm=cfg["head_norm"])
    alphas = run.architecture(std=cfg.get("arch_init", 1e-3))
    w, a = Sgd(run, net, cfg, cfg["nesterov"]), Adam(run, alphas, cfg)
    kinds = [int(getattr(cell, "reduction", False)) for cell in net.cells if hasattr(cell, "edges")]

    def harmonised(epoch, i, total, fetch):
        mix = [softmax(run, alphas)[t].detach().requires_grad_() for t in kinds]
        x, y = fetch()
        loss = cross_entropy(net, x, y, mix)
        run.say("loss", loss=loss.item())
        theta = list(net.parameters())
        both = torch.autograd.grad(loss, theta + mix, allow_unused=True)
        g_w, g_mix = both[:len(theta)], both[len(theta):]
        moves = [torch.zeros_like(m) for m in mix]
        for kind in {0, 1} if cfg["reduction_cells"] else {0}:
            own = [k for k, t in enumerate(kinds) if t == kind]
            g = [g_mix[k].flatten() for k in own]
            u = [v / v.norm() for v in g]
            pairs = len(own) * (len(own) - 1) / 2
            for k, v, unit in zip(own, g, u):
                p = (torch.eye(len(v), dtype=v.dtype) - torch.outer(unit, unit)) / v.norm()
                moves[k] = (p @ sum(u) / pairs).reshape(mix[k].shape)
        e = cfg["epsilon"] / torch.cat([m.flatten() for m in moves]).norm().item()
        def at(sign):
            x, y, _ = run.batch("loss", train)
            loss = cross_entropy(net, x, y, [(m + sign * e * d).detach() for m, d in zip(mix, moves)])
            run.say("loss", loss=loss.item())
            return torch.autograd.grad(loss, theta, allow_unused=True)
        forward, backward = (at(+1), at(-1))
        factor = cfg["lambda"] * epoch / max(cfg["epochs"] - 1, 1)
        for p, own, f, b in zip(theta, g_w, forward, backward):
            p.grad = torch.zeros_like(p) if own is None else own - factor * (f - b) / (2 * e)
        w.step(cosine(cfg, epoch + 1, i, total))

    for epoch in range(cfg["epochs"]):
        for i, total, fetch in run.epoch("loss", train, cfg["batch_size"]):
            if cfg["weights_first"]: harmonised(epoch, i, total, fetch)
            x, y, _ = run.batch("loss", valid)
            loss = cross_entropy(net, x, y, softmax(run, alphas))
            run.say("loss", loss=loss.item())
            a.learn(loss)
            if not cfg["weights_first"]: harmonised(epoch, i, total, fetch)
        run.weights(net)
    return genotype(run, best_ops(run, softmax(run, alphas)))


METHODS = {"lambda_darts": lambda_darts}
