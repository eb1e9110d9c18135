#!/usr/bin/env python3
"""Trains the same network by the same recipe on the same images with the engine and with PyTorch, some seeds each, and compares
accuracy on the test split.

  accuracy.py --train-peer PROGRAM --data DIR --dataset NAME --recipe NAME [--epochs N] [--train N] [--test N] [--size PIXELS]
              [--seeds N] [--log FILE]

Prints a line of a Markdown table: mean and range of the seeds on each side, and the verdict: "agree" where the means lie no further
apart than the wider range of the two. One thread. Exit status 1 where they do not agree.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

import programs
import training

HERE = os.path.dirname(os.path.abspath(__file__))

SHORT = {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9, "decay": 0.9, "epsilon": 1e-3, "weight_decay": 5e-4,
         "warmup_epochs": 0.5, "label_smoothing": 0.1, "batch": 64, "bn_momentum": 0.9, "flip": True, "shift": 4,
         "schedule": "cosine"}
RECIPES = {
    "sgd": SHORT,
    "rmsprop": dict(SHORT, optimizer="rmsprop", learning_rate=0.004, weight_decay=1e-5),
    "adamw": dict(SHORT, optimizer="adamw", learning_rate=0.004, decay=0.999, epsilon=1e-8, weight_decay=0.05),
    "rich": dict(SHORT, optimizer="rmsprop", learning_rate=0.004, weight_decay=1e-5, mixup=0.2, ema_decay=0.99,
                 stochastic_depth=0.1, dropout=0.1),
}


def run_sides(options, job, architecture):
    """What every seed ended with: (the engine's, PyTorch's), and the images they saw."""
    log = open(options.log, "a") if options.log else None
    sides = {"engine": [], "pytorch": []}

    def keep(side, seed, last):
        sides[side].append(last)
        if log:
            run = {"side": side, "seed": seed, "dataset": options.dataset, "recipe": options.recipe}
            print(json.dumps(dict(run, **last)), file=log, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        description = programs.run(options.train_peer, dict(job, dump=folder))[0]
        images = training.Images(folder, description)
    for seed in range(1, options.seeds + 1):
        keep("engine", seed, programs.run(options.train_peer, dict(job, seed=seed))[-1])
        keep("pytorch", seed, training.train(architecture, job["recipe"], images, options.epochs, 100 + seed))
    return sides["engine"], sides["pytorch"], description


def summary(lines):
    accuracies = [100 * line["test_accuracy"] for line in lines]
    return statistics.mean(accuracies), min(accuracies), max(accuracies)


def main():
    parser = argparse.ArgumentParser()
    for name in ("--train-peer", "--data", "--dataset"):
        parser.add_argument(name, required=True)
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="sgd")
    parser.add_argument("--network", default="archscout-reference")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--train", type=int, default=0)
    parser.add_argument("--test", type=int, default=0)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--log")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with open(HERE + "/networks.json") as file:
        architecture = json.load(file)[options.network]
    job = {"architecture": architecture, "recipe": dict(RECIPES[options.recipe], image_size=options.size),
           "data": options.data, "dataset": options.dataset, "epochs": options.epochs, "train_images": options.train,
           "test_images": options.test}
    engine, peer, description = run_sides(options, job, architecture)
    cells = []
    for lines in (engine, peer):
        cells.append("%.2f (%.2f .. %.2f)" % summary(lines))
    ranges = [summary(lines)[2] - summary(lines)[1] for lines in (engine, peer)]
    apart = abs(summary(engine)[0] - summary(peer)[0])
    agree = apart <= max(ranges)
    losses = [statistics.mean(line["train_loss"] for line in lines) for lines in (engine, peer)]
    cpu = [statistics.mean(line["train_cpu_s"] for line in lines) for lines in (engine, peer)]
    print("| %s, %d px | %d, %d | %s | %d | %s | %s | %.4f, %.4f | %.1f, %.1f | %.2f, %s |"
          % (options.dataset, options.size, description["train_images"], description["test_images"], options.recipe,
             options.epochs, cells[0], cells[1], losses[0], losses[1], cpu[0], cpu[1], apart,
             "agree" if agree else "DISAGREE"))
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
