"""A traced run of the program (`--trace DIR`), read in order by a method written in PyTorch.

What the program was given (first weights, architecture parameters, draws, images) is taken from the trace, and checked: a
batch must come from the part of the data that the method names, an epoch must show each image once. What comes out (losses,
steps, scores, drops) is computed here and written down in the words of the trace, as what the program must come to.
"""
import json, math
import numpy as np, torch, torch.nn.functional as F
from safetensors.torch import load_file
import compare, noise, torch_supernet

NAMES = {"sep_conv_3x3": "dua_sepc_3x3", "sep_conv_5x5": "dua_sepc_5x5",
         "dil_conv_3x3": "dil_sepc_3x3", "dil_conv_5x5": "dil_sepc_5x5"}
# What a trace holds of what came out; all else went in.
OUTCOMES = {"sgd", "adam", "variable", "weights", "iim", "evaluation", "drop", "genotype"}


class Disagreement(Exception):
    """The program did another thing than the method."""


class Apart(Exception):
    """Two runs of a method in PyTorch come to different things."""


class Part(list):
    """Images (their places in the store) of a data set, and its name."""
    def __init__(self, name, images):
        super().__init__(images)
        self.name = name


def splitmix(z):
    """The finaliser of SplitMix64 (Steele et al., 2014)."""
    z = z * np.uint64(0x9e3779b97f4a7c15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xbf58476d1ce4e5b9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94d049bb133111eb)
    return z ^ (z >> np.uint64(31))


def sketch(name, values):
    """Norm of a tensor, and two sums of it under fixed random signs, whose deviation is about the norm of its deviation."""
    v = values.double().flatten().numpy()
    sums = [float(np.sqrt((v * v).sum()))]
    for k in range(2):
        z = np.arange(len(v), dtype=np.uint64) * np.uint64(2) + np.uint64(k + 1)
        z = splitmix(z)
        sums.append(float((v * (1.0 - 2.0 * (z & np.uint64(1)).astype(np.float64))).sum()))
    return sums


