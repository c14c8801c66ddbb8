#!/usr/bin/env python3
"""What we are measured beside, on the same machine: a compiled static-cache loop in torch, and transformers' continuous batching.

usage: peers.py [--model NAME] [--serving] [--dry]

Random weights of the same shapes, bfloat16, greedy. Each peer is one function that yields rows; one that cannot be imported
yields a row that says so. --serving: many prompts at once through transformers, in output tokens a second, as the server's table
has them. Prints a line a row.
"""
import argparse
import importlib.util
import statistics
import sys
import time

BATCHES = (1, 32, 256)  # each is compiled anew, half a minute or more
ROOM = 256  # places of the static cache beyond the context


def present(name):
    return importlib.util.find_spec(name) is not None


def line(row):
    where = f"{row['model']:14} B{row['batch']:<4}" if "batch" in row else f"{row['model']:14}      "
    if "tok_s" in row:
        return f"{where} {row['tok_s']:9.0f} output tok/s  {row['peer']}, {row['prompt']} tokens in, {row['output']} out each"
    return f"{where} {row['ms']:8.3f} ms/step  {row['peer']}" if "ms" in row else f"{where} not measured: {row['peer']}: {row['why']}"


def dry():
    """One tiny step of what can be imported, on the CPU and without the compiler; else what is missing."""
    if not present("torch"):
        return ["peers: torch is not installed, so the static-cache loop and transformers are not measured here"]
    import torch
    loop = StaticLoop(torch, (2, 64, 4, 2, 16, 96, 199, True), batch=2, context=8, device="cpu", dtype=torch.float32)
    ids = loop.step(loop.ids, loop.position)
    assert ids.shape == (2, 1) and int(ids.max()) < 199
    return [f"peers: one static-cache step in torch; transformers: {'present' if present('transformers') else 'not installed'}"]


class StaticLoop:
    """Decode with keys and values in fixed places, written so that torch.compile makes graphs of it."""

    def __init__(self, torch, shape, batch, context, device="cuda", dtype=None):
        self.torch = torch
        self.layers, self.hidden, self.hq, self.hkv, self.d, self.features, vocab, self.head_norm = shape
        dtype = dtype or torch.bfloat16
        new = lambda *size: torch.randn(*size, device=device, dtype=dtype) * 0.02
        self.weights = [(new((self.hq + 2 * self.hkv) * self.d, self.hidden), new(self.hidden, self.hq * self.d),
                         new(2 * self.features, self.hidden), new(self.hidden, self.features)) for _ in range(self.layers)]
        self.embedding, self.gain = new(vocab, self.hidden), torch.ones(self.hidden, device=device, dtype=dtype)
        self.head_gain = torch.ones(self.d, device=device, dtype=dtype)
        length = context + ROOM
        self.keys, self.values = ([new(batch, self.hkv, length, self.d) for _ in range(self.layers)] for _ in range(2))
        angles = torch.arange(length, device=device)[:, None] / 10000.0 ** (torch.arange(0, self.d, 2, device=device) / self.d)
        self.cos, self.sin = (f(torch.cat([angles, angles], 1)).to(dtype) for f in (torch.cos, torch.sin))
        self.places = torch.arange(length, device=device)
        self.ids = torch.zeros(batch, 1, dtype=torch.long, device=device)
        self.position = torch.tensor([context - 1], device=device)
        if device == "cuda":
            # As parameters of a module would be: else the graph copies every weight to a place of its own in each step,
            # and the writes to the cache keep it from being a graph at all.
            held = [w for layer in self.weights for w in layer] + self.keys + self.values
            for tensor in held + [self.embedding, self.gain, self.head_gain, self.cos, self.sin, self.places]:
                torch._dynamo.mark_static_address(tensor)

    def rotate(self, x, position):
        half = self.d // 2
        turned = self.torch.cat([-x[..., half:], x[..., :half]], -1)
        return x * self.cos[position] + turned * self.sin[position]

    def step(self, ids, position):
        F, batch = self.torch.nn.functional, ids.shape[0]
        h = self.embedding[ids]
        mask = (self.places <= position)[None, None, None, :]
        for layer, (qkv, out, gate_up, down) in enumerate(self.weights):
            x = F.linear(F.rms_norm(h, (self.hidden,), self.gain, 1e-6), qkv).view(batch, 1, -1, self.d).transpose(1, 2)
            q, k, v = x.split((self.hq, self.hkv, self.hkv), 1)
            if self.head_norm:
                q, k = F.rms_norm(q, (self.d,), self.head_gain, 1e-6), F.rms_norm(k, (self.d,), self.head_gain, 1e-6)
            self.keys[layer].index_copy_(2, position, self.rotate(k, position))
            self.values[layer].index_copy_(2, position, v)
            y = F.scaled_dot_product_attention(self.rotate(q, position), self.keys[layer], self.values[layer], attn_mask=mask,
                                               enable_gqa=True)
            h = h + F.linear(y.transpose(1, 2).reshape(batch, 1, -1), out)
            gate, up = F.linear(F.rms_norm(h, (self.hidden,), self.gain, 1e-6), gate_up).chunk(2, -1)
            h = h + F.linear(F.silu(gate) * up, down)
        return F.linear(F.rms_norm(h, (self.hidden,), self.gain, 1e-6), self.embedding).argmax(-1)


