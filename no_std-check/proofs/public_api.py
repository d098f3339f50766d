#!/usr/bin/env python3
"""Which public functions of the core the link program does not use.

    public_api.py DOCUMENTATION.json PROGRAM.mir

The first file is what rustdoc knows of the core (`--output-format json`), the second what the compiler made of the link program
before any optimisation (`--emit=mir -Z inline-mir=no -Z trim-diagnostic-paths=no`): each call is a line with a full path there.
What the compiler derives, and what a trait provides by itself, is not counted: nobody wrote it.
"""

import json
import re
import sys

# Generic arguments, nested as deep as they come here.
ARGUMENTS = r"(?:::)?(?:<(?:[^<>]|->|<(?:[^<>]|->|<(?:[^<>]|<[^<>]*>)*>)*>)*>)?"

# Some traits are called by macros and functions of `core` only: what such a call looks like.
CALLED_AS = {"Display": "new_display", "Debug": "new_debug", "FromStr": "parse"}


class PublicApi:
    """The functions that can be called from outside, by all the paths that lead to them."""

    def __init__(self, documentation):
        self.items = documentation["index"]
        # For each type, its public paths; for each function, how it is named in a list and how a call of it looks.
        self.paths = {}
        self.functions = {}
        self._walk(documentation["root"], "")
        for number in self.paths:
            self._methods(number)

    def unused(self, mir):
        """The names of the functions that no call in `mir` names."""
        return sorted(name for name, pattern in self.functions.items() if not re.search(pattern, mir))

    def _item(self, number):
        item = self.items.get(str(number))
        if item is None:
            return None, None, None
        [(kind, inner)] = item["inner"].items()
        return item, kind, inner

    def _walk(self, number, path, name=None):
        item, kind, inner = self._item(number)
        if item is None:
            return
        if kind == "use":
            if inner["is_glob"]:
                for member in self._item(inner["id"])[2]["items"]:
                    self._walk(member, path)
            else:
                self._walk(inner["id"], path, inner["name"])
            return
        path = f"{path}::{name or item['name']}".removeprefix("::")
        if kind == "module":
            for member in inner["items"]:
                self._walk(member, path)
        elif kind == "function":
            self.functions[path] = re.escape(path) + r"\b"
        elif kind in ("struct", "enum", "union"):
            self.paths.setdefault(number, []).append(path)

    def _methods(self, number):
        _, _, inner = self._item(number)
        paths = self.paths[number]
        any_path = "(?:" + "|".join(map(re.escape, paths)) + ")" + ARGUMENTS
        for block in inner["impls"]:
            attributes, _, block = self._item(block)
            derived = "automatically_derived" in json.dumps(attributes["attrs"])
            if block["is_synthetic"] or block["blanket_impl"] or derived:
                continue
            reference = "borrowed_ref" in block["for"]
            if _type_number(block["for"]) != number:
                # Listed here because a parameter of the trait is this type.
                continue
            trait = block["trait"] and block["trait"]["path"].split("::")[-1]
            for member in block["items"]:
                method, kind, _ = self._item(member)
                if kind != "function":
                    continue
                name = method["name"]
                if trait is None:
                    self.functions[f"{paths[0]}::{name}"] = any_path + "::" + name + r"\b"
                elif trait in CALLED_AS:
                    called = CALLED_AS[trait] + r"::<&?" + any_path + ">"
                    self.functions[f"<{paths[0]} as {trait}>::{name}"] = called
                else:
                    mark = "&" if reference else ""
                    of = _parameter(block["trait"])
                    arguments = r"<(?:&(?:mut )?)?[\w:]*\b" + of + ARGUMENTS + ">" if of else ARGUMENTS
                    called = f"<{mark}" + any_path + r" as [\w:]*\b" + trait + arguments + ">::" + name + r"\b"
                    of = of and f"<{of}>"
                    self.functions[f"<{mark}{paths[0]} as {trait}{of}>::{name}"] = called


def _type_number(description):
    """The number of the type that an `impl` is for, through a reference."""
    description = description.get("borrowed_ref", {}).get("type", description)
    return description.get("resolved_path", {}).get("id")


def _parameter(trait):
    """The last part of the type that a trait is for, as `SocketAddr` in `From<SocketAddr>`; empty if it has none."""
    path = re.search(r'"path": "([\w:]+)"', json.dumps(trait["args"]))
    return path[1].split("::")[-1] if path else ""


def main():
    documentation, mir = sys.argv[1:]
    with open(documentation, encoding="utf-8") as file:
        api = PublicApi(json.load(file))
    with open(mir, encoding="utf-8") as file:
        unused = api.unused(file.read())
    for name in unused:
        print(f"the link program does not use {name}")
    print(f"{len(api.functions) - len(unused)} of {len(api.functions)} public functions of the core are linked")
    sys.exit(bool(unused))


if __name__ == "__main__":
    main()
