"""Methods that look ahead, or for the worst: FlatDARTS, DARTS of second order (Liu et al., ICLR 2019, arXiv:1806.09055; quark0/darts `cnn/architect.py`) and SDARTS-ADV
(Chen and Hsieh, ICML 2020, arXiv:2002.05283; xiangning-chen/SmoothDARTS `attacker/perturb.py`)."""
import copy
import math
import torch
from replay import Adam, Sgd, best_ops, cosine, cross_entropy, genotype
from darts import bilevel, softmax


def moved(net, by):
    """A copy of the network, its weights moved."""
    other = copy.deepcopy(net)
    with torch.no_grad():
        for p, d in zip(other.parameters(), by): p.add_(d)
    return other


def gradients(loss, of):
    return [torch.zeros_like(p) if g is None else g for p, g in zip(of, torch.autograd.grad(loss, of, allow_unused=True))]


def darts_2nd(run, cfg):
    """`_backward_step_unrolled`: w' = w - xi (0.9 * momentum + gradient + decay * w), by batches of the first half; the gradient of alpha at w', less
    xi times `_hessian_vector_product`, whose R is 0.01 / |v|."""
    train, valid = run.halves()
    net = run.supernet(cfg, pool_norm=cfg["pool_norm"], head_norm=cfg["head_norm"])
    alphas = run.architecture(std=cfg.get("arch_init", 1e-3))
    w, a = Sgd(run, net, cfg, cfg["nesterov"]), Adam(run, alphas, cfg)

    def of_batch(model, part, of):
        x, y, _ = run.batch("loss", part)
        loss = cross_entropy(model, x, y, softmax(run, alphas))
        run.say("loss", loss=loss.item())
        return gradients(loss, of)

    for epoch in range(1, cfg["epochs"] + 1):
        for i, total, fetch in run.epoch("train", train, cfg["batch_size"]):
            xi, theta = cosine(cfg, epoch, i, total), list(net.parameters())
            buffers = [w.opt.state[p].get("momentum_buffer") if p in w.opt.state else None for p in theta]
            still = moved(net, [torch.zeros_like(p) for p in theta])
            g = of_batch(still, train, list(still.parameters()))
            step = [-xi * ((0.9 * b if b is not None else 0) + d + cfg["weight_decay"] * p.detach()) for b, d, p in zip(buffers, g, theta)]
            ahead = moved(net, step)
            both = of_batch(ahead, valid, alphas + list(ahead.parameters()))
            dalpha, v = both[:len(alphas)], both[len(alphas):]
            r = 0.01 / torch.cat([x.flatten() for x in v]).norm()
            up, down = moved(net, [r * x for x in v]), moved(net, [-r * x for x in v])
            plus, minus = of_batch(up, train, alphas), of_batch(down, train, alphas)
            for p, d, x, y in zip(alphas, dalpha, plus, minus): p.grad = d - xi * (x - y) / (2 * r)
            a.opt.step()
            run.say("adam", values=[p.detach().tolist() for p in alphas])
            x, y = fetch()
            with torch.no_grad(): mix = softmax(run, alphas)
            w.learn(cross_entropy(net, x, y, mix), xi)
        run.weights(net)
    return genotype(run, best_ops(run, softmax(run, alphas)))


def clip(run, x, masks):
    """`clip()`, over the ops that an edge has."""
    out = []
    for p, m in zip(x, masks):
        q = torch.zeros_like(p)
        for e in range(len(p)):
            own = m[e] > 0
            line = p[e][own]
            largest = line.argmax()
            line = line.clamp(0, 1)
            if line.sum() == 0: line[largest] = 1
            q[e, own] = line / line.sum()
        out.append(q)
    return out


def sdarts_adv(run, cfg):
    """`Linf_PGD_alpha` on the batch of the weights, in eval mode."""
    where = {}

    def loss_at(net, mix):
        x, y, _ = run.batch("loss", where["train"])
        net.eval()
        loss = cross_entropy(net, x, y, mix)
        net.train()
        run.say("loss", loss=loss.item())
        return loss

    def attacked(alphas, epoch, net, train):
        where["train"] = train
        epsilon = cfg["epsilon_min"] + (cfg["epsilon"] - cfg["epsilon_min"]) * (epoch - 1) / cfg["epochs"]
        saved = [p.detach() for p in softmax(run, alphas)]
        with torch.no_grad(): before = loss_at(net, saved)
        mix = clip(run, [p + run.draw("uniform_like") * 2 * epsilon - epsilon for p in saved], run.mask)
        for _ in range(cfg["attack_steps"]):
            with torch.enable_grad():
                mix = [p.detach().requires_grad_() for p in mix]
                up = torch.autograd.grad(loss_at(net, mix), mix)
            mix = [s + (p.detach() + 2 * epsilon / cfg["attack_steps"] * u.sign() - s).clamp(-epsilon, epsilon) for p, u, s in zip(mix, up, saved)]
            mix = clip(run, mix, run.mask)
        with torch.no_grad(): after = loss_at(net, mix)
        return saved if before > after else mix
    return bilevel(run, cfg, lambda alphas, epoch: softmax(run, alphas), attack=attacked)


