"""Tensors to and from the engine's programs: files in the safetensors format, written and read without its package."""

import json
import struct

import numpy

TYPES = {"F32": numpy.dtype("<f4"), "U32": numpy.dtype("<u4"), "U64": numpy.dtype("<u8")}


def save(path, tensors, metadata=None):
    """`tensors`: name to numpy array, of one of TYPES."""
    header, blobs, at = {}, [], 0
    if metadata:
        header["__metadata__"] = metadata
    for name, array in tensors.items():
        kind = next(k for k, dtype in TYPES.items() if dtype == array.dtype)
        blob = numpy.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for blob in blobs:
            file.write(blob)


def load(path):
    """name to numpy array."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, end = entry["data_offsets"]
            tensors[name] = numpy.frombuffer(data[first:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors
