"""What stands in a linked program: sections, functions, their frames, and who calls whom.

Reads ELF files of 32-bit Arm and RISC-V itself; leaves instructions to llvm-objdump, names to llvm-cxxfilt and source lines to
llvm-symbolizer.
"""

import bisect
import functools
import json
import pathlib
import re
import struct
import subprocess
import tomllib
from dataclasses import dataclass, field

ARM, RISCV = 40, 243
SHT_SYMTAB, SHT_NOBITS = 2, 8
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
STB_GLOBAL, STT_NOTYPE, STT_OBJECT, STT_FUNC = 1, 0, 1, 2


@dataclass
class Section:
    """A section: what it is called, where it is loaded, and its octets (none for what is zero at the start)."""

    name: str
    kind: int
    flags: int
    address: int
    size: int
    octets: bytes

    @property
    def in_flash(self):
        """Whether its octets have to be kept while there is no power."""
        return bool(self.flags & SHF_ALLOC) and self.kind != SHT_NOBITS

    @property
    def in_ram(self):
        """Whether it takes memory that can be written."""
        return bool(self.flags & SHF_ALLOC) and bool(self.flags & SHF_WRITE)


@dataclass
class Call:
    """An instruction that leaves a function: to `target`, or to nobody knows where. A `tail` call frees its frame first."""

    address: int
    target: "Function | None"
    tail: bool
    text: str


@dataclass(eq=False)
class Function:
    """A function: its readable name, its address and size, its frame as the compiler states it, and its calls."""

    name: str
    address: int
    size: int
    frame: int | None = None
    calls: list = field(default_factory=list)
    instructions: list = field(default_factory=list)


class Image:
    """A linked program."""

    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            self._octets = file.read()
        magic, bits, order = self._octets[:4], self._octets[4], self._octets[5]
        if (magic, bits, order) != (b"\x7fELF", 1, 1):
            raise ValueError(f"{path} is not a little-endian ELF file of 32 bits")
        (self.machine,) = struct.unpack_from("<H", self._octets, 18)
        (self.entry,) = struct.unpack_from("<I", self._octets, 24)
        self.sections = self._read_sections()
        self.objects, functions = self._read_symbols()
        self.functions = sorted(functions.values(), key=lambda function: function.address)
        self._starts = [function.address for function in self.functions]
        self._read_frames()

    def section(self, name):
        """The section of this name, or `None`."""
        return next((section for section in self.sections if section.name == name), None)

    def function_at(self, address):
        """The function in which `address` lies, or `None`."""
        at = bisect.bisect_right(self._starts, address) - 1
        if at < 0:
            return None
        function = self.functions[at]
        end = function.address + max(function.size, 1)
        # Assembly often has no sizes: it reaches to the next function.
        if function.size == 0 and at + 1 < len(self.functions):
            end = self.functions[at + 1].address
        return function if address < end else None

    def named(self, pattern):
        """The functions whose whole names match the regular expression."""
        return [function for function in self.functions if re.fullmatch(pattern, function.name)]

    def disassemble(self):
        """Finds the instructions and the calls of every function."""
        command = ["llvm-objdump", "--disassemble", "--no-show-raw-insn", "--no-print-imm-hex", self.path]
        listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        read_listing(self, listing)

    def _read_sections(self):
        (start,) = struct.unpack_from("<I", self._octets, 32)
        size, count, names = struct.unpack_from("<HHH", self._octets, 46)
        headers = [struct.unpack_from("<10I", self._octets, start + size * number) for number in range(count)]
        texts = headers[names]
        sections = []
        for name, kind, flags, address, offset, size, *_ in headers:
            octets = b"" if kind == SHT_NOBITS else self._octets[offset : offset + size]
            sections.append(Section(self._text(texts[4] + name), kind, flags, address, size, octets))
        self._links = [header[6] for header in headers]
        return sections

    def _read_symbols(self):
        objects, functions = [], {}
        for number, table in enumerate(self.sections):
            if table.kind != SHT_SYMTAB:
                continue
            texts = self.sections[self._links[number]].octets
            for name, value, size, info, _, index in struct.iter_unpack("<IIIBBH", table.octets):
                name = texts[name : texts.index(b"\0", name)].decode()
                section = self.sections[index] if 0 < index < len(self.sections) else None
                if section is None:
                    continue
                # Assembly does not always say that something is a function.
                label = info == STB_GLOBAL << 4 | STT_NOTYPE and section.flags & SHF_EXECINSTR
                if info & 15 == STT_FUNC or label:
                    # Bit 0 of the address says that it is Thumb code. Of several names, the one that has a size.
                    address = value & ~1 if self.machine == ARM else value
                    known = functions.get(address)
                    if known is None or known.size < size:
                        functions[address] = Function(name, address, size)
                elif info & 15 == STT_OBJECT:
                    objects.append((name, value, size, section))
        readable = demangle([function.name for function in functions.values()] + [name for name, *_ in objects])
        for function in functions.values():
            function.name = readable[function.name]
        return [(readable[name], *rest) for name, *rest in objects], functions

    def _read_frames(self):
        section = self.section(".stack_sizes")
        at, octets = 0, section.octets if section else b""
        while at < len(octets):
            (address,) = struct.unpack_from("<I", octets, at)
            frame, at = leb128(octets, at + 4)
            function = self.function_at(address & ~1 if self.machine == ARM else address)
            if function:
                function.frame = max(frame, function.frame or 0)

    def _text(self, offset):
        return self._octets[offset : self._octets.index(b"\0", offset)].decode()


