"""The engine's network family in PyTorch, from an architecture as JSON (docs/spec.md, "Spaces": stem, stages, head).

state_dict() has the names and shapes of the engine's tensors: "stem.weight", "stem.bn.scale", "blocks_3.se_r.bias", "fc.weight".
Padding is k/2 on every side, BN's epsilon 1e-3, its running variance the biased one, as in docs/engine.md.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

BN_EPSILON = 1e-3


class Norm(nn.Module):
    """Batch normalisation: running = momentum * running + (1 - momentum) * batch, with the biased variance."""

    def __init__(self, channels, momentum):
        super().__init__()
        self.momentum = momentum
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x):
        if not self.training:
            return F.batch_norm(x, self.mean, self.variance, self.scale, self.shift, False, 0.0, BN_EPSILON)
        # PyTorch moves a running variance towards the unbiased one: it gets zeros to move, and the result is scaled.
        share = 1.0 - self.momentum
        moved = torch.zeros_like(self.variance)
        y = F.batch_norm(x, self.mean, moved, self.scale, self.shift, True, share, BN_EPSILON)
        count = x.numel() // x.shape[1]
        with torch.no_grad():
            self.variance.mul_(self.momentum).add_(moved, alpha=(count - 1) / count)
        return y


class ConvNorm(nn.Module):
    """Convolution without bias, Norm and, where wanted, SiLU."""

    def __init__(self, in_channels, out_channels, kernel, momentum, stride=1, depthwise=False, silu=True):
        super().__init__()
        self.stride, self.padding, self.silu = stride, kernel // 2, silu
        self.groups = in_channels if depthwise else 1
        fan = kernel * kernel * (1 if depthwise else out_channels)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels // self.groups, kernel, kernel))
        with torch.no_grad():
            self.weight.mul_(math.sqrt(2.0 / fan))
        self.bn = Norm(out_channels, momentum)

    def forward(self, x):
        y = self.bn(F.conv2d(x, self.weight, None, self.stride, self.padding, 1, self.groups))
        return F.silu(y) if self.silu else y


class Dense(nn.Module):
    """1x1 convolution with bias, for squeeze-and-excitation."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 1, 1))
        with torch.no_grad():
            self.weight.mul_(math.sqrt(2.0 / out_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x):
        return F.conv2d(x, self.weight, self.bias)


class Linear(nn.Module):
    def __init__(self, in_channels, classes):
        super().__init__()
        bound = 1.0 / math.sqrt(classes)
        self.weight = nn.Parameter(torch.empty(classes, in_channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, x):
        return F.linear(x, self.weight, self.bias)


class Block(nn.Module):
    """One block of a stage; `drop` is its rate of stochastic depth, a sample, where it has a residual."""

    def __init__(self, stage, in_channels, stride, momentum):
        super().__init__()
        kernel, channels = stage["kernel"], stage["channels"]
        expansion, ratio = stage.get("expansion", 1), stage.get("se", 0)
        wide = in_channels * expansion
        self.residual = stride == 1 and in_channels == channels
        self.drop = 0.0
        fused = stage["block"] == "fused_mbconv"
        self.names = []
        if stage["block"] == "conv" or (fused and expansion == 1):
            self.add("conv", ConvNorm(in_channels, channels, kernel, momentum, stride))
            return
        if fused:
            self.add("fexp", ConvNorm(in_channels, wide, kernel, momentum, stride))
        else:
            if expansion != 1:
                self.add("exp", ConvNorm(in_channels, wide, 1, momentum))
            self.add("dw", ConvNorm(wide, wide, kernel, momentum, stride, depthwise=True))
        if ratio > 0:
            squeezed = max(1, in_channels * round(ratio * 10000) // 10000)
            self.add("se_r", Dense(wide, squeezed))
            self.add("se_e", Dense(squeezed, wide))
        self.add("proj", ConvNorm(wide, channels, 1, momentum, silu=False))

    def add(self, name, module):
        self.add_module(name, module)
        self.names.append(name)

    def inner(self, x):
        for name in self.names:
            if name == "se_e":
                continue
            if name == "se_r":
                mean = x.mean((2, 3), keepdim=True)
                x = x * torch.sigmoid(self.se_e(F.silu(self.se_r(mean))))
            else:
                x = getattr(self, name)(x)
        return x

    def forward(self, x):
        y = self.inner(x)
        if not self.residual:
            return y
        if self.training and self.drop > 0:
            kept = (torch.rand(x.shape[0], 1, 1, 1) >= self.drop).to(y.dtype) / (1.0 - self.drop)
            y = y * kept
        return x + y


class Network(nn.Module):
    """`architecture` as the product writes one: {"stem": {...}, "stages": [...], "head": {...}}."""

    def __init__(self, architecture, channels, classes, bn_momentum=0.9, dropout=0.0, stochastic_depth=0.0):
        super().__init__()
        stem = architecture["stem"]
        self.dropout = dropout
        self.stem = ConvNorm(channels, stem["channels"], stem["kernel"], bn_momentum, stem["stride"])
        self.blocks = []
        width = stem["channels"]
        for stage in architecture["stages"]:
            if stage["block"] == "identity":
                continue
            for layer in range(stage["layers"]):
                block = Block(stage, width, stage["stride"] if layer == 0 else 1, bn_momentum)
                self.add_module("blocks_%d" % len(self.blocks), block)
                self.blocks.append(block)
                width = stage["channels"]
        for i, block in enumerate(self.blocks):
            block.drop = stochastic_depth * (i + 1) / len(self.blocks)
        self.head = ConvNorm(width, architecture["head"]["channels"], 1, bn_momentum)
        self.fc = Linear(architecture["head"]["channels"], classes)

    def forward(self, images):
        """(N, H, W, C) floats, as the engine takes them, to logits (N, classes)."""
        x = self.stem(images.permute(0, 3, 1, 2))
        for block in self.blocks:
            x = block(x)
        x = self.head(x).mean((2, 3))
        if self.dropout > 0:
            x = F.dropout(x, self.dropout, self.training)
        return self.fc(x)


def parameter_groups(network, weight_decay):
    """Weights of convolutions and matrices decay, BN and biases do not."""
    named = list(network.named_parameters())
    return [
        {"params": [p for name, p in named if name.endswith(".weight")], "weight_decay": weight_decay},
        {"params": [p for name, p in named if not name.endswith(".weight")], "weight_decay": 0.0},
    ]


def soft_targets(labels, partners, shares, classes, smoothing):
    """share * onehot(label) + (1 - share) * onehot(partner), smoothed."""
    first, second = F.one_hot(labels, classes).to(shares.dtype), F.one_hot(partners, classes).to(shares.dtype)
    mixed = shares[:, None] * first + (1.0 - shares[:, None]) * second
    return mixed * (1.0 - smoothing) + smoothing / classes


def cross_entropy(logits, targets):
    """A value an image."""
    return -(targets * F.log_softmax(logits, dim=1)).sum(1)
