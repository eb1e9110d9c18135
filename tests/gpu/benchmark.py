#!/usr/bin/env python3
"""The engine and PyTorch in turn on the same GPU: images a second, and how many times PyTorch's.

usage: benchmark.py --engine COMMAND --torch COMMAND [--row NETWORK:PIXELS:CLASSES]... [--runs N] [--seconds S] [--limit S]
                    [--engine-search S] [--memory-mib N] [--copy-gb-s X] [--log FILE]

COMMAND is `engine_bench --backend cuda` and `python3 gpu_torch_bench.py`, with what goes before their options. A row: PyTorch looks
for the fastest of its settings and its best batch, then the engine for its best batch, both stay as they are, and N times in turn
each trains for S seconds. The ratio is the median of the N ratios. --memory-mib is what the engine may take, so that both fit.
--limit bounds it all: PyTorch's search gets what is left for the row less --engine-search seconds and what the runs need, so a slow compilation is left out and
said below the table; every line of either program is in the log.

A column has what the engine's launches read and wrote in a second, by the bytes that it counts itself. With --copy-gb-s, what a
copy on the device moves in a second, that is also a share of the copy's, and another column says how near the engine is to the
floor: the bytes of an ideal schedule (docs/gpu-step.md, "everything fused").

A Markdown table, a line `figure: ...`, exit status 1 where a row is not there.
"""

import argparse
import json
import queue
import shlex
import statistics
import subprocess
import sys
import threading
import time

ROWS = ["efficientnetv2-s:300:1000", "efficientnetv2-s:128:1000", "efficientnet-b0:224:1000", "archscout-reference:32:10"]
# What an ideal schedule moves, GB for 256 images: a model, not a measurement (docs/gpu-step.md).
IDEAL_GB = {"efficientnetv2-s:300": 109, "efficientnetv2-s:128": 19.1, "efficientnet-b0:224": 31}
START_S = 15


class Failure(Exception):
    """A program did not do its part; the text says which and how."""


class Program:
    """One side: started, waited for, asked."""

    def __init__(self, name, command, log):
        self.name, self.log, self.left_out = name, log, []
        self.lines = queue.Queue()
        print("== %s: %s" % (name, shlex.join(command)), file=log, flush=True)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def line(self, deadline):
        try:
            line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise Failure("%s did not answer in time" % self.name)
        if line is None:
            raise Failure("%s ended with status %d" % (self.name, self.process.wait()))
        print("%s: %s" % (self.name, line.rstrip()), file=self.log, flush=True)
        return json.loads(line)

    def ready(self, deadline):
        """What it says when ready; on the way, `left_out` gets what it says that it does not do."""
        while True:
            line = self.line(deadline)
            if isinstance(line, dict) and "ready" in line:
                return line
            if isinstance(line, dict) and "left_out" in line:
                self.left_out.append("%s (%s)" % (line.get("setting", ""), line["left_out"]))

    def rate(self, seconds, deadline):
        self.process.stdin.write("run %g\n" % seconds)
        self.process.stdin.flush()
        return float(self.line(deadline))

    def end(self):
        self.process.kill()
        self.process.wait()


def engine_command(row, options):
    network, pixels, classes = row
    command = shlex.split(options.engine) + ["--preset", network, "--size", pixels, "--classes", classes, "--bf16",
                                             "--batch", options.engine_batch, "--serve"]
    return command + (["--memory-mib", str(options.memory_mib)] if options.memory_mib else [])


def torch_command(row, options, seconds):
    network, pixels, classes = row
    return shlex.split(options.torch) + ["--network", network, "--size", pixels, "--classes", classes, "--limit",
                                         "%.0f" % seconds]


