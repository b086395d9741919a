"""Methods that look at the gradients of cells and ops: Lambda-DARTS (Movahedi et al., ICLR 2023, arXiv:2210.07998; github.com/dr-faustus/Lambda-DARTS),
OLES (Jiang et al., NeurIPS 2023; github.com/PasaLab/oles)."""
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


def oles(run, cfg):
    """Algorithm 1: of each op with weights in each cell the cosine of its gradients on a training and on a validation batch; where their mean over M
    steps is below the threshold, `requires_grad_(False)`. Clipping and the optimiser pass over what is frozen."""
    train, valid = run.halves()
    net = run.supernet(cfg, pool_norm=cfg["pool_norm"], head_norm=cfg["head_norm"])
    alphas = run.architecture(std=cfg.get("arch_init", 1e-3))
    w, a = Sgd(run, net, cfg, cfg["nesterov"]), Adam(run, alphas, cfg)
    skip = run.op_names.index("skip_connect")                   # a factorised reduction is none of the ops that are watched
    ops = [list(op.parameters()) for cell in net.cells for mixed in getattr(cell, "edges", {}).values()
           for o, op in enumerate(getattr(mixed, "ops", mixed)) if o != skip and list(op.parameters())]
    theta, sums, steps, frozen = list(net.parameters()), [0.0] * len(ops), 0, set()

    def of(gradients, op):
        return torch.cat([gradients[p].flatten() for p in op])

    def gradients(x, y, also=()):
        loss = cross_entropy(net, x, y, softmax(run, alphas))
        run.say("loss", loss=loss.item())
        found = torch.autograd.grad(loss, theta + list(also), allow_unused=True)
        return {p: torch.zeros_like(p) if g is None else g for p, g in zip(theta + list(also), found)}

    for epoch in range(cfg["epochs"]):
        for i, total, fetch in run.epoch("loss", train, cfg["batch_size"]):
            x, y, _ = run.batch("loss", valid)
            on_valid = gradients(x, y, alphas)
            for v in alphas: v.grad = on_valid[v]
            a.opt.step()
            run.say("adam", values=[v.detach().tolist() for v in alphas])
            on_train = gradients(*fetch())
            for k, op in enumerate(ops):
                g, h = of(on_train, op), of(on_valid, op)
                if cfg["accumulated"]: h = h + g
                if g.norm() > 0 and h.norm() > 0: sums[k] += torch.nn.functional.cosine_similarity(g, h, dim=0, eps=0).item()
            steps += 1
            if steps % cfg["window"] == 0:
                for k, op in enumerate(ops):
                    if sums[k] / cfg["window"] < cfg["threshold"]: frozen.update(op)
                sums = [0.0] * len(ops)
            for p in theta: p.grad = None if p in frozen else on_train[p]
            w.step(cosine(cfg, epoch + 1, i, total))
        run.weights(net)
    return genotype(run, best_ops(run, softmax(run, alphas)))


METHODS = {"lambda_darts": lambda_darts, "oles": oles}
