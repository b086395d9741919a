"""PC-DARTS (Xu et al., ICLR 2020, arXiv:1907.05737; github.com/yuhuixu1993/PC-DARTS, `train_search.py` and `model_search.py`)."""
import torch
from replay import Adam, Sgd, best_ops, cosine, cross_entropy, genotype, incoming
from darts import softmax


def pc_darts(run, cfg):
    """beta ~ 1e-3 N(0, 1), softmax over the edges into a node (`weights2`); an edge adds beta times (mixed ops on the first 1/K of the channels beside
    the others). alpha and beta are steps of one Adam, from epoch `arch_begin` on (from 0); the cell by softmax(alpha) * weights2."""
    train, valid = run.halves()
    net = run.supernet(cfg, pool_norm=cfg["pool_norm"], head_norm=cfg["head_norm"], partial=cfg["partial"])
    alphas = run.architecture(std=cfg.get("arch_init", 1e-3))
    betas = [(run.draw("normal_like") * 1e-3).requires_grad_() for _ in alphas]
    w, a = Sgd(run, net, cfg, cfg["nesterov"]), Adam(run, alphas, cfg)
    b = torch.optim.Adam(betas, cfg["arch_lr"], betas=(0.5, 0.999), weight_decay=cfg["arch_weight_decay"])

    def edges():
        return [torch.cat([torch.softmax(v[own], -1) for own in incoming(run)]) for v in betas]

    def mix():
        return [torch.cat([p * e[:, None], e[:, None]], 1) for p, e in zip(softmax(run, alphas), edges())]

    for epoch in range(cfg["epochs"]):
        for i, total, fetch in run.epoch("train", train, cfg["batch_size"]):
            if epoch >= cfg["arch_begin"]:
                x, y, _ = run.batch("loss", valid)
                loss = cross_entropy(net, x, y, mix())
                run.say("loss", loss=loss.item())
                for v, g in zip(betas, torch.autograd.grad(loss, betas, retain_graph=True, allow_unused=True)): v.grad = g
                a.learn(loss)
                b.step()
                run.say("variable", values=[v.detach().tolist() for v in betas])
            with torch.no_grad(): m = mix()
            x, y = fetch()
            w.learn(cross_entropy(net, x, y, m), cosine(cfg, epoch + 1, i, total))
        run.weights(net)
    return genotype(run, best_ops(run, [p * e[:, None] for p, e in zip(softmax(run, alphas), edges())]))


METHODS = {"pc_darts": pc_darts}