class Replay:
    """`space`: nas-bench-201, darts, s1 .. s4. `perturbed`: seed of noise on the first weights, 1e-6 relative; 0: none. `beside`: outcomes of another run,
    which are compared as they come: the first that is off by more than half its bound ends the replay."""
    def __init__(self, folder, space, dtype=torch.float64, perturbed=0, beside=None):
        self.folder, self.space, self.dtype, self.perturbed, self.beside = folder, space, dtype, perturbed, beside
        self.events = [json.loads(line) for line in open(folder / "trace.jsonl")]
        self.inputs = iter(e for e in self.events if e["event"] not in OUTCOMES)
        self.outcomes, self.batch_size = [], None
        opened = self.take("data")
        self.labels = opened["train"]
        self.train = Part("the training set", range(len(self.labels)))
        torch.set_num_threads(1)

    def take(self, kind):
        event = next(self.inputs, {"event": "the end"})
        if event["event"] != kind:
            raise Disagreement(f"the program goes on with {event['event']}, the method with {kind}")
        return event

    def say(self, kind, **what):
        event = {"event": kind, **what}
        if self.beside is not None:
            place = len(self.outcomes)
            want = self.beside[place] if place < len(self.beside) else {"event": "the end"}
            if kind != want["event"]: raise Apart(f"event {place}: {kind}, not {want['event']}")
            for bound, off in compare.deviation(kind, event, want):
                if off > compare.TOLERANCES.get(bound, 0.0) / 2: raise Apart(f"event {place}, {kind}: {bound} is off by {off:.1e}")
        self.outcomes.append(event)

    def halves(self, share=0.5):
        """Two disjoint parts of the training set, together all of it; the first has this share."""
        parts = self.take("split")["parts"]
        if len(parts) != 2 or sorted(parts[0] + parts[1]) != list(self.train) or abs(len(parts[0]) - share * len(self.train)) > 0.6:
            raise Disagreement(f"the parts are not {share} of the training set and the rest")
        return Part("the first half", parts[0]), Part("the second half", parts[1])

    def supernet(self, cfg, **options):
        event = self.take("supernet")
        config = event["config"]
        if (config["channels"], config["cells"]) != (cfg["channels"], cfg["cells"]):
            raise Disagreement(f"a supernet of {config}")
        names = [NAMES.get(op, op) for op in event["ops"]]
        types = 1 if event["topology"] == "NasBench201" else 2
        has = {tuple(c) for c in event["candidates"]}
        self.shape = (len(event["edges"]), len(names))
        self.op_names, self.edges, self.candidates, self.types = event["ops"], event["edges"], sorted(has), types
        edge_ops = [[[n if (t, e, o) in has else None for o, n in enumerate(names)] for e in range(self.shape[0])]
                    for t in range(types)]
        if types == 1: edge_ops = None
        family = "nas-bench-201" if types == 1 else "darts"
        net = torch_supernet.Supernet(family, cfg["channels"], cfg["cells"], config["classes"], edge_ops, **options).to(self.dtype)
        weights = {k: v.to(self.dtype) for k, v in load_file(self.folder / event["file"]).items()}
        own = {k for k in net.state_dict() if "num_batches" not in k}
        if own != set(weights): raise Disagreement(f"weights {sorted(own ^ set(weights))[:9]}")
        if self.perturbed:
            off = torch.Generator().manual_seed(self.perturbed)
            weights = {k: v * (1 + 1e-6 * torch.randn(v.shape, generator=off, dtype=v.dtype)) for k, v in weights.items()}
        net.load_state_dict(weights, strict=False)
        if "noise" in names: noise.install(net, config["seed"])
        self.mask = [torch.tensor([[float((t, e, o) in has) for o in range(self.shape[1])] for e in range(self.shape[0])],
                                  dtype=self.dtype) for t in range(types)]
        return net

    def architecture(self, mean=0.0, std=1e-3):
        """One tensor per cell type, as drawn; the deviation of the draw is checked, roughly."""
        values = [torch.tensor(v, dtype=self.dtype) for v in self.take("architecture")["values"]]
        drawn = torch.cat([v.flatten() for v in values])
        if abs(drawn.mean() - mean) > 0.6 * std or not 0.6 * std <= drawn.std() <= 1.4 * std:
            raise Disagreement(f"architecture parameters of mean {drawn.mean()}, std {drawn.std()}")
        return [v.requires_grad_() for v in values]

    def batch(self, purpose, part, count=None):
        """Images and labels of the next batch, which must be for this purpose, of this part, and of `count` images."""
        event = self.take(purpose)
        images = event["images"]
        if not set(images) <= set(part) or [self.labels[i] for i in images] != event["labels"]:
            raise Disagreement(f"a batch ({purpose}) that is not of {part.name}")
        if count is not None and len(images) != count:
            raise Disagreement(f"a batch ({purpose}) of {len(images)} images, not {count}")
        x = load_file(self.folder / event["file"])["x"].to(self.dtype)
        return x, torch.tensor(event["labels"]), images

    def epoch(self, purpose, part, batch_size):
        """The batches of an epoch of training on `part`: each image once. Gives (place, of how many, x, y)."""
        total, seen = math.ceil(len(part) / batch_size), []
        for i in range(total):
            def fetch(i=i):
                x, y, images = self.batch(purpose, part, min(batch_size, len(part) - i * batch_size))
                seen.extend(images)
                return x, y
            yield i, total, fetch
        if sorted(seen) != sorted(part): raise Disagreement(f"an epoch that does not show each image of {part.name} once")

    def draw(self, kind):
        event = self.take("draw")
        if event["kind"] != kind: raise Disagreement(f"a draw of {event['kind']}, not {kind}")
        drawn = event["drawn"]
        return torch.tensor(drawn["values"], dtype=self.dtype).reshape(drawn["shape"]) if "shape" in drawn else drawn

    def drop_path(self, p, batch):
        """Of each cell, for each edge, the factor of each image: 0 or 1 / keep, as drawn."""
        drawn = self.draw("drop_path")
        masks = torch.tensor(drawn["masks"], dtype=self.dtype)
        if abs(drawn["keep"] - (1 - p)) > 1e-12 or masks.shape[1] != batch or abs(masks.mean() - drawn["keep"]) > 0.15:
            raise Disagreement(f"drop path that keeps {drawn['keep']}, of {tuple(masks.shape)} {masks.mean()}")
        return (masks / drawn["keep"]).reshape(-1, self.shape[0], batch)

    def weights(self, net):
        """Written down after each epoch."""
        state = {k: v for k, v in net.state_dict().items() if "num_batches" not in k}
        self.say("weights", sketches={k: sketch(k, v) for k, v in sorted(state.items())})


# ---- what methods have in common ----

