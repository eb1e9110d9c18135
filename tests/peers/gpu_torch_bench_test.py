#!/usr/bin/env python3
"""gpu_torch_bench.py on the processor, at sizes that take a second: what it prints, which setting and batch it chooses, and that its
networks are the published ones. Exit status 77 where there is no PyTorch."""

import json
import os
import subprocess
import sys
import types
import unittest

try:
    import torch
except ImportError as missing:
    print("SKIP: %s has no PyTorch (%s); Debian: apt-get install python3-torch" % (sys.executable, missing))
    sys.exit(77)

import gpu_torch_bench
import torch_bench

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gpu_torch_bench.py")


def run(*arguments, asked=""):
    """(exit status, lines of JSON or numbers, the error output)"""
    command = [sys.executable, PROGRAM, "--network", "archscout-reference", "--size", "8", "--classes", "10",
               "--device", "cpu", "--trial-seconds", "0.05", *arguments]
    done = subprocess.run(command, input=asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


class Protocol(unittest.TestCase):
    def test_settings_are_tried_and_the_fastest_answers(self):
        status, lines, _ = run("--settings", "own:eager,own:graph", "--batches", "2,4", asked="run 0.1\nrun 0.1\n")
        self.assertEqual(status, 0)
        tried = [line for line in lines[:-3]]
        self.assertEqual((tried[0]["setting"], tried[0]["batch"]), ("own:eager", 2))
        self.assertIn("GPU", tried[-1]["left_out"])
        self.assertEqual(lines[-3]["ready"], "own:eager")
        self.assertGreater(lines[-2], 0)
        self.assertGreater(lines[-1], 0)

    def test_what_is_not_asked_for_properly_is_refused(self):
        status, lines, _ = run("--settings", "own:eager", "--batches", "2", asked="walk 0.1\n")
        self.assertEqual(status, 2)
        self.assertIn("run SECONDS", lines[-1]["error"])
        status, _, said = run("--settings", "own:fast")
        self.assertEqual(status, 2)
        self.assertIn("own:fast", said)

    def test_without_any_setting_that_runs_the_status_says_so(self):
        status, lines, _ = run("--settings", "own:graph,timm:eager", "--batches", "2")
        self.assertEqual(status, 3)
        self.assertEqual(len(lines), 2)

    @unittest.skipIf(torch.cuda.is_available(), "there is a GPU")
    def test_without_a_gpu_the_status_says_so(self):
        status, lines, _ = run("--device", "cuda")
        self.assertEqual(status, 3)
        self.assertIn("no GPU", lines[0]["left_out"])

    def test_what_takes_too_long_is_left_out(self):
        status, lines, _ = run("--settings", "own:eager", "--batches", "2", "--trial-seconds", "60", "--limit", "2")
        self.assertEqual(status, 3)
        self.assertIn("did not finish", lines[0]["left_out"])


class Choice(unittest.TestCase):
    """Batches by made-up rates."""

    def choose(self, rates, batches, full_at=None):
        tried = []

        def trial(_setting, batch, _options):
            tried.append(batch)
            return (0, True) if batch == full_at else (rates[batch], False)

        genuine, gpu_torch_bench.trial = gpu_torch_bench.trial, trial
        try:
            return gpu_torch_bench.best_eager("own:eager", types.SimpleNamespace(batches=batches)), tried
        finally:
            gpu_torch_bench.trial = genuine

    def test_batches_grow_while_it_pays(self):
        self.assertEqual(self.choose({1: 10, 2: 20, 4: 30}, [1, 2, 4]), ((30, 4), [1, 2, 4]))

    def test_a_batch_that_gains_little_is_the_last(self):
        self.assertEqual(self.choose({1: 10, 2: 10.1, 4: 30}, [1, 2, 4]), ((10.1, 2), [1, 2]))

    def test_a_slower_batch_is_not_taken(self):
        self.assertEqual(self.choose({1: 10, 2: 9, 4: 30}, [1, 2, 4]), ((10, 1), [1, 2]))

    def test_the_end_of_memory_ends_it(self):
        self.assertEqual(self.choose({1: 10, 2: 20}, [1, 2, 4], full_at=4), ((20, 2), [1, 2, 4]))


class Networks(unittest.TestCase):
    """Parameters as published for 1000 classes."""

    PUBLISHED = {"efficientnetv2-s": 21458488, "efficientnet-b0": 5288548}

    def count(self, name, network):
        options = types.SimpleNamespace(network=network, classes=1000)
        return sum(parameter.numel() for parameter in gpu_torch_bench.definition(name, options).parameters())

    def test_ours_are_the_published_ones(self):
        for network, parameters in self.PUBLISHED.items():
            self.assertEqual(self.count("own", network), parameters)

    def test_those_of_timm_too(self):
        for network, parameters in self.PUBLISHED.items():
            try:
                self.assertEqual(self.count("timm", network), parameters)
            except gpu_torch_bench.NotOffered as reason:
                self.skipTest("SKIP: %s" % reason)

    def test_every_network_of_the_benchmark_trains_a_step(self):
        for network in torch_bench.NETWORKS:
            logits = torch_bench.network(network, 7)(torch.zeros(2, 3, 64, 64))
            self.assertEqual(tuple(logits.shape), (2, 7))


if __name__ == "__main__":
    unittest.main(verbosity=2)
