#!/usr/bin/env python3
"""Writes what Jinja2 3.1.2 makes of the snippets in snippets.json.

Usage: generate_snippets.py snippets.json OUTPUT.json
Run it with an interpreter that has Jinja2 3.1.2 (Debian 12: apt-get install python3-jinja2, /usr/bin/python3). The
environment is the one that transformers compiles chat templates in. The input is a list of {"name", "source", "context"?};
the output adds "ok" (the text) or "err" (the exception's type and message).
"""
import datetime
import json
import sys

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

CLOCK = datetime.datetime(2026, 1, 5, 9, 7, 3)


class Generation(jinja2.ext.Extension):
    """The generation tag: prints its body, in a scope of its own."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_print")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _print(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = CLOCK.strftime
    return env


def outcome(snippet):
    try:
        return {"ok": environment().from_string(snippet["source"]).render(**snippet.get("context", {}))}
    except Exception as error:
        return {"err": f"{type(error).__name__}: {error}"}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        snippets = json.load(file)
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump([{**snippet, **outcome(snippet)} for snippet in snippets], file, ensure_ascii=False, indent=1)
        file.write("\n")


if __name__ == "__main__":
    if jinja2.__version__ != "3.1.2":
        sys.exit(f"Jinja2 3.1.2 is the oracle, this is {jinja2.__version__}")
    main()
