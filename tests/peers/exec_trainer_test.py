#!/usr/bin/env python3
"""A search whose candidates deploy/examples/torch_trainer.py trains: a real archscoutd and archscout-worker --exec.

  exec_trainer_test.py BIN

Its images are told apart by a bar's place, so that a network that trains at all gets most of them right; what would be chance is 1/4.
Exit status 77 where there is no PyTorch, 1 where something is wrong.
"""

import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request

try:
    import numpy
    import torch
except ImportError as missing:
    print("SKIP: %s has no PyTorch (%s); Debian: apt-get install python3-torch" % (sys.executable, missing))
    sys.exit(77)

IMAGES, SIZE, CLASSES, WAIT_SECONDS = 960, 12, 4, 300
EXAMPLES = os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../deploy/examples")

SPEC = {
    "name": "bars", "dataset": {"name": "bars", "train": 640, "validation": 160},
    "space": {
        "stem": {"kernel": 3, "stride": 1, "channels": 8}, "head": {"channels": 32},
        "stages": [
            {"block": "fused_mbconv", "layers": 2, "kernel": 3, "expansion": [1, 2], "channels": 8, "stride": 1},
            {"block": ["mbconv", "conv"], "layers": [1, 2], "kernel": [3, 5], "expansion": [1, 4], "se": [0, 0.25], "channels": 16,
             "stride": 2}]},
    "strategy": {"name": "random"}, "budget": {"candidates": 6, "epochs": 4},
    "recipe": {"preset": "search-short", "batch": 32, "image_size": SIZE}, "parallel_max": 2, "seed": 1,
}


def write_images(folder):
    random = numpy.random.default_rng(1)
    labels = random.integers(0, CLASSES, IMAGES)
    images = random.integers(0, 60, (IMAGES, SIZE, SIZE))
    for image, label in zip(images, labels):
        image[3 * label:3 * label + 3] += 150
    os.mkdir(folder)
    for name, head, values in (("images-idx3", 16, images), ("labels-idx1", 8, labels)):
        with gzip.open(os.path.join(folder, "train-%s-ubyte.gz" % name), "wb") as file:
            file.write(bytes(head) + values.astype("u1").tobytes())


def await_text(log, pattern):
    for _ in range(WAIT_SECONDS * 10):
        found = re.search(pattern, open(log).read())
        if found:
            return found.group(1)
        time.sleep(0.1)
    sys.exit("no %s in the log: %s" % (pattern, open(log).read()))


def fetch(url, body=None):
    request = urllib.request.Request(url, body and json.dumps(body).encode(), {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))


def await_search(url, worker, log):
    for _ in range(WAIT_SECONDS * 10):
        search = fetch(url)
        if search["state"] == "done":
            return search
        if worker.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit("the search does not complete: %s\n%s" % (search, open(log).read()))


def check(server, search, log):
    if search["progress"]["done"] != SPEC["budget"]["candidates"]:
        sys.exit("not all are done: %s\n%s" % (search["progress"], open(log).read()))
    best = 0
    for number in range(SPEC["budget"]["candidates"]):
        candidate = fetch("%s/v1/searches/%d/candidates/%d" % (server, search["id"], number))
        epochs = candidate["attempts"][-1]["epochs"]
        assert [epoch["number"] for epoch in epochs] == [1, 2, 3, 4], epochs
        assert epochs[-1]["validation_accuracy"] == candidate["accuracy"], candidate
        assert candidate["timing"]["median_seconds"] > 0 and candidate["step_time"] > 0, candidate
        best = max(best, candidate["accuracy"])
    print("best accuracy %.3f" % best)
    assert best > 0.9, best


def check_parameters(server, search, tasks):
    """What the daemon prices is what PyTorch trains."""
    sys.path.insert(0, EXAMPLES)
    import torch_network
    for line in open(tasks):
        task = json.loads(line)
        network = torch_network.network(task["architecture"], task["dataset"])
        candidate = fetch("%s/v1/searches/%d/candidates/%d" % (server, search["id"], task["candidate"]))
        assert sum(p.numel() for p in network.parameters()) == candidate["params"], task["architecture"]["text"]


def run(binaries, work, programs):
    daemon_log, worker_log, tasks = (os.path.join(work, name) for name in ("daemon.log", "worker.log", "tasks"))
    command = "tee -a %s | %s %s/torch_trainer.py" % (tasks, sys.executable, EXAMPLES)
    dataset = "bars:%dx%dx1:%d:%d" % (SIZE, SIZE, CLASSES, IMAGES)
    programs.append(subprocess.Popen(
        [binaries + "/archscoutd", "--state", work + "/state", "--listen", "127.0.0.1:0"], stderr=open(daemon_log, "w")))
    server = await_text(daemon_log, r"listening on (http://[^ ,]*)")
    programs.append(subprocess.Popen(
        [binaries + "/archscout-worker", "--server", server, "--slots", "1", "--data", work, "--work", work + "/work",
         "--exec", command, "--exec-dataset", dataset], stderr=open(worker_log, "w")))
    await_text(worker_log, "(registered at)")
    search = fetch(server + "/v1/searches", SPEC)
    search = await_search("%s/v1/searches/%d" % (server, search["id"]), programs[1], worker_log)
    check(server, search, worker_log)
    check_parameters(server, search, tasks)


def main(binaries):
    with tempfile.TemporaryDirectory() as work:
        write_images(os.path.join(work, "bars"))
        programs = []
        try:
            run(binaries, work, programs)
        finally:
            for program in programs[::-1]:
                program.terminate()
                program.wait()


if __name__ == "__main__":
    main(sys.argv[1])
