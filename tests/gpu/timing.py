#!/usr/bin/env python3
"""Times each kernel by graph replay over rotating inputs, beside torch on the same shapes, and against the ceilings of this run.

usage: timing.py LIBRARY [--json FILE] [--cublaslt FILE] [--core] [--dry]

Ceilings: torch's copy (bytes read + written) and its 8192^3 bf16 product on random data, measured first. --dry runs every
case once on any implementation of the ABI, without torch and without times: it only proves that the calls are accepted. --core:
the few rows that say most. A row that fails, or loses the device, costs itself only (survive.py). Exit status 1 if any failed.
"""
import argparse
import statistics
import sys

import numpy as np

from abi import C, K, STRUCTS, Device, bf16
from check_attention import plan_decode
from check_sampling import rows_of
from survive import Table

SETS = 8  # rotating input sets, so that caches do not answer
REPLAYS = 20


class Bench:
    def __init__(self, device, torch, dry):
        self.device, self.torch, self.dry, self.tile = device, torch, dry, None
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

    def replayed(self, body):
        """Microseconds of one call of torch's, replayed as a graph like ours: launches from Python would be what is measured."""
        torch, inner = self.torch, 10
        side = torch.cuda.Stream()
        with torch.cuda.stream(side):
            for _ in range(3):
                body()
        torch.cuda.synchronize()
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                for _ in range(inner):
                    body()
        except Exception as problem:
            torch.cuda.synchronize()
            print(f"torch's side is timed call by call: {type(problem).__name__}")
            return self.events(body, 1)
        return self.events(graph.replay, inner)

    def weight(self, n, k):
        """Random bf16 values on the device by copies of one tile; numpy would take longer than everything else."""
        if self.tile is None:
            self.tile = self.device.buffer(bf16(np.random.default_rng(0).standard_normal(1 << 22, np.float32) * 0.02))
        out = self.device.empty((n, k), np.uint16)
        for at in range(0, out.nbytes, self.tile.nbytes):
            self.device.call("ms_d2d", C.c_void_p(out.address + at), C.c_void_p(self.tile.address),
                             C.c_size_t(min(out.nbytes - at, self.tile.nbytes)), self.device.stream)
        return out

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
            return {}
        try:
            other = self.replayed(peer) if peer else None
        except Exception as problem:  # torch's side failing says nothing of ours
            other = None
            print(f"torch's side of {name}: {type(problem).__name__}: {str(problem)[:120]}")
        share = max(gigabytes / us * 1e6 / self.copy, teraflop / us * 1e6 / self.product)
        print(f"{name:44} {us:9.2f} us {gigabytes / us * 1e6:7.0f} GB/s {teraflop / us * 1e6:6.1f} TFLOP/s {100 * share:5.1f} %"
              f"   torch {'-' if other is None else f'{other:.2f} us'}", flush=True)
        return dict(title=name, us=us, gb_s=gigabytes / us * 1e6, tflop_s=teraflop / us * 1e6, share=share, torch_us=other)


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
    return bench.row(f"decode {'fp8' if fp8 else 'bf16'} B{batch} ctx{context} Hq{hq} Hkv{hkv} D{d}",
              [lambda: device.launch("attn_decode", args)] * (1 if bench.dry else 4),
              gigabytes=2 * batch * context * hkv * d * size / 1e9, peer=peer)


