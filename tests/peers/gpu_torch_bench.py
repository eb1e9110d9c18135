#!/usr/bin/env python3
"""Images a second that PyTorch trains a network at on a GPU, at the fastest setting that it has.

usage: gpu_torch_bench.py --network NAME --size N [--classes N] [--settings A,B,...] [--batches N,N,...] [--seconds S]
                          [--limit S] [--memory-share X] [--device cuda|cpu]

A setting is DEFINITION:MODE. Definitions: `own`, torch_bench.py's, the same network layer by layer as the engine's preset; `timm`,
timm's model of that name with symmetric padding, as the engine's. Modes: `eager`; `graph`, the whole step recorded as a CUDA graph;
`compile`, torch.compile in mode max-autotune without its own CUDA graphs; `compile-graph`, the same recorded whole; `compile-auto`,
max-autotune with its own CUDA graphs. All of them: channels last, bf16 autocast, cudnn.benchmark, fused SGD with Nesterov momentum,
images and labels resident on the device.

First every setting is tried: eager ones at growing batches until a doubling gains less than 2 % or memory ends, the others at the
best batch of their definition and at twice that. What doesn't finish in the time that --limit leaves is said and left out. A line of
JSON a trial, and one when ready, which names the fastest. Then each line "run S" on the standard input is answered by a line with
the images a second of some S seconds; the end of the input ends the program. Exit status 3 where no setting ran.
"""

import argparse
import json
import signal
import statistics
import sys
import time

import torch
from torch.nn import functional

import torch_bench

TIMM_NAMES = {"efficientnetv2-s": "tf_efficientnetv2_s", "efficientnet-b0": "efficientnet_b0"}
MODES = ("eager", "graph", "compile", "compile-graph", "compile-auto")
GAIN = 1.02


class TimeUp(BaseException):
    """The alarm: no library's `except Exception` holds it up."""


class NotOffered(Exception):
    """This machine has no such setting; the text says why."""


def say(**line):
    print(json.dumps(line), flush=True)


def on_alarm(_number, _frame):
    raise TimeUp()


def definition(name, options):
    if name == "own":
        return torch_bench.network(options.network, options.classes)
    if options.network not in TIMM_NAMES:
        raise NotOffered("timm has no model of this network")
    try:
        import timm
    except ImportError as error:
        raise NotOffered("timm: %s" % error)
    return timm.create_model(TIMM_NAMES[options.network], pretrained=False, num_classes=options.classes, pad_type="",
                             bn_eps=1e-3)


class Step:
    """One training step of one setting at one batch."""

    def __init__(self, setting, batch, options):
        name, self.mode = setting.split(":")
        self.options = options
        self.cuda = options.device == "cuda"
        if not self.cuda and self.mode.endswith("graph"):
            raise NotOffered("CUDA graphs want a GPU")
        torch.manual_seed(1)
        layout = dict(device=options.device, memory_format=torch.channels_last)
        self.model = definition(name, options).to(**layout).train()
        size = (batch, 3, options.size, options.size)
        self.images = torch.randn(size).to(dtype=torch.bfloat16, **layout)
        self.labels = (torch.arange(batch) % options.classes).to(options.device)
        fused = {"fused": True} if self.cuda else {}
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9, nesterov=True, weight_decay=1e-5,
                                         **fused)
        self.run = self.compiled() if self.mode.startswith("compile") else self.model
        self.batch = batch
        self.replay = self.recorded() if self.mode.endswith("graph") else self.work

    def compiled(self):
        if not hasattr(torch, "compile"):
            raise NotOffered("PyTorch %s has no torch.compile" % torch.__version__)
        mode = "max-autotune" if self.mode == "compile-auto" else "max-autotune-no-cudagraphs"
        return torch.compile(self.model, mode=mode if self.cuda else "default")

    def work(self):
        # Casts are kept in a cache by default, which a recorded step must not rely on.
        cache = not self.mode.endswith("graph")
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.options.device, dtype=torch.bfloat16, cache_enabled=cache):
            loss = functional.cross_entropy(self.run(self.images), self.labels)
        loss.backward()
        self.optimizer.step()

    def recorded(self):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.work()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.work()
        return self.graph.replay

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()

    def rate(self, seconds):
        """Images a second: the median of blocks of steps that last a tenth of the time each."""
        rates = []
        steps = 1
        self.wait()
        started = time.perf_counter()
        while not rates or time.perf_counter() - started < seconds:
            block = time.perf_counter()
            for _ in range(steps):
                self.replay()
            self.wait()
            took = time.perf_counter() - block
            if took < seconds / 20 and steps < 1 << 16:
                steps *= 2
                continue
            rates.append(steps * self.batch / took)
        return statistics.median(rates)


def is_out_of_memory(error):
    return isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in str(error)


def forget():
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if hasattr(torch, "compiler") and hasattr(torch.compiler, "reset"):
        torch.compiler.reset()


def trial(setting, batch, options):
    """The rate of a setting at a batch, 0 where there is none, and whether it was memory that ended it."""
    step = None
    try:
        step = Step(setting, batch, options)
        for _ in range(3):
            step.replay()
        rate = step.rate(options.trial_seconds)
        say(setting=setting, batch=batch, rate=round(rate, 1))
        return rate, False
    except NotOffered as error:
        say(setting=setting, batch=batch, left_out=str(error))
    except Exception as error:  # of PyTorch, whatever it is: the other settings go on
        say(setting=setting, batch=batch, left_out=("%s: %s" % (type(error).__name__, error)).splitlines()[0][:200])
        return 0, is_out_of_memory(error)
    finally:
        step = None
        forget()
    return 0, False


def best_eager(setting, options):
    """(rate, batch) of the fastest batch."""
    best = (0, options.batches[0])
    for batch in options.batches:
        rate, full = trial(setting, batch, options)
        if full or rate < best[0] * GAIN:
            return max(best, (rate, batch))
        best = (rate, batch)
    return best


def search(options):
    """[(rate, setting, batch)], fastest first."""
    found = []
    eager = {}
    deadline = time.monotonic() + options.limit
    for setting in options.settings:
        name, mode = setting.split(":")
        left = deadline - time.monotonic()
        if left < 1:
            say(setting=setting, left_out="no time was left for it")
            continue
        signal.setitimer(signal.ITIMER_REAL, left)
        try:
            if mode == "eager":
                eager[name] = best_eager(setting, options)
                found.append((eager[name][0], setting, eager[name][1]))
                continue
            batch = eager[name][1] if name in eager else options.batches[0]
            rate, full = trial(setting, batch, options)
            found.append((rate, setting, batch))
            if rate > 0 and not full and 2 * batch <= options.batches[-1]:
                found.append((trial(setting, 2 * batch, options)[0], setting, 2 * batch))
        except TimeUp:
            say(setting=setting, left_out="it did not finish in the %.0f s that were left" % left)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return sorted([entry for entry in found if entry[0] > 0], reverse=True)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", required=True, choices=torch_bench.NETWORKS)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--settings", default="timm:eager,own:eager,own:graph,timm:graph,own:compile-graph,own:compile")
    parser.add_argument("--batches", default="32,64,128,256,512,1024,2048,4096")
    parser.add_argument("--trial-seconds", type=float, default=0.5)
    parser.add_argument("--limit", type=float, default=300)
    parser.add_argument("--memory-share", type=float, default=0.45)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    options = parser.parse_args()
    options.batches = [int(batch) for batch in options.batches.split(",")]
    options.settings = options.settings.split(",")
    for setting in options.settings:
        name, _, mode = setting.partition(":")
        if name not in ("own", "timm") or mode not in MODES:
            parser.error("%s is no setting" % setting)
    return options


def prepare(options):
    signal.signal(signal.SIGALRM, on_alarm)
    if options.device == "cpu":
        return "a processor, %d threads" % torch.get_num_threads()
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    torch.cuda.set_per_process_memory_fraction(options.memory_share)
    return torch.cuda.get_device_name()


def main():
    options = arguments()
    if options.device == "cuda" and not torch.cuda.is_available():
        say(left_out="PyTorch %s finds no GPU" % torch.__version__)
        return 3
    device = prepare(options)
    found = search(options)
    if not found:
        return 3
    rate, setting, batch = found[0]
    step = Step(setting, batch, options)
    for _ in range(3):
        step.replay()
    say(ready=setting, batch=batch, rate=round(rate, 1), device=device, torch=torch.__version__)
    for line in sys.stdin:
        words = line.split()
        if len(words) != 2 or words[0] != "run":
            say(error="expected: run SECONDS")
            return 2
        print("%.1f" % step.rate(float(words[1])), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
