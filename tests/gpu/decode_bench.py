#!/usr/bin/env python3
"""Whole decode steps through the C ABI, captured as one graph: milliseconds a step for random weights of real shapes.

usage: decode_bench.py LIBRARY [--json FILE] [--cublaslt FILE] [--core | --peers | --peers-only] [--dry]

Floor: bytes that must be read (weights once, keys and values once) over the copy bandwidth given in the reference, 4.3 TB/s.
Prefill: one prompt of 2k-8k tokens in one step, tokens a second. Peers, on the same machine and in the same run (peers.py): a
static-cache loop under torch.compile(mode="reduce-overhead"), and transformers' continuous batching; a table line says so
where one cannot be imported.
Up to 64 rows every product is the skinny kernel, with the norms on the way or apart (both are measured), gates and residuals on
the way; beyond, cuBLASLt. Of the largest model also with weights in fp8. --core measures what is compared with the targets: batch
1, 32 and 256, one prompt. --dry runs one tiny model once on any implementation of the ABI, without times. A row that fails, or loses
the device, costs itself only (survive.py).
"""
import argparse
import statistics
import sys

import numpy as np

from abi import C, K, STRUCTS, Device, bf16
from check_attention import plan_decode
from check_sampling import rows_of
import peers
from survive import Table

MODELS = {  # layers, hidden, query heads, key/value heads, head size, features, vocabulary, head norms
    "Qwen3-0.6B": (28, 1024, 16, 8, 128, 3072, 151936, True),
    "Llama-3.2-1B": (16, 2048, 32, 8, 64, 8192, 128256, False),
    "Llama-3.1-8B": (32, 4096, 32, 8, 128, 14336, 128256, False),
}
TINY = (2, 256, 4, 2, 64, 512, 1000, True)
COPY_BYTES_PER_SECOND = 4.3e12
BLOCK, CONTEXT = 16, 1024


