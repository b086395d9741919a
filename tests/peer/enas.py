"""ENAS (Pham et al., ICML 2018, arXiv:1802.03268). NAS-Bench-201: github.com/D-X-Y/AutoDL-Projects, `ENAS.py` and `search_model_enas_utils.py`;
DARTS space: github.com/melodyguan/enas, `micro_controller.py`, with the settings of `main.py` and `cifar10_micro_search.sh`."""
import math
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Categorical
from replay import Sgd, cross_entropy, genotype


class Controller(nn.Module):
    """What both have: values drawn by the program, choices at its Gumbel draws. `order`: parameters as the program draws them, each with
    the bound of the uniform distribution (None: not drawn) and whether it is the transpose there."""
    def take(self, run, order):
        self.run, self.order = run, order
        self.to(run.dtype)
        for p, bound, turned in order:
            if bound is None: continue
            u = run.draw("uniform_like")
            assert 0 <= u.min() and u.max() <= 1
            with torch.no_grad(): p.copy_(((2 * u - 1) * bound).T.reshape(p.shape) if turned else ((2 * u - 1) * bound).reshape(p.shape))

    def values(self):
        return [(p.T if turned else p).detach().flatten().tolist() for p, _, turned in self.order]

    def sample(self, logits):
        """The index; adds to `log_p` and `entropy`."""
        own = Categorical(logits=logits.reshape(-1))
        at = (own.logits.detach() + self.run.draw("gumbel_like").reshape(-1)).argmax()
        self.log_p, self.entropy = self.log_p + own.log_prob(at), self.entropy + own.entropy()
        return at