def cosine(cfg, epoch, index, total):
    """The program's cosine falls with each step; `epoch` counts from 1."""
    t = ((epoch - 1) * total + index) / (cfg["epochs"] * total)
    return cfg["lr_min"] + (cfg["lr"] - cfg["lr_min"]) / 2 * (1 + math.cos(math.pi * min(t, 1.0)))


class Sgd:
    """Clip at 5, if nothing else is said, then PyTorch's SGD."""
    def __init__(self, run, net, cfg, nesterov=True):
        self.run, self.net, self.clip, self.nesterov = run, net, cfg.get("clip", 5.0), nesterov
        self.wd, self.fresh, self.says_nesterov = cfg["weight_decay"], True, "nesterov" in cfg
        self.opt = torch.optim.SGD(net.parameters(), cfg["lr"], momentum=0.9, weight_decay=self.wd, nesterov=nesterov)

    def step(self, lr):
        for group in self.opt.param_groups: group["lr"] = lr
        if self.clip: torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.clip)
        self.opt.step()
        settings = dict(lr=lr, momentum=0.9, nesterov=self.nesterov, weight_decay=self.wd, clip=self.clip)
        if not self.says_nesterov: del settings["nesterov"]
        # The first step of an optimiser has no momentum yet: a program may take one that it had before without.
        if self.fresh: del settings["momentum"]
        self.fresh = False
        self.run.say("sgd", **settings)

    def learn(self, loss, lr, purpose="train", of=lambda loss: loss):
        """One step on a loss, which is written down, or on what is made `of` it."""
        self.run.say(purpose, loss=loss.item())
        self.opt.zero_grad()
        of(loss).backward()
        self.step(lr)


class Adam:
    """Of architecture parameters: Adam with coupled weight decay."""
    def __init__(self, run, alphas, cfg, betas=(0.5, 0.999)):
        self.run, self.alphas = run, alphas
        self.opt = torch.optim.Adam(alphas, cfg["arch_lr"], betas=betas, weight_decay=cfg["arch_weight_decay"])

    def learn(self, loss):
        gradients = torch.autograd.grad(loss, self.alphas, allow_unused=True)
        for a, g in zip(self.alphas, gradients): a.grad = g
        self.opt.step()
        self.run.say("adam", values=[a.detach().tolist() for a in self.alphas])


def cross_entropy(net, x, y, mix):
    return F.cross_entropy(net(x, mix), y)


def incoming(run):
    """Edges into each node, in order."""
    nodes = sorted({to for to, _ in run.edges})
    return [[e for e, (to, _) in enumerate(run.edges) if to == node] for node in nodes]


def genotype(run, chosen):
    """The text of candidates (cell type, edge, op), in the notation of the space; with the number of the node, as FairDARTS has
    it, where not all nodes have two."""
    chosen = sorted(chosen)
    if run.types == 1:
        text = lambda e: next(f"{run.op_names[o]}~{run.edges[e][1]}" for _, edge, o in chosen if edge == e)
        return "+".join("|" + "|".join(text(e) for e in edges) + "|" for edges in incoming(run))
    into = incoming(run)
    paired = all(sum(kind == t and e in edges for kind, e, _ in chosen) == 2 for t in range(run.types) for edges in into)
    node = lambda e: "" if paired else f"{2 + next(n for n, edges in enumerate(into) if e in edges)}, "
    cell = lambda t: ", ".join(f"('{run.op_names[o]}', {node(e)}{run.edges[e][1]})" for kind, e, o in chosen if kind == t)
    nodes = f"range(2, {2 + len(into)})"
    return f"Genotype(normal=[{cell(0)}], normal_concat={nodes}, reduce=[{cell(1)}], reduce_concat={nodes})"


def best_ops(run, weights):
    """NAS-Bench-201: the largest weight of every edge. DARTS (Liu et al., section 2.4): into every node the two edges whose
    best op other than `none` is largest, each with that op."""
    chosen = []
    for t, w in enumerate(weights):
        w = w.detach().double().clone()
        for e in range(run.shape[0]):
            for o in range(run.shape[1]):
                if (t, e, o) not in run.candidates: w[e, o] = -math.inf
        if run.types == 1:
            chosen += [(t, e, int(w[e].argmax())) for e in range(run.shape[0])]
            continue
        if "none" in run.op_names: w[:, run.op_names.index("none")] = -math.inf
        for edges in incoming(run):
            top = sorted(edges, key=lambda e: -w[e].max().item())[:2]
            chosen += [(t, e, int(w[e].argmax())) for e in top]
    return chosen
