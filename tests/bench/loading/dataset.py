"""Data like that of a training on pictures, put into a store."""

from __future__ import annotations

import random

import s3_client

# Random bytes, so that nothing on the way can make them fewer.
BLOCK = 2**20


def names(files: int) -> list[str]:
    """Return names of pictures, a folder for each of ten classes."""
    return [f"class-{number % 10}/{number:06}.jpg" for number in range(files)]


def sizes(files: int, mean: int, seed: str) -> list[int]:
    """Return sizes about a mean: from half of it to one and a half of it, and the mean on average."""
    source = random.Random(seed)
    return [source.randint(mean // 2, mean + mean // 2) for _ in range(files)]


def fill(store: s3_client.Store, bucket: str, prefix: str, small: tuple[int, int], large: tuple[int, int]) -> int:
    """Put small and large files into a bucket; return the bytes.

    Args:
        store: The store.
        bucket: Its bucket.
        prefix: What all keys begin with, up to a slash.
        small: Number of the small files and their mean size.
        large: Number of the large files and their size.
    """
    source, total = random.Random(prefix), 0
    for name, size in zip(names(small[0]), sizes(*small, prefix), strict=True):
        store.put(bucket, f"{prefix}/{name}", source.randbytes(size))
        total += size
    block = source.randbytes(BLOCK)
    for number in range(large[0]):
        content = source.randbytes(16) + block * (large[1] // BLOCK + 1)
        store.put(bucket, f"{prefix}/shards/{number:04}.tar", content[: large[1]])
        total += large[1]
    return total