class Model:
    """Weights and buffers of one model at one batch size; `step` launches one decode step."""

    def __init__(self, device, shape, batch, context, norms_in=True, fp8=False):
        self.device, self.batch, self.context = device, batch, context
        self.norms_in, self.fp8 = norms_in, fp8
        self.layers, self.hidden, self.hq, self.hkv, self.d, self.features, self.vocab, head_norm = shape
        self.owned, self.weight_bytes = [], 0
        self.tile = device.buffer(bf16(np.random.default_rng(0).standard_normal(1 << 24, np.float32) * 0.02))
        self.qkv_width = (self.hq + 2 * self.hkv) * self.d
        ones = device.buffer(bf16(np.ones(max(self.hidden, self.d))))
        self.norm, self.head_norm = ones, ones if head_norm else None
        # Positive codes below 2^5: among all bytes are two that are no number.
        codes = device.buffer(np.random.default_rng(3).integers(0, 0x60, 1 << 25, dtype=np.uint8)) if fp8 else None
        weight = lambda rows, columns: self.weight(rows, columns // 2 if fp8 else columns, codes)
        self.weights = [[weight(self.qkv_width, self.hidden), weight(self.hidden, self.hq * self.d),
                         weight(2 * self.features, self.hidden), weight(self.hidden, self.features)]
                        for _ in range(self.layers)]
        self.head = self.weight(self.vocab, self.hidden)
        self.inputs()
        if fp8:
            widest = max(self.hidden, self.features, self.hq * self.d)
            self.codes, self.scales = device.full((batch, widest), 0, np.uint8), device.full(batch, 1, np.float32)
            # The codes are numbers up to 30; the scale makes them weights like the others.
            self.ones = device.full(max(self.qkv_width, 2 * self.features), 1e-3, np.float32)
        self.calls = self.plan()

    def malloc(self, n):
        self.owned.append(self.device.malloc(n))
        return self.owned[-1]

    def weight(self, rows, columns, tile=None):
        """Random values of 16 bits, by repeated copies of one tile: the time does not depend on which."""
        n, tile = rows * columns * 2, tile or self.tile
        address = self.malloc(n)
        for at in range(0, n, tile.nbytes):
            self.device.call("ms_d2d", C.c_void_p(address + at), C.c_void_p(tile.address),
                             C.c_size_t(min(n - at, tile.nbytes)), self.device.stream)
        self.weight_bytes += n
        return address

    def inputs(self):
        device, b, context = self.device, self.batch, self.context
        pages = -(-context // BLOCK)
        blocks = b * pages
        self.kv_bytes = 2 * self.layers * b * context * self.hkv * self.d * 2
        base = self.weight(2 * self.layers * blocks * self.hkv * BLOCK, self.d)
        self.weight_bytes -= 2 * self.layers * blocks * self.hkv * BLOCK * self.d * 2
        self.kv = STRUCTS["ms_kv_cache"](struct_size=C.sizeof(STRUCTS["ms_kv_cache"]), dtype=K["MS_BF16"], n_layers=self.layers,
                                         n_kv_heads=self.hkv, head_dim=self.d, block_size=BLOCK, n_blocks=blocks, base=base)
        ints = lambda a: device.buffer(np.asarray(a, np.int32))
        self.slots, self.starts = ints(np.arange(b)), ints(np.arange(b + 1))
        self.table = ints(np.random.default_rng(1).permutation(blocks).reshape(b, pages))
        self.pages, self.counts, self.first = pages, ints([b, b, 0]), ints([context - 1] * b)
        self.ids, self.last = ints([-1] * b), ints([0] * b)
        self.tokens, self.positions, self.lengths = ints([0] * b), ints([0] * b), ints([0] * b)
        self.kv_slots = device.buffer(np.zeros(b, np.int64))
        angles = np.arange(context)[:, None] / 10000.0 ** (np.arange(0, self.d, 2) / self.d)
        self.cos_sin = device.buffer(np.concatenate([np.cos(angles), np.sin(angles)], 1).astype(np.float32))
        contexts, chunk = [context] * b, 64
        blocks_wanted = 2 * device.info.sm_count * (1 if b * self.hkv < 2 * device.info.sm_count else 4)
        while len(plan_decode(contexts, chunk, 0)[0]) * self.hkv > blocks_wanted and chunk < context:
            chunk *= 2
        rows, chunks, indptr = plan_decode(contexts, chunk, 0)
        self.work = dict(n_work=len(rows), chunk_tokens=chunk, work_row=ints(rows), work_chunk=ints(chunks), work_indptr=ints(indptr),
                         partial=device.full((len(rows), self.hq, self.d + 2), 0, np.float32))
        wide = lambda n: device.full((b, n), 0, np.uint16)
        self.h, self.normed, self.qkv = wide(self.hidden), wide(self.hidden), wide(self.qkv_width)
        self.mixed, self.gate_up, self.act = wide(self.hq * self.d), wide(2 * self.features), wide(self.features)
        self.logits = device.full((b, self.vocab), 0, np.float32)
        self.workspace = device.full(32 << 20, 0, np.uint8)
        self.attention_tickets = device.full((b, self.hkv), 0, np.int32)
        self.gemm_tickets = device.full(max(self.vocab, 2 * self.features) // 8 + 1, 0, np.int32)
        self.rules = device.buffer(rows_of(b, temperature=0.0).view(np.uint8))

    def gemm(self, x, w, y, n, k, fp8=False, **more):
        """A product; by fp8 weights the skinny kernel takes bf16 rows, cuBLASLt rows in fp8 (in self.codes already)."""
        kind, wide = K["MS_FP8_E4M3"] if fp8 else K["MS_BF16"], fp8 and self.batch > 64
        return ("gemm", self.device.args("gemm", m=self.batch, n=n, k=k, x_dtype=kind if wide else K["MS_BF16"], w_dtype=kind,
                                         y_dtype=more.pop("y_dtype", 1), x=self.codes if wide else x, w=w, y=y,
                                         x_scale=self.scales if wide else None, w_scale=self.ones if fp8 else None,
                                         workspace=self.workspace, workspace_bytes=32 << 20, tickets=self.gemm_tickets,
                                         eps=1e-6, **more))

    def layer_gemm(self, x, w, y, n, k, **more):
        """A product with a layer's weight, and before it the quantisation of its rows where it needs one."""
        quantise = self.device.args("quant_fp8", n_rows=self.batch, columns=k, x=x, out=self.codes,
                                    scale=self.scales) if self.fp8 and self.batch > 64 else None
        return ([("quant_fp8", quantise)] if quantise else []) + [self.gemm(x, w, y, n, k, fp8=self.fp8, **more)]

    def normed_gemm(self, w, y, n, **more):
        """Norm in the product where the skinny kernel runs and is told to, a launch of its own otherwise."""
        if self.batch <= 64 and self.norms_in:
            return [self.gemm(self.h, w, y, n, self.hidden, fp8=self.fp8, norm_weight=self.norm, splits=1, **more)]
        wide = self.fp8 and self.batch > 64
        norm = self.device.args("add_rmsnorm", n_tokens=self.batch, hidden=self.hidden, eps=1e-6, x=self.h, weight=self.norm,
                                out=self.codes if wide else self.normed, out_scale=self.scales if wide else None)
        return [("add_rmsnorm", norm), self.gemm(self.normed, w, y, n, self.hidden, fp8=self.fp8, **more)]

    def feed_forward(self, gate_up, down):
        if self.batch <= 64:
            calls = self.normed_gemm(gate_up, self.act, self.features, epilogue=K["MS_EPILOGUE_SILU_MUL"])
        else:
            act = self.device.args("act_mul", n_tokens=self.batch, features=self.features, gate_up=self.gate_up, out=self.act)
            calls = self.normed_gemm(gate_up, self.gate_up, 2 * self.features) + [("act_mul", act)]
        return calls + self.layer_gemm(self.act, down, self.h, self.hidden, self.features, residual=self.h)

    def layer(self, index):
        device, (qkv, out, gate_up, down) = self.device, self.weights[index]
        rope = device.args("qk_rope_kv", n_tokens=self.batch, n_q_heads=self.hq, layer=index, rope=K["MS_ROPE_NEOX"],
                           rotary_dim=self.d, max_position=self.context, eps=1e-6, positions=self.positions, kv_slots=self.kv_slots,
                           cos_sin=self.cos_sin, q_weight=self.head_norm, k_weight=self.head_norm, qkv=self.qkv, kv_h=self.kv)
        attention = self.attention(index)
        return (self.normed_gemm(qkv, self.qkv, self.qkv_width) + [("qk_rope_kv", rope), attention]
                + self.layer_gemm(self.mixed, out, self.h, self.hidden, self.hq * self.d, residual=self.h)
                + self.feed_forward(gate_up, down))

    def attention(self, index):
        device = self.device
        attention = device.args("attn_decode", n_rows=self.batch, n_q_heads=self.hq, layer=index, max_blocks=self.pages,
                                softmax_scale=self.d ** -0.5, q_stride=self.qkv_width, slot=self.slots, context_len=self.lengths,
                                block_table=self.table, q=self.qkv, out=self.mixed, tickets=self.attention_tickets, kv_h=self.kv,
                                **self.work)
        return ("attn_decode", attention)

    def plan(self):
        device = self.device
        begin = device.args("step_begin", n_rows=self.batch, n_tokens=self.batch, max_blocks=self.pages, block_size=BLOCK,
                            counts=self.counts, slot=self.slots, token_start=self.starts, first_position=self.first,
                            input_ids=self.ids, last_token=self.last, block_table=self.table, token_ids=self.tokens,
                            positions=self.positions, kv_slots=self.kv_slots, context_len=self.lengths)
        embed = device.args("embed", n_tokens=self.batch, hidden=self.hidden, vocab=self.vocab, scale=1.0, ids=self.tokens,
                            table=self.head, out=self.h)
        sample = device.args("sample", n_rows=self.batch, vocab=self.vocab, logits=self.logits, rows=self.rules,
                             tokens=self.ids_out(), last_token=self.last)
        calls = [("step_begin", begin), ("embed", embed)]
        for index in range(self.layers):
            calls += self.layer(index)
        return calls + self.normed_gemm(self.head, self.logits, self.vocab, y_dtype=K["MS_F32"]) + [("sample", sample)]

    def ids_out(self):
        self.sampled = self.device.full(self.batch, -1, np.int32)
        return self.sampled

    def step(self):
        for op, args in self.calls:
            self.device.launch(op, args)

    def close(self):
        for address in self.owned:
            self.device.free(address)


class Prefill(Model):
    """One prompt of `tokens` tokens, computed in one step; its last token gets logits."""

    def __init__(self, device, shape, tokens):
        self.tokens_fed = tokens
        super().__init__(device, shape, tokens, tokens)

    def inputs(self):
        device, n = self.device, self.tokens_fed
        pages = -(-n // BLOCK)
        kv_rows = 2 * self.layers * pages * self.hkv * BLOCK
        base = self.weight(kv_rows, self.d)
        self.weight_bytes -= kv_rows * self.d * 2
        self.kv = STRUCTS["ms_kv_cache"](struct_size=C.sizeof(STRUCTS["ms_kv_cache"]), dtype=K["MS_BF16"], n_layers=self.layers,
                                         n_kv_heads=self.hkv, head_dim=self.d, block_size=BLOCK, n_blocks=pages, base=base)
        ints = lambda a: device.buffer(np.asarray(a, np.int32))
        rng = np.random.default_rng(1)
        self.slots, self.starts, self.table, self.pages = ints([0]), ints([0, n]), ints(rng.permutation(pages)[None]), pages
        self.counts, self.first, self.lengths = ints([1, n, 0]), ints([0]), ints([0])
        self.ids, self.last = ints(rng.integers(0, self.vocab, n)), ints([0])
        self.tokens, self.positions = ints([0] * n), ints([0] * n)
        self.kv_slots = device.buffer(np.zeros(n, np.int64))
        angles = np.arange(n)[:, None] / 10000.0 ** (np.arange(0, self.d, 2) / self.d)
        self.cos_sin = device.buffer(np.concatenate([np.cos(angles), np.sin(angles)], 1).astype(np.float32))
        tile = device.lib.ms_prefill_tile_tokens(self.hq // self.hkv, self.d)
        tiles = list(range(0, n, tile))[::-1]
        self.tiles = dict(n_tiles=len(tiles), tile_row=ints([0] * len(tiles)), tile_start=ints(tiles))
        wide = lambda w: device.full((n, w), 0, np.uint16)
        self.h, self.normed, self.qkv = wide(self.hidden), wide(self.hidden), wide(self.qkv_width)
        self.mixed, self.gate_up, self.act = wide(self.hq * self.d), wide(2 * self.features), wide(self.features)
        self.row, self.normed_row = (device.full((1, self.hidden), 0, np.uint16) for _ in range(2))
        self.logits = device.full((1, self.vocab), 0, np.float32)
        self.workspace = device.full(32 << 20, 0, np.uint8)
        self.gemm_tickets = device.full(max(self.vocab, 2 * self.features) // 8 + 1, 0, np.int32)
        self.rules = device.buffer(rows_of(1, temperature=0.0).view(np.uint8))
        self.sampled = device.full(1, -1, np.int32)

    def attention(self, index):
        return ("attn_prefill", self.device.args(
            "attn_prefill", n_rows=1, n_q_heads=self.hq, layer=index, max_blocks=self.pages, softmax_scale=self.d ** -0.5,
            q_stride=self.qkv_width, slot=self.slots, token_start=self.starts, context_len=self.lengths, block_table=self.table,
            q=self.qkv, out=self.mixed, kv_h=self.kv, **self.tiles))

    def plan(self):
        device, n = self.device, self.tokens_fed
        begin = device.args("step_begin", n_rows=1, n_tokens=n, max_blocks=self.pages, block_size=BLOCK, counts=self.counts,
                            slot=self.slots, token_start=self.starts, first_position=self.first, input_ids=self.ids,
                            last_token=self.last, block_table=self.table, token_ids=self.tokens, positions=self.positions,
                            kv_slots=self.kv_slots, context_len=self.lengths)
        calls = [("step_begin", begin), ("embed", device.args("embed", n_tokens=n, hidden=self.hidden, vocab=self.vocab, scale=1.0,
                                                              ids=self.tokens, table=self.head, out=self.h))]
        for index in range(self.layers):
            calls += self.layer(index)
        self.last_row = device.buffer(np.array([n - 1], np.int32))
        gather = device.args("gather_rows", n_rows=1, columns=self.hidden, index=self.last_row, x=self.h, out=self.row)
        norm = device.args("add_rmsnorm", n_tokens=1, hidden=self.hidden, eps=1e-6, x=self.row, weight=self.norm, out=self.normed_row)
        head = device.args("gemm", m=1, n=self.vocab, k=self.hidden, x_dtype=1, w_dtype=1, y_dtype=K["MS_F32"], x=self.normed_row,
                           w=self.head, y=self.logits, workspace=self.workspace, workspace_bytes=32 << 20, tickets=self.gemm_tickets)
        sample = device.args("sample", n_rows=1, vocab=self.vocab, logits=self.logits, rows=self.rules, tokens=self.sampled,
                             last_token=self.last)
        return calls + [("gather_rows", gather), ("add_rmsnorm", norm), ("gemm", head), ("sample", sample)]


def measure(model):
    """Median milliseconds of a replayed step."""
    device = model.device
    model.step()
    device.sync()
    replay = device.capture(model.step)
    first, last, ms, times = C.c_void_p(), C.c_void_p(), C.c_float(), []
    for event in (first, last):
        device.call("ms_event_new", 1, C.byref(event))
    replay(5)
    for _ in range(30):
        device.call("ms_event_record", first, device.stream)
        device.call("ms_graph_launch", replay.graph, device.stream)
        device.call("ms_event_record", last, device.stream)
        device.sync()
        device.call("ms_event_elapsed", first, last, C.byref(ms))
        times.append(ms.value)
    device.call("ms_graph_free", replay.graph)
    for event in (first, last):
        device.call("ms_event_free", event)
    return max(statistics.median(times), 1e-6)  # a stand-in has no clock


def dry(device):
    for batch, norms_in, fp8 in ((2, True, False), (3, False, False), (2, True, True), (3, False, True)):
        model = Model(device, TINY, batch, 40, norms_in, fp8)
        model.step()
        device.sync()
        eager = model.sampled.read()
        model.last.write(np.zeros(batch, np.int32))
        device.capture(model.step)()
        assert ((0 <= eager) & (eager < TINY[6])).all() and (model.sampled.read() == eager).all()
        model.close()
    prompt = Prefill(device, TINY, 60)  # the emulator has no cuBLASLt, and the skinny kernel ends at 64 rows
    prompt.step()
    device.sync()
    assert 0 <= prompt.sampled.read()[0] < TINY[6]
    prompt.close()
    MODELS["tiny"] = TINY
    for name, body in (("a step", lambda: decode_row(device, "tiny", 2, 40, True, False)), ("a prompt", lambda: prefill_row(device, "tiny", 60))):
        assert line(dict(body(), name=name, verdict="ok"))
    for text in peers.dry():
        print(text)
    print("one prompt prefilled; one step eager and one replayed: equal tokens, all in the vocabulary")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("--json")
    parser.add_argument("--cublaslt")
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--peers-only", action="store_true", help="measure nothing of our own")
    parser.add_argument("--peers", action="store_true", help="measure torch and transformers too (some minutes)")
    parser.add_argument("--core", action="store_true", help="the rows that are compared with the targets")
    options = parser.parse_args()
    device = Device(options.library, options.cublaslt)
    if options.dry:
        dry(device)
        return 0
    table = Table(options.json, limit_s=120)
    for name, body in () if options.peers_only else cases(device, options.core):
        row = table.run(name, body)
        if row is not None:
            print(line(row), flush=True)
    if options.peers or options.peers_only:
        for row in peers.measure(MODELS, CONTEXT):
            table.add(dict(row, name=f"peer {len(table.rows)}"))
            print(peers.line(row), flush=True)
    return 1 if table.failed() else 0


def cases(device, core):
    """(name, function that returns a row), what decides first."""
    order = list(MODELS)[::-1] if core else list(MODELS)
    largest = list(MODELS)[-1]
    for batch in (1, 32, 256) if core else (1, 8, 32, 128, 256):
        for name in order:
            for fp8 in (False, True) if name == largest else (False,):
                for norms_in in (True, False) if batch <= 64 else (False,):
                    yield (f"{name} B{batch}{' fp8' if fp8 else ''}{' norms in' if norms_in else ''}",
                           lambda a=(batch, CONTEXT, norms_in, fp8), n=name: decode_row(device, n, *a))
    for name in order:
        for tokens in (8192,) if core else (2048, 4096, 8192):
            yield f"{name} prefill {tokens}", lambda n=name, t=tokens: prefill_row(device, n, t)


def decode_row(device, name, batch, context, norms_in, fp8):
    model = Model(device, MODELS[name], batch, context, norms_in, fp8)
    try:
        ms = measure(model)
        floor = (model.weight_bytes + model.kv_bytes) / COPY_BYTES_PER_SECOND * 1e3
        return dict(model=name, batch=batch, context=context, fp8=fp8, norms_in=norms_in, ms=ms, floor_ms=floor, launches=len(model.calls))
    finally:
        model.close()


def prefill_row(device, name, tokens):
    model = Prefill(device, MODELS[name], tokens)
    try:
        ms = measure(model)
        return dict(model=name, prefill=tokens, ms=ms, tok_s=tokens / ms * 1e3)
    finally:
        model.close()


def line(row):
    if row["verdict"] != "ok":
        return f"{row['name']}: {row['verdict']}"
    if "prefill" in row:
        return f"{row['model']:14} prefill {row['prefill']:5} {row['ms']:8.2f} ms  {row['tok_s']:9.0f} tok/s"
    return (f"{row['model']:14} B{row['batch']:<4} {'fp8 ' if row['fp8'] else 'bf16'} norms {'in   ' if row['norms_in'] else 'apart'} "
            f"{row['ms']:8.3f} ms/step  floor {row['floor_ms']:7.3f} ms ({100 * row['floor_ms'] / row['ms']:4.1f} %)  "
            f"{row['batch'] / row['ms'] * 1e3:9.0f} tok/s  {row['launches']} launches")


if __name__ == "__main__":
    sys.exit(main())
