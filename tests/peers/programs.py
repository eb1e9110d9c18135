"""Starts the engine's programs."""

import json
import subprocess
import tempfile


def run(program, job):
    """Gives `job` to a program that takes a file of JSON and prints lines of JSON; returns them as values."""
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/job.json"
        with open(path, "w") as file:
            json.dump(job, file)
        output = subprocess.run([program, path], check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]
