#!/usr/bin/env python3
"""Times each kernel by graph replay over rotating inputs, beside torch on the same shapes, and against the ceilings of this run.

usage: timing.py LIBRARY [--json FILE] [--cublaslt FILE] [--dry]

Ceilings: torch's copy (bytes read + written) and its 8192^3 bf16 product on random data, measured first. --dry runs every
case once on any implementation of the ABI, without torch and without times: it only proves that the calls are accepted.
"""
import argparse
import json
import statistics
import sys

import numpy as np

from abi import C, K, STRUCTS, Device, bf16
from check_attention import plan_decode
from check_sampling import rows_of

SETS = 8  # rotating input sets, so that caches do not answer
REPLAYS = 20


class Bench:
    def __init__(self, device, torch, dry):
        self.device, self.torch, self.dry, self.rows = device, torch, dry, []
        self.copy, self.product = (None, None) if dry else self.ceilings()

    def events(self, body, inner):
        """Median microseconds of one call of body, which makes `inner` calls; torch stream and events."""
        torch, times = self.torch, []
        for _ in range(3):
            body()
        for _ in range(REPLAYS):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            body()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) * 1000 / inner)
        return statistics.median(times)

    def ceilings(self):
        torch = self.torch
        a, b = torch.randn(2 ** 29, device="cuda"), torch.empty(2 ** 29, device="cuda")
        copy = 2 * a.nbytes / self.events(lambda: b.copy_(a), 1) / 1e3
        del a, b
        x, y = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
        product = 2 * 8192 ** 3 / self.events(lambda: x @ y, 1) / 1e6
        print(f"ceilings: copy {copy:.0f} GB/s, bf16 product {product:.0f} TFLOP/s ({torch.cuda.get_device_name()})")
        return copy, product

    def native(self, launches):
        """Microseconds of one launch: all sets captured in one graph, replayed between two events."""
        device = self.device
        for launch in launches:
            launch()
        device.sync()
        if self.dry:
            return None
        replay = device.capture(lambda: [launch() for launch in launches])
        first, last, ms, times = C.c_void_p(), C.c_void_p(), C.c_float(), []
        for event in (first, last):
            device.call("ms_event_new", 1, C.byref(event))
        replay(3)
        for _ in range(REPLAYS):
            device.call("ms_event_record", first, device.stream)
            device.call("ms_graph_launch", replay.graph, device.stream)
            device.call("ms_event_record", last, device.stream)
            device.sync()
            device.call("ms_event_elapsed", first, last, C.byref(ms))
            times.append(ms.value * 1000 / len(launches))
        return statistics.median(times)

    def row(self, name, launches, gigabytes=0.0, teraflop=0.0, peer=None):
        us = self.native(launches)
        if us is None:
            print(f"{name:44} accepted")
            return
        other = self.events(peer, 1) if peer else None
        share = max(gigabytes / us * 1e6 / self.copy, teraflop / us * 1e6 / self.product)
        self.rows.append(dict(name=name, us=us, gb_s=gigabytes / us * 1e6, tflop_s=teraflop / us * 1e6, share=share, torch_us=other))
        print(f"{name:44} {us:9.2f} us {gigabytes / us * 1e6:7.0f} GB/s {teraflop / us * 1e6:6.1f} TFLOP/s {100 * share:5.1f} %"
              f"   torch {'-' if other is None else f'{other:.2f} us'}", flush=True)


