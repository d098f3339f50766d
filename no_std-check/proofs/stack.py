#!/usr/bin/env python3
"""How deep the stack of a linked program can grow: the deepest path through its call graph, added up from the frames that the compiler
states.

    stack.py PROGRAM --pins PINS.toml [--entry NAME]... [--interrupt NAME]... [--budgets BUDGETS.toml] [--measured OCTETS]

The program is built with `-Z emit-stack-sizes`. What the bound cannot be known with is an error unless it is pinned with a reason:
recursion, calls through pointers, and functions without a stated frame (assembly), which are pinned with the frame they have.
`--measured` is the depth that a run has reached: a bound below it is no bound, and the proof fails.
"""

import argparse
import re
import sys
import tomllib

from image import ARM, Image

# What an interrupt puts on the stack of a Cortex-M before its handler begins: 8 registers, and one word to align them.
EXCEPTION_FRAME = 36


class Stack:
    """The call graph of an image, walked from its entries."""

    def __init__(self, image, pins):
        self.image = image
        self.pins = pins
        self.problems = []
        self.used = set()
        self._depths = {}
        self._path = []

    def deepest(self, function):
        """Octets that `function` and all it calls can take at most, and the path that takes them."""
        key = function.address
        if key in self._depths:
            return self._depths[key]
        if key in self._path:
            start = self._path.index(key)
            names = [self.image.function_at(address).name for address in self._path[start:]]
            # Every function of the circle is looked for among the pins: whichever is reached first is chance.
            if not any(self._pinned(name, "recursion") for name in names):
                self._complain(f"recursion: {' -> '.join(names + [function.name])}")
            return 0, ()
        self._path.append(key)
        frame = self._frame(function)
        depth, path = frame, ()
        for call in function.calls:
            if call.target is None:
                if not self._pinned(function.name, "pointer"):
                    self._complain(f"call through a pointer: {call.text} in {function.name}")
                continue
            below, callees = self.deepest(call.target)
            # A tail call gives the frame back before it goes.
            total = below if call.tail else frame + below
            if total > depth:
                depth, path = total, callees
        self._path.pop()
        self._depths[key] = depth, ((function, frame), *path)
        return self._depths[key]

    def _frame(self, function):
        if function.frame is not None:
            return function.frame
        pin = self._pinned(function.name, "frame")
        if pin is None:
            self._complain(f"no frame is stated: {function.name}")
        elif (seen := frame_of(function)) != pin["octets"]:
            self._complain(f"{function.name} is pinned with {pin['octets']} octets, and its instructions take {seen}")
        return pin["octets"] if pin else 0

    def _pinned(self, name, kind):
        for number, pin in enumerate(self.pins):
            if pin["kind"] == kind and re.fullmatch(pin["function"], name):
                self.used.add(number)
                return pin
        return None

    def _complain(self, problem):
        if problem not in self.problems:
            self.problems.append(problem)


def frame_of(function):
    """What the instructions of a function in Thumb assembly take of the stack: all that it pushes and subtracts."""
    octets = 0
    for _, mnemonic, operands in function.instructions:
        if mnemonic.startswith("push"):
            octets += 4 * sum(_registers(part) for part in operands.strip("{} ").split(","))
        elif mnemonic.startswith("sub") and (amount := re.fullmatch(r"sp, (?:sp, )?#(\w+)", operands)):
            octets += int(amount[1], 0)
    return octets


def _registers(part):
    # `r4` is one, `r4-r7` are four.
    numbers = [int(number) for number in re.findall(r"\d+", part)]
    return numbers[1] - numbers[0] + 1 if len(numbers) == 2 else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--pins", required=True)
    parser.add_argument("--entry", action="append", default=[], help="a name; by default the program's entry point")
    parser.add_argument("--interrupt", action="append", default=[], help="a handler that can interrupt everything else")
    parser.add_argument("--budgets")
    parser.add_argument("--measured", type=int)
    arguments = parser.parse_args()
    image = Image(arguments.program)
    image.disassemble()
    with open(arguments.pins, "rb") as file:
        stack = Stack(image, tomllib.load(file)["pin"])

    entries = [named for name in arguments.entry for named in image.named(name)]
    if not arguments.entry:
        entries = [image.function_at(image.entry & ~1 if image.machine == ARM else image.entry)]
    interrupts = [named for name in arguments.interrupt for named in image.named(name)]
    if None in entries or len(entries) < len(arguments.entry) or len(interrupts) < len(arguments.interrupt):
        sys.exit(f"{arguments.program}: not all of the entries exist")

    depth, path = max((stack.deepest(entry) for entry in entries), key=lambda found: found[0])
    print(f"{arguments.program}: {depth:,} octets of stack at most, on the path")
    for function, frame in path:
        print(f"  {frame:>6,}  {function.name}")
    for interrupt in interrupts:
        # At worst each kind of interrupt interrupts the handler of another.
        below = EXCEPTION_FRAME + stack.deepest(interrupt)[0]
        print(f"  {below:>6,}  {interrupt.name}, on top of it")
        depth += below
    failed = bool(stack.problems)
    for problem in stack.problems:
        print(f"  not known: {problem}")
    if arguments.measured is not None:
        print(f"  a run has used {arguments.measured:,}")
        failed |= arguments.measured > depth
    if arguments.budgets:
        with open(arguments.budgets, "rb") as file:
            budget = tomllib.load(file)["stack"]
        print(f"stack: {depth:,} of {budget:,} octets")
        failed |= depth > budget
    sys.exit(failed)


if __name__ == "__main__":
    main()
