"""The C ABI from Python: ctypes structs read out of the header itself, and device buffers as numpy arrays.

Works on every implementation of the ABI: the GPU library, the emulator and the CPU stub. Needs numpy only.
"""
import ctypes as C
import pathlib
import re

import numpy as np

INCLUDE = pathlib.Path(__file__).resolve().parents[2] / "native" / "include"
SCALARS = {"int32_t": C.c_int32, "uint32_t": C.c_uint32, "int64_t": C.c_int64, "uint64_t": C.c_uint64, "float": C.c_float,
           "char": C.c_char}


def _header_text():
    text = "".join((INCLUDE / name).read_text() for name in ("modelserve_args.h", "modelserve.h"))
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def _fields(body):
    fields = []
    for line in body.split(";"):
        line = line.strip()
        if not line:
            continue
        base, names = re.match(r"(?:const )?(\w+)\s*(.*)$", line, flags=re.S).groups()
        for name in names.split(","):
            name, _, length = name.strip().partition("[")
            kind = C.c_void_p if "*" in name else SCALARS[base]
            fields.append((name.lstrip("* \n"), kind * int(length.rstrip("]")) if length else kind))
    return fields


def _read_header():
    text, structs, constants = _header_text(), {}, {}
    for name, body in re.findall(r"typedef struct (\w+) \{(.*?)\} \1;", text, flags=re.S):
        structs[name] = type(name, (C.Structure,), {"_fields_": _fields(body)})
    for body in re.findall(r"enum \{(.*?)\};", text, flags=re.S):
        value = -1
        for item in filter(None, (part.strip() for part in body.split(","))):
            name, _, given = item.partition("=")
            value = int(given) if given else value + 1
            constants[name.strip()] = value
    constants["MS_ABI_VERSION"] = int(re.search(r"#define MS_ABI_VERSION (\d+)", text).group(1))
    return structs, constants


STRUCTS, K = _read_header()
OPS = {name[3:-5]: struct for name, struct in STRUCTS.items() if name.endswith("_args")}


class AbiError(Exception):
    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status


class Buffer:
    """Device memory with the dtype and shape of a numpy array."""

    def __init__(self, device, array, write=True):
        array = np.ascontiguousarray(array) if write else array
        self.device, self.shape, self.dtype, self.nbytes = device, array.shape, array.dtype, array.nbytes
        self.address = device.malloc(max(array.nbytes, 1))
        if write:
            self.write(array)

    def write(self, array):
        array = np.ascontiguousarray(array, dtype=self.dtype)
        assert array.nbytes == self.nbytes, (array.shape, self.shape)
        if array.nbytes:
            self.device.call("ms_h2d", C.c_void_p(self.address), array.ctypes.data_as(C.c_void_p),
                             C.c_size_t(array.nbytes), self.device.stream)
        self.device.sync()
        return self

    def read(self):
        out = np.empty(self.shape, self.dtype)
        if self.nbytes:
            self.device.call("ms_d2h", out.ctypes.data_as(C.c_void_p), C.c_void_p(self.address), C.c_size_t(self.nbytes),
                             self.device.stream)
        self.device.sync()
        return out

    def __del__(self):
        if self.device.context:
            self.device.free(self.address)


class Device:
    """One context and stream of the library at that path."""

    def __init__(self, path, cublaslt=None):
        self.context = None
        self.lib = C.CDLL(str(path))
        self.lib.ms_sizeof.restype = C.c_size_t
        self.lib.ms_last_error.restype = C.c_size_t
        if self.lib.ms_abi_version() != K["MS_ABI_VERSION"]:
            raise AbiError(-1, "ABI version differs from the header's")
        context = C.c_void_p()
        self._check(self.lib.ms_ctx_new(0, cublaslt.encode() if cublaslt else None, C.byref(context)))
        self.context = context
        self.stream = C.c_void_p()
        self.call("ms_stream_new", 0, C.byref(self.stream))
        self.info = STRUCTS["ms_device_info"](struct_size=C.sizeof(STRUCTS["ms_device_info"]))
        self.call("ms_ctx_info", C.byref(self.info))

    def _check(self, status):
        if status != 0:
            text = C.create_string_buffer(600)
            self.lib.ms_last_error(text, C.c_size_t(600))
            raise AbiError(status, text.value.decode())

    def call(self, name, *arguments):
        self._check(getattr(self.lib, name)(self.context, *arguments))

    def malloc(self, n):
        out = C.c_void_p()
        self.call("ms_malloc", C.c_size_t(n), C.byref(out))
        return out.value

    def free(self, address):
        self.call("ms_free", C.c_void_p(address))

    def sync(self):
        self.call("ms_stream_sync", self.stream)

    def buffer(self, array):
        return Buffer(self, np.asarray(array))

    def empty(self, shape, dtype):
        """Memory that nobody has written."""
        return Buffer(self, np.broadcast_to(np.zeros((), dtype), shape), write=False)

    def full(self, shape, value, dtype):
        return Buffer(self, np.full(shape, value, dtype))

    def args(self, op, **values):
        """The argument struct of an op; Buffers become their address. Keeps what it points to alive."""
        struct = OPS[op]
        filled = struct(struct_size=C.sizeof(struct))
        known = {field for field, _ in struct._fields_}
        assert known.issuperset(values), f"{op} has no {sorted(set(values) - known)}"  # ctypes would take any name
        filled.keep = list(values.values())
        for name, value in values.items():
            if isinstance(value, Buffer):
                value = value.address
            elif isinstance(value, C.Structure):
                value = C.addressof(value)
            setattr(filled, name, value)
        return filled

    def launch(self, op, args):
        self.call("ms_" + op, C.byref(args), self.stream)

    def run(self, op, **values):
        """Launches and waits."""
        self.launch(op, self.args(op, **values))
        self.sync()

    def capture(self, body):
        """Records what body launches; returns a function that replays it and waits."""
        self.call("ms_capture_begin", self.stream)
        body()
        graph = C.c_void_p()
        self.call("ms_capture_end", self.stream, C.byref(graph))

        def replay(times=1):
            for _ in range(times):
                self.call("ms_graph_launch", graph, self.stream)
            self.sync()
        replay.graph = graph
        return replay


def bf16(x):
    """float to bf16 bits, round to nearest even."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(bits):
    return (np.ascontiguousarray(bits, np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def _fp8_values():
    code = np.arange(128)
    exponent, mantissa = code >> 3, code & 7
    value = np.where(exponent == 0, mantissa * 2.0 ** -9, (8 + mantissa) * 2.0 ** (exponent - 10.0))
    value[127] = np.nan
    return value


FP8 = _fp8_values()


def fp8(x):
    """float to e4m3 codes, round to nearest even, saturating."""
    x = np.asarray(x, np.float64)
    magnitude = np.minimum(np.abs(x), 448.0)
    low = np.clip(np.searchsorted(FP8[:127], magnitude, side="right") - 1, 0, 126)
    high = np.minimum(low + 1, 126)
    middle = (FP8[low] + FP8[high]) / 2
    up = (magnitude > middle) | ((magnitude == middle) & (low % 2 == 1))
    return (np.where(up, high, low) | np.where(np.signbit(x), 128, 0)).astype(np.uint8)


def from_fp8(code):
    code = np.asarray(code, np.uint8)
    return np.where(code & 128, -1.0, 1.0) * FP8[code & 127]
