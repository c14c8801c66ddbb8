"""Capture and replay give the bits of eager launches; a row gives the same bits alone and in a batch; bad input is refused."""
import numpy as np

import check_attention
from abi import K, AbiError, C, bf16

POISON = 0x7FC0


def chain(device, rng):
    """Norm, GEMM with split k, activation and a copy, over buffers that change between replays."""
    hidden, features, tokens = 512, 256, 6
    count = device.buffer(np.array([tokens], np.int32))
    x, residual = (device.buffer(bf16(rng.standard_normal((tokens, hidden)))) for _ in range(2))
    normed, gate_up = device.full((tokens, hidden), POISON, np.uint16), device.full((tokens, 2 * features), POISON, np.uint16)
    out, copied = (device.full((tokens, features), POISON, np.uint16) for _ in range(2))
    norm = device.args("add_rmsnorm", n_tokens=tokens, hidden=hidden, eps=1e-6, count=count, x=x, residual=residual,
                       weight=device.buffer(bf16(np.ones(hidden))), out=normed)
    gemm = device.args("gemm", path=K["MS_GEMM_SKINNY"], m=tokens, n=2 * features, k=hidden, x_dtype=K["MS_BF16"],
                       w_dtype=K["MS_BF16"], y_dtype=K["MS_BF16"], splits=2, count=count, x=normed,
                       w=device.buffer(bf16(rng.standard_normal((2 * features, hidden)) * 0.05)), y=gate_up,
                       workspace=device.full(4 << 20, 0xFF, np.uint8), workspace_bytes=4 << 20,
                       tickets=device.full(features, 0, np.int32))
    act = device.args("act_mul", n_tokens=tokens, features=features, activation=0, count=count, gate_up=gate_up, out=out)

    def body():
        device.launch("add_rmsnorm", norm)
        device.launch("gemm", gemm)
        device.launch("act_mul", act)
        device.call("ms_d2d", C.c_void_p(copied.address), C.c_void_p(out.address), C.c_size_t(out.nbytes), device.stream)
    return body, x, residual, count, copied


def check_replay(device, rng, replays):
    body, x, residual, count, out = chain(device, rng)
    body()
    device.sync()
    untouched = out.read()
    replay = device.capture(body)
    assert (out.read() == untouched).all(), "capturing ran something"
    for turn in range(replays):
        fresh = [bf16(rng.standard_normal(x.shape)) for _ in range(2)]
        rows = 1 + turn % x.shape[0]
        results = []
        for run in (body, replay):
            x.write(fresh[0])
            residual.write(fresh[1])
            count.write(np.array([rows], np.int32))
            out.write(np.full(out.shape, POISON, np.uint16))
            run()
            device.sync()
            results.append((out.read(), residual.read()))
        assert (results[0][0] == results[1][0]).all() and (results[0][1] == results[1][1]).all(), f"replay {turn} differs"
    return 0.0


def check_decode_replay(device, rng, replays):
    """The decode graph follows the step: counts, work list, contexts and pages change under it."""
    hkv, group, d, chunk = 2, 2, 64, 64
    bound_rows, bound_work = 6, 24
    cache = check_attention.Cache(device, rng, [150, 40, 90, 64, 200, 17], hkv, d)
    q = device.buffer(bf16(rng.standard_normal((bound_rows, hkv * group * d))))
    args, out = check_attention.decode_args(device, cache, q, hkv * group, chunk, fixed=False)
    buffers = {name: device.full(bound_work if name != "work_indptr" else bound_rows + 1, 0, np.int32)
               for name in ("work_row", "work_chunk", "work_indptr")}
    count, context = device.full(2, 0, np.int32), device.full(bound_rows, 0, np.int32)
    partial = device.full((bound_work, hkv * group, d + 2), np.nan, np.float32)
    args.n_work, args.work_count, args.context_len, args.partial = bound_work, count.address, context.address, partial.address
    for name, buffer in buffers.items():
        setattr(args, name, buffer.address)

    def step(rows, chunk):
        contexts = [int(rng.integers(1, c + 1)) for c in cache.contexts[:rows]]
        row, chunks, indptr = check_attention.plan_decode(contexts, chunk, 0)
        pad = lambda a, n, fill: np.concatenate([a, np.full(n - len(a), fill)]).astype(np.int32)
        buffers["work_row"].write(pad(row, bound_work, 10 ** 6))
        buffers["work_chunk"].write(pad(chunks, bound_work, 10 ** 6))
        buffers["work_indptr"].write(pad(indptr, bound_rows + 1, indptr[-1]))
        count.write(np.array([len(row), chunk], np.int32))
        context.write(pad(np.array(contexts), bound_rows, 0))

    body = lambda: device.launch("attn_decode", args)
    step(3, 64)
    body()
    device.sync()
    replay = device.capture(body)
    for turn in range(replays):
        step(1 + turn % bound_rows, (64, 128, 192)[turn % 3])
        results = []
        for run in (body, replay):
            out.write(np.full(out.shape, POISON, np.uint16))
            run()
            device.sync()
            results.append(out.read())
        assert (results[0] == results[1]).all(), f"replay {turn} differs"
        assert (results[0][1 + turn % bound_rows:] == POISON).all(), "a padded row was written"
    return 0.0


