"""Rows of a table that outlive their process: a lost GPU context, or a kernel that never ends, costs one row and not the rest.

A CUDA error such as an illegal address ends every later call of the process. So whoever meets one keeps its rows in a file and
starts itself anew behind the row that failed; a row that takes too long is ended in the same way.
"""
import json
import os
import sys
import tempfile
import threading
import time

from abi import K, AbiError

ROWS, TIMES = "MODELSERVE_ROWS", "MODELSERVE_STARTS"
MOST_STARTS = 25


class Table:
    """Rows with names, whole on disk after each; `path` may be None for none."""

    def __init__(self, path, limit_s=90, wrap=lambda rows: rows):
        self.path, self.limit_s, self.wrap, self.rows = path, limit_s, wrap, []
        kept = os.environ.pop(ROWS, None)
        if kept:
            with open(kept, encoding="utf-8") as file:
                self.rows = json.load(file)
            os.unlink(kept)

    def has(self, name):
        return any(row["name"] == name for row in self.rows)

    def add(self, row):
        self.rows.append(row)
        if self.path:
            with open(self.path, "w", encoding="utf-8") as file:
                json.dump(self.wrap(self.rows), file, indent=1)

    def failed(self):
        return sum("FAILED" in str(row.get("verdict", "")) for row in self.rows)

    def run(self, name, body):
        """body() -> row; what it raises becomes the row's verdict. Returns the row, or None where it was done before."""
        if self.has(name):
            return None
        watch = threading.Timer(self.limit_s, self.too_long, (name,))
        watch.daemon = True
        watch.start()
        started = time.perf_counter()
        try:
            row, lost = dict(name=name, verdict="ok", **(body() or {})), False
        except Exception as problem:  # every failure is a row of the table, and the exit status
            row, lost = dict(name=name, verdict=f"FAILED {type(problem).__name__}: {problem}"), is_lost(problem)
        watch.cancel()
        row["seconds"] = time.perf_counter() - started
        self.add(row)
        if lost:
            print(f"{name}: {row['verdict']}: the device is lost to this process", flush=True)
            self.start_anew()
        return row

    def too_long(self, name):
        self.add(dict(name=name, verdict=f"FAILED: took more than {self.limit_s} s", seconds=self.limit_s))
        print(f"{name}: FAILED: took more than {self.limit_s} s", flush=True)
        self.start_anew()

    def start_anew(self):
        starts = int(os.environ.get(TIMES, "0")) + 1
        if starts > MOST_STARTS:
            print(f"started anew {MOST_STARTS} times: the rest is not run", flush=True)
            os._exit(1)
        handle, path = tempfile.mkstemp(suffix=".json")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(self.rows, file)
        os.environ[ROWS], os.environ[TIMES] = path, str(starts)
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.argv])


def is_lost(problem):
    """Whether every later call of this process would fail too."""
    return (isinstance(problem, AbiError) and problem.status == K["MS_ERR_DRIVER"]) or "CUDA error" in str(problem)
