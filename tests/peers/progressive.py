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
RECIPE = {"preset": "search-short", "batch": 32, "learning_rate": 0.1, "warmup_epochs": 0.5, "label_smoothing": 0.1, "flip": True,
          "image_size": SIZES[-1]}
DROPOUT = (0.0, 0.2)  # grows with the image size, from the first stage to the last


def variants(options):
    """name: recipe"""
    full = dict(RECIPE, dropout=DROPOUT[1], precision=options.precision)
    stages = {"stages": len(SIZES), "image_size": [SIZES[0], SIZES[-1]], "dropout": list(DROPOUT)}
    return {
        "%d px throughout" % SIZES[-1]: full,
        "%s px" % ", ".join(str(size) for size in SIZES): dict(full, progressive=stages),
        "%d px throughout" % SIZES[1]: dict(full, image_size=SIZES[1]),
    }


def main():
    parser = argparse.ArgumentParser()
    for name in ("--trainer-peer", "--data"):
        parser.add_argument(name, required=True)
    parser.add_argument("--dataset", default="eurosat")
    parser.add_argument("--network", default="archscout-reference")
    parser.add_argument("--train", type=int, default=4000)
    parser.add_argument("--held-out", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
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
