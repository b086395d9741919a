"""Methods that draw architectures: GDAS (Dong and Yang, CVPR 2019, arXiv:1910.04465; github.com/D-X-Y/AutoDL-Projects) and SNAS
(Xie et al., ICLR 2019, arXiv:1812.09926; github.com/SNAS-Series/SNAS-Series)."""
import math
import torch
import torch.nn.functional as F
from replay import Adam, Sgd, best_ops, cosine, cross_entropy, genotype, incoming
from darts import bilevel, softmax


def hard_sample(run, alphas, tau):
    """`forward_gdas`: one-hot of the largest of softmax((log_softmax(alpha) + Gumbel) / tau), with the gradient of the latter."""
    mix = []
    for a, m in zip(alphas, run.mask):
        p = ((torch.log_softmax(a.masked_fill(m == 0, -math.inf), -1) + run.draw("gumbel_like")) / tau).softmax(-1)
        hard = torch.zeros_like(p).scatter_(-1, p.argmax(-1, keepdim=True), 1.0)
        mix.append(hard - p.detach() + p)
    return mix


def gdas(run, cfg):
    """exps/NAS-Bench-201-algos/GDAS.py: w on a batch of the first half, then alpha on one of the second, each with a draw of its
    own; tau = max - (max - min) epoch / (epochs - 1), epoch from 0. Only the drawn op runs; on NAS-Bench-201 the others stand in
    the sum as bare weights (`search_cells.py`), which is what `ghost` says."""
    train, valid = run.halves()
    net = run.supernet(cfg)
    alphas = run.architecture()
    w, a = Sgd(run, net, cfg), Adam(run, alphas, cfg)
    for epoch in range(1, cfg["epochs"] + 1):
        tau = cfg["tau"] - (cfg["tau"] - cfg["tau_min"]) * (epoch - 1) / max(cfg["epochs"] - 1, 1)
        for i, total, fetch in run.epoch("train", train, cfg["batch_size"]):
            with torch.no_grad(): drawn = hard_sample(run, alphas, tau)
            x, y = fetch()
            w.learn(cross_entropy(net, x, y, drawn), cosine(cfg, epoch, i, total))
            drawn = hard_sample(run, alphas, tau)
            x, y, _ = run.batch("loss", valid)
            loss = F.cross_entropy(net(x, drawn, ghost=cfg["ghost"]), y)
            run.say("loss", loss=loss.item())
            a.learn(loss)
        run.weights(net)
    weights = softmax(run, alphas)
    if run.types == 1: return genotype(run, best_ops(run, weights))
    chosen = []                             # `search_model_gdas_nasnet.py`: the two largest into a node, none apart
    for t, p in enumerate(weights):
        for edges in incoming(run):
            own = [(t, e, o) for e in edges for o in range(run.shape[1]) if run.op_names[o] != "none"]
            chosen += sorted(own, key=lambda c: -p[c[1], c[2]].item())[:2]
    gone = [list(c) for c in run.candidates if c not in chosen]
    run.say("drop", candidates=sorted(gone))
    return genotype(run, chosen)


def snas(run, cfg):
    """One level, one loss, the whole training set: z = softmax((alpha + Gumbel) / tau), tau linear from 1 to 0.03 (the paper);
    alpha ~ N(1, 0.01), clipped at 10."""
    net = run.supernet(cfg, pool_norm=cfg.get("pool_norm", False), head_norm=cfg.get("head_norm", True))
    alphas = run.architecture(cfg.get("arch_mean", 0.0), cfg.get("arch_init", 1e-3))
    w, a = Sgd(run, net, cfg, cfg.get("nesterov", True)), Adam(run, alphas, cfg)
    for epoch in range(1, cfg["epochs"] + 1):
        tau = cfg["tau"] - (cfg["tau"] - cfg["tau_min"]) * (epoch - 1) / max(cfg["epochs"] - 1, 1)
        for i, total, fetch in run.epoch("loss", run.train, cfg["batch_size"]):
            z = [((v + run.draw("gumbel_like")) / tau).softmax(-1) for v in alphas]
            # `model_search.py`: of each image whole edges, in train mode.
            count = min(cfg["batch_size"], len(run.train) - i * cfg["batch_size"])
            drop = run.drop_path(cfg["drop_path"], count) if cfg["drop_path"] else None
            x, y = fetch()
            loss = F.cross_entropy(net(x, z, drop=drop), y)
            run.say("loss", loss=loss.item())
            net.zero_grad()
            gradients = torch.autograd.grad(loss, list(net.parameters()) + alphas, allow_unused=True)
            for p, g in zip(net.parameters(), gradients): p.grad = torch.zeros_like(p) if g is None else g
            w.step(cosine(cfg, epoch, i, total))
            for v, g in zip(alphas, gradients[-len(alphas):]): v.grad = g
            if clip := cfg.get("arch_clip", 0.0): torch.nn.utils.clip_grad_norm_(alphas, clip)
            a.opt.step()
            run.say("adam", values=[v.detach().tolist() for v in alphas])
        run.weights(net)
    weights = softmax(run, alphas)
    if run.types == 1: return genotype(run, best_ops(run, weights))
    every = [(t, e, int(p[e].argmax())) for t, p in enumerate(weights) for e in range(len(p))]
    return genotype(run, every if cfg.get("edges") == "all" else best_ops(run, weights))


