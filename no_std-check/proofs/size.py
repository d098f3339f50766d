#!/usr/bin/env python3
"""What a linked program takes of flash and RAM, by crate and by module, and whether it keeps to a budget.

    size.py PROGRAM [--budgets BUDGETS.toml]

Code is counted where its source stands, not where the compiler put it: an inlined function counts for the module that wrote it.
What the compiler's own library was inlined for counts for whoever called it.
"""

import argparse
import pathlib
import re
import sys
import tomllib
from collections import Counter, defaultdict

from image import SHF_ALLOC, SHF_EXECINSTR, Image, crate_and_file, symbolize

NAMELESS = ("constants", "without a name")
LIBRARY = "core"
# Functions that are told by name.
LARGEST = 12


def code(image):
    """Octets of code of each (crate, module), and of each function as the source has it."""
    image.disassemble()
    frames = symbolize(image.path, [at for function in image.functions for at, *_ in function.instructions])
    octets, functions = Counter(), Counter()
    for function in image.functions:
        starts = [at for at, *_ in function.instructions]
        ends = starts[1:] + [max(starts[-1:] + [function.address + function.size])]
        for start, end in zip(starts, ends, strict=False):
            # What lies between two instructions (a table, a literal) belongs to the first of them.
            crate, file, name = _owner(frames.get(start, []), function)
            octets[crate, _module(file)] += max(end - start, 0)
            functions[f"{crate}: {file}: {short_name(name)}"] += max(end - start, 0)
    return octets, functions


def _owner(frames, function):
    places = [(*crate_and_file(frame.file), frame.function) for frame in frames]
    for crate, file, name in places:
        if crate not in (LIBRARY, "?"):
            return crate, file, name
    if any(crate == LIBRARY for crate, *_ in places):
        return LIBRARY, *places[-1][1:]
    return "assembly", function.name, function.name


def short_name(name):
    """The last part of a function's path, without the types that it is for."""
    while (shorter := re.sub(r"(::)?<[^<>]*>", "", name)) != name:
        name = shorter
    return name.rsplit("::", 1)[-1]


def _module(file):
    return file.split("/")[0].removesuffix(".rs")


def data(image):
    """Octets of named objects: (crate, module) in flash, and by name in RAM."""
    constants, variables = Counter(), Counter()
    for name, _, size, section in image.objects:
        parts = name.lstrip("<").split("::")
        if section.in_ram:
            variables[name] += size
        elif section.in_flash:
            constants[tuple(parts[:2]) if len(parts) > 1 else NAMELESS] += size
    return constants, variables


def report(image):
    """Prints the table; returns what is taken of flash and of RAM."""
    flash = sum(section.size for section in image.sections if section.in_flash)
    static_ram = sum(section.size for section in image.sections if section.in_ram)
    (in_code, functions), (constants, variables) = code(image), data(image)
    counted = in_code + constants
    counted["start-up", "vectors, tables, padding"] = flash - counted.total()

    modules = defaultdict(Counter)
    for (crate, module), octets in counted.items():
        modules[crate][module] += octets
    print(f"{image.path}\n\n| flash | octets |\n| --- | ---: |")
    for crate, parts in sorted(modules.items(), key=lambda entry: -entry[1].total()):
        print(f"| **{crate}** | **{parts.total():,}** |")
        for module, octets in parts.most_common():
            if len(parts) > 1:
                print(f"| {crate}: {module} | {octets:,} |")
    print(f"| **all** | **{flash:,}** |\n\n| the largest functions, as the source has them | octets |\n| --- | ---: |")
    for name, octets in functions.most_common(LARGEST):
        print(f"| `{name}` | {octets:,} |")
    print("\n| static RAM | octets |\n| --- | ---: |")
    for name, octets in variables.most_common():
        print(f"| `{name}` | {octets:,} |")
    print(f"| **all** | **{static_ram:,}** |\n")
    return flash, static_ram


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--budgets")
    arguments = parser.parse_args()
    image = Image(arguments.program)
    loaded = [section.name for section in image.sections if section.flags & SHF_ALLOC and section.size]
    executable = [section for section in image.sections if section.flags & SHF_EXECINSTR]
    if not executable:
        sys.exit(f"{arguments.program} has no code; its sections are {', '.join(loaded)}")
    failed = False
    flash, static_ram = report(image)
    if arguments.budgets:
        with open(arguments.budgets, "rb") as file:
            budgets = tomllib.load(file)[pathlib.Path(arguments.program).name]
        for what, octets, budget in [
            ("flash", flash, budgets["flash"]),
            ("static RAM", static_ram, budgets["static_ram"]),
        ]:
            print(f"{what}: {octets:,} of {budget:,} octets")
            failed |= octets > budget
    sys.exit(failed)


if __name__ == "__main__":
    main()
