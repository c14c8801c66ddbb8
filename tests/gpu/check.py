#!/usr/bin/env python3
"""Checks every kernel behind the C ABI against fp64.

usage: check.py LIBRARY [--full] [--only WORD,WORD] [--without WORD] [--module dense,attention,sampling,graph] [--json FILE]

LIBRARY is any implementation of native/include/modelserve.h. Without --full: the small shapes that the emulator
(native/emu) finishes in about a minute; with it: the whole sweep, for a GPU. Outputs are poisoned with NaN before each
call; page tables are random; unused and stale cache memory holds NaN. A check that loses the device costs itself only
(survive.py). Exit status 1 if any check failed.
"""
import argparse
import sys
import zlib

import numpy as np

import check_attention
import check_dense
import check_graph
import check_sampling
from abi import Device
from reference import torch_or_none
from survive import Table


MODULES = dict(dense=check_dense, attention=check_attention, sampling=check_sampling, graph=check_graph)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--without", default="")
    parser.add_argument("--json")
    parser.add_argument("--cublaslt")
    parser.add_argument("--module", default=",".join(MODULES))
    options = parser.parse_args()
    device = Device(options.library, options.cublaslt)
    kind = "emulated" if device.info.is_emulated else f"sm_{device.info.compute_major}{device.info.compute_minor}"
    print(f"{options.library}: {kind}, {device.info.sm_count} multiprocessors, cuBLASLt: {bool(device.info.has_cublaslt)}")
    print("attention is also held to 1.5 times the error of torch's own" if torch_or_none() else
          "torch is not installed: attention is not compared with torch's own error")
    # An emulated kernel may take its time; a GPU that does has stopped.
    table = Table(options.json, limit_s=3600 if device.info.is_emulated else 90)
    for module in (MODULES[name] for name in options.module.split(",")):
        for name, body in module.cases(device, options.full):
            if not any(word in name for word in options.only.split(",")) or (options.without and options.without in name):
                continue
            row = table.run(name, lambda: dict(error=body(np.random.default_rng(zlib.crc32(name.encode())))))
            if row is not None:
                error = row.get("error")
                print(f"{name:42} {'' if error is None else f'{error:.2e}':>9} {row['seconds']:7.2f} s  {row['verdict']}", flush=True)
    failed = table.failed()
    print(f"{len(table.rows) - failed} passed, {failed} failed")
    return 1 if failed or not table.rows else 0


if __name__ == "__main__":
    sys.exit(main())
