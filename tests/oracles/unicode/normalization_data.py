"""Writes the data of the normalization forms from the interpreter's own Unicode tables, which must be those of Unicode 9.

usage: python3.6 normalization_data.py [FILE=../../../src/ModelServe.Codec/Normalizing/NormalizationData.bin]

tokenizer.json's own library normalizes by Unicode 9 (checked by normalization.mjs over all code points), and so does CPython 3.6.
The file is a row of numbers, seven bits a byte, lowest first, the eighth bit saying that more follow:
  the number of ranges of one combining class; for each the gap since the range before, its length, its class;
  the number of decompositions; for each the gap since the code point before, 4 * length + 2 * composes + compatibility, and
  the code points it maps to (one step; Hangul is arithmetic and left out).
"""
import os
import sys
import unicodedata

VERSION = "9.0.0"
HANGUL = range(0xAC00, 0xAC00 + 11172)


def number(out, value):
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def classes():
    ranges = []
    for code in range(0x110000):
        kind = unicodedata.combining(chr(code))
        if kind and ranges and ranges[-1][2] == kind and ranges[-1][1] == code:
            ranges[-1][1] = code + 1
        elif kind:
            ranges.append([code, code + 1, kind])
    return ranges


def decompositions():
    found = []
    for code in range(0x110000):
        parts = unicodedata.decomposition(chr(code)).split() if code not in HANGUL else []
        if parts:
            compatibility = parts[0].startswith("<")
            mapped = [int(part, 16) for part in parts[compatibility:]]
            pair = "".join(map(chr, mapped))
            composes = not compatibility and len(mapped) == 2 and unicodedata.normalize("NFC", pair) == chr(code)
            found.append((code, compatibility, composes, mapped))
    return found


def main():
    if unicodedata.unidata_version != VERSION:
        sys.exit("this interpreter has Unicode %s; Unicode %s is needed (CPython 3.6)" % (unicodedata.unidata_version, VERSION))
    here = os.path.dirname(os.path.abspath(__file__))
    target = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../../../src/ModelServe.Codec/Normalizing/NormalizationData.bin")
    out = bytearray()
    ranges = classes()
    number(out, len(ranges))
    end = 0
    for first, last, kind in ranges:
        number(out, first - end)
        number(out, last - first)
        number(out, kind)
        end = last
    found = decompositions()
    number(out, len(found))
    previous = 0
    for code, compatibility, composes, mapped in found:
        number(out, code - previous)
        number(out, 4 * len(mapped) + 2 * composes + compatibility)
        for part in mapped:
            number(out, part)
        previous = code
    with open(target, "wb") as file:
        file.write(out)
    print("%d ranges of classes, %d decompositions, %d bytes" % (len(ranges), len(found), len(out)))


main()
