#!/usr/bin/env python3
"""Progressive learning (Tan and Le 2021, algorithm 1) against training at the full size, through the product's trainer.

  progressive.py --trainer-peer PROGRAM --data DIR [--dataset NAME] [--train N] [--held-out N] [--epochs N] [--seeds N] [--log FILE]

Every run has the same network, recipe, images and steps. Prints a Markdown table: held-out accuracy after the last epoch, seconds of
processor time, their ratio to the full-size run's.
"""

import argparse
import json
import statistics

import programs

SIZES = (16, 32, 48, 64)
RECIPE = {"preset": "search-short", "batch": 64, "learning_rate": 0.1, "warmup_epochs": 0.5, "label_smoothing": 0.1, "flip": True,
          "shift": 4, "image_size": SIZES[-1], "precision": "f32"}
# What grows with the stages beside the image size, from the first stage to the last.
REGULARIZATION = {"randaugment_magnitude": (2.0, 8.0), "dropout": (0.0, 0.2), "mixup": (0.0, 0.0), "cutmix": (0.0, 0.0)}


def at(share):
    return {name: first + (last - first) * share for name, (first, last) in REGULARIZATION.items()}


def variants(options):
    """name: recipe, epochs"""
    base = dict(RECIPE, randaugment_ops=options.randaugment_ops, precision=options.precision)
    full = dict(base, **at(1.0))
    stages = [dict(at(i / (len(SIZES) - 1)), image_size=size) for i, size in enumerate(SIZES)]
    small = dict(full, image_size=SIZES[1])
    return {
        "%d px throughout" % SIZES[-1]: full,
        "%d to %d px in %d stages" % (SIZES[0], SIZES[-1], len(SIZES)): dict(base, progressive={"stages": stages}),
        "%d px throughout" % SIZES[1]: small,
    }


def main():
    parser = argparse.ArgumentParser()
    for name in ("--trainer-peer", "--data"):
        parser.add_argument(name, required=True)
    parser.add_argument("--dataset", default="eurosat")
    parser.add_argument("--network", default="archscout-reference")
    parser.add_argument("--train", type=int, default=5000)
    parser.add_argument("--held-out", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--randaugment-ops", type=int, default=2)
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--log")
    options = parser.parse_args()
    log = open(options.log, "a") if options.log else None
    job = {"architecture": {"preset": options.network}, "data": options.data, "dataset": options.dataset,
           "epochs": options.epochs, "train_images": options.train, "validation_images": options.held_out}
    lasts = {name: [] for name in variants(options)}
    for seed in range(1, options.seeds + 1):
        for name, recipe in variants(options).items():
            lines = programs.run(options.trainer_peer, dict(job, recipe=recipe, seed=seed))
            lasts[name].append(lines[-1])
            if log:
                print(json.dumps({"variant": name, "seed": seed, "epochs": lines}), file=log, flush=True)
    print("| image size | held-out accuracy, mean (min .. max) % | CPU s, mean | of the full size |")
    print("|---|---|---|---|")
    full = None
    for name, lines in lasts.items():
        accuracies = [100 * line["held_out_accuracy"] for line in lines]
        cpu = statistics.mean(line["cpu_s"] for line in lines)
        full = full or cpu
        print("| %s | %.2f (%.2f .. %.2f) | %.1f | %.2f |"
              % (name, statistics.mean(accuracies), min(accuracies), max(accuracies), cpu, cpu / full))


if __name__ == "__main__":
    main()
