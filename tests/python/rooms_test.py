#!/usr/bin/env python3
"""The order of the rooms: what each includes is what its CMakeLists.txt declares, and lies above it.

A room's DEPENDS must name exactly the rooms whose headers it includes; all of them come before it in
src/CMakeLists.txt. No header includes itself, directly or through others. Made-up trees test that
such faults are found.
"""
import pathlib
import re
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = {".h", ".cpp", ".cu", ".cuh"}


def sources(root, room):
    for folder in (root / "include/xception" / room, root / "src" / room):
        yield from sorted(file for file in folder.rglob("*") if file.suffix in SOURCES)


def includes(file):
    """The lines' numbers and what they include in quotes."""
    for number, line in enumerate(file.read_text().splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if found:
            yield number, found[1]


def rooms_in_order(root):
    return re.findall(r"^add_subdirectory\((\w+)\)", (root / "src/CMakeLists.txt").read_text(), re.M)


def declared(root, room):
    text = (root / "src" / room / "CMakeLists.txt").read_text()
    call = re.search(r"xception_room\((.*?)\n\)", text, re.S)
    words = re.search(r"\bDEPENDS\s+((?:[a-z_]+\s*)+)", re.sub(r"#.*", "", call[1])) if call else None
    return set(words[1].split()) if words else set()


def order_faults(root):
    rooms = rooms_in_order(root)
    for position, room in enumerate(rooms):
        used = {}
        for file in sources(root, room):
            for number, name in includes(file):
                parts = name.removeprefix("xception/").split("/")
                if len(parts) > 1 and parts[0] in rooms and parts[0] != room:
                    used.setdefault(parts[0], f"{file.relative_to(root)}:{number} includes {name}")
        for other, where in used.items():
            if rooms.index(other) > position:
                yield f"{where}, of a room below {room}"
            elif other not in declared(root, room):
                yield f"{where}; src/{room}/CMakeLists.txt doesn't name {other} in DEPENDS"
        for other in declared(root, room) - set(used):
            yield f"src/{room}/CMakeLists.txt names {other} in DEPENDS, and includes nothing of it"


def included_headers(root, file):
    for _, name in includes(file):
        for folder in (file.parent, root / "include", root / "src"):
            if (folder / name).is_file():
                yield (folder / name).resolve()
                break


def cycle_faults(root):
    root = root.resolve()
    done = set()

    def visit(header, path):
        if header in path:
            names = [str(step.relative_to(root)) for step in [*path[path.index(header):], header]]
            yield " includes ".join(names)
            return
        if header in done:
            return
        for other in included_headers(root, header):
            yield from visit(other, [*path, header])
        done.add(header)

    for folder in (root / "include", root / "src"):
        for header in sorted(folder.rglob("*")):
            if header.suffix in {".h", ".cuh"}:
                yield from visit(header, [])


class Rooms(unittest.TestCase):
    def test_their_order(self):
        self.assertGreater(len(rooms_in_order(ROOT)), 5)
        self.assertEqual(list(order_faults(ROOT)), [])

    def test_headers_include_in_one_direction(self):
        self.assertEqual(list(cycle_faults(ROOT)), [])


class MadeUpTrees(unittest.TestCase):
    """That faults are found."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        self.write("src/CMakeLists.txt", "add_subdirectory(core)\nadd_subdirectory(data)\n")
        self.write("src/core/CMakeLists.txt", "xception_room(\n  NAME core\n  SOURCES a.cpp\n)\n")
        self.write("src/data/CMakeLists.txt",
                   "xception_room(\n  NAME data\n  DEPENDS core  # files\n  SOURCES b.cpp\n)\n")
        self.write("src/data/b.cpp", '#include "xception/core/a.h"\n')
        self.write("include/xception/core/a.h", "#include <vector>\n")

    def write(self, name, text):
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def test_a_tree_in_order(self):
        self.assertEqual(list(order_faults(self.root)), [])
        self.assertEqual(list(cycle_faults(self.root)), [])

    def test_an_upward_include(self):
        self.write("src/core/a.cpp", '#include "xception/data/b.h"\n')
        self.assertEqual(list(order_faults(self.root)),
                         ["src/core/a.cpp:1 includes xception/data/b.h, of a room below core"])

    def test_an_undeclared_include(self):
        self.write("src/data/CMakeLists.txt", "xception_room(\n  NAME data\n  SOURCES b.cpp\n)\n")
        self.assertIn("doesn't name core", "".join(order_faults(self.root)))

    def test_an_unused_declaration(self):
        self.write("src/data/b.cpp", "\n")
        self.assertIn("includes nothing of it", "".join(order_faults(self.root)))

    def test_headers_that_include_each_other(self):
        self.write("include/xception/core/a.h", '#include "xception/core/b.h"\n')
        self.write("include/xception/core/b.h", '#include "xception/core/a.h"\n')
        self.assertEqual(list(cycle_faults(self.root)),
                         ["include/xception/core/a.h includes include/xception/core/b.h includes "
                          "include/xception/core/a.h"])


if __name__ == "__main__":
    unittest.main()
