"""iDARTS with node normalisation (Wang et al., 2021, arXiv:2108.11014), after its abstract: DARTS with `normed` nodes, and a cell of the ops whose
decorrelated outputs are most like their node. Nobody's code; the decorrelation is by an eigendecomposition here."""
import math
import torch
from replay import Adam, Disagreement, Part, Sgd, best_ops, cosine, cross_entropy, genotype, incoming
from darts import softmax


def idarts_norm(run, cfg):
    sample = Part("the sample", run.take("split")["parts"][0])
    if not set(sample) <= set(run.train) or len(set(sample)) != min(cfg["sample_images"], len(run.train)):
        raise Disagreement(f"a sample of {len(sample)} images")
    train, valid = run.halves()
    net = run.supernet(cfg, pool_norm=cfg["pool_norm"], head_norm=cfg["head_norm"], node_norm=cfg["node_norm"])
    alphas = run.architecture(std=cfg.get("arch_init", 1e-3))
    w, a = Sgd(run, net, cfg, cfg["nesterov"]), Adam(run, alphas, cfg, (cfg["arch_beta1"], cfg["arch_beta2"]))
    for epoch in range(1, cfg["epochs"] + 1):
        for i, total, fetch in run.epoch("train", train, cfg["batch_size"]):
            def step_w():
                with torch.no_grad(): p = softmax(run, alphas)
                x, y = fetch()
                w.learn(cross_entropy(net, x, y, p), cosine(cfg, epoch, i, total))
            if cfg["weights_first"]: step_w()
            x, y, _ = run.batch("loss", valid)
            loss = cross_entropy(net, x, y, softmax(run, alphas))
            run.say("loss", loss=loss.item())
            a.learn(loss)
            if not cfg["weights_first"]: step_w()
        run.weights(net)
    return genotype(run, best_ops(run, similarities(run, net, softmax(run, alphas), sample, cfg)))


@torch.no_grad()
def similarities(run, net, mix, sample, cfg):
    net.eval()
    found = [torch.zeros_like(m) for m in mix]
    n_batches = math.ceil(len(sample) / cfg["batch_size"])
    into = {e: edges for edges in incoming(run) for e in edges}
    for _i, _total, fetch in run.epoch("measure", sample, cfg["batch_size"]):
        (x, _), outputs = fetch(), {}
        net(x, mix, lambda k, e, o, y: outputs.setdefault(k, {}).setdefault(e, {}).setdefault(o, y))
        of_type = {t: [k for k in outputs if type_of(run, net, k) == t] for t in range(run.types)}
        for k, edges in outputs.items():
            t = type_of(run, net, k)
            for e, ops in edges.items():
                node = sum(mix[t][i, o] * y for i in into[e] for o, y in edges.get(i, {}).items())
                rows = torch.stack([unit(y) for y in ops.values()])
                values, vectors = torch.linalg.eigh(rows @ rows.T + cfg["epsilon"] * torch.eye(len(ops), dtype=rows.dtype))
                likeness = vectors @ torch.diag(values ** -0.5) @ vectors.T @ rows @ unit(node)
                for o, s in zip(ops, likeness): found[t][e, o] += s / len(of_type[t]) / n_batches
    return found


def unit(x):
    rest = (x - x.mean()).flatten()
    return rest / rest.norm() if rest.norm() > 0 else rest


def type_of(run, net, k):
    return int(run.types == 2 and net.cells[k].reduction)


METHODS = {"idarts_norm": idarts_norm}
