#!/usr/bin/env python3
"""Tests of the proofs' own logic, on programs small enough to be read."""

import unittest

from image import ARM, RISCV, Function, Image, leb128, read_listing
from panics import judge
from public_api import PublicApi
from size import short_name
from stack import Stack, frame_of


def program(machine, functions, listing):
    """An image without a file: functions as (name, address, size, frame), and what llvm-objdump would print."""
    image = Image.__new__(Image)
    image.machine, image.path = machine, "sample"
    image.functions = [Function(*function) for function in functions]
    image._starts = [function.address for function in image.functions]
    read_listing(image, listing)
    return image


def calls(image, name):
    [function] = image.named(name)
    return [(call.target.name if call.target else None, call.tail) for call in function.calls]


ARM_SAMPLE = """
00000100 <main>:
     100:      	push	{r4, r5, r6, r7, lr}
     102:      	sub	sp, #16
     104:      	bl	0x200 <leaf> @ imm = #248
     108:      	cbz	r0, 0x104 <main+0x4> @ imm = #-8
     10a:      	bl	0x110 <main+0x10> @ imm = #2
     10e:      	tbb	[pc, r3]
     110:      	b.w	0x300 <last> @ imm = #492
00000200 <leaf>:
     200:      	bx	lr
00000300 <last>:
     300:      	blx	r3
     302:      	bx	r12
     304:      	bl	0x400 <again> @ imm = #248
00000400 <again>:
     400:      	bl	0x300 <last> @ imm = #-260
"""
ARM_FUNCTIONS = [("main", 0x100, 0x20, 40), ("leaf", 0x200, 2, 8), ("last", 0x300, 8, 100), ("again", 0x400, 4, None)]

RISCV_SAMPLE = """
80000000 <start>:
80000000:      	auipc	ra, 1
80000004:      	jalr	-256(ra) <far+0x0>
80000008:      	jalr	a3
8000000a:      	jr	a0
8000000c:      	auipc	t1, 1
80000010:      	jr	-268(t1) <far>
80000f00 <far>:
80000f00:      	ret
"""


class Calls(unittest.TestCase):
    def setUp(self):
        self.image = program(ARM, ARM_FUNCTIONS, ARM_SAMPLE)

    def test_calls_and_tail_calls_are_told_from_loops_switches_and_long_branches(self):
        self.assertEqual(calls(self.image, "main"), [("leaf", False), ("last", True)])
        self.assertEqual(calls(self.image, "leaf"), [])

    def test_calls_through_registers_are_seen(self):
        self.assertEqual(calls(self.image, "last"), [(None, False), (None, True), ("again", False)])

    def test_a_far_call_of_riscv_is_one_call(self):
        image = program(RISCV, [("start", 0x8000_0000, 0x14, 16), ("far", 0x8000_0F00, 4, 0)], RISCV_SAMPLE)
        self.assertEqual(calls(image, "start"), [("far", False), (None, False), ("far", True)])

    def test_octets_of_seven_bits(self):
        self.assertEqual(leb128(b"\x00\xe5\x8e\x26\x01", 1), (624_485, 4))


class Names(unittest.TestCase):
    def test_a_function_is_named_without_its_types(self):
        for name, short in [("sc_muladd", "sc_muladd"), ("a::b::<C<d::E>>", "b"), ("<a::B as c::D<E>>::f::<g::H>", "f")]:
            self.assertEqual(short_name(name), short)


