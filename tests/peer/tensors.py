"""What tests/scripts/tensors.rhai must come to: values, and gradients of a weighted sum, by PyTorch in f64."""
import json
import torch

torch.set_default_dtype(torch.float64)
x = torch.tensor([[0.5, -1.25, 2.0], [0.0, 1.5, -0.75]], requires_grad=True)
y = torch.tensor([[0.5, 1.0, -2.0], [0.25, 1.5, 3.0]], requires_grad=True)
p = torch.tensor([[0.3, 2.5, 11.0], [1.0, 0.05, 4.0]], requires_grad=True)


def segments(t, of):
    out = torch.empty_like(t)
    for s in set(of):
        rows = [i for i, o in enumerate(of) if o == s]
        out = out.index_put((torch.tensor(rows),), torch.softmax(t[rows], 0))
    return out


cases = {
    "abs": x.abs(), "relu": x.relu(), "tanh": x.tanh(), "elu": torch.nn.functional.elu(x), "sign": x.sign() + x,
    "larger": torch.max(x, y), "smaller": torch.min(x, y), "chosen": torch.where(x > y, x * 2, y * y),
    "numbers": torch.where(x <= 0, 1.0, x), "matmul": x @ y.T, "concat": torch.cat([x, y * 2]), "beside": torch.cat([x, y], 1),
    "stack": torch.stack([x, y], 1), "reshape": x.reshape(3, 2), "rows": x[[1, 1, 0]], "at": x[1] + x[0],
    "sort": x.sort(-1).values, "topk": y.topk(2).values, "std": x.std() + y.std(1, keepdim=True),
    "lgamma": p.lgamma(), "digamma": p.digamma(), "segments": segments(torch.cat([x, y]), [0, 1, 0, 1]), "like": x * 1,
}
want = {}
for name, value in cases.items():
    weights = 0.3 + 0.7 * torch.arange(value.numel())
    gradients = torch.autograd.grad((value.flatten() * weights).sum(), [x, y, p], allow_unused=True)
    want[name] = {"value": value.tolist()} | {n: g.tolist() for n, g in zip("xyp", gradients) if g is not None}
rounded = lambda v: [rounded(w) for w in v] if isinstance(v, list) else float(f"{v:.8g}")
print("#{\n" + "".join(f"    {name}: #" + json.dumps({k: rounded(v) for k, v in case.items()}).replace('"', "") + ",\n"
                       for name, case in want.items()) + "}")