def check_batch_invariance(device, rng, batch):
    """With a fixed chunk, a row's attention has the same bits alone and among others."""
    hkv, group, d = 2, 4, 128
    contexts = [333] + rng.integers(1, 300, batch - 1).tolist()
    cache = check_attention.Cache(device, rng, contexts, hkv, d)
    q = bf16(rng.standard_normal((batch, hkv * group * d)))
    args, out = check_attention.decode_args(device, cache, device.buffer(q), hkv * group, 128)
    device.launch("attn_decode", args)
    device.sync()
    together = out.read()[0]
    cache.contexts = cache.contexts[:1]
    args, out = check_attention.decode_args(device, cache, device.buffer(q[:1]), hkv * group, 128)
    device.launch("attn_decode", args)
    device.sync()
    assert (out.read()[0] == together).all()
    return 0.0


def check_refusals(device):
    """Unknown types, sizes and nulls are statuses with the field's name."""
    def refused(word, op, **values):
        try:
            device.launch(op, device.args(op, **values))
        except AbiError as problem:
            assert word in str(problem), (word, str(problem))
            return
        raise AssertionError(f"{op} accepted {values}")
    some = device.full(64, 0, np.uint8)
    refused("hidden", "embed", n_tokens=1, hidden=12, vocab=5, ids=some, table=some, out=some)
    refused("table", "embed", n_tokens=1, hidden=16, vocab=5, ids=some, out=some)
    refused("n_tokens", "act_mul", n_tokens=0, features=8, gate_up=some, out=some)
    refused("activation", "act_mul", n_tokens=1, features=8, activation=9, gate_up=some, out=some)
    refused("x_dtype", "gemm", m=1, n=8, k=256, x_dtype=99, w_dtype=1, y_dtype=1, x=some, w=some, y=some)
    # A GPU would be lost by a vector load from there.
    refused("table must be a multiple of 16", "embed", n_tokens=1, hidden=16, vocab=5, ids=some, table=some.address + 8, out=some)
    refused("residual must be a multiple of 16", "gemm", m=1, n=8, k=256, x_dtype=1, w_dtype=1, y_dtype=1, x=some, w=some, y=some,
            residual=some.address + 2)
    cache = check_attention.Cache(device, np.random.default_rng(0), [4], 1, 64)
    for field, value in (("head_dim", 72), ("dtype", 77), ("block_size", 5), ("struct_size", 3)):
        kv = cache.struct()
        setattr(kv, field, value)
        refused("kv dtype" if field == "dtype" else field, "qk_rope_kv", n_tokens=1, n_q_heads=1, positions=some, kv_slots=some,
                qkv=some, kv_h=kv)
    refused("heads per", "attn_decode", n_rows=1, n_work=1, n_q_heads=17, kv_h=cache.struct())
    return 0.0


def cases(device, full):
    yield "refusals", lambda r: check_refusals(device)
    yield "graph replay", lambda r: check_replay(device, r, 100 if full else 8)
    yield "graph replay decode", lambda r: check_decode_replay(device, r, 100 if full else 8)
    yield "decode batch invariance", lambda r: check_batch_invariance(device, r, 256 if full else 5)
