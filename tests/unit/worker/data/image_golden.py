#!/usr/bin/env python3
"""Writes image_golden.table: what TensorFlow's and Pillow's own operations make of a few small images.

usage: image_golden.py >image_golden.table

Made with TensorFlow 2.15.1 (CPU) and Pillow 9.4.0; neither is needed to run the test. Lines:
  image NAME SIZE CHANNELS HEX
  ORACLE OPERATION IMAGE STRENGTH X Y HEX     the image after the operation; X and Y are Cutout's middle
Each operation is put together here from the library's primitives, after the published definitions.
"""
import os
import random

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

FILL = 128
FACTORS = (0.1, 0.64, 1.0, 1.9, 3.16, 5.5)


def make_images():
    draw = random.Random(2019)
    images = {}
    for name, size, channels, low, high in (
            ("plain", 7, 3, 0, 255), ("narrow", 18, 3, 37, 190), ("tiny", 3, 3, 0, 255), ("single", 1, 3, 0, 255),
            ("grey", 23, 1, 10, 240)):
        pixels = np.zeros((size, size, channels), np.uint8)
        for y in range(size):
            for x in range(size):
                for c in range(channels):
                    smooth = (x + 2 * y + 3 * c) / (3 * size + 9)
                    value = low + (high - low) * (0.6 * smooth + 0.4 * draw.random())
                    pixels[y, x, c] = int(value)
        images[name] = pixels
    images["plain"][0, 0], images["plain"][6, 6] = 0, 255
    return images


def cut(value):
    return tf.cast(tf.clip_by_value(value, 0.0, 255.0), tf.uint8)


def tf_mix(base, image, factor):
    base, image = tf.cast(base, tf.float32), tf.cast(image, tf.float32)
    return cut(base + factor * (image - base))


def tf_contrast_stretch(image):
    channels = []
    for c in range(3):
        values = tf.cast(image[:, :, c], tf.float32)
        low, high = tf.reduce_min(values), tf.reduce_max(values)
        if high > low:
            scale = 255.0 / (high - low)
            values = values * scale + -low * scale
        channels.append(cut(values))
    return tf.stack(channels, 2)


