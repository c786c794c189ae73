"""Lets a program that was linked against a newer glibc start on an older one, with a shim preloaded.

    python3 older-glibc.py PROGRAM GLIBC_2.38 GLIBCXX_3.4.32

The dynamic linker refuses a program that needs a version of symbols that the system's libraries do not define,
unless that need is marked weak. This marks the needs that are named: Elf64_Vernaux.vna_flags, in place.
"""

import struct
import sys

SHT_GNU_VERNEED = 0x6FFFFFFE
VER_FLG_WEAK = 2

path, wanted = sys.argv[1], set(sys.argv[2:])
with open(path, "rb") as file:
    program = bytearray(file.read())

(section_table,) = struct.unpack_from("<Q", program, 0x28)
section_size, section_count = struct.unpack_from("<HH", program, 0x3A)


def section(index):
    """The type, the offset and the linked section of a section header."""
    _, kind, _, _, offset, _, link = struct.unpack_from("<IIQQQQI", program, section_table + index * section_size)
    return kind, offset, link


for index in range(section_count):
    kind, need, strings = section(index)
    if kind != SHT_GNU_VERNEED:
        continue
    names = section(strings)[1]
    while True:
        _, count, _, first, next_need = struct.unpack_from("<HHIII", program, need)
        version = need + first
        for _ in range(count):
            _, flags, _, name, next_version = struct.unpack_from("<IHHII", program, version)
            start = names + name
            text = program[start : program.index(0, start)].decode()
            if text in wanted:
                struct.pack_into("<H", program, version + 4, flags | VER_FLG_WEAK)
                wanted.discard(text)
            version += next_version
        if next_need == 0:
            break
        need += next_need

if wanted:
    sys.exit(f"{path} does not need {', '.join(sorted(wanted))}")
with open(path, "wb") as file:
    file.write(program)
