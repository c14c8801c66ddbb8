#!/usr/bin/env python3
"""Asks a server the same questions greedily in several ways, and compares the answers: alone, again (found in the prefix cache),
all at once (batch mates), and against the answers that another server, started with other sizes, gave before.

usage: cross_product.py ADDRESS QUESTIONS.jsonl COUNT ANSWERS.json [--tolerance SHARE] [--preemptions LEAST]

ANSWERS.json is written where it does not exist, else compared with. Exit 1 where more answers differ than the tolerance (default 0)
allows: on a GPU, products of other sizes round differently, and a near-tie may fall the other way. Needs Python only.
"""
import argparse
import concurrent.futures
import json
import pathlib
import sys
import urllib.request


def ask(address, question):
    body = dict(messages=question["messages"], temperature=0, max_tokens=48, ignore_eos=True, seed=1)
    request = urllib.request.Request(
        address + "/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        answer = json.load(response)
    return answer["choices"][0]["message"]["content"], answer["usage"]["prompt_tokens_details"]["cached_tokens"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("questions", type=pathlib.Path)
    parser.add_argument("count", type=int)
    parser.add_argument("answers", type=pathlib.Path)
    parser.add_argument("--tolerance", type=float, default=0.0)
    parser.add_argument("--preemptions", type=int, default=0, help="fail where there were fewer")
    given = parser.parse_args()
    lines = given.questions.read_text().splitlines()
    # Spread over the file, so that every kind of question is among them.
    questions = [json.loads(lines[i * len(lines) // given.count]) for i in range(given.count)]
    alone = [ask(given.address, question) for question in questions]
    again = [ask(given.address, question) for question in questions]
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        together = list(pool.map(lambda question: ask(given.address, question), questions))
    ways = {"again": again, "all at once": together}
    first = [text for text, _ in alone]
    if given.answers.exists():
        ways["other sizes"] = [(text, 0) for text in json.loads(given.answers.read_text())]
    else:
        given.answers.write_text(json.dumps(first))
    worst = 0
    for name, answers in ways.items():
        different = [i for i, (text, _) in enumerate(answers) if text != first[i]]
        worst = max(worst, len(different))
        print(f"cross product: {name}: {len(questions) - len(different)} of {len(questions)} answers equal")
        for i in different[:5]:
            print(f"  {questions[i]['messages'][-1]['content']!r}: {first[i]!r}, {answers[i][0]!r}")
    with urllib.request.urlopen(given.address + "/metrics", timeout=60) as response:
        page = response.read().decode()
    preempted = sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith("vllm:num_preemptions_total{"))
    print(f"cross product: {sum(cached for _, cached in again)} prompt tokens came from the prefix cache, {preempted:.0f} preemptions")
    if preempted < given.preemptions:
        print(f"cross product: at least {given.preemptions} preemptions were meant to happen")
        sys.exit(1)
    sys.exit(1 if worst > given.tolerance * len(questions) else 0)


if __name__ == "__main__":
    main()
