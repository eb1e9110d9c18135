#!/usr/bin/env python3
"""Gives one network's weights and one batch to the engine and to PyTorch and compares what comes out.

  agreement_test.py ENGINE_PEER [CASE...]

Per case: logits in evaluation mode, logits, loss and gradients in training mode, all in PyTorch's f32, and all tensors and moving
averages after a few optimizer steps, which PyTorch takes in f64.
Logits' deviations are taken as they are, gradients' in shares of the tensor's largest gradient, those of tensors after steps in
shares of the tensor's largest change. A tensor whose largest value is less than FLOOR of the network's counts as that large: what
comes before a normalisation has a gradient of zero, and only rounding is left of it. In bf16, gradients and changes are compared as one
vector each: the norm of the deviation in shares of the norm. Exit status 77 where there is no PyTorch, 1
where a bound is exceeded.
"""

import json
import os
import sys
import tempfile

try:
    import numpy
    import torch
except ImportError as missing:
    print("SKIP: %s has no PyTorch (%s); Debian: apt-get install python3-torch" % (sys.executable, missing))
    sys.exit(77)

import efficientnet
import exchange
import optimizers
import programs

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS = 2
FLOOR = 1e-3
BOUNDS = {
    "f32": {"eval logits": 1e-4, "train logits": 1e-3, "gradients": 1e-3, "steps": 1e-2},
    "bf16": {"eval logits": 5e-2, "train logits": 1.5e-1, "gradients": 1e-1, "steps": 1e-1},
}

RECIPES = {
    "sgd": {"optimizer": "sgd", "learning_rate": 0.005, "momentum": 0.9, "weight_decay": 5e-4},
    "rmsprop": {"optimizer": "rmsprop", "learning_rate": 0.0005, "momentum": 0.9, "decay": 0.9, "epsilon": 1e-3,
                "weight_decay": 1e-5},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.001, "momentum": 0.9, "decay": 0.99, "epsilon": 1e-3,
              "weight_decay": 0.05, "clip_norm": 0.5, "ema_decay": 0.999},
    "micro": {"optimizer": "sgd", "learning_rate": 0.005, "momentum": 0.9, "weight_decay": 5e-4, "micro_batches": 2,
              "ema_decay": 0.05},
    "bf16": {"optimizer": "sgd", "learning_rate": 0.005, "momentum": 0.9, "weight_decay": 5e-4, "precision": "bf16"},
}

# name: network, pixels, channels, classes, batch, recipe, backend
CASES = {
    "reference-onednn": ("archscout-reference", 32, 3, 10, 32, "sgd", "onednn"),
    "reference-rmsprop-onednn": ("archscout-reference", 32, 3, 10, 32, "rmsprop", "onednn"),
    "reference-adamw-onednn": ("archscout-reference", 32, 3, 10, 32, "adamw", "onednn"),
    "reference-micro-onednn": ("archscout-reference", 32, 3, 10, 64, "micro", "onednn"),
    "reference-bf16": ("archscout-reference", 32, 3, 10, 32, "bf16", "onednn"),
    "reference-adamw-plain": ("archscout-reference", 16, 3, 10, 8, "adamw", "reference"),
    "reference-plain": ("archscout-reference", 16, 3, 10, 8, "rmsprop", "reference"),
    "v2-b0-onednn": ("efficientnetv2-b0-small-images", 32, 3, 10, 12, "sgd", "onednn"),
    "b0-onednn": ("efficientnet-b0", 64, 3, 100, 8, "sgd", "onednn"),
    "odd-onednn": ("odd", 37, 1, 7, 24, "sgd", "onednn"),
    "odd-plain": ("odd", 37, 1, 7, 24, "sgd", "reference"),
}


def make_network(case, recipe):
    """A network whose statistics and BN parameters are not the initial ones, and a batch for it."""
    name, size, channels, classes, batch = case[:5]
    torch.manual_seed(7)
    with open(os.path.join(HERE, "networks.json")) as file:
        architecture = json.load(file)[name]
    network = efficientnet.Network(architecture, channels, classes, recipe["bn_momentum"])
    with torch.no_grad():
        for key, value in network.named_parameters():
            if not key.endswith("weight"):
                value.add_(torch.randn_like(value), alpha=0.1)
        norms = [module for module in network.modules() if isinstance(module, efficientnet.Norm)]
        for norm in norms:
            norm.momentum = 0.6
        for _ in range(5):
            network(torch.randn(batch, size, size, channels))
        for norm in norms:
            norm.momentum = recipe["bn_momentum"]
    labels, partners = torch.randint(classes, (2, batch))
    batch = {"images": torch.randn(batch, size, size, channels), "labels": labels, "partners": partners,
             "shares": 0.5 + 0.5 * torch.rand(batch)}
    return architecture, network, batch


def tensors_of(network, prefix=""):
    return {prefix + key: value.detach().numpy().copy() for key, value in network.state_dict().items()}


def accumulate(network, batch, recipe):
    """Gradients of the mean loss over the batch, which passes in the recipe's parts; logits and the sum of the losses."""
    count, classes = len(batch["labels"]), network.fc.bias.numel()
    targets = efficientnet.soft_targets(batch["labels"], batch["partners"], batch["shares"], classes, recipe["label_smoothing"])
    network.zero_grad()
    all_logits, loss = [], 0.0
    for part in torch.arange(count).chunk(recipe.get("micro_batches", 1)):
        logits = network(batch["images"][part])
        losses = efficientnet.cross_entropy(logits, targets[part])
        (losses.sum() / count).backward()
        all_logits.append(logits.detach())
        loss += float(losses.detach().sum())
    return torch.cat(all_logits).numpy(), loss


