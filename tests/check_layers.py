#!/usr/bin/env python3
"""Checks who includes whom: the layers of the design.

A file includes headers of lower layers and of its own folder, nothing else;
code below the purity line includes no header of the system but those that only
compute. With --self-test: proves that each kind of breach is found.
"""

import pathlib
import re
import sys

MACHINES = ["nucleus/core", "netmgr/core", "netmgr/path", "sites/core"]
PURE = ["nucleus/base", *MACHINES, "proto", "sites/site", "sites/actors"]
NET = ["deploy/units", "deploy/fault", "deploy/switch"]
TOOLS = [
    *PURE,
    "sites/plugin",
    "nucleus/api",
    "deploy/chaos",
    "deploy/check",
    "deploy/pki",
    "deploy/qemu",
    "deploy/sim",
    *NET,
    "<api>",
]

# Folder: the folders whose headers it may include, besides its own.
LAYERS = {
    "nucleus/base": [],
    "nucleus/core": ["nucleus/base"],
    "netmgr/core": ["nucleus/base"],
    "netmgr/path": ["nucleus/base"],
    "sites/core": ["nucleus/base"],
    "proto": ["nucleus/base", "netmgr/core", "sites/core"],
    "sites/site": ["nucleus/base", *MACHINES, "proto"],
    "nucleus/api": ["nucleus/base", "proto", "<api>"],
    "sites/actors": ["nucleus/base"],
    "sites/plugin": ["nucleus/base"],
    "netmgr/uv": PURE,
    "deploy/check": ["nucleus/base"],
    "deploy/units": ["nucleus/base"],
    "deploy/fault": ["nucleus/base", "deploy/units"],
    "deploy/chaos": ["nucleus/base"],
    "deploy/pki": ["nucleus/base"],
    "deploy/qemu": ["nucleus/base"],
    "deploy/switch": ["nucleus/base", "deploy/units", "deploy/fault"],
    "deploy/sim": [
        *PURE,
        "sites/plugin",
        "deploy/check",
        "deploy/chaos",
        "deploy/fault",
        "<api>",
    ],
    "deploy/load": [
        *PURE,
        "sites/plugin",
        "deploy/check",
        "deploy/chaos",
        "deploy/sim",
        "<api>",
    ],
    "sites/host": [*PURE, "sites/plugin", "netmgr/uv", "nucleus/api", "<api>"],
    "tools": TOOLS,
    "tools/bench": [*TOOLS, "tools"],
}

# The words shared by every layer, as if they were in nucleus/base.
PUBLIC_BASE = {"motet/err.h", "motet/types.h", "motet/supervisor.h",
               "motet/plugin.h"}

PURE_SYSTEM = {
    "inttypes.h",
    "limits.h",
    "stdalign.h",
    "stdarg.h",
    "stdbool.h",
    "stddef.h",
    "stdint.h",
    "stdlib.h",
    "string.h",
}
# What single places below the purity line may include besides.
PURE_EXCEPTIONS = {
    ("nucleus/base/check.c", "stdio.h"),
    ("nucleus/base/version.c", "motet_commit.h"),
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def folder_of(path):
    """The layer a path belongs to, or None."""
    fits = [f for f in LAYERS if path.startswith(f + "/")]
    return max(fits, key=len) if fits else None


def breach(path, bracket, header):
    """Why `path` may not include `header`, or None."""
    own = folder_of(path)
    if header in PUBLIC_BASE:
        return None
    if header.startswith("motet/"):
        if own == "nucleus/api" or "<api>" in LAYERS[own]:
            return None
        return "the client library is above it"
    target = folder_of(header)
    if target is None and bracket == '"':
        if ".." in header.split("/"):
            return "climbs out of its folder"
        if "/" not in header:
            return None
        return "no layer of the design"
    if target is not None:
        if target == own or target in LAYERS[own]:
            return None
        return f"{own} may not include {target}"
    if own not in PURE or header in PURE_SYSTEM:
        return None
    if (path, header) in PURE_EXCEPTIONS:
        return None
    if own == "proto" and header.startswith("protobuf-c/"):
        return None
    return "not pure"


def breaches(path, text):
    for bracket, header in INCLUDE.findall(text):
        why = breach(path, bracket, header)
        if why:
            yield f"{path}: includes {header}: {why}"


def public_breaches(path, text):
    """Public headers stand alone: they see each other and the C library."""
    for _, header in INCLUDE.findall(text):
        if not header.startswith("motet/") and header not in PURE_SYSTEM:
            yield f"{path}: includes {header}: not for a public header"


def check(root):
    found, files = [], 0
    for folder in LAYERS:
        for file in sorted((root / folder).rglob("*.[ch]")):
            path = file.relative_to(root).as_posix()
            if folder_of(path) != folder:
                continue
            files += 1
            text = file.read_text(encoding="utf-8")
            if path.startswith("nucleus/api/include/"):
                found += public_breaches(path, text)
            else:
                found += breaches(path, text)
    return found, files


ALLOWED = [
    ("nucleus/core/a.c", "a.h", '"'),
    ("nucleus/core/a.c", "nucleus/base/map.h", '"'),
    ("nucleus/core/a.c", "motet/err.h", "<"),
    ("proto/a.c", "netmgr/core/frame.h", '"'),
    ("sites/site/a.c", "proto/a.h", '"'),
    ("netmgr/uv/a.c", "uv.h", "<"),
    ("tools/a.c", "motet/motet.h", "<"),
]
REFUSED = [
    ("nucleus/base/a.c", "nucleus/core/a.h", '"'),
    ("nucleus/core/a.c", "netmgr/core/a.h", '"'),
    ("netmgr/core/a.c", "sites/core/a.h", '"'),
    ("sites/core/a.c", "nucleus/core/a.h", '"'),
    ("netmgr/core/a.c", "proto/a.h", '"'),
    ("netmgr/path/a.c", "netmgr/core/a.h", '"'),
    ("proto/a.c", "nucleus/core/a.h", '"'),
    ("sites/site/a.c", "netmgr/uv/a.h", '"'),
    ("deploy/sim/a.c", "netmgr/uv/a.h", '"'),
    ("netmgr/uv/a.c", "sites/host/a.h", '"'),
    ("nucleus/core/a.c", "motet/motet.h", "<"),
    ("nucleus/core/a.c", "time.h", "<"),
    ("nucleus/core/a.c", "stdio.h", "<"),
    ("sites/site/a.c", "protobuf-c/protobuf-c.h", "<"),
    ("nucleus/core/a.c", "../../netmgr/core/a.h", '"'),
    ("nucleus/core/a.c", "tests/support/a.h", '"'),
]


def self_test():
    wrong = 0
    for path, header, bracket in ALLOWED + REFUSED:
        close = ">" if bracket == "<" else '"'
        line = f"#include {bracket}{header}{close}\n"
        refused = bool(list(breaches(path, line)))
        if refused != ((path, header, bracket) in REFUSED):
            print(f"{path}: {line.strip()}: wrongly judged")
            wrong += 1
    api = "nucleus/api/include/motet/a.h"
    if not list(public_breaches(api, '#include "nucleus/base/map.h"\n')):
        print("a public header may include an inner one")
        wrong += 1
    print(f"{len(ALLOWED) + len(REFUSED) + 1} cases, {wrong} wrongly judged")
    return wrong == 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return 0 if self_test() else 1
    found, files = check(pathlib.Path(__file__).resolve().parent.parent)
    for line in found:
        print(line)
    print(f"{files} files, {len(found)} breaches of the layers")
    return 1 if found or files == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
