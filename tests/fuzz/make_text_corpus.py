#!/usr/bin/env python3
"""Writes the corpus of text_fuzz: some of each kind. The scenarios are those of
the library and one with every key.

    make_text_corpus.py     writes tests/fuzz/corpus/text_fuzz/
"""

import pathlib
import struct

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "deploy/chaos/scenarios"
TO = ROOT / "tests/fuzz/corpus/text_fuzz"

ALL_KEYS = """\
name: x-1
about: why not
sites: 5
for: 2m
network: tight
workload: {actors: 2, rate: 40/s}
nemesis: [kill, cut, weather, twin]
faults:
- {at: 1.5s, fault: loss, by: 2.5%, burst: 4, from: [site1, site5], to: all,
   one-way: yes, for: 250ms, every: 1s, times: 3, name: l, dice: 9}
- {at: 2s, fault: clock, site: each, by: -90s}
- {at: 2s, fault: rate, from: any, to: any, by: 64KiB/s, for: 1s}
- {at: 2s, fault: queue, from: any, to: any, by: 16KiB, for: 1s}
holds: {agree: 3s, settle: 4s, core: yes, calls: 9}
seed: 17
"""

WORDS = ("delay=20ms jitter=1.5ms,tail=250us loss=1% burst=0.5% "
         "burst-length=12 burst-loss=90% duplicate=2% reorder=3% "
         "reorder-by=7ms corrupt=0.0001% rate=10mbit queue=64KiB cut "
         "blackhole=yes clog reset=no", "rate=64KiB/s", "rate=none loss=0%")

EVENTS = ("17 SEND_BEGIN site=ab life=1 id=7 port=1.2 peer=3.4 until=ff "
          "wait=1 told=1\n", "18 NEWS site=1 life=1 id=2 news=3\n",
          "19 CALL_END site=1 err=4 how=1 value=7 value2=8 broken=1 co=1.1\n")


def frame(op, payload=b"", channel=0):
    return struct.pack("<IIBBH", len(payload), channel, op, 0, 0) + payload


def file(path, content, mode=0o600):
    return frame(2, struct.pack("<IH", mode, len(path)) + path + content)


FRAMES = (frame(1) + file(b"/state/incarnation", b"17\n") + frame(3, b"a = b\n"),
          frame(7, struct.pack("<II", 0, 0), 1) + frame(8, b"packet", 1) +
          frame(9, struct.pack("<I", 6), 1) + frame(10, b"", 1),
          frame(11, struct.pack("<QQ", 5, 6)) + file(b"/a/../b", b"climbs"))


def main():
    TO.mkdir(parents=True, exist_ok=True)
    items = {"all_keys": b"s" + ALL_KEYS.encode()}
    for name in ("everything", "swizzle-clog", "kill-in-a-split", "clock-jump"):
        items[f"scenario_{name}"] = b"s" + (SCENARIOS / f"{name}.yml"
                                            ).read_bytes()
    for kind, texts in ("f", WORDS), ("e", EVENTS):
        for i, text in enumerate(texts):
            items[f"{kind}{i}"] = (kind + text).encode()
    for i, frames in enumerate(FRAMES):
        items[f"l{i}"] = b"l" + frames
    for name, content in items.items():
        (TO / name).write_bytes(content)


if __name__ == "__main__":
    main()
