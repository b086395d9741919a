#!/usr/bin/env python3
"""peer_train.py: a training step of an evaluation network in PyTorch, as `isdarts-host bench train` takes it: forward with
drop path and auxiliary head, loss, backward, clip, Nesterov SGD, on one random batch. One JSON line.

The networks are those of tests/golden_eval/networks.py. Needs torch.
"""
import argparse, json, os, resource, sys, time
import torch, torch.nn as nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/golden_eval"))
import networks

V2 = ("Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), "
      "('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), "
      "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), "
      "('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--genotype", default=V2)
    p.add_argument("--network", default="cifar")
    p.add_argument("-c", "--channels", type=int, default=36)
    p.add_argument("-n", "--cells", type=int, default=20)
    p.add_argument("-b", "--batch", type=int, default=96)
    p.add_argument("--size", type=int, default=32)
    p.add_argument("--classes", type=int, default=10)
    p.add_argument("--steps", type=int, default=3)
    p.add_argument("--threads", type=int, default=0)
    args = p.parse_args()
    if args.threads: torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    auxiliary = args.network == "cifar" and 32 <= args.size <= 40 or args.network == "imagenet" and 193 <= args.size <= 256
    net = networks.make(args.network, args.genotype, args.channels, args.cells, args.classes, auxiliary)
    opt = torch.optim.SGD(net.parameters(), 0.025, 0.9, weight_decay=3e-4, nesterov=True)
    x = torch.randn(args.batch, 3, args.size, args.size)
    y = torch.randint(0, args.classes, (args.batch,))
    if args.network == "cifar":
        net.keep, net.masks = 0.8, [(torch.rand(args.batch) < 0.8).float() for _ in range(1000)]

    def step():
        opt.zero_grad()
        loss = networks.loss_of(*net(x), y, 0.4, 0.0)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()

    step()
    times = []
    for _ in range(args.steps):
        t = time.perf_counter(); step(); times.append(1e3 * (time.perf_counter() - t))
    times.sort()
    counted = sum(v.numel() for k, v in net.named_parameters() if not k.startswith("auxiliary"))
    print(json.dumps(dict(peer="torch " + torch.__version__, network=args.network, channels=args.channels, cells=args.cells,
                          parameters=counted, batch=args.batch, size=args.size, threads=torch.get_num_threads(),
                          step_ms=round(times[len(times) // 2], 2), step_min_ms=round(times[0], 2),
                          peak_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10))))


if __name__ == "__main__":
    main()
