"""Zero-cost proxies of small networks, computed by their authors' code: writes tests/proxies/recorded.json.

    python tests/peer/proxies.py ZERO_COST_NAS NASLIB ZICO ZENNAS
    python tests/peer/proxies.py --seconds THREADS CELL ZERO_COST_NAS NASLIB ZICO ZENNAS

The second form writes nothing: it times each in f32 on a NAS-Bench-201 cell of C = 16, N = 5, three batches of 64 images of 32x32, and prints
a line of JSON, for benches/proxies.py.

The words are checkouts of github.com/mohsaied/zero-cost-nas (ca61347), automl/NASLib (0b51bc18), SLDGroup/ZiCo (b0fec65) and
idstcv/ZenNAS (d1d617e); nothing of them is kept here. The networks are those of tests/golden_eval/networks.py. Weights and images
follow from names by a hash that src/search/proxy/tests.rs computes too, so that none are stored. All in f64.
"""
import copy, functools, importlib.util, json, os, random, sys, time, types, warnings, zlib
import numpy as np
import torch, torch.nn as nn, torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
SIZE, IMAGES, CHANNELS = 16, 8, 4
warnings.filterwarnings("ignore")
torch.set_num_threads(1)


def uniform(name, n):
    """n numbers in [0, 1): splitmix64 from the CRC of a name, 24 bits of each."""
    z = np.uint64(zlib.crc32(name.encode())) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(40)).astype(np.float64) / 2.0 ** 24


def wide(name, shape):
    return torch.from_numpy(((2 * uniform(name, int(np.prod(shape))) - 1) * 1.7).astype(np.float32)).view(shape).double()


def weight(name, shape):
    n = int(np.prod(shape))
    u = uniform(name, n)
    if name.endswith("running_mean"): u = np.zeros(n)
    elif name.endswith("running_var"): u = np.ones(n)
    elif len(shape) > 1: u = (2 * u - 1) / np.sqrt(n / shape[0])
    elif name.endswith("weight"): u = 0.5 + u
    else: u = u - 0.5
    return torch.from_numpy(u.astype(np.float32)).view(shape).double()