def skinny(bench, m, n, k, fp=False):
    device, rng = bench.device, np.random.default_rng(m)
    sets = 1 if bench.dry else SETS
    x, ones = device.buffer(bf16(rng.standard_normal((m, k)))), device.full(n, 1, np.float32)
    calls = []
    for _ in range(sets):
        w = bench.weight(n, k // 2 if fp else k)
        calls.append(device.args("gemm", path=K["MS_GEMM_SKINNY"], m=m, n=n, k=k, x_dtype=1,
                                 w_dtype=K["MS_FP8_E4M3" if fp else "MS_BF16"], w_scale=ones if fp else None, y_dtype=1, x=x, w=w,
                                 y=device.full((m, n), 0, np.uint16), workspace=device.full(8 << 20, 0, np.uint8),
                                 workspace_bytes=8 << 20, tickets=device.full(n // 8 + 1, 0, np.int32)))
    peer = None
    if not bench.dry:
        torch = bench.torch
        tx, tw = torch.randn(m, k, device="cuda", dtype=torch.bfloat16), torch.randn(n, k, device="cuda", dtype=torch.bfloat16)
        peer = lambda: torch.nn.functional.linear(tx, tw)
    return bench.row(f"skinny{' fp8' if fp else ''} m{m} n{n} k{k}", [lambda a=a: device.launch("gemm", a) for a in calls],
              gigabytes=(n * k * (1 if fp else 2) + m * (n + k) * 2) / 1e9, teraflop=2 * m * n * k / 1e12, peer=peer)


def fused(bench, m, n, k, gated, apart):
    """Norm and product, gated or not, as one launch or with the norm apart: which of them the server should take up to 64 rows."""
    device, rng = bench.device, np.random.default_rng(m)
    x, gain = device.buffer(bf16(rng.standard_normal((m, k)))), device.buffer(bf16(np.ones(k)))
    normed, launches = device.full((m, k), 0, np.uint16), []
    norm = device.args("add_rmsnorm", n_tokens=m, hidden=k, eps=1e-6, x=x, weight=gain, out=normed)
    for _ in range(1 if bench.dry else SETS):
        w = bench.weight(2 * n if gated else n, k)
        product = device.args("gemm", path=K["MS_GEMM_SKINNY"], m=m, n=n, k=k, x_dtype=1, w_dtype=1, y_dtype=1,
                              epilogue=K["MS_EPILOGUE_SILU_MUL"] if gated else 0, eps=1e-6, x=normed if apart else x, w=w,
                              norm_weight=None if apart else gain, y=device.full((m, n), 0, np.uint16),
                              workspace=device.full(8 << 20, 0, np.uint8), workspace_bytes=8 << 20,
                              tickets=device.full(n // 8 + 1, 0, np.int32))
        parts = [("add_rmsnorm", norm), ("gemm", product)] if apart else [("gemm", product)]
        launches.append(lambda parts=parts: [device.launch(op, a) for op, a in parts])
    rows = 2 * n if gated else n
    return bench.row(f"norm {'+ ' if apart else 'in '}{'gated ' if gated else ''}product m{m} n{n} k{k}", launches,
              gigabytes=(rows * k + m * (n + k)) * 2 / 1e9, teraflop=2 * m * rows * k / 1e12)


def wide_fp8(bench, m, n, k):
    """Rows quantised, then cuBLASLt in fp8 with a scale for each row of both sides."""
    device, rng = bench.device, np.random.default_rng(m)
    x, scales = device.buffer(bf16(rng.standard_normal((m, k), np.float32))), device.full(m, 1, np.float32)
    codes, ones = device.full((m, k), 0, np.uint8), device.full(n, 1, np.float32)
    quantise = device.args("quant_fp8", n_rows=m, columns=k, x=x, out=codes, scale=scales)
    launches = []
    for _ in range(1 if bench.dry else 4):
        product = device.args("gemm", path=K["MS_GEMM_CUBLASLT"], m=m, n=n, k=k, x_dtype=K["MS_FP8_E4M3"], w_dtype=K["MS_FP8_E4M3"],
                              y_dtype=1, x=codes, w=bench.weight(n, k // 2), x_scale=scales, w_scale=ones,
                              y=device.empty((m, n), np.uint16), workspace=device.empty(32 << 20, np.uint8), workspace_bytes=32 << 20)
        launches.append(lambda a=product: [device.launch("quant_fp8", quantise), device.launch("gemm", a)])
    return bench.row(f"quantise + cuBLASLt fp8 m{m} n{n} k{k}", launches, gigabytes=(n * k + m * (k * 4 + n * 2)) / 1e9,
              teraflop=2 * m * n * k / 1e12)


def linear(bench, m, n, k, name, path, y_dtype):
    """A product with a weight matrix: cuBLASLt for many rows, and the head's float32 logits."""
    device, rng = bench.device, np.random.default_rng(m)
    calls = []
    for _ in range(1 if bench.dry else 4):
        w = bench.weight(n, k)
        x = device.buffer(bf16(rng.standard_normal((m, k), np.float32)))
        size = 4 if y_dtype == K["MS_F32"] else 2
        calls.append(device.args("gemm", path=path, m=m, n=n, k=k, x_dtype=1, w_dtype=1, y_dtype=y_dtype, x=x, w=w,
                                 y=device.empty((m, n), np.float32 if size == 4 else np.uint16),
                                 workspace=device.full(32 << 20, 0, np.uint8), workspace_bytes=32 << 20,
                                 tickets=device.full(n // 8 + 1, 0, np.int32)))
    peer = None
    if not bench.dry:
        torch = bench.torch
        tx, tw = torch.randn(m, k, device="cuda", dtype=torch.bfloat16), torch.randn(n, k, device="cuda", dtype=torch.bfloat16)
        peer = lambda: torch.matmul(tx, tw.T)
    return bench.row(f"{name} m{m} n{n} k{k}", [lambda a=a: device.launch("gemm", a) for a in calls],
              gigabytes=(n * k * 2 + m * (n * size + k * 2)) / 1e9, teraflop=2 * m * n * k / 1e12, peer=peer)


def prefill(bench, tokens, prefix, hq, hkv, d):
    device, block = bench.device, 16
    context = tokens + prefix
    pages = -(-context // block)
    rng = np.random.default_rng(3)
    pool = device.buffer(bf16(rng.standard_normal((2, pages, hkv, block, d), np.float32)))
    kv = STRUCTS["ms_kv_cache"](struct_size=C.sizeof(STRUCTS["ms_kv_cache"]), dtype=K["MS_BF16"], n_layers=1, n_kv_heads=hkv,
                                head_dim=d, block_size=block, n_blocks=pages, base=pool.address)
    ints = lambda a: device.buffer(np.asarray(a, np.int32))
    tile = device.lib.ms_prefill_tile_tokens(hq // hkv, d)
    starts = list(range(0, tokens, tile))[::-1]
    args = device.args("attn_prefill", n_rows=1, n_tiles=len(starts), n_q_heads=hq, max_blocks=pages, softmax_scale=d ** -0.5,
                       q_stride=hq * d, tile_row=ints([0] * len(starts)), tile_start=ints(starts), slot=ints([0]),
                       token_start=ints([0, tokens]), context_len=ints([context]), block_table=ints(rng.permutation(pages)[None]),
                       q=device.buffer(bf16(rng.standard_normal((tokens, hq * d), np.float32))),
                       out=device.full((tokens, hq, d), 0, np.uint16), kv_h=kv)
    peer = None
    if not bench.dry and prefix == 0:
        torch = bench.torch
        q = torch.randn(1, hq, tokens, d, device="cuda", dtype=torch.bfloat16)
        k, v = (torch.randn(1, hkv, tokens, d, device="cuda", dtype=torch.bfloat16) for _ in range(2))
        peer = lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    seen = tokens * prefix + tokens * (tokens + 1) / 2
    return bench.row(f"prefill {tokens} after {prefix} Hq{hq} Hkv{hkv} D{d}", [lambda: device.launch("attn_prefill", args)],
              gigabytes=2 * context * hkv * d * 2 / 1e9, teraflop=4 * seen * hq * d / 1e12, peer=peer)


def rope(bench, tokens, hq, hkv, d):
    device, block = bench.device, 16
    pages = -(-tokens // block)
    pool = device.full((2, pages, hkv, block, d), 0, np.uint16)
    kv = STRUCTS["ms_kv_cache"](struct_size=C.sizeof(STRUCTS["ms_kv_cache"]), dtype=K["MS_BF16"], n_layers=1, n_kv_heads=hkv,
                                head_dim=d, block_size=block, n_blocks=pages, base=pool.address)
    ones = device.buffer(bf16(np.ones(d)))
    width = (hq + 2 * hkv) * d
    args = device.args("qk_rope_kv", n_tokens=tokens, n_q_heads=hq, rope=K["MS_ROPE_NEOX"], rotary_dim=d, max_position=tokens, eps=1e-6,
                       positions=device.buffer(np.arange(tokens, dtype=np.int32)), kv_slots=device.buffer(np.arange(tokens)),
                       cos_sin=device.full((tokens, d), 0.7, np.float32), q_weight=ones, k_weight=ones,
                       qkv=device.buffer(bf16(np.random.default_rng(4).standard_normal((tokens, width), np.float32))), kv_h=kv)
    return bench.row(f"qk-norm+rope+kv {tokens} Hq{hq} Hkv{hkv} D{d}", [lambda: device.launch("qk_rope_kv", args)] * 4,
              gigabytes=tokens * 2 * (width + (hq + 2 * hkv) * d) / 1e9)


def activation(bench, tokens, features):
    device = bench.device
    args = device.args("act_mul", n_tokens=tokens, features=features, out=device.full((tokens, features), 0, np.uint16),
                       gate_up=device.buffer(bf16(np.random.default_rng(5).standard_normal((tokens, 2 * features), np.float32))))
    peer = None
    if not bench.dry:
        torch = bench.torch
        x = torch.randn(tokens, 2 * features, device="cuda", dtype=torch.bfloat16)
        fused = torch.compile(lambda a: torch.nn.functional.silu(a[:, :features]) * a[:, features:])
        peer = lambda: fused(x)
    return bench.row(f"silu*mul {tokens} x {features}", [lambda: device.launch("act_mul", args)] * 4, gigabytes=3 * tokens * features * 2 / 1e9,
              peer=peer)


def block_copy(bench, blocks, layers, hkv, d):
    device, block = bench.device, 16
    n = 2 * blocks
    pool = device.full((layers, 2, n, hkv, block, d), 0, np.uint16)
    kv = STRUCTS["ms_kv_cache"](struct_size=C.sizeof(STRUCTS["ms_kv_cache"]), dtype=K["MS_BF16"], n_layers=layers, n_kv_heads=hkv,
                                head_dim=d, block_size=block, n_blocks=n, base=pool.address)
    pages = np.random.default_rng(6).permutation(n)
    args = device.args("block_copy", n_pairs=blocks, to=device.buffer(pages[blocks:]), source_h=kv, kv_h=kv,
                       **{"from": device.buffer(pages[:blocks])})
    return bench.row(f"block copy {blocks} blocks of {layers} layers", [lambda: device.launch("block_copy", args)],
              gigabytes=2 * blocks * layers * 2 * hkv * block * d * 2 / 1e9)


def norm(bench, tokens, hidden):
    device = bench.device
    rng = np.random.default_rng(0)
    x, r = (device.buffer(bf16(rng.standard_normal((tokens, hidden), np.float32))) for _ in range(2))
    args = device.args("add_rmsnorm", n_tokens=tokens, hidden=hidden, eps=1e-6, x=x, residual=r,
                       weight=device.buffer(bf16(np.ones(hidden))), out=device.full((tokens, hidden), 0, np.uint16))
    peer = None
    if not bench.dry:
        torch = bench.torch
        a, b = (torch.randn(tokens, hidden, device="cuda", dtype=torch.bfloat16) for _ in range(2))
        w = torch.ones(hidden, device="cuda", dtype=torch.bfloat16)

        @torch.compile
        def fused(x, r):
            h = x + r
            return h, torch.nn.functional.rms_norm(h, (hidden,), w, 1e-6)
        peer = lambda: fused(a, b)
    return bench.row(f"add+rmsnorm {tokens} x {hidden}", [lambda: device.launch("add_rmsnorm", args)] * 4,
              gigabytes=4 * tokens * hidden * 2 / 1e9, peer=peer)


def sampler(bench, rows, vocab, rule):
    device = bench.device
    logits = device.buffer((np.random.default_rng(0).standard_normal((rows, vocab), np.float32) * 2.5))
    args = device.args("sample", n_rows=rows, vocab=vocab, logits=logits,
                       rows=device.buffer(rows_of(rows, **rule).view(np.uint8)), tokens=device.full(rows, 0, np.int32))
    return bench.row(f"sample {rows} x {vocab} {rule}", [lambda: device.launch("sample", args)] * 4, gigabytes=rows * vocab * 4 / 1e9)


def cases(small, core, has_lt):
    """(function, arguments) of every row, the most telling first; `small` fits the emulator, `core` a few minutes."""
    lt = K["MS_GEMM_AUTO"] if small or not has_lt else K["MS_GEMM_CUBLASLT"]
    pick = lambda tiny, few, all_: tiny if small else few if core else all_
    for batch, context in pick(((2, 200),), ((32, 4096), (256, 1024), (1, 16384), (1, 1024)),
                               ((1, 1024), (1, 16384), (32, 1024), (32, 4096), (256, 1024), (64, 8192))):
        for hq, hkv in pick(((4, 2),), ((32, 8),), ((16, 8), (32, 8))):
            for fp8 in (False, True):
                yield decode, (batch, context, hq, hkv, 128, fp8)
    for n, k in pick(((64, 512),), ((4096, 1024), (28672, 4096), (4096, 14336)),
                     ((4096, 1024), (1024, 2048), (1024, 3072), (6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336))):
        for m in pick((1, 8), (1, 32), (1, 8, 16, 32, 64)):
            for fp8 in pick((False, True), (False,), (False, True)):
                yield skinny, (m, n, k, fp8)
    for tokens, prefix, hq, hkv, d in pick(((20, 12, 4, 2, 64),), ((8192, 0, 32, 8, 128),), (
            (2048, 0, 16, 8, 128), (2048, 0, 32, 8, 128), (8192, 0, 32, 8, 128), (2048, 14336, 32, 8, 128))):
        yield prefill, (tokens, prefix, hq, hkv, d)
    for m, n, k in pick(((2, 64, 512),), ((256, 28672, 4096), (8192, 28672, 4096)), (
            (128, 6144, 4096), (256, 28672, 4096), (2048, 6144, 4096), (8192, 28672, 4096), (8192, 4096, 14336))):
        yield linear, (m, n, k, "cuBLASLt", lt, K["MS_BF16"])
    if has_lt:
        for m, n, k in pick(((80, 64, 512),), ((8192, 28672, 4096),), ((128, 6144, 4096), (2048, 6144, 4096), (8192, 28672, 4096))):
            yield wide_fp8, (m, n, k)
    rules = (dict(temperature=0.7, top_k=50, top_p=0.9), dict(temperature=0.7, top_p=0.9), dict(temperature=1.0))
    for rule in pick(rules, rules[:1], rules):
        yield sampler, (2 if small else 64, 3000 if small else 131072, rule)
    for m, n, k in pick(((2, 199, 512),), ((1, 151936, 1024), (256, 128256, 4096)), (
            (1, 151936, 1024), (32, 151936, 1024), (256, 151936, 1024), (1, 128256, 4096), (256, 128256, 4096))):
        yield linear, (m, n, k, "LM head", K["MS_GEMM_AUTO"], K["MS_F32"])
    if core:
        return
    for n, k, gated in ((64, 512, False), (64, 512, True)) if small else (
            (4096, 1024, False), (3072, 1024, True), (6144, 4096, False), (14336, 4096, True)):
        for m in (1, 20) if small else (1, 8, 16, 32, 64):
            for apart in (False, True):
                yield fused, (m, n, k, gated, apart)
    for tokens, hidden in ((2, 1024),) if small else ((1, 4096), (256, 4096), (8192, 4096)):
        yield norm, (tokens, hidden)
    for tokens, hq, hkv, d in ((3, 4, 2, 64),) if small else ((1, 32, 8, 128), (256, 32, 8, 128), (8192, 32, 8, 128), (256, 16, 8, 128)):
        yield rope, (tokens, hq, hkv, d)
    for tokens, features in ((2, 64),) if small else ((1, 14336), (256, 14336), (8192, 14336)):
        yield activation, (tokens, features)
    yield block_copy, (2 if small else 512, 1 if small else 32, 2 if small else 8, 64 if small else 128)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--json")
    parser.add_argument("--cublaslt")
    parser.add_argument("--core", action="store_true")
    parser.add_argument("--dry", action="store_true")
    options = parser.parse_args()
    torch = None
    if not options.dry:
        import torch
        torch.cuda.init()
    bench = Bench(Device(options.library, options.cublaslt), torch, options.dry)
    table = Table(options.json, limit_s=3600 if options.dry else 90, wrap=lambda rows: dict(copy_gb_s=bench.copy, product_tflop_s=bench.product, rows=rows))
    for function, arguments in cases(options.dry, options.core, bool(bench.device.info.has_cublaslt)):
        name = " ".join([function.__name__, *map(str, arguments)])
        row = table.run(name, lambda: function(bench, *arguments))
        if row is not None and row["verdict"] != "ok":
            print(f"{name}: {row['verdict']}", flush=True)
    if table.failed():
        print(f"{table.failed()} of {len(table.rows)} rows failed")
    return 1 if table.failed() else 0


if __name__ == "__main__":
    sys.exit(main())
