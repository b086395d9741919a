#!/usr/bin/env python3
"""Write the cases beside this file: `python record.py` (needs torch, numpy, safetensors).

A case is one pass in training mode in f64 (drop path by given masks, auxiliary head, label smoothing), its loss and
gradients, the running statistics after it, and the logits in eval mode then. Weights and images are not stored: they are
numbers of a hash (`value`), which the test computes again. Of tensors of more than 2000 numbers every k-th is stored, and
the norm of all.
"""
import json, os
import numpy as np, torch
from safetensors.torch import save_file
import networks

V2 = ("Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), "
      "('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
      "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), "
      "('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])")
ALL = ("Genotype(normal=[('dil_conv_5x5', 1), ('sep_conv_5x5', 0), ('avg_pool_3x3', 0), ('max_pool_3x3', 2), ('none', 1), "
       "('sep_conv_3x3', 3), ('skip_connect', 1), ('dil_conv_3x3', 4)], normal_concat=range(2, 6), reduce=[('sep_conv_5x5', 0), "
       "('skip_connect', 1), ('dil_conv_5x5', 1), ('avg_pool_3x3', 0), ('dil_conv_3x3', 0), ('none', 1), ('sep_conv_3x3', 1), "
       "('skip_connect', 4)], reduce_concat=range(2, 6))")
NB = "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
CASES = {
    "cifar-v2": dict(family="cifar", genotype=V2, channels=4, cells=6, auxiliary=True, batch=4, size=32),
    "cifar-all-ops": dict(family="cifar", genotype=ALL, channels=6, cells=4, auxiliary=False, batch=3, size=16),
    "imagenet": dict(family="imagenet", genotype=V2, channels=4, cells=3, auxiliary=True, batch=2, size=224),
    "imagenet-all-ops": dict(family="imagenet", genotype=ALL, channels=4, cells=5, auxiliary=False, batch=2, size=64),
    "nas-bench-201": dict(family="nas-bench-201", genotype=NB, channels=5, cells=2, auxiliary=False, batch=4, size=16),
}


def value(salt, n):
    """n numbers in [-1, 1): the finaliser of MurmurHash3 of i + salt * 0x9e3779b9."""
    z = (np.arange(n, dtype=np.uint64) + np.uint64(salt) * np.uint64(0x9E3779B9)) & np.uint64(0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        z = ((z ^ (z >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    return ((z ^ (z >> np.uint64(16))).astype(np.float64) / 2 ** 31 - 1).astype(np.float32)


def initial(name, shape, salt):
    v = torch.from_numpy(value(salt, int(np.prod(shape)))).reshape(shape).double()
    if len(shape) > 1: return v / np.prod(shape[1:]) ** 0.5
    return 1 + 0.2 * v if name.endswith(("weight", "running_var")) else 0.1 * v


def stored(t, name, tensor):
    flat = tensor.detach().double().flatten()
    step = -(-len(flat) // 2000)
    t[name] = flat[::step].float().contiguous()
    t[name + "#norm"] = flat.norm().reshape(1)


def record(name, case):
    case |= dict(classes=7, keep=0.7, auxiliary_weight=0.4, label_smoothing=0.1)
    net = networks.make(case["family"], case["genotype"], case["channels"], case["cells"], case["classes"], case["auxiliary"]).double()
    state = {k: v for k, v in net.state_dict().items() if "num_batches" not in k}
    for salt, (k, v) in enumerate(state.items(), 1): v.copy_(initial(k, tuple(v.shape), salt))
    b, size = case["batch"], case["size"]
    x = torch.from_numpy(value(0, b * 3 * size * size)).reshape(b, 3, size, size).double()
    y = torch.arange(b) * 3 % case["classes"]
    net.eval(); net(x); drops = net.drops; net.train()
    masks = [torch.from_numpy((value(10 ** 6 + i, b) < 2 * case["keep"] - 1).astype(np.float64)) for i in range(drops)]
    net.masks, net.keep = masks, case["keep"]
    logits, aux = net(x)
    loss = networks.loss_of(logits, aux, y, case["auxiliary_weight"], case["label_smoothing"])
    loss.backward()
    t = {"logits": logits.detach(), "loss": loss.detach().reshape(1)}
    if aux is not None: t["auxiliary"] = aux.detach()
    for k, p in net.named_parameters():
        # An op whose every path was dropped, or that reads zeros, still has a gradient: zero.
        stored(t, "grad." + k, p.grad if p.grad is not None else torch.zeros_like(p))
    for k, v in net.state_dict().items():
        if "running" in k: stored(t, "after." + k, v)
    net.eval()
    t["eval.logits"] = net(x)[0].detach()
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    os.makedirs(folder, exist_ok=True)
    save_file({k: v.contiguous().clone() for k, v in t.items()}, os.path.join(folder, "tensors.safetensors"))
    case |= dict(drops=drops, parameters=[[k, list(v.shape)] for k, v in state.items()], torch=torch.__version__)
    json.dump(case, open(os.path.join(folder, "case.json"), "w"), indent=None, separators=(",", ":"))
    print(name, "loss", loss.item(), "weights", sum(p.numel() for p in net.parameters()), "drops", drops)


if __name__ == "__main__":
    for name, case in CASES.items(): record(name, dict(case))