class OfEdges(Controller):
    """`Controller`: nn.LSTM of two layers, logits / 5, 2.5 tanh; the embedding of an op is the input of the next edge. Drawn U(-0.1, 0.1): input, first
    layer's weights, embedding, weights of the logits; the rest as PyTorch does."""
    def __init__(self, run, cfg):
        super().__init__()
        n, m = run.shape[1], cfg["hidden"]
        self.cfg, self.first, self.embed, self.logits = cfg, nn.Parameter(torch.zeros(1, m)), nn.Embedding(n, m), nn.Linear(m, n)
        self.lstm, usual = nn.LSTM(m, m, 2), 1 / math.sqrt(m)
        layers = [[(getattr(self.lstm, f"{kind}_l{k}"), usual if k or "bias" in kind else 0.1, "weight" in kind)
                   for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")] for k in range(2)]
        self.take(run, [(self.first, 0.1, False), (self.embed.weight, 0.1, False), (self.logits.weight, 0.1, True), (self.logits.bias, usual, False)] + layers[0] + layers[1])

    def forward(self):
        self.log_p = self.entropy = 0.0
        x, state, cell = self.first, None, []
        for e in range(self.run.shape[0]):
            y, state = self.lstm(x[None], state)
            o = self.sample(self.cfg["tanh_constant"] * torch.tanh(self.logits(y) / self.cfg["temperature"]))
            cell.append((0, e, int(o)))
            x = self.embed(o)[None]
        return cell


class OfNodes(Controller):
    """`MicroController`: for each node two inputs, by attention over the nodes before, then two ops; its anchor and the key of that follow. The ops are
    those of this space but `none`; `b_soft` is 10 and `b_soft_no_learn` 0.25 for separable convolutions, 0 and -0.25 for the rest (dilated ones, too). An op is drawn once
    from an input. No temperature."""
    def __init__(self, run, cfg):
        super().__init__()
        n, m = run.shape[1], cfg["hidden"]
        self.cfg, self.lstm, self.embed, self.g = cfg, nn.LSTMCell(m, m, bias=False), nn.Embedding(n, m), nn.Parameter(torch.zeros(1, m))
        self.w_soft, self.w_1, self.w_2, self.v = (nn.Parameter(torch.zeros(shape)) for shape in [(m, n), (m, m), (m, m), (m, 1)])
        self.separable = torch.tensor([float(op in ("sep_conv_3x3", "sep_conv_5x5")) for op in run.op_names], dtype=run.dtype)
        self.b_soft = nn.Parameter(10 * self.separable)
        self.take(run, [(self.g, 0.1, False), (self.embed.weight, 0.1, False), (self.w_soft, 0.1, False), (self.b_soft, None, False), (self.w_1, 0.1, False),
                        (self.w_2, 0.1, False), (self.v, 0.1, False), (self.lstm.weight_ih, 0.1, True), (self.lstm.weight_hh, 0.1, True)])

    def forward(self):
        self.log_p, self.entropy, cell = 0.0, 0.0, []
        h = c = torch.zeros_like(self.g)
        top = self.cfg["tanh_constant"]
        for t in range(self.run.types):
            anchors, keys = [], []
            for _ in range(2):
                h, c = self.lstm(self.g, (h, c))
                anchors.append(torch.zeros_like(h))
                keys.append(h @ self.w_1)
            for node in range(2, 6):
                x, sources = self.g, []
                for _ in range(2):
                    h, c = self.lstm(x, (h, c))
                    scores = torch.tanh(torch.cat(keys) + h @ self.w_2) @ self.v
                    sources.append(int(self.sample(top * torch.tanh(scores))))
                    x = anchors[sources[-1]]
                for source in sources:
                    h, c = self.lstm(x, (h, c))
                    logits = top / self.cfg["op_tanh_reduce"] * torch.tanh(h @ self.w_soft + self.b_soft)
                    if t == 0: logits = logits + 0.5 * self.separable - 0.25
                    e = next(e for e, (to, own) in enumerate(self.run.edges) if (to, own) == (node, source))
                    taken = [o for o, op in enumerate(self.run.op_names) if op == "none" or (t, e, o) in cell or (t, e, o) not in self.run.candidates]
                    o = self.sample(logits.index_fill(1, torch.tensor(taken), -1e6))
                    cell.append((t, e, int(o)))
                    x = self.embed(o)[None]
                h, c = self.lstm(x, (h, c))
                anchors.append(h)
                keys.append(h @ self.w_1)
        self.entropy = self.entropy.detach()
        return cell


def enas(run, cfg):
    """`train_shared_cnn`, `train_controller`, `get_best_arch`. The judges are augmented and the network is in eval mode in the first code; in the
    second they are not, and batch norm goes by the batch. `config.baseline`: what the epoch before ended with."""
    train, valid = run.halves(cfg["train_share"])
    net = run.supernet(cfg, pool_norm=cfg.get("pool_norm", False), head_norm=cfg.get("head_norm", True))
    darts, size = run.types == 2, cfg["batch_size"]
    controller = (OfNodes if darts else OfEdges)(run, cfg)
    w, opt = Sgd(run, net, cfg, cfg["nesterov"]), torch.optim.Adam(controller.parameters(), cfg["controller_lr"], betas=(0.0, 0.999), eps=1e-3)

    def path(cell):
        mix = [torch.zeros(run.shape, dtype=run.dtype) for _ in range(run.types)]
        for t, e, o in cell: mix[t][e, o] = 1
        return mix

    def judged(count):
        """Cells, each with its accuracy on the next batch; the loader begins anew when it is through."""
        seen = []
        for _ in range(count):
            cell = controller()
            x, y, images = run.batch("evaluate", valid, min(size, len(valid) - len(seen)))
            assert not set(images) & set(seen)
            seen.extend(images)
            if len(seen) == len(valid): seen = []
            before = {k: v.clone() for k, v in net.named_buffers()}
            net.train(darts)
            with torch.no_grad(): logits = net(x, path(cell))
            net.train()
            for k, v in net.named_buffers(): v.copy_(before[k])
            right = (logits.argmax(-1) == y).double().mean().item()
            run.say("evaluation", loss=F.cross_entropy(logits, y).item(), accuracy=right)
            yield cell, right

    baseline = 0.0 if darts else None
    for epoch in range(cfg["epochs"]):
        start, period = 0, cfg["lr_period"]
        while darts and epoch >= start + period: start, period = start + period, 2 * period
        lr = cfg["lr_min"] + (cfg["lr"] - cfg["lr_min"]) * (1 + math.cos(math.pi * (epoch - start) / period)) / 2
        for _, _, fetch in run.epoch("train", train, size):
            with torch.no_grad(): mix = path(controller())
            x, y = fetch()
            w.learn(cross_entropy(net, x, y, mix), lr)
        old = baseline
        opt.zero_grad()
        for step, (_, right) in enumerate(judged(cfg["controller_steps"] * cfg["aggregate"])):
            reward = right + cfg["entropy_weight"] * controller.entropy
            if darts: b = baseline = baseline - (1 - cfg["baseline_decay"]) * (baseline - reward)
            else: b = torch.tensor(right) if old is None else old - (1 - cfg["baseline_decay"]) * (old - reward)
            (-controller.log_p * (reward - b) / cfg["aggregate"]).backward()
            if (step + 1) % cfg["aggregate"] == 0:
                if cfg["controller_clip"]: nn.utils.clip_grad_norm_(controller.parameters(), cfg["controller_clip"])
                opt.step()
                opt.zero_grad()
                run.say("variable", values=controller.values())
        baseline = b.item() if not darts else baseline
        run.weights(net)
    with torch.no_grad(): last = list(judged(cfg["samples"]))
    best = max(range(len(last)), key=lambda i: (last[i][1], -i))
    return genotype(run, last[best][0])


METHODS = {"enas": enas}
