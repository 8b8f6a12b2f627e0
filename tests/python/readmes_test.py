#!/usr/bin/env python3
"""The READMEs: links and anchors lead somewhere, sources that they name exist, the first one is short.

Made-up trees test that such faults are found.
"""
import pathlib
import re
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("cmake", "configs", "include", "scripts", "src", "tests", ".readme")
MOST_WORDS = 900  # of the main README
SOURCE = r"(?<!python )(?<![\w./-])\w[\w./-]*\.(?:h|cpp|cuh?|py|sh|cmake|sbatch)\b(?![\w/])"


def documents(root):
    yield root / "README.md"
    for folder in FOLDERS:
        yield from sorted((root / folder).rglob("*.md"))


def anchors(text):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ +(.*)$", without_code(text), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def without_code(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)


def link_faults(root):
    for document in documents(root):
        for target in re.findall(r"\]\(([^)\s]+)\)", without_code(document.read_text())):
            if re.match(r"\w+:", target):
                continue
            path, _, anchor = target.partition("#")
            found = (document.parent / path).resolve() if path else document
            page = found / "README.md" if found.is_dir() else found
            where = f"{document.relative_to(root)}: {target}"
            if not found.exists():
                yield f"{where}: no such file"
            elif anchor and (not page.is_file() or anchor not in anchors(page.read_text())):
                yield f"{where}: no such heading"


def name_faults(root):
    """Sources that are named and don't exist; `mine` stands for the reader's own."""
    files = [f"/{file.relative_to(root).as_posix()}"
             for folder in FOLDERS for file in (root / folder).rglob("*") if file.is_file()]
    for document in documents(root):
        for name in sorted(set(re.findall(SOURCE, without_code(document.read_text())))):
            if "mine" not in name and not any(file.endswith("/" + name) for file in files):
                yield f"{document.relative_to(root)}: {name}: no such file"


class Readmes(unittest.TestCase):
    def test_links(self):
        self.assertEqual(list(link_faults(ROOT)), [])

    def test_names_of_sources(self):
        self.assertEqual(list(name_faults(ROOT)), [])

    def test_the_first_is_short(self):
        self.assertLess(len((ROOT / "README.md").read_text().split()), MOST_WORDS)


class MadeUpTrees(unittest.TestCase):
    """That faults are found."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        self.write("README.md", "[a](src/README.md#the-step-2) [b](src) [c](https://x.y/z) `a.cpp` python b.py\n")
        self.write("src/README.md", "# The `step`, 2\n[up](../README.md) src/mine.cpp room/a.cpp\n")
        self.write("src/room/a.cpp", "")

    def write(self, name, text):
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def test_a_tree_in_order(self):
        self.assertEqual(list(link_faults(self.root)) + list(name_faults(self.root)), [])

    def test_a_missing_file(self):
        self.write("src/README.md", "# The step 2\n[gone](gone.md)\n")
        self.assertEqual(list(link_faults(self.root)), ["src/README.md: gone.md: no such file"])

    def test_a_missing_heading(self):
        self.write("src/README.md", "# The loop\n```sh\n# The step 2\n```\n")
        self.assertEqual(list(link_faults(self.root)),
                         ["README.md: src/README.md#the-step-2: no such heading"])

    def test_a_source_that_is_gone(self):
        self.write("src/README.md", "# The step 2\nother/a.cpp does it\n")
        self.assertEqual(list(name_faults(self.root)), ["src/README.md: other/a.cpp: no such file"])


if __name__ == "__main__":
    unittest.main()
