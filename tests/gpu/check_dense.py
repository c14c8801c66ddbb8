"""Step prologue, embedding, norms, activations, quantisation and GEMM, against fp64."""
import functools

import numpy as np

from abi import C, K, bf16, fp8, from_bf16, from_fp8
from reference import error, gelu_tanh, rmsnorm, silu

POISON = 0x7FC0


def check_step_begin(device, rng, bound_extra):
    block, max_blocks, slots = 16, 9, 7
    lengths, firsts = np.array([1, 20, 1, 5]), np.array([33, 0, 15, 40])
    rows, tokens = 4, int(lengths.sum())
    n_rows, n_tokens = rows + bound_extra, tokens + bound_extra
    slot = rng.permutation(slots)[:rows].astype(np.int32)
    table = rng.integers(0, 1000, (slots, max_blocks)).astype(np.int32)
    deltas = np.array([[slot[0], 2, 777], [slot[1], 1, 888], [slot[3], 0, 999]], np.int32)
    ids = rng.integers(0, 500, tokens).astype(np.int32)
    ids[0] = ids[-1] = -1
    last = rng.integers(1000, 2000, slots).astype(np.int32)
    pad = lambda a, n: np.concatenate([a, np.full(n - len(a), 10 ** 8)]).astype(np.int32)
    start = np.concatenate([[0], np.cumsum(lengths)])
    names = ("token_ids", "positions", "kv_slots", "context_len")
    outs = {n: device.full(n_tokens if n != "context_len" else n_rows, -77, np.int64 if n == "kv_slots" else np.int32)
            for n in names}
    table_d = device.buffer(table)
    column = lambda i: device.buffer(pad(deltas[:, i], 5))
    device.run("step_begin", n_rows=n_rows, n_tokens=n_tokens, n_deltas=5, max_blocks=max_blocks, block_size=block,
               counts=device.buffer(np.array([rows, tokens, 3], np.int32)), delta_slot=column(0), delta_index=column(1),
               delta_block=column(2), slot=device.buffer(pad(slot, n_rows)), token_start=device.buffer(pad(start, n_rows + 1)),
               first_position=device.buffer(pad(firsts, n_rows)), input_ids=device.buffer(pad(ids, n_tokens)),
               last_token=device.buffer(last), block_table=table_d, **outs)
    table[deltas[:, 0], deltas[:, 1]] = deltas[:, 2]
    assert (table_d.read() == table).all()
    row = np.repeat(np.arange(rows), lengths)
    position = firsts[row] + np.arange(tokens) - start[row]
    slots_of = slot[row]
    expected = dict(token_ids=np.where(ids >= 0, ids, last[slots_of]), positions=position,
                    kv_slots=table[slots_of, position // block].astype(np.int64) * block + position % block,
                    context_len=firsts + lengths)
    filler = dict(token_ids=0, positions=0, kv_slots=-1, context_len=0)
    for name in names:
        result, want = outs[name].read(), expected[name]
        assert (result[:len(want)] == want).all(), name
        assert (result[len(want):] == filler[name]).all(), f"padding of {name}"
    return 0.0


def check_embed(device, rng, tokens, hidden, scale):
    table = bf16(rng.standard_normal((50, hidden)))
    ids = rng.integers(0, 50, tokens + 1).astype(np.int32)
    ids[0] = 10 ** 6  # out of range reads row 0
    out = device.full((tokens + 1, hidden), POISON, np.uint16)
    device.run("embed", n_tokens=tokens + 1, hidden=hidden, vocab=50, scale=scale, ids=device.buffer(ids), out=out,
               count=device.buffer(np.array([tokens], np.int32)), table=device.buffer(table))
    ids[0] = 0
    result = out.read()
    assert (result[tokens:] == POISON).all(), "a padded row was written"
    assert (result[:tokens] == bf16(from_bf16(table[ids[:tokens]]) * scale)).all()
    return 0.0


def check_norm(device, rng, tokens, hidden, residual=True, offset=0.0, quantised=False):
    x, r = (bf16(rng.standard_normal((tokens + 1, hidden))) for _ in range(2))
    w = bf16(1 + 0.1 * rng.standard_normal(hidden))
    out = device.full((tokens + 1, hidden), 0x7F if quantised else POISON, np.uint8 if quantised else np.uint16)
    scale = device.full(tokens + 1, np.nan, np.float32)
    residual_d = device.buffer(r)
    device.run("add_rmsnorm", n_tokens=tokens + 1, hidden=hidden, eps=1e-5, weight_offset=offset,
               count=device.buffer(np.array([tokens], np.int32)), x=device.buffer(x), residual=residual_d if residual else None,
               weight=device.buffer(w), out=out, out_scale=scale if quantised else None)
    h = from_bf16(x) + (from_bf16(r) if residual else 0)
    if residual:
        stored = residual_d.read()
        assert (stored[:tokens] == bf16(h[:tokens])).all() and (stored[tokens:] == r[tokens:]).all(), "residual"
        h = from_bf16(bf16(h))
    expected = rmsnorm(h, from_bf16(w), 1e-5, offset)[:tokens]
    result = out.read()
    real = from_fp8(result[:tokens]) * scale.read()[:tokens, None] if quantised else from_bf16(result[:tokens])
    assert (result[tokens:] == (0x7F if quantised else POISON)).all(), "a padded row was written"
    worst = error(real, expected)
    assert worst <= (4e-2 if quantised else 4e-3), worst
    return worst


def check_quant(device, rng, rows, columns):
    x = bf16(rng.standard_normal((rows, columns)) * 3)
    x[0] = 0
    if rows > 1:
        x[1] = bf16(np.where(np.arange(columns) % 2, 1e-38, 0.0))  # the inverse of such a scale would be infinite
    out, scale = device.full((rows, columns), 0x7F, np.uint8), device.full(rows, np.nan, np.float32)
    device.run("quant_fp8", n_rows=rows, columns=columns, x=device.buffer(x), out=out, scale=scale)
    s = scale.read()
    top = np.abs(from_bf16(x)).max(1)
    assert np.allclose(s, np.where(top > 1e-30, top / 448, 1), rtol=1e-6)
    # At a tie, f32 arithmetic may choose the other neighbour; the value may not be further off.
    real = from_fp8(out.read()) * s[:, None]
    step = np.abs(real - from_bf16(x))
    exact = np.abs(from_fp8(fp8(from_bf16(x) / s[:, None])) * s[:, None] - from_bf16(x))
    assert (step <= exact + 1e-5 * np.abs(from_bf16(x))).all()
    return error(real, from_bf16(x))


def check_gather(device, rng):
    x, index = bf16(rng.standard_normal((9, 24))), np.array([8, -1, 0, 3], np.int32)
    out = device.full((4, 24), POISON, np.uint16)
    device.run("gather_rows", n_rows=4, columns=24, count=device.buffer(np.array([3], np.int32)), index=device.buffer(index),
               x=device.buffer(x), out=out)
    result = out.read()
    assert (result[[0, 2]] == x[[8, 0]]).all() and (result[[1, 3]] == POISON).all()
    return 0.0


def check_act(device, rng, tokens, features, activation):
    x = bf16(rng.standard_normal((tokens + 1, 2 * features)) * 2)
    out = device.full((tokens + 1, features), POISON, np.uint16)
    device.run("act_mul", n_tokens=tokens + 1, features=features, activation=activation,
               count=device.buffer(np.array([tokens], np.int32)), gate_up=device.buffer(x), out=out)
    act = silu if activation == K["MS_ACT_SILU"] else gelu_tanh
    wide = from_bf16(x)
    result = out.read()
    assert (result[tokens:] == POISON).all(), "a padded row was written"
    worst = error(from_bf16(result[:tokens]), (act(wide[:, :features]) * wide[:, features:])[:tokens])
    assert worst <= 4e-3, worst
    return worst


@functools.lru_cache(maxsize=1)
def gemm_weight(rows, k, fp):
    """Made once for the row counts of a sweep: of large shapes it takes longer than the product."""
    weights = np.random.default_rng(rows * 31 + k).standard_normal((rows, k)) * 0.05
    if not fp:
        return bf16(weights), None, from_bf16(bf16(weights))
    scale = (np.abs(weights).max(1) / 448).astype(np.float32)
    codes = fp8(weights / scale[:, None])
    return codes, scale, from_fp8(codes) * scale[:, None]


def gemm_buffers(device, rng, m, n, k, rows, fp):
    return bf16(rng.standard_normal((m, k))), *gemm_weight(rows, k, fp)


def check_gemm(device, rng, m, n, k, path=None, epilogue=0, fp=False, norm=False, bias=False, residual=False, f32=False,
               splits=0, padded=0):
    """m rows count, `padded` more are in the buffers and must stay as they were."""
    path = path if path is not None else K["MS_GEMM_SKINNY"]
    rows = 2 * n if epilogue else n
    x, w, scale, wide = gemm_buffers(device, rng, m + padded, n, k, rows, fp)
    weight, b = bf16(1 + 0.1 * rng.standard_normal(k)), bf16(rng.standard_normal(rows))
    r = bf16(rng.standard_normal((m + padded, n)))
    y = device.full((m + padded, n), np.nan if f32 else POISON, np.float32 if f32 else np.uint16)
    given = dict(path=path, epilogue=epilogue, m=m + padded, n=n, k=k, x_dtype=K["MS_BF16"],
                 w_dtype=K["MS_FP8_E4M3" if fp else "MS_BF16"], y_dtype=K["MS_F32" if f32 else "MS_BF16"], splits=splits,
                 eps=1e-6, count=device.buffer(np.array([m], np.int32)) if padded else None, x=device.buffer(x),
                 w=device.buffer(w), w_scale=device.buffer(scale) if fp else None,
                 norm_weight=device.buffer(weight) if norm else None, bias=device.buffer(b) if bias else None,
                 residual=device.buffer(r) if residual else None, y=y, workspace=device.full(16 << 20, 0xFF, np.uint8),
                 workspace_bytes=16 << 20, tickets=device.full(rows // 8 + 1, 0, np.int32))
    args = device.args("gemm", **given)
    device.launch("gemm", args)
    device.sync()
    first = y.read()
    inputs = rmsnorm(from_bf16(x), from_bf16(weight), 1e-6) if norm else from_bf16(x)
    out = inputs @ wide.T + (from_bf16(b) if bias else 0)
    if epilogue:
        out = (silu if epilogue == K["MS_EPILOGUE_SILU_MUL"] else gelu_tanh)(out[:, :n]) * out[:, n:]
    if residual:
        out = out + from_bf16(r)
    worst = error(first[:m] if f32 else from_bf16(first[:m]), out[:m])
    assert worst <= (6e-3 if norm else 4e-3), worst
    poison = np.isnan(first[m:]).all() if f32 else (first[m:] == POISON).all()
    assert poison, "a padded row was written"
    device.launch("gemm", args)
    device.sync()
    assert (y.read()[:m].view(np.uint8) == first[:m].view(np.uint8)).all(), "the second launch differs"
    return worst


def check_in_place(device, rng, m, n, k, splits):
    """The residual is the output's own place, as the server has it."""
    x, w, _, wide = gemm_buffers(device, rng, m, n, k, n, False)
    r = bf16(rng.standard_normal((m, n)))
    y = device.buffer(r)
    device.run("gemm", path=K["MS_GEMM_SKINNY"], m=m, n=n, k=k, x_dtype=K["MS_BF16"], w_dtype=K["MS_BF16"], y_dtype=K["MS_BF16"],
               splits=splits, x=device.buffer(x), w=device.buffer(w), residual=y, y=y,
               workspace=device.full(16 << 20, 0xFF, np.uint8), workspace_bytes=16 << 20, tickets=device.full(n // 8 + 1, 0, np.int32))
    worst = error(from_bf16(y.read()), from_bf16(x) @ wide.T + from_bf16(r))
    assert worst <= 4e-3, worst
    return worst


def check_gemm_invariance(device, rng, n, k, m):
    """A row alone and among others: equal bits for every bound, as long as the splits are given."""
    x, w, _, _ = gemm_buffers(device, rng, m, n, k, n, False)
    results = []
    for rows in (1, m):
        y = device.full((rows, n), POISON, np.uint16)
        device.run("gemm", path=K["MS_GEMM_SKINNY"], m=rows, n=n, k=k, x_dtype=K["MS_BF16"], w_dtype=K["MS_BF16"],
                   y_dtype=K["MS_BF16"], splits=2, x=device.buffer(x[:rows]), w=device.buffer(w), y=y,
                   workspace=device.full(16 << 20, 0xFF, np.uint8), workspace_bytes=16 << 20,
                   tickets=device.full(n // 8 + 1, 0, np.int32))
        results.append(y.read()[0])
    assert (results[0] == results[1]).all()
    return 0.0


def check_cublaslt_fp8(device, rng, m, n, k):
    x, w, scale, wide = gemm_buffers(device, rng, m, n, k, n, True)
    codes, x_scale = device.full((m, k), 0x7F, np.uint8), device.full(m, np.nan, np.float32)
    device.run("quant_fp8", n_rows=m, columns=k, x=device.buffer(x), out=codes, scale=x_scale)
    y = device.full((m, n), POISON, np.uint16)
    device.run("gemm", path=K["MS_GEMM_CUBLASLT"], m=m, n=n, k=k, x_dtype=K["MS_FP8_E4M3"], w_dtype=K["MS_FP8_E4M3"],
               y_dtype=K["MS_BF16"], x=codes, w=device.buffer(w), x_scale=x_scale, w_scale=device.buffer(scale), y=y,
               workspace=device.full(32 << 20, 0, np.uint8), workspace_bytes=32 << 20)
    worst = error(from_bf16(y.read()), from_bf16(x) @ wide.T)
    assert worst <= 4e-2, worst
    return worst


def check_tuned(device, rng, n, k, fp):
    """The algorithm that tuning hands out serves other row counts of the same product, and no other product."""
    kind = K["MS_FP8_E4M3" if fp else "MS_BF16"]
    size = lambda m: (m, k)
    given = lambda m, n, k, algorithm=None: dict(
        path=K["MS_GEMM_CUBLASLT"], m=m, n=n, k=k, x_dtype=kind, w_dtype=kind, y_dtype=K["MS_BF16"], x=x, w=w, y=y,
        x_scale=ones, w_scale=ones, workspace=workspace, workspace_bytes=32 << 20, algo_h=algorithm)
    store = (lambda a: fp8(a)) if fp else bf16
    values, weights = rng.standard_normal(size(96)), rng.standard_normal((n, k)) * 0.05
    x, w = device.buffer(store(values)), device.buffer(store(weights))
    ones, workspace = device.full(max(n, 96), 1, np.float32), device.full(32 << 20, 0, np.uint8)
    y = device.full((96, n), POISON, np.uint16)
    algorithm, us = (C.c_uint8 * 64)(), C.c_float()
    args = device.args("gemm", **given(80, n, k))
    device.call("ms_gemm_tune", C.byref(args), device.stream, algorithm, C.byref(us))
    device.sync()
    wide = from_fp8 if fp else from_bf16
    for m in (80, 96, 33):
        y.write(np.full((96, n), POISON, np.uint16))
        device.run("gemm", **given(m, n, k, C.addressof(algorithm)))
        worst = error(from_bf16(y.read()[:m]), wide(x.read())[:m] @ wide(w.read()).T)
        assert worst <= 4e-3, (m, worst)
    return worst


def cases(device, full):
    yield "step prologue", lambda r: check_step_begin(device, r, 0)
    yield "step prologue padded", lambda r: check_step_begin(device, r, 6)
    yield "embed", lambda r: check_embed(device, r, 5, 264, 1.0)
    yield "embed scaled", lambda r: check_embed(device, r, 3, 64, 8.0)
    for hidden in (64, 1024, 2056, 4096, 8192, 16384):
        yield f"norm {hidden}", lambda r, h=hidden: check_norm(device, r, 3, h)
    yield "norm plain", lambda r: check_norm(device, r, 3, 256, residual=False)
    yield "norm gemma", lambda r: check_norm(device, r, 3, 256, offset=1.0)
    yield "norm fp8", lambda r: check_norm(device, r, 3, 2560, quantised=True)
    yield "quant fp8", lambda r: check_quant(device, r, 5, 520)
    yield "gather", lambda r: check_gather(device, r)
    yield "silu mul", lambda r: check_act(device, r, 3, 520, K["MS_ACT_SILU"])
    yield "gelu mul", lambda r: check_act(device, r, 3, 264, K["MS_ACT_GELU_TANH"])
    for m in (1, 8, 9, 16, 31, 64):
        yield f"skinny m{m}", lambda r, m=m: check_gemm(device, r, m, 40, 512)
        yield f"skinny fp8 m{m}", lambda r, m=m: check_gemm(device, r, m, 40, 512, fp=True)
    yield "skinny splits", lambda r: check_gemm(device, r, 5, 40, 2048, splits=3, residual=True)
    yield "skinny splits gated", lambda r: check_gemm(device, r, 20, 24, 1024, splits=4, epilogue=1)
    yield "skinny residual padded", lambda r: check_gemm(device, r, 3, 64, 256, residual=True, padded=2)
    yield "skinny bias f32", lambda r: check_gemm(device, r, 3, 48, 256, bias=True, f32=True)
    yield "skinny norm", lambda r: check_gemm(device, r, 4, 40, 1024, norm=True)
    yield "skinny norm silu", lambda r: check_gemm(device, r, 4, 40, 1024, norm=True, epilogue=1)
    yield "skinny gelu fp8", lambda r: check_gemm(device, r, 4, 40, 512, fp=True, epilogue=2)
    for k in (32, 96, 288, 416, 736):  # the last round of all warps is not full
        yield f"skinny k{k}", lambda r, k=k: check_gemm(device, r, 5, 40, k)
        yield f"skinny k{k} fused", lambda r, k=k: check_gemm(device, r, 9, 24, k, norm=True, epilogue=1, bias=True)
        yield f"skinny k{k} fp8", lambda r, k=k: check_gemm(device, r, 17, 40, k, fp=True, residual=True)
    yield "skinny k736 splits", lambda r: check_gemm(device, r, 5, 40, 736, splits=2, residual=True)
    yield "skinny k736 more splits than rounds", lambda r: check_gemm(device, r, 5, 40, 736, splits=5)
    yield "skinny in place", lambda r: check_in_place(device, r, 7, 72, 512, 1)
    yield "skinny in place splits", lambda r: check_in_place(device, r, 7, 72, 1024, 4)
    yield "skinny norm fp8 silu padded", lambda r: check_gemm(device, r, 6, 24, 512, norm=True, epilogue=1, fp=True, padded=3)
    yield "skinny norm bias residual", lambda r: check_gemm(device, r, 7, 40, 512, norm=True, bias=True, residual=True)
    yield "skinny norm f32", lambda r: check_gemm(device, r, 7, 199, 512, norm=True, f32=True)
    yield "skinny invariance", lambda r: check_gemm_invariance(device, r, 48, 1024, 8)
    yield "skinny invariance 64", lambda r: check_gemm_invariance(device, r, 48, 1024, 64)
    if device.info.has_cublaslt:
        lt = K["MS_GEMM_CUBLASLT"]
        yield "cublaslt", lambda r: check_gemm(device, r, 200, 256, 512, path=lt)
        yield "cublaslt residual", lambda r: check_gemm(device, r, 200, 256, 512, path=lt, residual=True)
        yield "cublaslt bias", lambda r: check_gemm(device, r, 70, 256, 512, path=lt, bias=True)
        yield "cublaslt f32", lambda r: check_gemm(device, r, 70, 256, 512, path=lt, f32=True)
        yield "cublaslt fp8", lambda r: check_cublaslt_fp8(device, r, 128, 256, 512)
        yield "cublaslt fp8 odd rows", lambda r: check_cublaslt_fp8(device, r, 77, 48, 96)
        yield "cublaslt bias residual", lambda r: check_gemm(device, r, 70, 256, 512, path=lt, bias=True, residual=True)
        yield "cublaslt tuned", lambda r: check_tuned(device, r, 64, 128, False)
        yield "cublaslt tuned fp8", lambda r: check_tuned(device, r, 64, 128, True)
    if full:
        for n, k in ((4096, 1024), (1024, 2048), (6144, 4096), (4096, 14336), (8000, 1024)):
            for fp in (False, True):
                for m in (1, 2, 8, 16, 33, 64):
                    yield f"skinny {'fp8 ' if fp else ''}{m}x{n}x{k}", lambda r, a=(m, n, k), fp=fp: check_gemm(device, r, *a, fp=fp)
        # As a layer of the server uses it: the norm and the gate on the way, the residual in place of a delta. How many rows the
        # weight has matters to no one but numpy, so they are fewer than a model's.
        parts = (("norm+qkv", dict(norm=True)), ("norm+gate", dict(norm=True, epilogue=1)), ("down+residual", dict(residual=True)))
        for k in (1024, 2048, 4096, 14336):
            for part, options in parts:
                for fp in (False, True):
                    for m in (1, 8, 16, 64):
                        yield f"layer {part} {'fp8 ' if fp else ''}m{m} k{k}", lambda r, a=(m, 1024, k), o=options, fp=fp: check_gemm(
                            device, r, *a, fp=fp, padded=1, **o)