def tf_flatten(image):
    channels = []
    for c in range(3):
        values = tf.cast(image[:, :, c], tf.int32)
        counts = tf.histogram_fixed_width(values, [0, 255], nbins=256).numpy()
        step = (counts.sum() - counts[counts > 0][-1]) // 255
        if step > 0:
            before = np.concatenate(([0], np.cumsum(counts)[:-1]))
            table = np.minimum((before + step // 2) // step, 255)
            table[0] = 0
            values = tf.gather(tf.constant(table), values)
        channels.append(tf.cast(values, tf.uint8))
    return tf.stack(channels, 2)


def tf_move(image, coefficients):
    marked = tf.concat([image, tf.ones_like(image[:, :, :1])], 2)[tf.newaxis]
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=marked, transforms=tf.constant([coefficients], tf.float32), output_shape=tf.shape(image)[:2],
        fill_value=0.0, interpolation="NEAREST", fill_mode="CONSTANT")[0]
    return tf.where(moved[:, :, 3:] == 1, moved[:, :, :3], tf.constant(FILL, tf.uint8))


def tf_turn(image, degrees):
    angle = tf.constant(degrees * np.pi / 180, tf.float32)
    last = tf.cast(image.shape[0], tf.float32) - 1
    cosine, sine = tf.cos(angle), tf.sin(angle)
    x = (last - (cosine * last - sine * last)) / 2.0
    y = (last - (sine * last + cosine * last)) / 2.0
    return tf_move(image, [float(v) for v in (cosine, -sine, x, sine, cosine, y, 0, 0)])


def tf_sharpen(image, factor):
    kernel = tf.tile(tf.constant([1, 1, 1, 1, 5, 1, 1, 1, 1], tf.float32, [3, 3, 1, 1]) / 13.0, [1, 1, 3, 1])
    soft = tf.identity(image).numpy()
    if image.shape[0] >= 3:
        inner = tf.nn.depthwise_conv2d(tf.cast(image, tf.float32)[tf.newaxis], kernel, [1, 1, 1, 1], "VALID")[0]
        soft[1:-1, 1:-1] = cut(inner).numpy()
    return image if factor == 1 else tf_mix(soft, image, factor)


def tf_cover(image, pad, x, y):
    result = image.numpy()
    result[max(0, y - pad):max(0, y + pad), max(0, x - pad):max(0, x + pad)] = FILL
    return result


def tensorflow_rows(size):
    """OPERATION, STRENGTH, X, Y, function of the image."""
    rows = [("AutoContrast", 0, 0, 0, tf_contrast_stretch), ("Equalize", 0, 0, 0, tf_flatten),
            ("Invert", 0, 0, 0, lambda i: 255 - i)]
    for bits in range(1, 9):
        rows.append(("Posterize", bits, 0, 0, lambda i, s=8 - bits: tf.bitwise.left_shift(
            tf.bitwise.right_shift(i, tf.constant(s, tf.uint8)), tf.constant(s, tf.uint8))))
    for t in (0, 77, 128, 255, 256, 384):
        rows.append(("Solarize", t, 0, 0, lambda i, t=t: tf.where(tf.cast(i, tf.int32) < t, i, 255 - i)))
    for a in (0, 55, 127, 165, 330):
        rows.append(("SolarizeAdd", a, 0, 0, lambda i, a=a: tf.where(
            i < 128, tf.cast(tf.clip_by_value(tf.cast(i, tf.int64) + a, 0, 255), tf.uint8), i)))
    for f in FACTORS:
        rows.append(("Color", f, 0, 0, lambda i, f=f: tf_mix(
            tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(i)), i, f)))
        rows.append(("Brightness", f, 0, 0, lambda i, f=f: tf_mix(tf.zeros_like(i), i, f)))
        rows.append(("Sharpness", f, 0, 0, lambda i, f=f: tf_sharpen(i, f)))
    for sign in (1, -1):
        for degrees in (0, 15, 30, 47.5, 90):
            rows.append(("Rotate", sign * degrees, 0, 0, lambda i, d=sign * degrees: tf_turn(i, d)))
        for level in (0.15, 0.3, 0.9):
            level *= sign
            rows.append(("ShearX", level, 0, 0, lambda i, s=level: tf_move(i, [1, s, 0, 0, 1, 0, 0, 0])))
            rows.append(("ShearY", level, 0, 0, lambda i, s=level: tf_move(i, [1, 0, 0, s, 1, 0, 0, 0])))
        for pixels in (0.4, 1, 2.5, 100):
            pixels *= sign
            rows.append(("TranslateX", pixels, 0, 0, lambda i, p=pixels: tf_move(i, [1, 0, p, 0, 1, 0, 0, 0])))
            rows.append(("TranslateY", pixels, 0, 0, lambda i, p=pixels: tf_move(i, [1, 0, 0, 0, 1, p, 0, 0])))
    for pad, x, y in ((0, 0, 0), (1, 0, size - 1), (2, size // 2, size // 2), (2, size - 1, 0), (40, 0, 0)):
        rows.append(("Cutout", pad, x, y, lambda i, p=pad, x=x, y=y: tf_cover(i, p, x, y)))
    return rows


def pillow_rows():
    rows = [("AutoContrast", 0, ImageOps.autocontrast), ("Equalize", 0, ImageOps.equalize),
            ("Invert", 0, ImageOps.invert)]
    rows += [("Posterize", b, lambda i, b=b: ImageOps.posterize(i, b)) for b in range(1, 9)]
    rows += [("Solarize", t, lambda i, t=t: ImageOps.solarize(i, t)) for t in (0, 77, 128, 255, 256)]
    for f in FACTORS:
        rows += [(name, f, lambda i, f=f, e=enhance: e(i).enhance(f)) for name, enhance in (
            ("Color", ImageEnhance.Color), ("Contrast", ImageEnhance.Contrast),
            ("Brightness", ImageEnhance.Brightness), ("Sharpness", ImageEnhance.Sharpness))]
    return rows


def tensorflow_apply(function, pixels):
    """A grey image goes through as three equal channels."""
    wide = np.repeat(pixels, 3, 2) if pixels.shape[2] == 1 else pixels
    return np.asarray(function(tf.constant(wide)))[:, :, :pixels.shape[2]]


def pillow_apply(function, pixels):
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return np.asarray(function(image))


# The larger images are for the operations that look at all values, or at neighbours.
ONLY = {"narrow": ("AutoContrast", "Equalize"), "grey": ("AutoContrast", "Equalize", "Contrast", "Sharpness")}


def main():
    for name, pixels in make_images().items():
        print("image", name, pixels.shape[0], pixels.shape[2], pixels.tobytes().hex())
        for op, strength, x, y, function in tensorflow_rows(pixels.shape[0]):
            if name not in ONLY or op in ONLY[name]:
                print("tensorflow", op, name, f"{strength:g}", x, y, tensorflow_apply(function, pixels).tobytes().hex())
        for op, strength, function in pillow_rows():
            if name not in ONLY or op in ONLY[name]:
                print("pillow", op, name, f"{strength:g}", 0, 0, pillow_apply(function, pixels).tobytes().hex())


main()
