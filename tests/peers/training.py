"""Trains efficientnet.Network by a recipe, as the product's trainer does: PyTorch's side of accuracy.py."""

import time

import numpy
import torch

import efficientnet
import optimizers


class Images:
    """What train_peer has dumped: images as the engine's loader makes them, those trained on first."""

    def __init__(self, folder, description):
        size, channels = description["image_size"], description["channels"]
        images = numpy.fromfile(folder + "/images", "<f4").reshape(-1, size, size, channels)
        labels = numpy.fromfile(folder + "/labels", "<u4").astype("i8")
        trained = description["train_images"]
        assert len(images) == len(labels) == trained + description["test_images"]
        self.channels, self.classes = channels, description["classes"]
        self.black = torch.tensor(description["black"], dtype=torch.float32)
        self.train, self.test = torch.from_numpy(images[:trained]), torch.from_numpy(images[trained:])
        self.train_labels, self.test_labels = torch.from_numpy(labels[:trained]), torch.from_numpy(labels[trained:])


def augment(images, black, recipe, random):
    """Flip, then shift by up to recipe["shift"] pixels each way; what is shifted in is black."""
    count, size = images.shape[:2]
    shift = recipe["shift"]
    if recipe["flip"]:
        flipped = torch.rand(count, generator=random) < 0.5
        images = torch.where(flipped[:, None, None, None], images.flip(2), images)
    if shift == 0:
        return images
    padded = black.expand(count, size + 2 * shift, size + 2 * shift, len(black)).clone()
    padded[:, shift:-shift, shift:-shift] = images
    at = torch.randint(2 * shift + 1, (2, count, 1), generator=random)
    rows, columns = torch.arange(size) + at[0], torch.arange(size) + at[1]
    return padded[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def mix(images, labels, recipe, random):
    """Mixup with the reversed batch: a share an image, drawn from Beta(alpha, alpha), never less than a half."""
    shares = torch.ones(len(labels))
    if recipe.get("mixup", 0) > 0:
        alpha = recipe["mixup"]
        draws = numpy.random.default_rng(int(torch.randint(2**31, (1,), generator=random))).beta(alpha, alpha, len(labels))
        shares = torch.from_numpy(numpy.maximum(draws, 1 - draws).astype("f4"))
        images = shares[:, None, None, None] * images + (1 - shares[:, None, None, None]) * images.flip(0)
    return images, labels.flip(0), shares


def evaluate(network, images):
    network.eval()
    correct, loss = 0, 0.0
    with torch.no_grad():
        for at in range(0, len(images.test), 250):
            labels = images.test_labels[at:at + 250]
            logits = network(images.test[at:at + 250])
            correct += int((logits.argmax(1) == labels).sum())
            loss += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
    network.train()
    return correct / len(images.test), loss / len(images.test)


class Run:
    """One training run; `seed` is of weights, order and everything else that is drawn."""

    def __init__(self, architecture, recipe, images, seed):
        torch.manual_seed(seed)
        self.random = torch.Generator().manual_seed(seed)
        self.recipe, self.images = recipe, images
        network = efficientnet.Network(architecture, images.channels, images.classes, recipe["bn_momentum"],
                                       recipe.get("dropout", 0.0), recipe.get("stochastic_depth", 0.0))
        self.network = network.to(memory_format=torch.channels_last)
        self.average = optimizers.Average(network, recipe.get("ema_decay", 0))
        self.optimizer = optimizers.make(recipe, efficientnet.parameter_groups(network, recipe["weight_decay"]))

    def step(self, chosen, rate):
        """Sum of the losses and number of right answers."""
        images, recipe = self.images, self.recipe
        labels = images.train_labels[chosen]
        pixels = augment(images.train[chosen], images.black, recipe, self.random)
        pixels, partners, shares = mix(pixels, labels, recipe, self.random)
        optimizers.set_rate(self.optimizer, rate)
        logits = self.network(pixels)
        targets = efficientnet.soft_targets(labels, partners, shares, images.classes, recipe["label_smoothing"])
        losses = efficientnet.cross_entropy(logits, targets)
        self.optimizer.zero_grad()
        losses.mean().backward()
        if recipe.get("clip_norm", 0) > 0:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe["clip_norm"])
        self.optimizer.step()
        if recipe.get("ema_decay", 0) > 0:
            self.average.update(self.network)
        return float(losses.detach().sum()), int((logits.argmax(1) == labels).sum())

    def test(self):
        if self.recipe.get("ema_decay", 0) > 0:
            self.network.load_state_dict(self.average.values)
        return evaluate(self.network, self.images)


def train(architecture, recipe, images, epochs, seed):
    """What train_peer prints at the end."""
    run = Run(architecture, recipe, images, seed)
    batch = recipe["batch"]
    steps = len(images.train) // batch
    start = time.process_time()
    for epoch in range(epochs):
        order = torch.randperm(len(images.train), generator=run.random)
        loss, correct = 0.0, 0
        for step in range(steps):
            rate = optimizers.learning_rate(recipe, epoch * steps + step, epochs * steps, steps)
            step_loss, step_correct = run.step(order[step * batch:(step + 1) * batch], rate)
            loss, correct = loss + step_loss, correct + step_correct
    train_cpu_s = time.process_time() - start
    accuracy, test_loss = run.test()
    return {"epochs": epochs, "train_loss": loss / (steps * batch), "train_accuracy": correct / (steps * batch),
            "test_loss": test_loss, "test_accuracy": accuracy, "train_cpu_s": train_cpu_s}