def reinmax(run, cfg):
    """Liu et al., NeurIPS 2023, arXiv:2304.08612, algorithm 2: D one-hot ~ softmax(theta), pi1 = (D + softmax(theta)) / 2, pi1' = softmax(sg(ln pi1 -
    theta) + theta), pi2 = 2 pi1' - softmax(theta) / 2; the sample is pi2 - sg(pi2) + D."""
    def mix(alphas, epoch):
        drawn = []
        for a, m in zip(alphas, run.mask):
            theta = a.masked_fill(m == 0, -1e4)
            d = F.one_hot((torch.log_softmax(theta.detach(), -1) + run.draw("gumbel_like")).argmax(-1), run.shape[1]).to(run.dtype)
            pi = theta.softmax(-1)
            pi1 = (((d + pi) / 2 + 1e-30).log() - theta).detach() + theta
            pi2 = 2 * pi1.softmax(-1) - pi / 2
            drawn.append(pi2 - pi2.detach() + d)
        return drawn
    return bilevel(run, cfg, mix)


class Gamma(torch.autograd.Function):
    @staticmethod
    def forward(ctx, concentration, g):
        ctx.save_for_backward(concentration, g)
        return g.clone()

    @staticmethod
    def backward(ctx, grad):
        a, g = (t.double() for t in ctx.saved_tensors)
        by_a = (torch.special.gammainc(a + 1e-4, g) - torch.special.gammainc(a - 1e-4, g)) / 2e-4
        density = torch.exp((a - 1) * g.log() - g - torch.lgamma(a))
        return grad * (-by_a / density).to(grad.dtype), None


def dr_nas(run, cfg):
    """Chen et al., ICLR 2021, arXiv:2006.10355; github.com/xiangning-chen/DrNAS, `process_step_matrix` and `Architect`: Dirichlet(elu(alpha) + 1) in both
    steps. At the program's gammas g, which are divided by their sum: dg/da = -(dP(a, g)/da) / p(g) (Figurnov et al., NeurIPS 2018), P by
    `torch.special.gammainc`, its derivative a difference in f64."""
    def mix(alphas, _epoch=None):
        g = [Gamma.apply(F.elu(a) + 1, run.draw("gamma_like")) * m for a, m in zip(alphas, run.mask)]
        return [x / x.sum(-1, True) for x in g]
    return progressive(run, cfg, mix) if cfg["ops_2"] else bilevel(run, cfg, mix)


def progressive(run, cfg, mix):
    """`train_search_progressive.py`, in the DARTS space `train_search.py`: `pruning` keeps the num_keep largest alphas of an edge, `wider` gives ops more
    channels, and their momentum; the scheduler and both optimisers go on. Which channels are copied, and that the weights that read copies are shared out, is the
    program's way (Net2Wider): channel j of n is channel floor(j m / n) of m."""
    def widened(v, shape):
        for axis, (n, m) in enumerate(zip(shape[:2], v.shape[:2])):
            if n == m: continue
            index = torch.tensor([j * m // n for j in range(n)])
            v = v.index_select(axis, index)
            if axis == 1: v = v / torch.bincount(index)[index].to(v.dtype).reshape(1, -1, *[1] * (v.dim() - 2))
        return v

    train, valid = run.halves()
    norms = dict(pool_norm=cfg["pool_norm"], head_norm=cfg["head_norm"])
    net = run.supernet(cfg, partial=cfg["partial"], **norms)
    def leave(gone):
        for t, e, o in gone: run.mask[t][e, o] = 0.0
        if gone: run.say("drop", candidates=sorted(map(list, gone)))
    if run.types == 2: leave([c for c in run.candidates if run.op_names[c[2]] == "none"])
    alphas = run.architecture(std=cfg.get("arch_init", 1e-3))
    w, a = Sgd(run, net, cfg, cfg["nesterov"]), Adam(run, alphas, cfg)
    for stage in range(2):
        if stage == 1:
            own = lambda t, e: [o for o in range(run.shape[1]) if run.mask[t][e, o] > 0]
            rank = lambda t, e: sorted(own(t, e), key=lambda o: -alphas[t][e, o].item())
            leave([(t, e, o) for t in range(run.types) for e in range(run.shape[0]) for o in rank(t, e)[cfg["ops_2"]:]])
            mask, old = run.mask, dict(net.named_parameters()) | dict(net.named_buffers())
            momentum = {k: w.opt.state[v].get("momentum_buffer") for k, v in net.named_parameters()}
            net = run.supernet(cfg, partial=cfg["partial_2"], **norms)
            run.mask, w = mask, Sgd(run, net, cfg, cfg["nesterov"])
            w.fresh = False
            with torch.no_grad():
                for k, v in net.state_dict().items(): v.copy_(widened(old[k].detach(), v.shape))
                for k, v in net.named_parameters():
                    if momentum[k] is not None: w.opt.state[v]["momentum_buffer"] = widened(momentum[k], v.shape).clone()
        for epoch in range(cfg["epochs"] // 2):
            for i, total, fetch in run.epoch("train", train, cfg["batch_size"]):
                if epoch >= cfg["arch_begin"]:
                    m = mix(alphas)
                    x, y, _ = run.batch("loss", valid)
                    loss = cross_entropy(net, x, y, m)
                    run.say("loss", loss=loss.item())
                    a.learn(loss)
                with torch.no_grad(): m = mix(alphas)
                x, y = fetch()
                w.learn(cross_entropy(net, x, y, m), cosine(cfg, 1 + epoch + stage * (cfg["epochs"] // 2), i, total))
            run.weights(net)
    return genotype(run, best_ops(run, [torch.softmax(v.masked_fill(m == 0, -torch.inf), -1) for v, m in zip(alphas, run.mask)]))


METHODS = {"gdas": gdas, "snas": snas, "reinmax": reinmax, "dr_nas": dr_nas}
