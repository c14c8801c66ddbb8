#!/usr/bin/env python3
"""Checks every kernel behind the C ABI against fp64.

usage: check.py LIBRARY [--full] [--only WORD,WORD] [--module dense,attention,sampling,graph] [--json FILE]

LIBRARY is any implementation of native/include/modelserve.h. Without --full: the small shapes that the emulator
(native/emu) finishes in about a minute; with it: the whole sweep, for a GPU. Outputs are poisoned with NaN before each
call; page tables are random; unused and stale cache memory holds NaN. Exit status 1 if any check failed.
"""
import argparse
import json
import sys
import time
import zlib

import numpy as np

import check_attention
import check_dense
import check_graph
import check_sampling
from abi import Device
from reference import torch_or_none


MODULES = dict(dense=check_dense, attention=check_attention, sampling=check_sampling, graph=check_graph)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--json")
    parser.add_argument("--cublaslt")
    parser.add_argument("--module", default=",".join(MODULES))
    options = parser.parse_args()
    device = Device(options.library, options.cublaslt)
    kind = "emulated" if device.info.is_emulated else f"sm_{device.info.compute_major}{device.info.compute_minor}"
    print(f"{options.library}: {kind}, {device.info.sm_count} multiprocessors, cuBLASLt: {bool(device.info.has_cublaslt)}")
    print("attention is also held to 1.5 times the error of torch's own" if torch_or_none() else
          "torch is not installed: attention is not compared with torch's own error")
    rows, failed = [], 0
    for module in (MODULES[name] for name in options.module.split(",")):
        for name, body in module.cases(device, options.full):
            if not any(word in name for word in options.only.split(",")):
                continue
            started = time.perf_counter()
            try:
                worst, verdict = body(np.random.default_rng(zlib.crc32(name.encode()))), "ok"
            except Exception as problem:  # every failure is a row of the table, and the exit status
                worst, verdict = None, f"FAILED {type(problem).__name__}: {problem}"
                failed += 1
            seconds = time.perf_counter() - started
            rows.append(dict(name=name, error=worst, verdict=verdict, seconds=seconds))
            write(options.json, rows)  # whole after every case: a stage that runs out of time keeps what it has
            print(f"{name:42} {'' if worst is None else f'{worst:.2e}':>9} {seconds:7.2f} s  {verdict}", flush=True)
    print(f"{len(rows) - failed} passed, {failed} failed")
    return 1 if failed or not rows else 0


def write(path, rows):
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
