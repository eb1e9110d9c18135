#!/usr/bin/env python3
"""Progressive learning (Tan and Le 2021, algorithm 1) against training at the full size, through the product's trainer.

  progressive.py --trainer-peer PROGRAM --data DIR [--dataset NAME] [--train N] [--held-out N] [--epochs N] [--seeds N] [--log FILE]

The same network, recipe and images in every run: the full size; stages of growing size for as many epochs, and for half as many
again; the full size for half the epochs; a small size. Prints a Markdown table: held-out accuracy after the last epoch, seconds of
processor time, their ratio to the full-size run's. Runs that the log already holds are not made again.
"""

import argparse
import json
import os
import statistics

import programs

SIZES = (16, 32, 48, 64)
RECIPE = {"preset": "search-short", "batch": 32, "learning_rate": 0.1, "warmup_epochs": 0.5, "label_smoothing": 0.1, "flip": True,
          "image_size": SIZES[-1]}
DROPOUT = (0.0, 0.2)  # grows with the image size, from the first stage to the last


def variants(options):
    """name: recipe, epochs"""
    full = dict(RECIPE, dropout=DROPOUT[1], precision=options.precision)
    progressive = {"stages": len(SIZES), "image_size": [SIZES[0], SIZES[-1]], "dropout": list(DROPOUT)}
    staged, epochs = dict(full, progressive=progressive), options.epochs
    stages = ", ".join(str(size) for size in SIZES)
    return {
        "%d px, %d epochs" % (SIZES[-1], epochs): (full, epochs),
        "%s px, %d epochs" % (stages, epochs): (staged, epochs),
        "%s px, %d epochs" % (stages, epochs * 3 // 2): (staged, epochs * 3 // 2),
        "%d px, %d epochs" % (SIZES[-1], epochs // 2): (full, epochs // 2),
        "%d px, %d epochs" % (SIZES[1], epochs): (dict(full, image_size=SIZES[1]), epochs),
    }


def earlier(path):
    """Runs that the log already holds: (variant, seed) to lines."""
    runs = {}
    if path and os.path.exists(path):
        with open(path) as file:
            for line in file:
                run = json.loads(line)
                runs[run["variant"], run["seed"]] = run["epochs"]
    return runs


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
    runs = earlier(options.log)
    log = open(options.log, "a") if options.log else None
    job = {"architecture": {"preset": options.network}, "data": options.data, "dataset": options.dataset,
           "train_images": options.train, "validation_images": options.held_out}
    for seed in range(1, options.seeds + 1):
        for name, (recipe, epochs) in variants(options).items():
            if (name, seed) in runs:
                continue
            runs[name, seed] = programs.run(options.trainer_peer, dict(job, recipe=recipe, epochs=epochs, seed=seed))
            if log:
                print(json.dumps({"variant": name, "seed": seed, "epochs": runs[name, seed]}), file=log, flush=True)
    print("| training | held-out accuracy, mean (min .. max) % | CPU s, mean | of the first |")
    print("|---|---|---|---|")
    full = None
    for name in variants(options):
        lasts = [runs[name, seed][-1] for seed in range(1, options.seeds + 1)]
        accuracies = [100 * last["held_out_accuracy"] for last in lasts]
        cpu = statistics.mean(last["cpu_s"] for last in lasts)
        full = full or cpu
        print("| %s | %.2f (%.2f .. %.2f) | %.1f | %.2f |"
              % (name, statistics.mean(accuracies), min(accuracies), max(accuracies), cpu, cpu / full))


if __name__ == "__main__":
    main()
