"""The evaluation networks in PyTorch, as their users run them: quark0/darts `cnn/model.py` and `cnn/operations.py`
(NetworkCIFAR, NetworkImageNet), AutoDL-Projects `TinyNetwork`. Module names are theirs, so state dicts are too.

Drop path takes its masks from outside: `net.masks[i]` is [b], 0 or 1, for the i-th drop path, `net.keep` the probability.
"""
import ast, re
import torch, torch.nn as nn, torch.nn.functional as F


class ReLUConvBN(nn.Module):
    def __init__(self, ci, co, k, stride, pad):
        super().__init__()
        self.op = nn.Sequential(nn.ReLU(), nn.Conv2d(ci, co, k, stride, pad, bias=False), nn.BatchNorm2d(co))

    def forward(self, x):
        return self.op(x)


class DilConv(nn.Module):
    def __init__(self, c, k, stride, pad, dilation):
        super().__init__()
        self.op = nn.Sequential(nn.ReLU(), nn.Conv2d(c, c, k, stride, pad, dilation, groups=c, bias=False),
                                nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c))

    def forward(self, x):
        return self.op(x)


class SepConv(nn.Module):
    def __init__(self, c, k, stride, pad):
        super().__init__()
        self.op = nn.Sequential(
            nn.ReLU(), nn.Conv2d(c, c, k, stride, pad, groups=c, bias=False), nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c),
            nn.ReLU(), nn.Conv2d(c, c, k, 1, pad, groups=c, bias=False), nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c))

    def forward(self, x):
        return self.op(x)


class FactorizedReduce(nn.Module):
    def __init__(self, ci, co):
        super().__init__()
        self.relu = nn.ReLU()
        self.conv_1 = nn.Conv2d(ci, co // 2, 1, stride=2, bias=False)
        self.conv_2 = nn.Conv2d(ci, co // 2, 1, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(co)

    def forward(self, x):
        x = self.relu(x)
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], dim=1))


class Zero(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return x[:, :, ::self.stride, ::self.stride].mul(0.)


def primitive(name, c, stride):
    if name == "none": return Zero(stride)
    if name == "skip_connect": return nn.Identity() if stride == 1 else FactorizedReduce(c, c)
    if name == "avg_pool_3x3": return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)
    if name == "max_pool_3x3": return nn.MaxPool2d(3, stride=stride, padding=1)
    if name == "nor_conv_1x1": return ReLUConvBN(c, c, 1, stride, 0)
    if name == "nor_conv_3x3": return ReLUConvBN(c, c, 3, stride, 1)
    if name == "sep_conv_3x3": return SepConv(c, 3, stride, 1)
    if name == "sep_conv_5x5": return SepConv(c, 5, stride, 2)
    if name == "dil_conv_3x3": return DilConv(c, 3, stride, 2, 2)
    if name == "dil_conv_5x5": return DilConv(c, 5, stride, 4, 2)
    raise ValueError(name)


def cells_of(text):
    """normal and reduce of a DARTS genotype text: lists of (op, from)."""
    return [ast.literal_eval(re.search(key + r"\s*=\s*(\[.*?\])", text).group(1)) for key in ("normal", "reduce")]


