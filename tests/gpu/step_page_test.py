#!/usr/bin/env python3
"""docs/gpu-step.md says of its two blocks what the backend launches for them: every launch in order, every map, every pass.

usage: step_page_test.py CUDA_SCHEDULE PAGE
"""

import re
import subprocess
import sys

# Section of the page, and the block of efficientnetv2-s that it is about.
BLOCKS = {"MBConv": 12, "Fused-MBConv": 3}
MAP = re.compile(r"\.(y|z|dy|dz)$")


def schedule(program):
    """[(launch, [(tensor, bytes) read], [... written])]"""
    lines = subprocess.run([program, "efficientnetv2-s", "64", "1"], check=True, stdout=subprocess.PIPE,
                           text=True).stdout.split("\n\n")[0].splitlines()
    launches = []
    for line in lines:
        name, *rest = line.split("  ")
        uses = {"reads": [], "writes": []}
        for part in rest:
            kind, tensors = part.split(" ", 1)
            uses[kind] = [(name, int(size)) for name, size in (use.rsplit(" ", 1) for use in tensors.split(", "))]
        launches.append((name, uses["reads"], uses["writes"]))
    return launches


def short(tensor, block):
    own, before = "blocks_%d." % block, "blocks_%d.proj." % (block - 1)
    if tensor.startswith(own):
        return tensor[len(own):]
    return "in." + tensor[len(before):] if tensor.startswith(before) else None


def belongs(launch, block):
    """Whether a launch is one of the block's: it touches something that only the block has."""
    tensors = [tensor for tensor, _ in launch[1] + launch[2]]
    inner = [tensor for tensor in tensors if "blocks_%d." % block in tensor and not re.search(r"\.proj\.d?z$", tensor)]
    adds = launch[0] == "map_add_launch" and tensors[0] == "blocks_%d.proj.dz" % block
    writes = [tensor for tensor, _ in launch[2]]
    return bool(inner) or adds or "blocks_%d.proj.z" % block in writes


def expected_rows(launches, block):
    """Rows as the page has them, of the launches that are the block's."""
    mine = [launch for launch in launches if belongs(launch, block)]
    wide = max(size for _, reads, writes in mine for tensor, size in reads + writes
               if MAP.search(tensor) and "blocks_%d." % block in tensor)
    rows, total = [], 0
    for name, reads, writes in mine:
        cells, passes = [], 0
        for uses in (reads, writes):
            maps = [(short(tensor, block), size) for tensor, size in uses if MAP.search(tensor) and short(tensor, block)]
            passes += sum(size == wide for _, size in maps)
            cells.append(", ".join("**%s**" % tensor if size == wide else tensor for tensor, size in maps) or "-")
        rows.append((name, cells[0], cells[1], str(passes)))
        total += passes
    return rows + [("all", "", "", str(total))]


def narrow_passes(rows):
    cells = [cell for row in rows[:-1] for cell in row[1:3] if cell != "-"]
    return sum(not tensor.startswith("**") for cell in cells for tensor in cell.split(", "))


def page_rows(page, section):
    text = re.search(r"^## %s\n(.*?)(?=^## )" % section, page, re.M | re.S).group(1)
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in text.splitlines() if line.startswith("|")]
    return rows[2:]


def main():
    with open(sys.argv[2]) as file:
        page = file.read()
    launches = schedule(sys.argv[1])
    wrong = 0
    for section, block in BLOCKS.items():
        expected, found = expected_rows(launches, block), page_rows(page, section)
        for place in range(max(len(expected), len(found))):
            pair = [rows[place] if place < len(rows) else None for rows in (expected, found)]
            if pair[0] != pair[1]:
                wrong += 1
                print("%s, row %d: the schedule has %s, the page %s" % (section, place + 1, *pair))
        print("%s: %d launches compared" % (section, len(expected) - 1))
    narrow = "Beside them %d passes over maps of the block's own width" % narrow_passes(expected_rows(launches, 12))
    if narrow not in page:
        wrong += 1
        print("MBConv: the page does not say: %s" % narrow)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
