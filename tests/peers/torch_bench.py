#!/usr/bin/env python3
"""Images a second that PyTorch trains the benchmark's networks at: one line a setting, on resident random images.

usage: torch_bench.py [--network NAME] [--size N] [--batch N] [--seconds S] [--threads N] [--precision f32|bf16]
                      [--format nchw|channels_last] [--flush-denormal] [--compile] [--count]

NAME: archscout-reference, efficientnetv2-b0, efficientnetv2-s, efficientnet-b0 (search/preset.c, ten classes). Steps of SGD with Nesterov momentum
for S seconds after two that do not count. bf16 is torch.autocast. --count prints parameters instead, to compare networks.
"""
import argparse
import time

import torch
from torch import nn
from torch.nn import functional

# kind, layers, kernel, stride, expansion, channels; stem stride, stem channels, head channels
NETWORKS = {
    "archscout-reference": (1, 16, 256, [("fused", 1, 3, 1, 1, 16), ("fused", 2, 3, 2, 4, 32), ("mb", 2, 3, 2, 4, 48),
                                         ("mb", 2, 5, 2, 6, 96)]),
    "efficientnetv2-b0": (2, 32, 1280, [("fused", 1, 3, 1, 1, 16), ("fused", 2, 3, 2, 4, 32), ("fused", 2, 3, 2, 4, 48),
                                        ("mb", 3, 3, 2, 4, 96), ("mb", 5, 3, 1, 6, 112), ("mb", 8, 3, 2, 6, 192)]),
    "efficientnet-b0": (2, 32, 1280, [("mb", 1, 3, 1, 1, 16), ("mb", 2, 3, 2, 6, 24), ("mb", 2, 5, 2, 6, 40),
                                      ("mb", 3, 3, 2, 6, 80), ("mb", 3, 5, 1, 6, 112), ("mb", 4, 5, 2, 6, 192),
                                      ("mb", 1, 3, 1, 6, 320)]),
    "efficientnetv2-s": (2, 24, 1280, [("fused", 2, 3, 1, 1, 24), ("fused", 4, 3, 2, 4, 48), ("fused", 4, 3, 2, 4, 64),
                                       ("mb", 6, 3, 2, 4, 128), ("mb", 9, 3, 1, 6, 160), ("mb", 15, 3, 2, 6, 256)]),
}
CLASSES = 10


def convolution(inputs, outputs, kernel, stride, groups=1, activation=True):
    parts = [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
             nn.BatchNorm2d(outputs, eps=1e-3)]
    return nn.Sequential(*parts, *([nn.SiLU(inplace=True)] if activation else []))


class Squeeze(nn.Module):
    def __init__(self, channels, reduced):
        super().__init__()
        self.reduce = nn.Conv2d(channels, reduced, 1)
        self.expand = nn.Conv2d(reduced, channels, 1)

    def forward(self, x):
        gate = self.expand(functional.silu(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class Block(nn.Module):
    def __init__(self, kind, inputs, outputs, kernel, stride, expansion):
        super().__init__()
        wide = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        if kind == "fused" and expansion == 1:
            parts = [convolution(inputs, outputs, kernel, stride)]
        elif kind == "fused":
            parts = [convolution(inputs, wide, kernel, stride), convolution(wide, outputs, 1, 1, activation=False)]
        else:
            parts = [convolution(inputs, wide, 1, 1)] if expansion > 1 else []
            parts += [convolution(wide, wide, kernel, stride, wide), Squeeze(wide, inputs // 4),
                      convolution(wide, outputs, 1, 1, activation=False)]
        self.parts = nn.Sequential(*parts)

    def forward(self, x):
        y = self.parts(x)
        return x + y if self.residual else y


def network(name, classes=CLASSES):
    stem_stride, channels, head, stages = NETWORKS[name]
    parts = [convolution(3, channels, 3, stem_stride)]
    for kind, layers, kernel, stride, expansion, outputs in stages:
        for layer in range(layers):
            parts.append(Block(kind, channels, outputs, kernel, stride if layer == 0 else 1, expansion))
            channels = outputs
    parts += [convolution(channels, head, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(head, classes)]
    return nn.Sequential(*parts)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", default="archscout-reference", choices=NETWORKS)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--format", default="nchw", choices=["nchw", "channels_last"])
    parser.add_argument("--flush-denormal", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--count", action="store_true")
    return parser.parse_args()


def trainer(options):
    """A function that makes one step."""
    memory = torch.channels_last if options.format == "channels_last" else torch.contiguous_format
    model = network(options.network).to(memory_format=memory).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, nesterov=True, weight_decay=1e-5)
    images = torch.randn(options.batch, 3, options.size, options.size).contiguous(memory_format=memory)
    labels = torch.arange(options.batch) % CLASSES
    run = torch.compile(model) if options.compile else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.precision == "bf16"):
            loss = functional.cross_entropy(run(images), labels)
        loss.backward()
        optimizer.step()

    return step


def main():
    options = arguments()
    if options.count:
        print(sum(parameter.numel() for parameter in network(options.network).parameters()))
        return
    torch.manual_seed(1)
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.flush_denormal:
        torch.set_flush_denormal(True)
    step = trainer(options)
    for _ in range(2):
        step()
    steps = 0
    started = time.perf_counter()
    while time.perf_counter() - started < options.seconds:
        step()
        steps += 1
    print(f"{steps * options.batch / (time.perf_counter() - started):.1f}")


if __name__ == "__main__":
    main()
