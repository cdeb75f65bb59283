"""mmap, which is not in CPython's static library, as far as initpy uses it: a memoryview that may
be written to, which has no `find`."""

import _initpy


def mmap(fileno, length, *, offset=0):
    return _initpy.map_file(fileno, length, offset)