def compare(row, options, deadline):
    """What both programs said when ready, and the pairs of rates."""
    programs = []
    runs_s = 3 * options.runs * options.seconds
    try:
        search_s = max(1.0, deadline - time.monotonic() - options.engine_search - runs_s - START_S)
        programs.append(Program("PyTorch", torch_command(row, options, search_s), options.log))
        theirs = programs[0].ready(deadline - options.engine_search - runs_s)
        programs.append(Program("engine", engine_command(row, options), options.log))
        ours = programs[1].ready(deadline - runs_s)
        pairs = []
        for _ in range(options.runs):
            engine = programs[1].rate(options.seconds, deadline)
            pairs.append((engine, programs[0].rate(options.seconds, deadline)))
        theirs["left_out"] = programs[0].left_out
        return ours, theirs, pairs
    finally:
        for program in programs:
            program.end()


def floor_share(row, rate, options):
    ideal = IDEAL_GB.get(":".join(row[:2]))
    if not ideal or not options.copy_gb_s:
        return "-"
    return "%.0f %%" % (100 * rate * ideal / 256 / options.copy_gb_s)


def traffic(rate, ours, options):
    if not ours.get("step_bytes"):
        return "-"
    gb_s = 1e-9 * ours["step_bytes"] * rate / ours["batch"]
    return "%.0f" % gb_s + (" (%.0f %%)" % (100 * gb_s / options.copy_gb_s) if options.copy_gb_s else "")


def row_text(row, options, ours, theirs, pairs):
    """(the row of the table, its ratio)"""
    ratios = sorted(engine / peer for engine, peer in pairs)
    engine = statistics.median(pair[0] for pair in pairs)
    peer = statistics.median(pair[1] for pair in pairs)
    ratio = statistics.median(ratios)
    return ("| %s, %s px | %.0f | %d | %.0f | %d | %s | %.2f | %.2f .. %.2f | %s | %s |"
            % (row[0], row[1], engine, ours["batch"], peer, theirs["batch"], theirs["ready"], ratio, ratios[0], ratios[-1],
               traffic(engine, ours, options), floor_share(row, engine, options)), ratio)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", required=True)
    parser.add_argument("--torch", required=True)
    parser.add_argument("--row", action="append", default=[])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--limit", type=float, default=480)
    parser.add_argument("--memory-mib", type=int, default=0)
    parser.add_argument("--engine-batch", default="best")
    parser.add_argument("--engine-search", type=float, default=25)
    parser.add_argument("--copy-gb-s", type=float, default=0)
    parser.add_argument("--log", type=argparse.FileType("a"), default=sys.stderr)
    options = parser.parse_args()
    options.row = [tuple(row.split(":")) for row in options.row or ROWS]
    if any(len(row) != 3 for row in options.row):
        parser.error("a row is NETWORK:PIXELS:CLASSES")
    return options


def main():
    options = arguments()
    end = time.monotonic() + options.limit
    print("| network | engine, images/s | batch | PyTorch, images/s | batch | PyTorch's fastest | ratio, median of %d |"
          " least .. most | moved, GB/s (of the copy) | of the floor |\n|---|---|---|---|---|---|---|---|---|---|" % options.runs)
    figures, notes, missing = [], [], 0
    for place, row in enumerate(options.row):
        now = time.monotonic()
        deadline = now + (end - now) / (len(options.row) - place)
        try:
            ours, theirs, pairs = compare(row, options, deadline)
            text, ratio = row_text(row, options, ours, theirs, pairs)
            print(text, flush=True)
            if theirs["left_out"]:
                notes.append("%s, %s px, PyTorch without: %s." % (row[0], row[1], "; ".join(theirs["left_out"])))
            figures.append("%.2f" % ratio)
        except (Failure, OSError, ValueError, KeyError) as error:
            print("| %s, %s px | not there: %s | | | | | | | | |" % (row[0], row[1], str(error).replace("|", "/")), flush=True)
            figures.append("-")
            missing += 1
    print("\n%s\n" % "\n".join(notes) if notes else "")
    print("figure: %s times PyTorch" % ", ".join(figures))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