def run_torch(network, batch, recipe):
    result = {}
    network.eval()
    with torch.no_grad():
        result["eval.logits"] = network(batch["images"]).numpy()
    network.train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    result["train.logits"], loss = accumulate(network, batch, recipe)
    result["train.loss"] = numpy.array([loss], dtype="f4")
    for key, value in network.named_parameters():
        result["grad:" + key] = value.grad.numpy().copy()
    network.load_state_dict(before)
    # Steps amplify rounding, PyTorch's more than the engine's: they are taken in double precision.
    network.double()
    batch = {key: value.double() if value.is_floating_point() else value for key, value in batch.items()}
    optimizer = optimizers.make(recipe, efficientnet.parameter_groups(network, recipe["weight_decay"]))
    average = optimizers.Average(network, recipe.get("ema_decay", 0))
    step_losses = []
    for _ in range(STEPS):
        step_losses.append(accumulate(network, batch, recipe)[1])
        if recipe.get("clip_norm", 0) > 0:
            torch.nn.utils.clip_grad_norm_(network.parameters(), recipe["clip_norm"])
        optimizer.step()
        average.update(network)
    result["step.loss"] = numpy.array(step_losses, dtype="f4")
    result.update(tensors_of(network))
    if recipe.get("ema_decay", 0) > 0:
        result.update({"ema:" + key: value.numpy() for key, value in average.values.items()})
    return result


def run_engine(program, job, tensors):
    """What the engine computed, and in which precision."""
    with tempfile.TemporaryDirectory() as folder:
        job = dict(job, input=folder + "/in.safetensors", output=folder + "/out.safetensors")
        exchange.save(job["input"], tensors)
        said = programs.run(program, job)[-1]
        return exchange.load(job["output"]), said["precision"]


def kind_of(name):
    if name.endswith(".logits"):
        return name.replace(".", " ")
    return "gradients" if name.startswith("grad:") or name == "train.loss" else "steps"


def worst_share(engine, peer, changes, names):
    """The largest deviation of one tensor, and which."""
    sizes = {name: numpy.abs(changes[name]).max() for name in names}
    floor = FLOOR * max(size for name, size in sizes.items() if not name.endswith(".loss"))
    shares = {}
    for name in names:
        far = float(numpy.abs(engine[name].astype("f8") - peer[name]).max())
        shares[name] = far if name.endswith(".logits") else far / max(sizes[name], floor)
    return max((share if share == share else float("inf"), name) for name, share in shares.items())


def whole_share(engine, peer, changes, names):
    """The norm of all deviations in shares of the norm of all changes."""
    names = [name for name in names if not name.endswith(".loss")]
    far = sum(float(((engine[name].astype("f8") - peer[name]) ** 2).sum()) for name in names)
    whole = sum(float((changes[name].astype("f8") ** 2).sum()) for name in names)
    return (far / whole) ** 0.5, "all"


def deviations(engine, peer, initial, precision):
    """The deviation of each kind, and where it is."""
    assert set(engine) == set(peer), set(engine) ^ set(peer)
    for name in peer:
        assert engine[name].shape == peer[name].shape, (name, engine[name].shape, peer[name].shape)
    changes = {name: value - initial.get(name.replace("ema:", ""), 0) for name, value in peer.items()}
    result = {}
    for kind in BOUNDS[precision]:
        names = [name for name in peer if kind_of(name) == kind]
        share = whole_share if precision == "bf16" and not kind.endswith("logits") else worst_share
        result[kind] = share(engine, peer, changes, names)
    return result


def run_case(program, name):
    case = CASES[name]
    _, size, channels, classes, batch_images, recipe_name, backend = case
    recipe = {"momentum": 0.9, "decay": 0.9, "epsilon": 1e-3, "label_smoothing": 0.1, "batch": batch_images, "image_size": size,
              "bn_momentum": 0.9, "warmup_epochs": 0, "flip": False, "shift": 0}
    recipe.update(RECIPES[recipe_name])
    architecture, network, batch = make_network(case, recipe)
    initial = tensors_of(network)
    inputs = dict(initial)
    for key, value in batch.items():
        inputs[key] = value.numpy() if value.is_floating_point() else value.numpy().astype("u4")
    if case[0] != "odd":  # the engine builds its own preset, so that a difference to networks.json is found
        architecture = {"preset": case[0]}
    job = {"backend": backend, "architecture": architecture, "recipe": recipe, "image_size": size,
           "image_channels": channels, "classes": classes, "steps": STEPS}
    wanted = recipe.get("precision", "f32")
    engine, precision = run_engine(program, job, inputs)
    if precision != wanted:
        print("SKIP of %s: the engine has no %s here" % (name, wanted))
        return True
    worst = deviations(engine, run_torch(network, batch, recipe), initial, precision)
    bad = [kind for kind, bound in BOUNDS[precision].items() if not worst[kind][0] <= bound]
    print("| %s | %d | %d | %s | %s | %s |%s"
          % (case[0], size, batch_images, recipe_name, backend, " | ".join("%.1e" % far for far, _ in worst.values()),
             "".join(" FAILED: %s of %s" % (kind, worst[kind][1]) for kind in bad)), flush=True)
    return not bad


def main():
    torch.set_num_threads(1)
    names = sys.argv[2:] or list(CASES)
    print("PyTorch %s" % torch.__version__)
    for precision, bounds in BOUNDS.items():
        print("bounds, %s: %s" % (precision, ", ".join("%s %g" % bound for bound in bounds.items())))
    print("\n| network | pixels | batch | recipe | backend | %s |" % " | ".join(BOUNDS["f32"]))
    print("|---" * (5 + len(BOUNDS["f32"])) + "|")
    results = [run_case(sys.argv[1], name) for name in names]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
