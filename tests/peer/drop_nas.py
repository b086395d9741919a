"""DropNAS (Hong et al., IJCAI 2020, arXiv:2201.11679; github.com/wiljohnhong/DropNAS, `search.py`, `models/search_cnn.py`)."""
import math
import torch
import torch.nn.functional as F
from replay import Sgd, best_ops, cosine, genotype


def drop_nas(run, cfg):
    """`generate_masks`, `generate_weights`, `adjust_alphas`. Decay of what a gradient reached is added to the gradients, clipped before; the edges of
    a node by alpha itself (`parse`)."""
    net = run.supernet(cfg, pool_norm=cfg["pool_norm"], head_norm=cfg["head_norm"])
    alphas = run.architecture(std=cfg.get("arch_init", 1e-3))
    w = Sgd(run, net, cfg | dict(weight_decay=0.0), cfg["nesterov"])
    a = torch.optim.Adam(alphas, cfg["arch_lr"], betas=(0.5, 0.999), weight_decay=0.0)
    heavy = [name.startswith(("sep", "dil", "nor")) for name in run.op_names]
    p = cfg["drop_rate"] ** 0.25
    # Before a batch norm they get no gradient but rounding; the authors' convolutions have none.
    biases = {id(m.bias) for m in net.modules() if isinstance(m, torch.nn.Conv2d)}

    def generate_mask(t):
        mask = torch.zeros(run.shape)
        for group in (True, False):
            own = torch.tensor([[h == group and run.mask[t][e, o] > 0 for o, h in enumerate(heavy)] for e in range(run.shape[0])])
            while True:
                empty = [e for e in range(run.shape[0]) if own[e].any() and not mask[e][own[e]].any()]
                if not empty: break
                u = run.draw("uniform_like")
                for e in empty: mask[e][own[e]] = (u[e][own[e]] >= p).float()
        return mask

    for epoch in range(1, cfg["epochs"] + 1):
        for i, total, fetch in run.epoch("loss", run.train, cfg["batch_size"]):
            masks = [generate_mask(t) for t in range(run.types)]
            mix, ratios = [], []
            for v, m in zip(alphas, masks):
                e = torch.exp(v)
                mix.append(m * e / (m * e).sum(-1, keepdim=True))
                ratios.append(((m * e).sum(-1) / e.sum(-1)).detach())
            x, y = fetch()
            loss = F.cross_entropy(net(x, mix), y)
            run.say("loss", loss=loss.item())
            theta = list(net.parameters())
            found = torch.autograd.grad(loss, theta + alphas, allow_unused=True)
            for q, g in zip(theta, found): q.grad = torch.zeros_like(q) if g is None else g
            touched = [bool(q.grad.any()) and id(q) not in biases for q in theta]
            lr = cosine(cfg, epoch, i, total)
            torch.nn.utils.clip_grad_norm_(theta, cfg["clip"])
            for q, is_touched in zip(theta, touched):
                if is_touched: q.grad += cfg["weight_decay"] * q.detach()
            for group in w.opt.param_groups: group["lr"] = lr
            w.opt.step()
            settings = dict(lr=lr, momentum=0.9, nesterov=cfg["nesterov"], weight_decay=cfg["weight_decay"], clip=cfg["clip"])
            if w.fresh: del settings["momentum"]
            w.fresh = False
            run.say("sgd", **settings)
            for v, g in zip(alphas, found[len(theta):]):
                v.grad = g + cfg["arch_weight_decay"] * v.detach() * (g.abs() > 1e-7)
            a.step()
            run.say("adam", values=[v.detach().tolist() for v in alphas])
            with torch.no_grad():
                for v, m, r in zip(alphas, masks, ratios):
                    for e in range(run.shape[0]):
                        kept = m[e] > 0
                        if kept.all(): continue
                        updated, remain = v[e][kept].exp().sum().item(), v[e][~kept].exp().sum().item()
                        v[e] += kept * math.log(r[e].item() / (1 - r[e].item()) * remain / updated)
        run.weights(net)
    return genotype(run, best_ops(run, alphas))


METHODS = {"drop_nas": drop_nas}