def compiled_loop(models, context):
    name = "torch.compile(reduce-overhead), static cache"
    if not present("torch"):
        yield dict(model="all", peer=name, why="torch is not installed")
        return
    import torch
    for model, shape in models.items():
        for batch in BATCHES:
            try:
                torch.compiler.reset()
                loop = StaticLoop(torch, shape, batch, context)
                step = torch.compile(loop.step, mode="reduce-overhead", fullgraph=True)
                with torch.inference_mode():
                    yield dict(model=model, batch=batch, peer=name, ms=timed(torch, step, loop))
            except Exception as problem:  # a peer that fails is a line of the table
                yield dict(model=model, batch=batch, peer=name, why=f"{type(problem).__name__}: {str(problem)[:120]}")
            loop = step = None
            torch.cuda.empty_cache()


def timed(torch, step, loop):
    ids, times = loop.ids, []
    for turn in range(40):
        torch.cuda.synchronize()
        start = time.perf_counter()
        ids = step(ids, loop.position).clone()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
        loop.position += 1
    return statistics.median(times[10:])


def random_net(torch, shape):
    """A transformers model of that shape with random weights."""
    from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3Config
    layers, hidden, hq, hkv, d, features, vocab, head_norm = shape
    config = (Qwen3Config if head_norm else LlamaConfig)(
        hidden_size=hidden, intermediate_size=features, num_hidden_layers=layers, num_attention_heads=hq,
        num_key_value_heads=hkv, head_dim=d, vocab_size=vocab, tie_word_embeddings=True, max_position_embeddings=40960)
    return AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation="sdpa").cuda().eval()


def generate_seconds(net, prompts, new):
    from transformers import GenerationConfig
    rule = GenerationConfig(max_new_tokens=new, do_sample=False, eos_token_id=-1)
    start = time.perf_counter()
    net.generate_batch(inputs=prompts, generation_config=rule, progress_bar=False)
    return time.perf_counter() - start


def with_transformers(models, name, sizes, body):
    """Rows of body(net, prompts) for each model and batch size; what fails is a row that says so."""
    if not (present("torch") and present("transformers")):
        yield dict(model="all", peer=name, why="torch and transformers are not both installed")
        return
    import torch
    for model, shape in models.items():
        net = None
        for batch, prompt in sizes:
            try:
                net = net or random_net(torch, shape)
                prompts = [[(7 * i + j) % shape[6] for j in range(prompt)] for i in range(batch)]
                yield dict(model=model, batch=batch, peer=name, **body(net, prompts))
            except Exception as problem:
                yield dict(model=model, batch=batch, peer=name, why=f"{type(problem).__name__}: {str(problem)[:120]}")
        del net
        torch.cuda.empty_cache()


def transformers_batching(models, context):
    def step(net, prompts):  # the first warms up; the difference of the others is 64 decode steps
        spent = [generate_seconds(net, prompts, new) for new in (1, 1, 65)]
        return dict(ms=(spent[2] - spent[1]) / 64 * 1e3)
    yield from with_transformers(models, "transformers generate_batch (paged|sdpa)", [(1, context), (32, context)], step)


def transformers_serving(models, prompt, output):
    """As many streams at once as the server's load runs have, from the prompts to the last token."""
    def serve(net, prompts):
        generate_seconds(net, prompts[:1], 1)
        return dict(tok_s=len(prompts) * output / generate_seconds(net, prompts, output), prompt=prompt, output=output)
    yield from with_transformers(models, "transformers generate_batch (paged|sdpa)", [(1, prompt), (32, prompt), (256, prompt)], serve)


def measure(models, context):
    """The smallest and the largest model: minutes are few, and each peer compiles or loads each of them."""
    names = list(models)
    models = {name: models[name] for name in (names[0], names[-1])}
    for peer in (compiled_loop, transformers_batching):
        yield from peer(models, context)


def main():
    from decode_bench import CONTEXT, MODELS
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default=list(MODELS)[0])
    parser.add_argument("--serving", action="store_true")
    parser.add_argument("--dry", action="store_true")
    options = parser.parse_args()
    if options.dry:
        print("\n".join(dry()))
        return 0
    models = {options.model: MODELS[options.model]}
    rows = transformers_serving(models, CONTEXT, 256) if options.serving else compiled_loop(models, CONTEXT)
    for row in rows:
        print(line(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