def flat_darts(run, cfg):
    """AI-Tech-Research-Lab/AsquaredM, `_backward_step_SAM`: the gradient at alpha + rho g, and rho times (that at alpha + epsilon g' less that at alpha - epsilon
    g') / 2 epsilon."""
    train, valid = run.halves()
    net = run.supernet(cfg, pool_norm=cfg["pool_norm"], head_norm=cfg["head_norm"])
    alphas = run.architecture(std=cfg.get("arch_init", 1e-3))
    w, a = Sgd(run, net, cfg, cfg["nesterov"]), Adam(run, alphas, cfg)

    def slope(by, factor):
        at = [(v.detach() + factor * d).requires_grad_() for v, d in zip(alphas, by)]
        x, y, _ = run.batch("loss", valid)
        loss = cross_entropy(net, x, y, softmax(run, at))
        run.say("loss", loss=loss.item())
        return torch.autograd.grad(loss, at)

    for epoch in range(1, cfg["epochs"] + 1):
        for i, total, fetch in run.epoch("train", train, cfg["batch_size"]):
            g = slope(slope([torch.zeros_like(v) for v in alphas], 0.0), cfg["rho"])
            plus, minus = slope(g, cfg["epsilon"]), slope(g, -cfg["epsilon"])
            for v, d, p, m in zip(alphas, g, plus, minus): v.grad = d + cfg["rho"] * (p - m) / (2 * cfg["epsilon"])
            a.opt.step()
            run.say("adam", values=[v.detach().tolist() for v in alphas])
            x, y = fetch()
            with torch.no_grad(): mix = softmax(run, alphas)
            w.learn(cross_entropy(net, x, y, mix), cosine(cfg, epoch, i, total))
        run.weights(net)
    return genotype(run, best_ops(run, softmax(run, alphas)))


def r_darts(run, cfg):
    """Zela et al., ICLR 2020, arXiv:1909.09656; github.com/automl/RobustDARTS, `train_search.py` (drop path grows to its value, epoch from 0), `EVLocalAvg`:
    the largest eigenvalue of the Hessian of L_valid in alpha, by differences of 0.01 to both sides here, after each epoch on its last validation
    batch; its mean over a window against that delta epochs before; the cell of delta epochs before the window's middle, or `load_checkpoint` of that epoch and
    `weight_decay *= mul_factor` (early_stop 3), but where it is final_iteration."""
    train, valid = run.halves()
    net = run.supernet(cfg, pool_norm=cfg["pool_norm"], head_norm=cfg["head_norm"])
    alphas = run.architecture(std=cfg.get("arch_init", 1e-3))
    w, a = Sgd(run, net, cfg, cfg["nesterov"]), Adam(run, alphas, cfg)

    def valid_loss(at, count, p=0.0):
        drop = run.drop_path(p, count) if p else None
        x, y, images = run.batch("loss", valid)
        assert len(images) == count
        loss = torch.nn.functional.cross_entropy(net(x, softmax(run, at), drop=drop), y)
        run.say("loss", loss=loss.item())
        return loss

    def sharpness(count):
        before = {k: v.clone() for k, v in net.named_buffers()}
        n, rows = sum(v.numel() for v in alphas), []
        for i in range(n):
            sides = []
            for step in (0.01, -0.01):
                flat = torch.cat([v.detach().flatten() for v in alphas])
                flat[i] += step
                at = [part.reshape(v.shape).requires_grad_() for part, v in zip(flat.split([v.numel() for v in alphas]), alphas)]
                sides.append(torch.cat([g.flatten() for g in torch.autograd.grad(valid_loss(at, count), at)]))
            rows.append((sides[0] - sides[1]) / 0.02)
        for k, v in net.named_buffers(): v.copy_(before[k])
        h = torch.stack(rows)
        return torch.linalg.eigvalsh((h + h.T) / 2)[-1].item()

    checkpoints, sharp, cells, least = {}, [], [], 0
    while len(cells) < cfg["epochs"]:
        epoch = len(cells) + 1
        p = cfg["drop_path"] * (epoch - 1) / max(cfg["epochs"] - 1, 1)
        for i, total, fetch in run.epoch("train", train, cfg["batch_size"]):
            count = min(cfg["batch_size"], len(valid) - i * cfg["batch_size"])
            a.learn(valid_loss(alphas, count, p))
            with torch.no_grad(): mix = softmax(run, alphas)
            drop = run.drop_path(p, min(cfg["batch_size"], len(train) - i * cfg["batch_size"])) if p else None
            x, y = fetch()
            w.learn(torch.nn.functional.cross_entropy(net(x, mix, drop=drop), y), cosine(cfg, epoch, i, total))
        cells.append(genotype(run, best_ops(run, softmax(run, alphas))))
        if cfg["factor"]: sharp.append(sharpness(count))
        checkpoints[epoch] = copy.deepcopy((net.state_dict(), w.opt.state_dict(), [v.detach() for v in alphas], a.opt.state_dict()))
        window, delta = cfg["window"], cfg["delta"]
        back = window // 2 + delta
        if epoch < cfg["epochs"] and len(sharp) >= window + delta and epoch - 1 - back >= cfg["stop_from"]:
            now, then = sum(sharp[-window:]) / window, sum(sharp[-window - delta:-delta]) / window
            final = round(math.log(cfg["max_weight_decay"]) / math.log(w.wd), 1) == 1
            if now > cfg["factor"] * then and not cfg["adaptive"]:
                run.weights(net)
                return cells[-1 - back]
            if now > cfg["factor"] * then and not final:
                least = again = max(epoch - back, least)
                of_net, of_w, values, of_a = copy.deepcopy(checkpoints[again])
                net.load_state_dict(of_net), w.opt.load_state_dict(of_w), a.opt.load_state_dict(of_a)
                with torch.no_grad():
                    for v, value in zip(alphas, values): v.copy_(value)
                w.wd *= cfg["decay_factor"]
                for group in w.opt.param_groups: group["weight_decay"] = w.wd
                cells, sharp = cells[:again], sharp[:again]
        run.weights(net)
    return cells[-1]


METHODS = {"r_darts": r_darts, "flat_darts": flat_darts, "darts_2nd": darts_2nd, "sdarts_adv": sdarts_adv}