def load(path, name, **stubs):
    """A module from a file; modules that it names and does not need here are empty."""
    for stub in stubs: sys.modules.setdefault(stub, types.ModuleType(stub))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def networks():
    draw = random.Random(7)
    ops = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    fixed = [
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
        "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",  # a convolution that leads nowhere
        "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|avg_pool_3x3~0|skip_connect~1|none~2|",  # no weights in the cell
    ]
    def cell():
        edge = lambda i: f"{draw.choice(ops)}~{i}|"
        return "+".join("|" + "".join(edge(i) for i in range(n)) for n in (1, 2, 3))
    def has_path(text):
        inputs = [[p.split("~") for p in node.strip("|").split("|")] for node in text.split("+")]
        reached = [True]
        for node in inputs: reached.append(any(op != "none" and reached[int(i)] for op, i in node))
        return reached[-1]
    drawn = [text for text in (cell() for _ in range(40)) if has_path(text)]
    texts = fixed + drawn[:7]
    ops = ["skip_connect", "max_pool_3x3", "avg_pool_3x3", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"]
    def genotype():
        pairs = lambda: [(draw.choice(ops), i) for n in range(2, 6) for i in draw.sample(range(n), 2)]
        return f"Genotype(normal={pairs()}, normal_concat=range(2, 6), reduce={pairs()}, reduce_concat=range(2, 6))"
    return [("nas-bench-201", text, 1) for text in texts] + [("cifar", genotype(), 3) for _ in range(5)]


class Plain(nn.Module):
    """A network as the authors' code wants it: logits alone, and features before the pool."""
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        out = self.net(x)
        return out[0] if isinstance(out, tuple) else out

    def forward_pre_GAP(self, x):
        seen = []
        mean = torch.Tensor.mean
        def watch(self, *args, **named):
            if args == ((2, 3),): seen.append(self)
            return mean(self, *args, **named)
        torch.Tensor.mean = watch
        try: self(x)
        finally: torch.Tensor.mean = mean
        assert len(seen) == 1
        return seen[0]


def authors(zero_cost, naslib, zico, zennas):
    """The networks, and for each proxy `f(net, batches)` of the authors' code, on the CPU."""
    # A name with "naslib" in it: NASLib's nwot counts what is called ReLU, but not classes of its own.
    nets = load(os.path.join(HERE, "../golden_eval/networks.py"), "naslib_networks")
    sys.path.insert(0, zero_cost)
    from foresight.pruners import measures, predictive
    package = types.ModuleType("naslib_measures")
    package.measure = lambda *_, **__: lambda f: f
    package.__path__ = []
    sys.modules["naslib_measures"] = package
    nwot = load(os.path.join(naslib, "naslib/predictors/utils/pruners/measures/nwot.py"), "naslib_measures.nwot")
    stubs = dict(global_utils=None, ModelLoader=None)
    zico = load(os.path.join(zico, "ZeroShotProxy/compute_zico.py"), "compute_zico", **stubs)
    zen = load(os.path.join(zennas, "ZeroShotProxy/compute_zen_score.py"), "compute_zen", **stubs)
    nn.Module.cuda = lambda self, *_: self
    torch.Tensor.cuda = lambda self, *_: self
    def pruner(name, net, batches):
        net.get_prunable_copy = types.MethodType(predictive.copynet, net)
        x, y = batches[0]
        found = measures.calc_measure(name, net, torch.device("cpu"), x.clone(), y, loss_fn=F.cross_entropy, split_data=1)
        return float(np.real(found)) if name == "jacob_cov" else sum(float(torch.sum(f)) for f in found)
    proxies = {name: functools.partial(pruner, name) for name in ("grad_norm", "snip", "grasp", "fisher", "synflow", "jacob_cov")}
    proxies["naswot"] = lambda net, batches: float(nwot.compute_nwot(copy.deepcopy(net), *batches[0]))
    proxies["zico"] = lambda net, batches: float(zico.getzico(copy.deepcopy(net), batches, F.cross_entropy))
    def score(net, batches):
        images, _, size, _ = batches[0][0].shape
        return zen.compute_nas_score(None, net, 1e-2, size, images, 1)["avg_nas_score"]
    proxies["zen"] = score
    return nets, proxies


def main(*checkouts):
    nets, proxies = authors(*checkouts)
    batches = [(wide(f"x{b}", (IMAGES, 3, SIZE, SIZE)), torch.tensor([(7 * i + b) % 10 for i in range(IMAGES)])) for b in (0, 1)]
    x, _ = batches[0]
    cases = []
    for family, text, cells in networks():
        net = nets.make(family, text, CHANNELS, cells, 10, False)
        net = Plain(net.double()).train()
        for name, value in net.net.state_dict().items():
            if "num_batches" not in name: value.copy_(weight(name, tuple(value.shape)))
        values = {name: proxy(net, batches) for name, proxy in proxies.items() if name != "zen"}
        normal, randn = nn.init.normal_, torch.randn
        images = iter([wide("zen x", x.shape), wide("zen x'", x.shape)])
        drawn = copy.deepcopy(net)
        names = {id(p): name for name, p in drawn.net.named_parameters()}
        nn.init.normal_ = lambda p: p.data.copy_(wide(names[id(p)], tuple(p.shape)))
        torch.randn = lambda **_: next(images)
        values["zen"] = proxies["zen"](drawn, batches)
        nn.init.normal_, torch.randn = normal, randn
        cases.append(dict(network=family, genotype=text, cells=cells, values=values))
        print(text[:60], {k: f"{v:.6g}" for k, v in values.items()})
    with open(os.path.join(HERE, "../proxies/recorded.json"), "w") as file:
        json.dump(dict(size=SIZE, images=IMAGES, channels=CHANNELS, torch=torch.__version__, cases=cases), file, indent=1)


def seconds(threads, cell, *checkouts):
    torch.set_num_threads(int(threads))
    nets, proxies = authors(*checkouts)
    batches = [(torch.randn(64, 3, 32, 32), torch.randint(10, (64,))) for _ in range(3)]
    found = {}
    for name, proxy in proxies.items():
        net = Plain(nets.make("nas-bench-201", cell, 16, 5, 10, False)).train()
        begun = time.perf_counter()
        if name == "zico": proxy(net, batches)
        else: [proxy(net, [batch]) for batch in batches]
        found[name] = time.perf_counter() - begun
    print(json.dumps(found))


if __name__ == "__main__":
    seconds(*sys.argv[2:]) if sys.argv[1] == "--seconds" else main(*sys.argv[1:])
