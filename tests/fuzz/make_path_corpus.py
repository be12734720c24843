#!/usr/bin/env python3
"""Writes the corpus of path_fuzz: what packets are made of, well and badly."""

import pathlib
import struct

FOLDER = pathlib.Path(__file__).parent / "corpus" / "path_fuzz"


def frame(number, back, data):
    return struct.pack("<BIHH", 5, number, back, len(data)) + data


def loose(data):
    return struct.pack("<BH", 6, len(data)) + data


def ack(largest, first, *ranges, delay=0):
    more = b"".join(struct.pack("<II", *r) for r in ranges)
    return struct.pack("<BQIBI", 2, largest, delay, len(ranges), first) + more


def packet(contents, step=1, flags=0):
    return struct.pack("<BH", step | flags, len(contents)) + contents


def hostile(*packets, kind=1):
    return bytes([kind]) + b"".join(packets)


SEEDS = {
    "stranger": b"\0" + bytes([0xb1, 0, 1, 0, 5, 0, 0, 0]) + bytes(40),
    "frames": hostile(packet(frame(1, 0, b"one") + frame(2, 1, b"two")),
                      packet(frame(3, 1, b"three"))),
    "gap": hostile(packet(frame(2, 1, b"two")), packet(frame(3, 1, b"x")),
                   packet(frame(1, 0, b"one"))),
    "window": hostile(packet(frame(16384, 0, b"far")),
                      packet(frame(16385, 0, b"too far"))),
    "two_follow": hostile(packet(frame(3, 2, b"a")), packet(frame(2, 1, b"b"))),
    "back_too_far": hostile(packet(frame(1, 1, b"a"))),
    "loose": hostile(packet(loose(b"x" * 30) + b"\1")),
    "acks": hostile(packet(ack(0, 0)), packet(ack(1, 1)),
                    packet(ack(2, 0, (2, 0)))),
    "ack_of_nothing": hostile(packet(ack(1 << 40, 0))),
    "ack_below_zero": hostile(packet(ack(1, 0, (3, 0)))),
    "ranges": hostile(packet(ack(60, 0, *[(2, 0)] * 20))),
    "challenges": hostile(packet(struct.pack("<BQ", 3, 77)),
                          packet(struct.pack("<BQ", 4, 77))),
    "elsewhere": hostile(packet(frame(1, 0, b"a"), flags=8),
                         packet(frame(2, 0, b"b"), flags=8)),
    "close": hostile(packet(b"\7"), packet(frame(1, 0, b"late"))),
    "unknown": hostile(packet(b"\x2a")),
    "spoiled": hostile(packet(frame(1, 0, b"one")), packet(b"\1"), kind=2),
    "pads": hostile(packet(bytes(200))),
}


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, data in SEEDS.items():
        (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    main()