def decode(bench, batch, context, hq, hkv, d, fp8):
    device, block = bench.device, 16
    pages = -(-context // block)
    n_blocks = batch * pages
    size = 1 if fp8 else 2
    pool = device.buffer(np.random.default_rng(0).integers(0, 64, 2 * n_blocks * hkv * block * d * size, dtype=np.uint8))
    kv = STRUCTS["ms_kv_cache"](struct_size=C.sizeof(STRUCTS["ms_kv_cache"]), dtype=K["MS_FP8_E4M3" if fp8 else "MS_BF16"],
                                n_layers=1, n_kv_heads=hkv, head_dim=d, block_size=block, n_blocks=n_blocks, base=pool.address)
    contexts, limit = [context] * batch, max(1, 2 * device.info.sm_count * (1 if batch * hkv < 264 else 4) // hkv)
    chunk = 64
    while len(plan_decode(contexts, chunk, 0)[0]) > limit and chunk < context:
        chunk *= 2
    rows, chunks, indptr = plan_decode(contexts, chunk, 0)
    args = device.args(
        "attn_decode", n_rows=batch, n_work=len(rows), n_q_heads=hq, layer=0, chunk_tokens=chunk, max_blocks=pages,
        softmax_scale=d ** -0.5, q_stride=hq * d, work_row=device.buffer(rows), work_chunk=device.buffer(chunks),
        work_indptr=device.buffer(indptr), slot=device.buffer(np.arange(batch, dtype=np.int32)),
        context_len=device.buffer(np.array(contexts, np.int32)),
        block_table=device.buffer(np.random.default_rng(1).permutation(n_blocks).astype(np.int32).reshape(batch, pages)),
        q=device.buffer(bf16(np.random.default_rng(2).standard_normal((batch, hq * d)))),
        out=device.full((batch, hq, d), 0, np.uint16), partial=device.full((len(rows), hq, d + 2), 0, np.float32),
        tickets=device.full((batch, hkv), 0, np.int32), kv_h=kv)
    peer = None
    if not bench.dry and not fp8:
        torch = bench.torch
        q = torch.randn(batch, hq, 1, d, device="cuda", dtype=torch.bfloat16)
        k, v = (torch.randn(batch, hkv, context, d, device="cuda", dtype=torch.bfloat16) for _ in range(2))
        peer = lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    bench.row(f"decode {'fp8' if fp8 else 'bf16'} B{batch} ctx{context} Hq{hq} Hkv{hkv} D{d}",
              [lambda: device.launch("attn_decode", args)] * (1 if bench.dry else 4),
              gigabytes=2 * batch * context * hkv * d * size / 1e9, peer=peer)


def skinny(bench, m, n, k):
    device, rng = bench.device, np.random.default_rng(m)
    sets = 1 if bench.dry else SETS
    x = device.buffer(bf16(rng.standard_normal((m, k))))
    calls = []
    for _ in range(sets):
        w = device.buffer(bf16(rng.standard_normal((n, k), np.float32) * 0.02))
        calls.append(device.args("gemm", path=K["MS_GEMM_SKINNY"], m=m, n=n, k=k, x_dtype=1, w_dtype=1, y_dtype=1, x=x, w=w,
                                 y=device.full((m, n), 0, np.uint16), workspace=device.full(8 << 20, 0, np.uint8),
                                 workspace_bytes=8 << 20, tickets=device.full(n // 8 + 1, 0, np.int32)))
    peer = None
    if not bench.dry:
        torch = bench.torch
        tx, tw = torch.randn(m, k, device="cuda", dtype=torch.bfloat16), torch.randn(n, k, device="cuda", dtype=torch.bfloat16)
        peer = lambda: torch.nn.functional.linear(tx, tw)
    bench.row(f"skinny m{m} n{n} k{k}", [lambda a=a: device.launch("gemm", a) for a in calls], gigabytes=(n * k + m * (n + k)) * 2 / 1e9,
              teraflop=2 * m * n * k / 1e12, peer=peer)


def norm(bench, tokens, hidden):
    device = bench.device
    rng = np.random.default_rng(0)
    x, r = (device.buffer(bf16(rng.standard_normal((tokens, hidden), np.float32))) for _ in range(2))
    args = device.args("add_rmsnorm", n_tokens=tokens, hidden=hidden, eps=1e-6, x=x, residual=r,
                       weight=device.buffer(bf16(np.ones(hidden))), out=device.full((tokens, hidden), 0, np.uint16))
    bench.row(f"add+rmsnorm {tokens} x {hidden}", [lambda: device.launch("add_rmsnorm", args)] * 4,
              gigabytes=4 * tokens * hidden * 2 / 1e9)


def sampler(bench, rows, vocab, rule):
    device = bench.device
    logits = device.buffer((np.random.default_rng(0).standard_normal((rows, vocab), np.float32) * 2.5))
    args = device.args("sample", n_rows=rows, vocab=vocab, logits=logits,
                       rows=device.buffer(rows_of(rows, **rule).view(np.uint8)), tokens=device.full(rows, 0, np.int32))
    bench.row(f"sample {rows} x {vocab} {rule}", [lambda: device.launch("sample", args)] * 4, gigabytes=rows * vocab * 4 / 1e9)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--json")
    parser.add_argument("--cublaslt")
    parser.add_argument("--dry", action="store_true")
    options = parser.parse_args()
    torch = None
    if not options.dry:
        import torch
        torch.cuda.init()
    bench = Bench(Device(options.library, options.cublaslt), torch, options.dry)
    small = options.dry
    for batch, context in ((2, 200),) if small else ((1, 1024), (1, 16384), (32, 1024), (32, 4096), (256, 1024), (64, 8192)):
        for hq, hkv in ((4, 2),) if small else ((16, 8), (32, 8)):
            decode(bench, batch, context, hq, hkv, 128, False)
            decode(bench, batch, context, hq, hkv, 128, True)
    for n, k in ((64, 512),) if small else ((4096, 1024), (1024, 2048), (1024, 3072), (6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336)):
        for m in (1, 8) if small else (1, 8, 16, 32, 64):
            skinny(bench, m, n, k)
    for tokens, hidden in ((2, 1024),) if small else ((1, 4096), (256, 4096), (8192, 4096)):
        norm(bench, tokens, hidden)
    for rule in (dict(temperature=1.0), dict(temperature=0.7, top_p=0.9), dict(temperature=0.7, top_k=50, top_p=0.9)):
        sampler(bench, 2 if small else 64, 3000 if small else 131072, rule)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(dict(copy_gb_s=bench.copy, product_tflop_s=bench.product, rows=bench.rows), file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
