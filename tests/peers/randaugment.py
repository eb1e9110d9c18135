#!/usr/bin/env python3
"""Figure 9 of the seed document (Tan and Le 2021, table 5) at small scale: which RandAugment magnitude is best at which image size.

  randaugment.py --train-peer PROGRAM --data DIR [--dataset NAME] [--train N] [--test N] [--epochs N] [--seeds N] [--sizes N,N,...]
                 [--magnitudes N,N,...] [--log FILE]

Few images and many passes over them, so that there is something to regularize. Magnitude 0 is training without RandAugment. Prints
a Markdown table of accuracy on the test split, mean and standard deviation of the seeds, and the processor time of it all.
"""

import argparse
import json
import statistics

import programs

RECIPE = {"preset": "search-short", "batch": 32, "learning_rate": 0.1, "warmup_epochs": 2, "label_smoothing": 0.1, "flip": True}


def main():
    numbers = lambda text: [int(number) for number in text.split(",")]
    parser = argparse.ArgumentParser()
    for name in ("--train-peer", "--data"):
        parser.add_argument(name, required=True)
    parser.add_argument("--dataset", default="eurosat")
    parser.add_argument("--network", default="archscout-reference")
    parser.add_argument("--train", type=int, default=600)
    parser.add_argument("--test", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sizes", type=numbers, default=[16, 32, 48])
    parser.add_argument("--magnitudes", type=numbers, default=[0, 5, 10, 15])
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--log")
    options = parser.parse_args()
    log = open(options.log, "a") if options.log else None
    job = {"architecture": {"preset": options.network}, "data": options.data, "dataset": options.dataset,
           "epochs": options.epochs, "train_images": options.train, "test_images": options.test}
    cells, cpu_s = {}, 0.0
    for seed in range(1, options.seeds + 1):
        for size in options.sizes:
            for magnitude in options.magnitudes:
                recipe = dict(RECIPE, image_size=size, randaugment_ops=2 if magnitude else 0, precision=options.precision,
                              randaugment_magnitude=magnitude)
                lines = programs.run(options.train_peer, dict(job, recipe=recipe, seed=seed))
                cells.setdefault((size, magnitude), []).append(100 * lines[-1]["test_accuracy"])
                cpu_s += lines[-1]["train_cpu_s"]
                if log:
                    print(json.dumps({"size": size, "magnitude": magnitude, "seed": seed, "last": lines[-1]}), file=log,
                          flush=True)
    print("| pixels | " + " | ".join("magnitude %d" % m if m else "off" for m in options.magnitudes) + " | best |")
    print("|---|" + "---|" * (len(options.magnitudes) + 1))
    for size in options.sizes:
        row = [cells[size, magnitude] for magnitude in options.magnitudes]
        spread = [statistics.stdev(cell) if len(cell) > 1 else 0.0 for cell in row]
        best = max(range(len(row)), key=lambda i: statistics.mean(row[i]))
        print("| %d | " % size + " | ".join("%.2f +- %.2f" % (statistics.mean(cell), s) for cell, s in zip(row, spread))
              + " | %s |" % (options.magnitudes[best] or "off"))
    print("\nprocessor time of all %d runs: %.0f s" % (sum(len(cell) for cell in cells.values()), cpu_s))


if __name__ == "__main__":
    main()
