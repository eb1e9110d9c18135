"""Optimizers and schedules as the product's recipes define them (search/recipe.h), for PyTorch."""

import math

import torch


class TensorFlowRMSProp(torch.optim.Optimizer):
    """RMSProp as TensorFlow has it: epsilon inside the root, mean square from 1, the rate inside the momentum."""

    def __init__(self, groups, lr, decay, momentum, epsilon):
        super().__init__(groups, {"lr": lr, "decay": decay, "momentum": momentum, "epsilon": epsilon, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["square"], state["velocity"] = torch.ones_like(p), torch.zeros_like(p)
                gradient = p.grad.add(p, alpha=group["weight_decay"])
                state["square"].mul_(group["decay"]).addcmul_(gradient, gradient, value=1.0 - group["decay"])
                root = state["square"].add(group["epsilon"]).sqrt_()
                state["velocity"].mul_(group["momentum"]).addcdiv_(gradient, root, value=group["lr"])
                p.sub_(state["velocity"])


class Average:
    """Moving average of weights and statistics: after step t (from 0) by min(decay, (1 + t) / (10 + t))."""

    def __init__(self, network, decay):
        self.decay, self.steps = decay, 0
        self.values = {key: value.detach().clone() for key, value in network.state_dict().items()}

    def update(self, network):
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        for key, value in network.state_dict().items():
            self.values[key].mul_(decay).add_(value.detach(), alpha=1 - decay)


def make(recipe, groups):
    if recipe["optimizer"] == "sgd":
        return torch.optim.SGD(groups, lr=recipe["learning_rate"], momentum=recipe["momentum"], nesterov=True)
    if recipe["optimizer"] == "adamw":
        betas = (recipe["momentum"], recipe["decay"])
        return torch.optim.AdamW(groups, lr=recipe["learning_rate"], betas=betas, eps=recipe["epsilon"])
    return TensorFlowRMSProp(groups, recipe["learning_rate"], recipe["decay"], recipe["momentum"], recipe["epsilon"])


def set_rate(optimizer, rate):
    for group in optimizer.param_groups:
        group["lr"] = rate


def learning_rate(recipe, step, steps_total, steps_per_epoch):
    """recipe_learning_rate of search/recipe.h."""
    peak = recipe["learning_rate"]
    warmup = recipe["warmup_epochs"] * steps_per_epoch
    if step + 1 <= warmup:
        return peak * (step + 1) / warmup
    schedule = recipe.get("schedule", "cosine")
    if schedule == "constant":
        return peak
    if schedule == "staircase":
        return peak * recipe["staircase_factor"] ** math.floor(step / (recipe["staircase_epochs"] * steps_per_epoch))
    if steps_total <= warmup:
        return peak
    return peak * 0.5 * (1 + math.cos(math.pi * max(0.0, step - warmup) / (steps_total - warmup)))
