"""OPP-DARTS (Zhu et al., ICDM 2021, arXiv:2302.05632; github.com/zhuxunyu/OPP-DARTS, `train_search.py`, `model_search.py`)."""
import copy
import math
import torch
import torch.nn.functional as F
from replay import Adam, Sgd, best_ops, cross_entropy, genotype


def opp_darts(run, cfg):
    """`main`: every `add_op_epoch` epochs a network is tried with each op that has not entered (at first with one of PARAMETERD alone; skip_connect when there
    is no other), the largest mean loss over the training half wins; `add_op` keeps the alphas that there are, new ones are drawn; SGD and Adam
    are made anew, and `CosineAnnealingLR(optimizer, epochs - epoch)` from the learning rate of the epoch."""
    train, valid = run.halves()
    net = run.supernet(cfg, pool_norm=cfg["pool_norm"], head_norm=cfg["head_norm"])
    alphas = run.architecture(std=cfg.get("arch_init", 1e-3))
    drawn = [v.detach().clone() for v in alphas]
    biases = {id(m.bias) for m in net.modules() if isinstance(m, torch.nn.Conv2d)}      # before a batch norm; the authors' have none
    entered, base, begun = [], cfg["lr"], 0

    def mix(ops):
        has = torch.tensor([name in ops for name in run.op_names])
        return [torch.softmax(v.masked_fill(~has | (m == 0), -math.inf), -1).nan_to_num() for v, m in zip(alphas, run.mask)]

    def loss_with(op):
        tried, losses = copy.deepcopy(net).train(), []
        for _i, _total, fetch in run.epoch("evaluate", train, cfg["batch_size"]):
            x, y = fetch()
            with torch.no_grad(): logits = tried(x, mix(entered + [op]))
            losses.append(F.cross_entropy(logits, y).item())
            run.say("evaluation", loss=losses[-1], accuracy=(logits.argmax(-1) == y).double().mean().item())
        return sum(losses) / len(losses)

    for epoch in range(cfg["epochs"]):
        lr = cfg["lr_min"] + (base - cfg["lr_min"]) * (1 + math.cos(math.pi * (epoch - begun) / (cfg["epochs"] - begun))) / 2
        if epoch % cfg["add_every"] == 0 and len(entered) < len(run.op_names):
            parametric = [n for n in run.op_names if n.startswith(("sep", "dil", "nor"))]
            left = [n for n in (run.op_names if entered else parametric) if n not in entered and n != "skip_connect"]
            with torch.no_grad():
                for v, first in zip(alphas, drawn):
                    for o, name in enumerate(run.op_names):
                        if name not in entered: v[:, o] = first[:, o]
            losses = {n: loss_with(n) for n in left}
            entered.append(max(losses, key=losses.get) if losses else "skip_connect")
            w, a, base, begun = Sgd(run, net, cfg, cfg["nesterov"]), Adam(run, alphas, cfg), lr, epoch
        for _i, _total, fetch in run.epoch("train", train, cfg["batch_size"]):
            x, y, _ = run.batch("loss", valid)
            loss = cross_entropy(net, x, y, mix(entered))
            run.say("loss", loss=loss.item())
            a.learn(loss)
            with torch.no_grad(): m = mix(entered)
            x, y = fetch()
            loss = cross_entropy(net, x, y, m)
            run.say("train", loss=loss.item())
            w.opt.zero_grad()
            loss.backward()
            for q in net.parameters():
                if q.grad is not None and (id(q) in biases or not q.grad.any()): q.grad = None      # not in the network yet
            w.step(lr)
        run.weights(net)
    return genotype(run, best_ops(run, mix(entered)))


METHODS = {"opp_darts": opp_darts}
