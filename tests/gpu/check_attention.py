"""Decode and prefill attention, the cache write and block copies, against fp64 over a shape sweep."""
import numpy as np

from abi import C, K, STRUCTS, bf16, fp8, from_bf16, from_fp8
from reference import attention, error, rmsnorm, rotate, sdpa_error

TOLERANCE = {K["MS_BF16"]: 6e-3, K["MS_FP8_E4M3"]: 6e-3}  # fp8 is exact once stored; the reference reads what was stored


class Cache:
    """A paged cache with random contents for every sequence, and a random page table."""

    def __init__(self, device, rng, contexts, hkv, d, block=16, dtype=K["MS_BF16"], layers=2, layer=1, extra_slots=2):
        self.device, self.layer, self.block, self.d, self.hkv, self.dtype = device, layer, block, d, hkv, dtype
        self.contexts = np.array(contexts, np.int32)
        needed = [-(-int(c) // block) for c in contexts]
        self.max_blocks = max(max(needed, default=1), 1) + 1
        self.n_blocks = sum(needed) + 3
        self.layers = layers
        shape = (layers, 2, self.n_blocks, hkv, block, d)
        values = rng.standard_normal(shape)
        self.scale = np.array([0.5, 0.25], np.float32)[:layers] if dtype == K["MS_FP8_E4M3"] else None
        if dtype == K["MS_FP8_E4M3"]:
            stored = fp8(values / self.scale[:, None, None, None, None, None])
            self.values = from_fp8(stored) * self.scale[:, None, None, None, None, None]
        else:
            stored = bf16(values)
            self.values = from_bf16(stored)
        # Blocks that no table names hold NaN: a wrong page is not a small error.
        pages = rng.permutation(self.n_blocks)[:sum(needed)]
        unused = np.setdiff1d(np.arange(self.n_blocks), pages)
        stored[:, :, unused] = 0x7F if dtype == K["MS_FP8_E4M3"] else 0x7FC0
        slots = len(contexts) + extra_slots
        self.slots = rng.permutation(slots)[:len(contexts)].astype(np.int32)
        self.table = np.zeros((slots, self.max_blocks), np.int32)
        start = 0
        for row, n in enumerate(needed):
            self.table[self.slots[row], :n] = pages[start:start + n]
            start += n
        # What lies past a context inside its last block is as stale as the rest.
        for row, c in enumerate(contexts):
            if c % block:
                page = self.table[self.slots[row], c // block]
                stored[:, :, page, :, c % block:] = 0x7F if dtype == K["MS_FP8_E4M3"] else 0x7FC0
        self.base = device.buffer(stored)
        self.scales = device.buffer(self.scale) if self.scale is not None else None
        self.table_d, self.slots_d = device.buffer(self.table), device.buffer(self.slots)
        self.contexts_d = device.buffer(self.contexts)

    def struct(self, n_blocks=None, base=None):
        kv = STRUCTS["ms_kv_cache"](struct_size=C.sizeof(STRUCTS["ms_kv_cache"]), dtype=self.dtype, n_layers=self.layers,
                                    n_kv_heads=self.hkv, head_dim=self.d, block_size=self.block,
                                    n_blocks=n_blocks or self.n_blocks, base=base or self.base.address)
        if self.scales is not None:
            kv.k_scale = kv.v_scale = self.scales.address
        return kv

    def sequence(self, row):
        """Keys and values of one row, [context, Hkv, D] each."""
        c = int(self.contexts[row])
        pages = self.table[self.slots[row]][np.arange(c) // self.block]
        gathered = self.values[self.layer][:, pages, :, np.arange(c) % self.block]  # [context, 2, Hkv, D] or so
        if gathered.shape[0] == 2:
            return gathered[0], gathered[1]
        return gathered[:, 0], gathered[:, 1]


def plan_decode(contexts, chunk, window):
    """The work list: rows and chunks, longest first, and each row's range of partials."""
    rows, chunks, indptr = [], [], [0]
    for row, c in enumerate(contexts):
        first = max(0, int(c) - window) // chunk if window else 0
        last = -(-int(c) // chunk)
        for k in range(first, max(last, first + 1)):
            rows.append(row)
            chunks.append(k)
        indptr.append(len(rows))
    order = np.argsort([-(min(int(contexts[r]), (k + 1) * chunk) - k * chunk) for r, k in zip(rows, chunks)], kind="stable")
    return np.array(rows, np.int32)[order], np.array(chunks, np.int32)[order], np.array(indptr, np.int32)


def decode_args(device, cache, q, hq, chunk, window=0, softcap=0.0, sinks=None, padded=0, fixed=True):
    """Arguments of one decode call whose work list and rows are padded by `padded` entries."""
    b, d = len(cache.contexts), cache.d
    rows, chunks, indptr = plan_decode(cache.contexts, chunk, window)
    work = len(rows) + padded
    filler = np.full(padded, 10 ** 6, np.int32)
    out = device.full((b + padded, hq, d), 0x7FC0, np.uint16)
    return device.args(
        "attn_decode", n_rows=b + padded, n_work=work, n_q_heads=hq, layer=cache.layer,
        chunk_tokens=chunk if fixed else 0,
        max_blocks=cache.max_blocks, window=window, softmax_scale=d ** -0.5, softcap=softcap, q_stride=q.shape[1],
        work_count=device.buffer(np.array([len(rows), chunk], np.int32)), work_row=device.buffer(np.concatenate([rows, filler])),
        work_chunk=device.buffer(np.concatenate([chunks, filler])), work_indptr=device.buffer(indptr),
        slot=cache.slots_d, context_len=cache.contexts_d, block_table=cache.table_d,
        sinks=device.buffer(sinks.astype(np.float32)) if sinks is not None else None, q=q, out=out,
        partial=device.full((work, hq, d + 2), np.nan, np.float32),
        tickets=device.full((b + padded, cache.hkv), 0, np.int32), kv_h=cache.struct()), out


def not_much_worse_than_torch(result, expected, q, k, v, scale, first, softcap, window, sink, dtype):
    """Our largest error is at most 1.5 times that of torch's bf16 attention on the same inputs, where torch can compute it."""
    if softcap or sink is not None or dtype != K["MS_BF16"] or k.shape[0] == 0:
        return
    other = sdpa_error(q, k, v, scale, first, window, expected)
    ours = np.abs(result - expected).max()
    # Half a unit in the last place of the largest output is what rounding the result alone may cost.
    assert other is None or ours <= max(1.5 * other, np.abs(expected).max() * 2.0 ** -8), f"largest error {ours:.2e}, torch's {other:.2e}"


def check_decode(device, rng, contexts, hkv, group, d, block=16, dtype=None, chunk=64, window=0, softcap=0.0, sinks=False,
                 padded=0):
    dtype = dtype or K["MS_BF16"]
    hq = hkv * group
    cache = Cache(device, rng, contexts, hkv, d, block, dtype)
    stride = (hq + 2 * hkv) * d  # q inside a packed qkv row
    packed = bf16(rng.standard_normal((len(contexts), stride)))
    sink = rng.standard_normal(hq) if sinks else None
    args, out = decode_args(device, cache, device.buffer(packed), hq, chunk, window, softcap, sink, padded, fixed=padded == 0)
    device.launch("attn_decode", args)
    device.sync()
    result = from_bf16(out.read())
    assert np.isnan(result[len(contexts):]).all(), "a padded row was written"
    q = from_bf16(packed)[:, :hq * d].reshape(-1, 1, hq, d)
    worst = 0.0
    for row, c in enumerate(contexts):
        k, v = cache.sequence(row)
        expected = attention(q[row], k, v, d ** -0.5, int(c) - 1, softcap, window, sink)
        worst = max(worst, error(result[row:row + 1], expected))
        not_much_worse_than_torch(result[row:row + 1], expected, q[row], k, v, d ** -0.5, int(c) - 1, softcap, window, sink, dtype)
    # Tickets are back at zero, so a second launch gives the same bits.
    first = out.read()
    device.launch("attn_decode", args)
    device.sync()
    assert (out.read() == first).all(), "the second launch differs"
    assert worst <= TOLERANCE[dtype], worst
    return worst


def check_prefill(device, rng, lengths, prefixes, hkv, group, d, block=16, dtype=None, window=0, softcap=0.0, sinks=False):
    dtype = dtype or K["MS_BF16"]
    hq = hkv * group
    contexts = [n + p for n, p in zip(lengths, prefixes)]
    cache = Cache(device, rng, contexts, hkv, d, block, dtype)
    total, stride = sum(lengths), (hq + 2 * hkv) * d
    packed = bf16(rng.standard_normal((total, stride)))
    tile = device.lib.ms_prefill_tile_tokens(group, d)
    tiles = [(row, start) for row, n in enumerate(lengths) for start in range(0, n, tile)]
    sink = rng.standard_normal(hq) if sinks else None
    out = device.full((total, hq, d), 0x7FC0, np.uint16)
    column = lambda i: np.array([t[i] for t in tiles] + [10 ** 6], np.int32)
    device.run("attn_prefill", n_rows=len(lengths), n_tiles=len(tiles) + 1, n_q_heads=hq, layer=cache.layer,
               max_blocks=cache.max_blocks, window=window, softmax_scale=d ** -0.5, softcap=softcap, q_stride=stride,
               tile_count=device.buffer(np.array([len(tiles)], np.int32)), tile_row=device.buffer(column(0)),
               tile_start=device.buffer(column(1)), slot=cache.slots_d,
               token_start=device.buffer(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)),
               context_len=cache.contexts_d, block_table=cache.table_d,
               sinks=device.buffer(sink.astype(np.float32)) if sinks else None, q=device.buffer(packed), out=out,
               kv_h=cache.struct())
    result, q, start, worst = from_bf16(out.read()), from_bf16(packed)[:, :hq * d].reshape(-1, hq, d), 0, 0.0
    for row, n in enumerate(lengths):
        k, v = cache.sequence(row)
        expected = attention(q[start:start + n], k, v, d ** -0.5, prefixes[row], softcap, window, sink)
        worst = max(worst, error(result[start:start + n], expected))
        not_much_worse_than_torch(result[start:start + n], expected, q[start:start + n], k, v, d ** -0.5, prefixes[row], softcap,
                                  window, sink, dtype)
        start += n
    assert worst <= TOLERANCE[dtype], worst
    return worst


def check_rope(device, rng, tokens, hq, hkv, d, rope, rotary, dtype=None, norm=True, block=16, padded=2):
    """q within bf16 rounding; k and v exactly where, and to a rounding what, they should be; padded tokens write nothing."""
    dtype = dtype or K["MS_BF16"]
    cache = Cache(device, rng, [tokens + 5], hkv, d, block, dtype)
    n = tokens + padded
    packed = bf16(rng.standard_normal((n, (hq + 2 * hkv), d)))
    positions = rng.integers(0, 90, n).astype(np.int32)
    table = cache.table[cache.slots[0]]
    logical = rng.permutation(tokens + 5)[:tokens]
    kv_slots = np.full(n, -1, np.int64)
    kv_slots[:tokens] = table[logical // block].astype(np.int64) * block + logical % block
    angles = rng.uniform(0, 6, (100, rotary // 2)) if rotary else np.zeros((1, 1))
    cos_sin = np.concatenate([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    weights = [bf16(1 + 0.1 * rng.standard_normal(d)) for _ in range(2)]
    buffer, before = device.buffer(packed), cache.base.read()
    optional = dict(q_weight=device.buffer(weights[0]), k_weight=device.buffer(weights[1])) if norm else {}
    device.run("qk_rope_kv", n_tokens=n, n_q_heads=hq, layer=cache.layer, rope=rope, rotary_dim=rotary, max_position=100,
               eps=1e-6, positions=device.buffer(positions), kv_slots=device.buffer(kv_slots),
               cos_sin=device.buffer(cos_sin), qkv=buffer, kv_h=cache.struct(), **optional)
    x = from_bf16(packed)
    q, k, v = x[:, :hq], x[:, hq:hq + hkv], x[:, hq + hkv:]
    if norm:
        q, k = rmsnorm(q, from_bf16(weights[0]), 1e-6), rmsnorm(k, from_bf16(weights[1]), 1e-6)
    if rope:
        interleaved = rope == K["MS_ROPE_INTERLEAVED"]
        q, k = (rotate(a, positions, cos_sin.astype(np.float64), rotary, interleaved) for a in (q, k))
    result, after = buffer.read(), cache.base.read()
    worst = error(from_bf16(result[:, :hq]), q)
    assert (result[:, hq:] == packed[:, hq:]).all(), "k or v of the packed rows was changed"
    expected = before.copy()
    fp = dtype == K["MS_FP8_E4M3"]
    scale = cache.scale[cache.layer] if fp else 1.0
    for t in range(tokens):
        page, offset = divmod(int(kv_slots[t]), block)
        for plane, value in ((0, k[t]), (1, v[t])):
            stored = after[cache.layer, plane, page, :, offset]
            real = from_fp8(stored) * scale if fp else from_bf16(stored)
            worst_kv = error(real, value)
            assert worst_kv <= (4e-2 if fp else 4e-3), worst_kv
            expected[cache.layer, plane, page, :, offset] = stored
    assert (after == expected).all(), "something else in the cache was changed"
    assert worst <= 4e-3, worst
    return worst


def check_block_copy(device, rng, dtype=None):
    source = Cache(device, rng, [100, 60], 2, 64, 16, dtype or K["MS_BF16"])
    target = Cache(device, rng, [40], 2, 64, 16, dtype or K["MS_BF16"])
    pairs = [(0, 1), (3, 0), (5, 2)]
    before, contents = target.base.read(), source.base.read()
    device.run("block_copy", n_pairs=4, count=device.buffer(np.array([3], np.int32)),
               to=device.buffer(np.array([t for _, t in pairs] + [10 ** 9])), source_h=source.struct(), kv_h=target.struct(),
               **{"from": device.buffer(np.array([s for s, _ in pairs] + [10 ** 9]))})
    for s, t in pairs:
        before[:, :, t] = contents[:, :, s]
    assert (target.base.read() == before).all()
    return 0.0


def check_far_block(device, rng):
    """Decode from the last block of a pool beyond 2^31 elements: every offset must be 64-bit."""
    d, hkv, block = 128, 8, 16
    cache = Cache(device, rng, [13], hkv, d, block, layers=1, layer=0)
    block_bytes = hkv * block * d * 2
    n_blocks = (2 ** 31 * 2 + 2 ** 30) // block_bytes  # bytes of one plane exceed 2^32
    pool = device.malloc(2 * n_blocks * block_bytes)
    page = int(cache.table[cache.slots[0], 0])
    for plane in range(2):
        source = cache.base.address + (plane * cache.n_blocks + page) * block_bytes
        target = pool + (plane * n_blocks + n_blocks - 1) * block_bytes
        device.call("ms_d2d", C.c_void_p(target), C.c_void_p(source), C.c_size_t(block_bytes), device.stream)
    q = device.buffer(bf16(rng.standard_normal((1, 16 * d))))
    args, out = decode_args(device, cache, q, 16, 64)
    device.launch("attn_decode", args)
    device.sync()
    near = out.read()
    cache.table[cache.slots[0], 0] = n_blocks - 1
    cache.table_d.write(cache.table)
    far = cache.struct(n_blocks, pool)
    args.kv_h = C.addressof(far)
    out.write(np.full(out.shape, 0x7FC0, np.uint16))
    device.launch("attn_decode", args)
    device.sync()
    device.free(pool)
    assert (out.read() == near).all()
    return 0.0


def cases(device, full):
    """(name, function) pairs; the tiny set is what an emulator finishes in a minute."""
    fp = K["MS_FP8_E4M3"]
    neox, inter = K["MS_ROPE_NEOX"], K["MS_ROPE_INTERLEAVED"]
    yield "rope neox 128 norm", lambda r: check_rope(device, r, 3, 4, 2, 128, neox, 128)
    yield "rope interleaved 64", lambda r: check_rope(device, r, 3, 2, 1, 64, inter, 64, norm=False)
    yield "rope neox 32 norm", lambda r: check_rope(device, r, 3, 2, 1, 32, neox, 32)
    yield "rope partial 80", lambda r: check_rope(device, r, 3, 2, 2, 80, neox, 32, norm=False)
    yield "rope none 96", lambda r: check_rope(device, r, 2, 2, 2, 96, 0, 0)
    yield "rope neox 128 fp8", lambda r: check_rope(device, r, 3, 2, 2, 128, neox, 128, dtype=fp)
    yield "rope neox 256 block 64", lambda r: check_rope(device, r, 2, 1, 1, 256, neox, 256, block=64)
    yield "block copy bf16", lambda r: check_block_copy(device, r)
    yield "block copy fp8", lambda r: check_block_copy(device, r, fp)
    dims = (32, 64, 80, 96, 128, 192, 256)
    for d in dims:
        yield f"decode bf16 d{d}", lambda r, d=d: check_decode(device, r, [1, 70, 130], 1, 2, d, chunk=64, padded=2)
        yield f"decode fp8 d{d}", lambda r, d=d: check_decode(device, r, [17, 130], 1, 2, d, dtype=fp, chunk=128)
        yield f"prefill bf16 d{d}", lambda r, d=d: check_prefill(device, r, [5, 33], [40, 0], 1, 2, d)
        yield f"prefill fp8 d{d}", lambda r, d=d: check_prefill(device, r, [3, 20], [50, 0], 1, 2, d, dtype=fp)
    for options in (dict(window=1), dict(window=40), dict(softcap=50.0), dict(sinks=True), dict(window=64, sinks=True)):
        name = " ".join(f"{k}={v}" for k, v in options.items())
        yield f"decode {name}", lambda r, o=options: check_decode(device, r, [0, 1, 100, 193], 2, 2, 64, chunk=64, **o)
        yield f"prefill {name}", lambda r, o=options: check_prefill(device, r, [70], [30], 1, 2, 64, **o)
    for group in (1, 4, 5, 7, 8, 16):
        yield f"decode group {group}", lambda r, g=group: check_decode(device, r, [65], 2, g, 64)
        yield f"prefill group {group}", lambda r, g=group: check_prefill(device, r, [21], [3], 1, g, 64)
    yield "decode block 64", lambda r: check_decode(device, r, [130, 64], 1, 2, 64, block=64)
    yield "prefill block 64", lambda r: check_prefill(device, r, [40], [60], 1, 2, 64, block=64)
    if not full:
        return
    contexts = [1, 15, 16, 17, 255, 256, 257, 1023, 4097]
    for d in dims:
        for dtype in (K["MS_BF16"], fp):
            for group in (1, 2, 4, 5, 7, 8, 16):
                name = f"{'fp8' if dtype == fp else 'bf16'} d{d} g{group}"
                yield f"decode sweep {name}", lambda r, a=(d, dtype, group): check_decode(
                    device, r, contexts, 2, a[2], a[0], dtype=a[1], chunk=256, padded=3)
                yield f"prefill sweep {name}", lambda r, a=(d, dtype, group): check_prefill(
                    device, r, [1, 17, 130, 257], [255, 0, 1000, 64], 2, a[2], a[0], dtype=a[1])
    for window in (1, 128, 4096):
        for softcap in (0.0, 50.0):
            for block in (16, 64):
                options = dict(window=window, softcap=softcap, block=block)
                yield f"decode sweep {options}", lambda r, o=options: check_decode(device, r, contexts, 2, 4, 128, chunk=512, **o)
                yield f"prefill sweep {options}", lambda r, o=options: check_prefill(device, r, [300], [900], 2, 4, 128, **o)
    for batch in (1, 3, 8, 33, 256):
        yield f"decode batch {batch}", lambda r, b=batch: check_decode(
            device, r, r.integers(1, 700, b).tolist(), 2, 4, 128, chunk=256)
    yield "decode beyond 2^32 bytes", lambda r: check_far_block(device, r)
