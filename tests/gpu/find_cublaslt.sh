#!/usr/bin/env bash
# Prints the path of cuBLASLt as a Python wheel or the toolkit brings it, CUDA 13's before 12's; nothing where there is none.
#   tests/gpu/find_cublaslt.sh PYTHON
"$1" - <<'PY' 2>/dev/null
import glob, site, sys
roots = site.getsitepackages() + [p for p in sys.path if p.endswith("-packages")]
found = [f for r in roots for f in glob.glob(r + "/nvidia/**/libcublasLt.so.1[23]", recursive=True)]
found += glob.glob("/usr/local/cuda*/lib64/libcublasLt.so.1[23]") + glob.glob("/usr/local/cuda*/targets/*/lib/libcublasLt.so.1[23]")
print(max(found, key=lambda f: f[-2:]) if found else "")
PY
