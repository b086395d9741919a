"""Methods that go in stages: P-DARTS (Chen et al., ICCV 2019, arXiv:1904.12760; github.com/chenxin061/pdarts)."""
import math
import numpy as np
import torch
from replay import Adam, Sgd, best_ops, cosine, cross_entropy, genotype
from darts import softmax

STEP = np.uint64(0x9e3779b97f4a7c15)


def finalised(z):
    """The finaliser of SplitMix64 (Steele et al., 2014)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xbf58476d1ce4e5b9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94d049bb133111eb)
    return z ^ (z >> np.uint64(31))


def kept(p, seed, place, shape):
    """The program's dropout: four channels of a pixel share a number of SplitMix64, 16 bits each; channels count as stored, in eights or four."""
    b, c, h, w = shape
    padded = 4 if c <= 4 else -(-c // 8) * 8
    count = lambda n: np.arange(1, n + 1, dtype=np.uint64) * STEP
    with np.errstate(over="ignore"):
        key = finalised(np.uint64(seed) ^ finalised(np.uint64(place + 1) * STEP))
        draws = finalised(finalised(key + count(b))[:, None] + count(h * w * padded // 4))
    bits = (draws[:, :, None] >> (np.uint64(16) * np.arange(4, dtype=np.uint64))) & np.uint64(0xffff)
    factors = (bits >= np.uint64(round(p * 65536))) / (1 - p)
    return torch.tensor(factors.reshape(b, h, w, padded)[..., :c]).permute(0, 3, 1, 2)


def with_dropout(run, net):
    """Dropout behind every skip of stride 1 (`Sequential(Identity, Dropout)`). Gives the function that draws for a pass."""
    now = {}
    def hook(place):
        def leave_out(_module, _input, y):
            if now.get("skip"): return y * kept(now["skip"], now["seed"], place, y.shape).to(y.dtype)
        return leave_out
    skip = run.op_names.index("skip_connect")
    for k, cell in enumerate(net.cells):
        for e, mixed in enumerate(getattr(cell, "edges", {}).values()):
            op = getattr(mixed, "ops", mixed)[skip]
            if isinstance(op, torch.nn.Identity): op.register_forward_hook(hook((k * run.shape[0] + e) * run.shape[1] + skip))
    def draw(p):
        now.clear()
        if p > 0:
            now.update(run.draw("dropout"))
            assert abs(now["skip"] - p) < 1e-12 and now["pool"] == 0
    return draw


def p_darts(run, cfg):
    """`train_search.py`: three networks, each from scratch, of more cells; the dropout rate falls linearly while alpha rests, then as
    exp(-0.2 epoch); alpha's gradient is clipped at 5; `get_min_k` drops the least probable of an edge. At last the largest of an edge but
    `none`, two edges a node (`keep_2_branches`), and `delete_min_sk_prob` until M skips are left in the normal cell."""
    train, valid = run.halves()
    gone = []
    for stage in range(3):
        net = run.supernet(cfg | dict(cells=cfg["cells"] + stage * cfg["deeper"]), pool_norm=cfg["pool_norm"], head_norm=cfg["head_norm"])
        for t, e, o in gone: run.mask[t][e, o] = 0.0
        if gone: run.say("drop", candidates=sorted(map(list, gone)))
        alphas = run.architecture(std=cfg.get("arch_init", 1e-3))
        w, a = Sgd(run, net, cfg, cfg["nesterov"]), Adam(run, alphas, cfg)
        draw = with_dropout(run, net)
        for epoch in range(cfg["epochs"]):
            rate = cfg[f"dropout_{stage + 1}"]
            rests = epoch < cfg["arch_begin"]
            rate *= (cfg["epochs"] - epoch - 1) / cfg["epochs"] if rests else math.exp(-(epoch - cfg["arch_begin"]) * 0.2)
            for i, total, fetch in run.epoch("train", train, cfg["batch_size"]):
                if not rests:
                    draw(rate)
                    x, y, _ = run.batch("loss", valid)
                    loss = cross_entropy(net, x, y, softmax(run, alphas))
                    run.say("loss", loss=loss.item())
                    for v, g in zip(alphas, torch.autograd.grad(loss, alphas)): v.grad = g
                    torch.nn.utils.clip_grad_norm_(alphas, cfg["arch_clip"])
                    a.opt.step()
                    run.say("adam", values=[v.detach().tolist() for v in alphas])
                draw(rate)
                with torch.no_grad(): m = softmax(run, alphas)
                x, y = fetch()
                w.learn(cross_entropy(net, x, y, m), cosine(cfg, epoch + 1, i, total))
            run.weights(net)
        prob = [p.detach().numpy().copy() for p in softmax(run, alphas)]
        if stage == 2: break
        for t in range(run.types):
            for e in range(run.shape[0]):
                alive = [o for o in range(run.shape[1]) if run.mask[t][e, o] > 0]
                while len(alive) > cfg[f"ops_{stage + 2}"]:
                    alive.remove(min(alive, key=lambda o: prob[t][e, o]))
                gone += [(t, e, o) for o in range(run.shape[1]) if run.mask[t][e, o] > 0 and o not in alive]
    skip = run.op_names.index("skip_connect")
    while True:
        chosen = best_ops(run, [torch.tensor(p) for p in prob])
        skips = [(t, e, o) for t, e, o in chosen if t == 0 and o == skip]
        if len(skips) <= cfg["max_skips"]: return genotype(run, chosen)
        weakest = min(skips, key=lambda c: prob[0][c[1], skip])
        prob[0][weakest[1], skip] = 0.0


METHODS = {"p_darts": p_darts}
