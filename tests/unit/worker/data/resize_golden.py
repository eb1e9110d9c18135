#!/usr/bin/env python3
"""Writes resize_golden.table: what Pillow's bilinear resizing makes of parts of a small image.

usage: resize_golden.py >resize_golden.table

Made with Pillow 9.4.0, which is not needed to run the test. Lines:
  image SIZE CHANNELS HEX
  part X Y WIDTH HEIGHT OUT HEX      that part of the image before it, OUT x OUT pixels
"""
import random

from PIL import Image

PARTS = ((0, 0, 13, 13), (2, 1, 5, 9), (12, 12, 1, 1), (0, 3, 13, 1), (4, 0, 6, 7))


def main():
    draw = random.Random(1)
    for mode, channels in (("RGB", 3), ("L", 1)):
        pixels = bytes(draw.randrange(256) for _ in range(13 * 13 * channels))
        image = Image.frombytes(mode, (13, 13), pixels)
        print("image", 13, channels, pixels.hex())
        for x, y, width, height in PARTS:
            for out in (1, 4, 7, 13, 20):
                shown = image.crop((x, y, x + width, y + height)).resize((out, out), Image.Resampling.BILINEAR)
                print("part", x, y, width, height, out, shown.tobytes().hex())


main()
