#!/usr/bin/env python3
"""Which calls of a linked program can panic, against the list of those that are known, each with the reason why it never happens.

    panics.py PINS.toml PROGRAM...

From the panic handler the callers are followed backwards. So that the compiler cannot put it into its callers, the handler of the
link program calls something that the linker has put at `HANDLER` (`--defsym`); that of a firmware does things of its own. A function of the compiler's own library that panics for its caller is
not a site; its caller is. What was inlined is told apart by the debugging information, so a site is a line of a crate's source.
"""

import sys
import tomllib
from collections import defaultdict

from image import Image, crate_and_file, symbolize

# An address in reach of a call, where nothing is.
HANDLER = 0x00E0_0000

# Crates that come with the compiler: they panic on behalf of others.
LIBRARY = {"core", "compiler_builtins"}


def sites(image):
    """The places of `image` that panic: (crate, file, line, function)."""
    image.disassemble()
    callers = defaultdict(list)
    for function in image.functions:
        for call in function.calls:
            if call.target:
                callers[call.target.address].append((function, call))
    ways_in = image.named(r".*\brust_begin_unwind") + image.named(r"core::panicking::.*")
    panicking, found, open_ends = set(), [], [HANDLER] + [function.address for function in ways_in]
    frames = symbolize(image.path, [call.address for calls in callers.values() for _, call in calls])
    while open_ends:
        address = open_ends.pop()
        if not callers[address] and address != HANDLER and image.function_at(address) not in ways_in:
            # Called through a pointer only, if at all: nobody else can be named.
            found.append(("core", "through a pointer", 0, image.function_at(address).name))
        for function, call in callers[address]:
            place = next((frame for frame in frames[call.address] if not _is_library(frame, function)), None)
            if place:
                outermost = place is frames[call.address][-1]
                name = function.name if outermost else place.function
                found.append((*crate_and_file(place.file), place.line, name))
            elif function.address not in panicking and function not in ways_in:
                panicking.add(function.address)
                open_ends.append(function.address)
    return found


def _is_library(frame, function):
    # The handler itself is the one function that is not of the library, and panics all the same.
    return "rust_begin_unwind" in function.name or crate_and_file(frame.file)[0] in LIBRARY


def judge(found, pins):
    """What is wrong: sites that are not pinned. Also the pins that no site needs."""
    known = {(pin["crate"], pin["file"], line): pin for pin in pins for line in pin["lines"]}
    unknown = sorted({site for site in found if site[:3] not in known})
    unused = set(known) - {site[:3] for site in found}
    return unknown, sorted(unused)


def main():
    pins, *programs = sys.argv[1:]
    with open(pins, "rb") as file:
        pins = tomllib.load(file)["site"]
    everywhere, failed = set(), False
    for program in programs:
        found = sites(Image(program))
        everywhere.update(found)
        unknown, _ = judge(found, pins)
        of = defaultdict(int)
        for crate, *_ in found:
            of[crate] += 1
        print(f"{program}: " + (", ".join(f"{of[crate]} in {crate}" for crate in sorted(of)) or "none"))
        for crate, file, line, function in unknown:
            print(f"  can panic, and is not pinned: {crate} {file}:{line} ({function})")
        failed |= bool(unknown)
    for crate, file, line in judge(everywhere, pins)[1]:
        print(f"pinned, and does not exist any more: {crate} {file}:{line}")
        failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