class Cell(nn.Module):
    def __init__(self, ops, cpp, cp, c, reduction, reduction_prev):
        super().__init__()
        self.preprocess0 = FactorizedReduce(cpp, c) if reduction_prev else ReLUConvBN(cpp, c, 1, 1, 0)
        self.preprocess1 = ReLUConvBN(cp, c, 1, 1, 0)
        self._ops = nn.ModuleList(primitive(name, c, 2 if reduction and index < 2 else 1) for name, index in ops)
        self._indices = [index for _, index in ops]

    def forward(self, s0, s1, drop):
        states = [self.preprocess0(s0), self.preprocess1(s1)]
        for i in range(len(self._ops) // 2):
            both = []
            for op, index in zip(self._ops[2 * i:2 * i + 2], self._indices[2 * i:2 * i + 2]):
                h = op(states[index])
                if not isinstance(op, nn.Identity): h = drop(h)
                both.append(h)
            states.append(both[0] + both[1])
        return torch.cat(states[2:], dim=1)


class Darts(nn.Module):
    """NetworkCIFAR, or NetworkImageNet."""
    def __init__(self, text, imagenet, c, layers, classes, auxiliary):
        super().__init__()
        normal, reduce = cells_of(text)
        self.layers, self.imagenet, self.masks, self.keep = layers, imagenet, None, 1.0
        conv = lambda ci, co, stride: nn.Conv2d(ci, co, 3, stride=stride, padding=1, bias=False)
        if imagenet:
            self.stem0 = nn.Sequential(conv(3, c // 2, 2), nn.BatchNorm2d(c // 2), nn.ReLU(), conv(c // 2, c, 2), nn.BatchNorm2d(c))
            self.stem1 = nn.Sequential(nn.ReLU(), conv(c, c, 2), nn.BatchNorm2d(c))
            cpp, cp, rp = c, c, True
        else:
            self.stem = nn.Sequential(conv(3, 3 * c, 1), nn.BatchNorm2d(3 * c))
            cpp, cp, rp = 3 * c, 3 * c, False
        self.cells = nn.ModuleList()
        for i in range(layers):
            reduction = i in (layers // 3, 2 * layers // 3)
            if reduction: c *= 2
            self.cells.append(Cell(reduce if reduction else normal, cpp, cp, c, reduction, rp))
            cpp, cp, rp = cp, 4 * c, reduction
            if i == 2 * layers // 3: aux_channels = cp
        if auxiliary:
            self.auxiliary_head = nn.Module()
            tail = [] if imagenet else [nn.BatchNorm2d(768)]
            self.auxiliary_head.features = nn.Sequential(
                nn.ReLU(), nn.AvgPool2d(5, stride=2 if imagenet else 3, padding=0, count_include_pad=False),
                nn.Conv2d(aux_channels, 128, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU(),
                nn.Conv2d(128, 768, 2, bias=False), *tail, nn.ReLU())
            self.auxiliary_head.classifier = nn.Linear(768, classes)
        self.classifier = nn.Linear(cp, classes)

    def forward(self, x):
        index = iter(range(10 ** 6))
        def drop(h):
            i = next(index)
            if not self.training or self.masks is None: return h
            return h / self.keep * self.masks[i].to(h).view(-1, 1, 1, 1)
        if self.imagenet:
            s0 = self.stem0(x); s1 = self.stem1(s0)
        else:
            s0 = s1 = self.stem(x)
        aux = None
        for i, cell in enumerate(self.cells):
            s0, s1 = s1, cell(s0, s1, drop)
            if i == 2 * self.layers // 3 and self.training and hasattr(self, "auxiliary_head"):
                aux = self.auxiliary_head.classifier(self.auxiliary_head.features(s1).flatten(1))
        self.drops = next(index)
        return self.classifier(s1.mean((2, 3))), aux


class Block(nn.Module):
    def __init__(self, ci, co):
        super().__init__()
        self.conv_a, self.conv_b = ReLUConvBN(ci, co, 3, 2, 1), ReLUConvBN(co, co, 3, 1, 1)
        self.downsample = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(ci, co, 1, bias=False))

    def forward(self, x):
        return self.downsample(x) + self.conv_b(self.conv_a(x))


class InferCell(nn.Module):
    def __init__(self, text, c):
        super().__init__()
        self.nodes = [[(p.split("~")[0], int(p.split("~")[1])) for p in node.strip("|").split("|")] for node in text.split("+")]
        self.layers = nn.ModuleList(primitive(op, c, 1) for node in self.nodes for op, _ in node)

    def forward(self, x):
        states, layers = [x], iter(self.layers)
        for node in self.nodes: states.append(sum(next(layers)(states[j]) for _, j in node))
        return states[-1]


class Tiny(nn.Module):
    def __init__(self, text, c, n, classes):
        super().__init__()
        self.masks, self.keep, self.drops = None, 1.0, 0
        self.stem = nn.Sequential(nn.Conv2d(3, c, 3, padding=1, bias=False), nn.BatchNorm2d(c))
        self.cells = nn.ModuleList()
        for stage in range(3):
            if stage: self.cells.append(Block(c, 2 * c)); c *= 2
            self.cells.extend(InferCell(text, c) for _ in range(n))
        self.lastact = nn.Sequential(nn.BatchNorm2d(c), nn.ReLU())
        self.classifier = nn.Linear(c, classes)

    def forward(self, x):
        x = self.stem(x)
        for cell in self.cells: x = cell(x)
        return self.classifier(self.lastact(x).mean((2, 3))), None


def make(family, text, channels, cells, classes, auxiliary):
    if family == "nas-bench-201": return Tiny(text, channels, cells, classes)
    return Darts(text, family == "imagenet", channels, cells, classes, auxiliary)


def loss_of(logits, aux, y, weight, smoothing):
    loss = F.cross_entropy(logits, y, label_smoothing=smoothing)
    return loss if aux is None else loss + weight * F.cross_entropy(aux, y, label_smoothing=smoothing)
