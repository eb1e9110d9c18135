"""The network that a task describes, in PyTorch: network(task["architecture"], task["dataset"]). For torch_trainer.py."""
import torch
from torch import nn


class Around(nn.Sequential):
    """join(x, layers(x)): a residual, or squeeze-and-excitation."""

    def __init__(self, join, *layers):
        super().__init__(*layers)
        self.join = join

    def forward(self, x):
        return self.join(x, super().forward(x))


def conv(inner, outer, kernel, stride=1, groups=1):
    return [nn.Conv2d(inner, outer, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(outer)]


def squeeze(wide, inner):
    return Around(torch.mul, nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, inner, 1), nn.SiLU(), nn.Conv2d(inner, wide, 1), nn.Sigmoid())


def block(b):
    inner, outer, kernel, stride = b["in_channels"], b["channels"], b["kernel"], b["stride"]
    wide, depthwise = inner * b["expansion"], b["block"] == "mbconv"
    if depthwise:
        layers = [*conv(inner, wide, 1), nn.SiLU()] if wide > inner else []
        layers += [*conv(wide, wide, kernel, stride, wide), nn.SiLU()]
    elif wide > inner:
        layers = [*conv(inner, wide, kernel, stride), nn.SiLU()]
    else:  # one convolution does it all
        layers = [*conv(inner, outer, kernel, stride), nn.SiLU()]
    if b["se_channels"]:
        layers.append(squeeze(wide, b["se_channels"]))
    if depthwise or wide > inner:
        layers += conv(wide, outer, 1)
    return Around(torch.add, *layers) if b["residual"] else nn.Sequential(*layers)


def network(architecture, dataset):
    stem, blocks, head = architecture["stem"], architecture["blocks"], architecture["head"]["channels"]
    last = blocks[-1]["channels"] if blocks else stem["channels"]
    return nn.Sequential(
        *conv(dataset["image_channels"], stem["channels"], stem["kernel"], stem["stride"]), nn.SiLU(),
        *map(block, blocks), *conv(last, head, 1), nn.SiLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(head, dataset["classes"]))
