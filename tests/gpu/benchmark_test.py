#!/usr/bin/env python3
"""benchmark.py with made-up programs on both sides: what its table says, and that it says what is missing."""

import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))

# Answers "run S" by its rates in turn; a rate "end" ends it, "wait" makes it silent.
FAKE = """
import json, sys, time
name, rates = sys.argv[1], sys.argv[2].split(",")
print(json.dumps({"setting": "own:compile", "left_out": "no time"}), flush=True)
print(json.dumps({"ready": name, "batch": 64, "step_bytes": 6.4e9}), flush=True)
for line, rate in zip(sys.stdin, rates):
    assert line == "run 0.5\\n", line
    if rate == "end":
        sys.exit(7)
    if rate == "wait":
        time.sleep(600)
    print(rate, flush=True)
"""


class Table(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.log = os.path.join(self.folder.name, "log")
        self.fake = os.path.join(self.folder.name, "fake.py")
        with open(self.fake, "w") as file:
            file.write(FAKE)

    def run_rows(self, engine, torch, *more):
        side = "%s %s %%s %%s" % (sys.executable, self.fake)
        command = [sys.executable, os.path.join(HERE, "benchmark.py"), "--engine", side % ("cuda", engine), "--torch",
                   side % ("own:graph", torch), "--runs", "3", "--seconds", "0.5", "--log", self.log, *more]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        with open(self.log) as file:
            self.said = file.read()
        return done.returncode, done.stdout.splitlines()

    def test_the_ratio_is_the_median_of_the_pairs(self):
        status, lines = self.run_rows("300,200,600", "100,200,150", "--row", "efficientnetv2-s:300:1000")
        self.assertEqual(status, 0)
        self.assertEqual(lines[2], "| efficientnetv2-s, 300 px | 300 | 64 | 150 | 64 | own:graph | 3.00 | 1.00 .. 4.00 "
                                   "| 30 | - |")
        self.assertEqual(lines[-1], "figure: 3.00 times PyTorch")
        self.assertIn("efficientnetv2-s, 300 px, PyTorch without: own:compile (no time).", lines)
        self.assertIn("--preset efficientnetv2-s --size 300 --classes 1000", self.said)
        self.assertIn("--network efficientnetv2-s --size 300 --classes 1000", self.said)

    def test_the_floor_is_the_models_bytes_over_the_copys_rate(self):
        _, lines = self.run_rows("5000,5000,5000", "1,1,1", "--row", "efficientnetv2-s:300:1000", "--copy-gb-s", "4258")
        self.assertTrue(lines[2].endswith("| 500 (12 %) | 50 % |"), lines[2])

    def test_the_engine_is_told_what_memory_it_may_take(self):
        self.run_rows("1,1,1", "1,1,1", "--row", "archscout-reference:32:10", "--memory-mib", "777")
        self.assertIn("--memory-mib 777", self.said)

    def test_a_side_that_ends_is_named_and_the_next_row_comes(self):
        status, lines = self.run_rows("1,end", "1,1,1", "--row", "archscout-reference:32:10", "--row",
                                      "efficientnet-b0:224:1000")
        self.assertEqual(status, 1)
        self.assertIn("not there: engine ended with status 7", lines[2])
        self.assertIn("efficientnet-b0, 224 px | not there", lines[3])
        self.assertEqual(lines[-1], "figure: -, - times PyTorch")

    def test_a_side_that_is_silent_is_not_waited_for_beyond_the_limit(self):
        status, lines = self.run_rows("1,1,1", "1,wait", "--row", "archscout-reference:32:10", "--limit", "10",
                                      "--engine-search", "1")
        self.assertEqual(status, 1)
        self.assertIn("not there: PyTorch did not answer in time", lines[2])

    def test_a_program_that_is_not_there_is_a_missing_row(self):
        status, lines = self.run_rows("1", "1", "--torch", "/nowhere/python", "--row", "archscout-reference:32:10")
        self.assertEqual(status, 1)
        self.assertIn("/nowhere/python", lines[2])


if __name__ == "__main__":
    unittest.main(verbosity=2)
