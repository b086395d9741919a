"""Records what PyTorch computes for every op of the table, at stride 1 and 2 (an op that only halves: at 2).

For each op and stride: an input, its weights, the output, and the gradients of sum(probe * output) with respect to
input and weights. Run as `python tests/primitives/record.py`; it writes primitives.safetensors beside itself.
Ops as in quark0/darts and D-X-Y/AutoDL-Projects, written out here; batch norms without affine part, in training mode.
"""
import pathlib
import torch
from torch import nn
from torch.nn import functional as F
from safetensors.torch import save_file

C = 4


class Skip(nn.Module):
    """Factorised reduction: two 1x1 convolutions of stride 2, the second one pixel off."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(C, C // 2, 1, stride=2, bias=False) for _ in range(2)])

    def forward(self, x):
        x = F.relu(x)
        off = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        return norm(torch.cat([self.convs[0](x), self.convs[1](off)], 1))


def norm(x):
    return F.batch_norm(x, None, None, training=True)


class Named(nn.Module):
    """ReLU, convolutions named op.1, op.2, ..., batch norm."""

    def __init__(self, *convs):
        super().__init__()
        self.op = nn.ModuleDict({str(i + 1): conv for i, conv in enumerate(convs)})

    def forward(self, x):
        x = F.relu(x)
        for conv in self.op.values():
            x = conv(x)
        return norm(x)


class Twice(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.op_a, self.op_b = a, b

    def forward(self, x):
        return self.op_b(self.op_a(x))


class Bottleneck(nn.Module):
    """AmoebaNet's: a quarter of the channels in the middle. Of eight, for behind one channel a norm leaves no gradient."""

    C = 8

    def __init__(self, k, stride):
        super().__init__()
        c = self.C
        self.op_a = Named(nn.Conv2d(c, c // 4, 1, bias=False))
        self.op_b = Named(nn.Conv2d(c // 4, c // 4, k, stride=stride, padding=k // 2, bias=False))
        self.op_c = Named(nn.Conv2d(c // 4, c, 1, bias=False))

    def forward(self, x):
        return self.op_c(self.op_b(self.op_a(x)))


def full(h, w, stride):
    return nn.Conv2d(C, C, (h, w), stride=stride, padding=(h // 2, w // 2), bias=False)


def separable(k, stride, dilation):
    pad = dilation * (k // 2)
    depthwise = nn.Conv2d(C, C, k, stride=stride, padding=pad, dilation=dilation, groups=C, bias=False)
    return Named(depthwise, full(1, 1, 1))


OPS = {
    "skip_connect": lambda s: nn.Identity() if s == 1 else Skip(),
    "nor_conv_1x1": lambda s: Named(full(1, 1, s)),
    "nor_conv_3x3": lambda s: Named(full(3, 3, s)),
    "nor_conv_7x7": lambda s: Named(full(7, 7, s)),
    "conv_7x1_1x7": lambda s: Named(full(1, 7, (1, s)), full(7, 1, (s, 1))),
    "sep_conv_3x3": lambda s: Twice(separable(3, s, 1), separable(3, 1, 1)),
    "sep_conv_5x5": lambda s: Twice(separable(5, s, 1), separable(5, 1, 1)),
    "sep_conv_7x7": lambda s: Twice(separable(7, s, 1), separable(7, 1, 1)),
    "dil_conv_3x3": lambda s: separable(3, s, 2),
    "dil_conv_5x5": lambda s: separable(5, s, 2),
    "avg_pool_3x3": lambda s: nn.AvgPool2d(3, stride=s, padding=1, count_include_pad=False),
    "max_pool_3x3": lambda s: nn.MaxPool2d(3, stride=s, padding=1),
    "conv_3x1_1x3": lambda s: Named(full(1, 3, (1, s)), full(3, 1, (s, 1))),
    "bottleneck_3x3": lambda s: Bottleneck(3, s),
    "max_pool_2x2": lambda s: nn.MaxPool2d(2, stride=s),
}
HALVES = ["max_pool_2x2"]

torch.manual_seed(20)
recorded = {}
for name, make in OPS.items():
    for stride in (2,) if name in HALVES else (1, 2):
        op = make(stride).double()
        x = torch.randn(2, getattr(op, "C", C), 7, 6, dtype=torch.float64).float().double().requires_grad_()
        for p in op.parameters():
            p.data = p.data.float().double()
        y = op(x)
        probe = torch.randn_like(y).float().double()
        (probe * y).sum().backward()
        at = lambda key: f"{name}/{stride}/{key}"
        recorded |= {at("x"): x.data, at("probe"): probe, at("y"): y.data, at("dx"): x.grad}
        for key, p in op.named_parameters():
            recorded |= {at(f"weight/{key}"): p.data, at(f"gradient/{key}"): p.grad}
recorded = {key: value.float().contiguous() for key, value in recorded.items()}
save_file(recorded, pathlib.Path(__file__).parent / "primitives.safetensors")
print(len(recorded), "tensors")