def leb128(octets, at):
    """The number written at `at` in seven bits an octet, and where what follows it begins."""
    value = shift = 0
    while True:
        octet = octets[at]
        value |= (octet & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if octet < 0x80:
            return value, at


def demangle(names):
    """Readable names, each by its mangled one; without the numbers that tell crates of one name apart."""
    names = list(dict.fromkeys(names))
    command = ["llvm-cxxfilt"]
    lines = subprocess.run(command, input="\n".join(names), check=True, capture_output=True, text=True).stdout
    return dict(zip(names, lines.split("\n"), strict=False))


INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(\S+)\s*(.*?)(?:<|@|# |$)")


def read_listing(image, listing):
    """Gives each function of `image` its instructions, and each that leaves it as a call."""
    classify = {ARM: _arm, RISCV: _riscv}[image.machine]
    before = None
    for line in listing.split("\n"):
        match = INSTRUCTION.match(line)
        function = match and image.function_at(int(match[1], 16))
        if not function:
            continue
        address, mnemonic, operands = int(match[1], 16), match[2], match[3].strip()
        if mnemonic.startswith((".", "<")):
            continue
        function.instructions.append((address, mnemonic, operands))
        leaves = classify(address, mnemonic, operands, before)
        before = (address, mnemonic, operands)
        if leaves is None:
            continue
        kind, target = leaves
        # (Where a branch does not reach, a Cortex-M0 jumps within a function as if it called.)
        if target is not None and function.address < target < function.address + function.size:
            continue
        callee = None if target is None else image.function_at(target)
        if target is not None and callee is None:
            # Nothing is there: the name that a proof gives to what must not be reached.
            callee = Function(f"nothing at {target:#x}", target, 0, 0)
        if callee is function and kind == "jump":
            # Back to the beginning: a loop.
            continue
        function.calls.append(Call(address, callee, kind != "call", f"{mnemonic} {operands}".strip()))


def _target(operands):
    match = re.search(r"(0x[0-9a-f]+)\s*$", operands)
    return int(match[1], 16) if match else None


def _arm(_, mnemonic, operands, __):
    mnemonic = mnemonic.split(".")[0]
    if mnemonic == "bl":
        return "call", _target(operands)
    if mnemonic in ("blx", "bx"):
        # `bx lr` returns; a switch is `tbb`, `tbh` or an assignment to pc.
        return None if operands == "lr" else ("call" if mnemonic == "blx" else "tail", _target(operands))
    if re.fullmatch(r"b(eq|ne|cs|hs|cc|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al)?|cbn?z", mnemonic):
        return "jump", _target(operands)
    return None


def _riscv(address, mnemonic, operands, before):
    mnemonic = mnemonic.removeprefix("c.")
    if mnemonic in ("jal", "call"):
        return ("jump" if operands.startswith("zero") else "call"), _target(operands)
    if mnemonic in ("j", "tail") or re.fullmatch(r"b(eq|ne|lt|ge|ltu|geu|gt|le|gtu|leu)z?", mnemonic):
        return "jump", _target(operands)
    if mnemonic in ("jalr", "jr"):
        # `auipc ra, A` and `jalr B(ra)` are one call with a far target.
        near = re.fullmatch(r"(?:ra, )?(-?\d*)\(?(\w+)\)?", operands)
        if near and before and before[1] == "auipc" and before[2].startswith(near[2] + ","):
            upper = int(before[2].split(",")[1], 0)
            target = (before[0] + (upper << 12) + int(near[1] or "0")) & 0xFFFF_FFFF
            return "call" if mnemonic == "jalr" else "tail", target
        # A bare `jr` is a switch: the compiler makes no tail calls through pointers that it could have called.
        return ("call", None) if mnemonic == "jalr" else None
    return None


@dataclass
class Frame:
    """A function at an address, as the source has it: before the compiler put functions into each other."""

    function: str
    file: str
    line: int


def symbolize(path, addresses):
    """For each address, the functions that stand there, the innermost first."""
    command = ["llvm-symbolizer", "--output-style=JSON", f"--obj={path}"]
    questions = "\n".join(f"{address:#x}" for address in addresses)
    output = subprocess.run(command, input=questions, check=True, capture_output=True, text=True).stdout
    frames = {}
    for line in output.split("\n"):
        if line.startswith("{"):
            answer = json.loads(line)
            frames[int(answer["Address"], 16)] = [
                Frame(frame["FunctionName"], frame["FileName"], frame["Line"]) for frame in answer.get("Symbol", [])
            ]
    return frames


@functools.cache
def crate_and_file(file):
    """The crate that a source file belongs to, by the nearest Cargo.toml above it, and the file's path below its `src`."""
    path = pathlib.Path(file)
    for folder in path.parents:
        manifest = folder / "Cargo.toml"
        if manifest.is_file() and (package := tomllib.loads(manifest.read_text()).get("package")):
            name = path.relative_to(folder)
            return package["name"].replace("-", "_"), str(name).removeprefix("src/")
    return "?", file