class Depth(unittest.TestCase):
    def deepest(self, functions, listing, pins=()):
        stack = Stack(program(ARM, functions, listing), pins)
        return stack.deepest(stack.image.functions[0])[0], stack.problems

    def test_a_tail_call_takes_the_place_of_its_caller(self):
        listing = ARM_SAMPLE[: ARM_SAMPLE.index("00000300")]
        depth, problems = self.deepest([*ARM_FUNCTIONS[:2], ("last", 0x300, 8, 41)], listing)
        # main and leaf take 48 together; last, when main is gone, 41.
        self.assertEqual((depth, problems), (48, []))
        self.assertEqual(self.deepest([*ARM_FUNCTIONS[:2], ("last", 0x300, 8, 49)], listing), (49, []))

    def test_what_is_not_known_is_told(self):
        _, problems = self.deepest(ARM_FUNCTIONS, ARM_SAMPLE)
        self.assertEqual(len(problems), 4)
        for what in ("pointer: blx r3", "pointer: bx r12", "recursion: last -> again -> last", "frame is stated: again"):
            self.assertTrue(any(what in problem for problem in problems), what)

    def test_a_pin_with_a_reason_settles_it(self):
        pins = [
            {"function": "last", "kind": "pointer", "reason": "a test"},
            {"function": "last", "kind": "recursion", "reason": "a test"},
            {"function": "again", "kind": "frame", "octets": 0, "reason": "a test"},
        ]
        self.assertEqual(self.deepest(ARM_FUNCTIONS, ARM_SAMPLE, pins), (100, []))
        pins[2]["octets"] = 8
        self.assertEqual(len(self.deepest(ARM_FUNCTIONS, ARM_SAMPLE, pins)[1]), 1)

    def test_the_frame_of_assembly_is_what_it_pushes_and_subtracts(self):
        listing = "     100:      	push	{r4-r7, lr}\n     102:      	sub	sp, #0x10\n     104:      	sub	sp, sp, #16\n"
        image = program(ARM, [("assembly", 0x100, 8, None)], listing)
        self.assertEqual(frame_of(image.functions[0]), 5 * 4 + 16 + 16)


class Panics(unittest.TestCase):
    PINS = [{"crate": "crypto", "file": "hash.rs", "lines": [7, 9], "reason": "a test"}]

    def test_a_site_that_is_not_pinned_is_unknown(self):
        site = ("core", "node.rs", 7, "serve")
        self.assertEqual(judge([("crypto", "hash.rs", 7, "f"), site], self.PINS)[0], [site])

    def test_a_pin_that_is_not_needed_is_told(self):
        self.assertEqual(judge([("crypto", "hash.rs", 7, "f")], self.PINS)[1], [("crypto", "hash.rs", 9)])


def documented(name, inner, **more):
    return {"name": name, "attrs": [], "inner": inner, **more}


def block(trait, *methods, argument=None):
    arguments = {"angle_bracketed": {"args": [{"type": {"resolved_path": {"path": argument}}}] if argument else []}}
    return documented(
        None,
        {
            "impl": {
                "is_synthetic": False,
                "blanket_impl": None,
                "trait": trait and {"path": trait, "args": arguments},
                "for": {"resolved_path": {"id": 2}},
                "items": list(methods),
            }
        },
    )


class Api(unittest.TestCase):
    def setUp(self):
        method = {"function": {}}
        self.api = PublicApi(
            {
                "root": 1,
                "index": {
                    "1": documented("lib", {"module": {"items": [3, 4]}}),
                    "2": documented("Node", {"struct": {"impls": [5, 6, 7]}}),
                    # Seen as lib::Node and as lib::Peer.
                    "3": documented(None, {"use": {"is_glob": False, "id": 2, "name": "Node"}}),
                    "4": documented(None, {"use": {"is_glob": False, "id": 2, "name": "Peer"}}),
                    "5": block(None, 8),
                    "6": block("From", 9, argument="crate::Id"),
                    "7": block("Display", 10),
                    "8": documented("get", method),
                    "9": documented("from", method),
                    "10": documented("fmt", method),
                },
            }
        )

    def test_all_are_found(self):
        everything = ["<lib::Node as Display>::fmt", "<lib::Node as From<Id>>::from", "lib::Node::get"]
        self.assertEqual(self.api.unused(""), everything)

    def test_a_call_by_any_path_is_a_use(self):
        mir = """
            _1 = lib::Peer::<'_, Vec<Option<u8>>>::get(move _2) -> [return: bb1, unwind continue];
            _3 = <lib::Node as core::convert::From<lib::id::Id>>::from(move _4) -> [return: bb2, unwind continue];
            _5 = core::fmt::rt::Argument::<'_>::new_display::<&lib::Node>(copy _6) -> [return: bb3, unwind continue];
        """
        self.assertEqual(self.api.unused(mir), [])

    def test_a_call_of_something_else_is_none(self):
        mir = """
            _1 = lib::Node::get_mutable(move _2) -> [return: bb1, unwind continue];
            _3 = <lib::Node as core::convert::From<lib::Other>>::from(move _4) -> [return: bb2, unwind continue];
            _5 = core::fmt::rt::Argument::<'_>::new_debug::<&lib::Node>(copy _6) -> [return: bb3, unwind continue];
        """
        self.assertEqual(len(self.api.unused(mir)), 3)


if __name__ == "__main__":
    unittest.main()
