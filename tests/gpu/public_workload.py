#!/usr/bin/env python3
"""The offline workload that small engines publish their throughput with: 256 sequences, prompts and outputs of 100 to 1024 tokens each,
drawn with seed 0, temperature 0.6, no stop; all sent at once. Prints tokens, seconds and output tokens a second.

usage: public_workload.py ADDRESS [--sequences N] [--low N] [--high N] [--vocabulary N]

The defaults are the public ones: 142,827 tokens in and 133,966 out. Needs Python only.
"""
import argparse
import concurrent.futures
import json
import random
import sys
import time
import urllib.request


def ask(address, prompt, tokens, seed):
    body = dict(prompt=prompt, max_tokens=tokens, temperature=0.6, ignore_eos=True, seed=seed)
    request = urllib.request.Request(address + "/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=500) as response:
        return json.load(response)["usage"]["completion_tokens"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--sequences", type=int, default=256)
    parser.add_argument("--low", type=int, default=100)
    parser.add_argument("--high", type=int, default=1024)
    parser.add_argument("--vocabulary", type=int, default=10001)
    given = parser.parse_args()
    random.seed(0)
    prompts = [[random.randint(0, given.vocabulary - 1) for _ in range(random.randint(given.low, given.high))] for _ in range(given.sequences)]
    outputs = [random.randint(given.low, given.high) for _ in range(given.sequences)]
    ask(given.address, prompts[0][:8], 4, 0)
    with concurrent.futures.ThreadPoolExecutor(given.sequences) as pool:
        begin = time.monotonic()
        got = list(pool.map(lambda i: ask(given.address, prompts[i], outputs[i], i), range(given.sequences)))
        seconds = time.monotonic() - begin
    if got != outputs:
        print(f"public workload: {sum(outputs)} output tokens wanted, {sum(got)} came")
        sys.exit(1)
    print(f"public workload: {given.sequences} sequences, {sum(map(len, prompts))} tokens in, {sum(got)} out, {seconds:.2f} s, {sum(got) / seconds:.0f} output tokens/s")


if __name__ == "__main__":
    main()
