# SPDX-License-Identifier: MIT OR Apache-2.0
"""Tests that the ledger of proofs cannot be bypassed: in a copy of the tree, everything that a proof
depends on is changed, and lines are forged.

usage: test_ledger.py SOURCE CC CXX CARGO LOOM
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE, CC, CXX, CARGO, LOOM = sys.argv[1:6]
SUITE, FILE = "watchdog", "c_src/observe/watchdog.c"  # the suite with the shortest proof


class Ledger(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="nart-ledger-")
        cls.proved = pathlib.Path(cls.folder.name) / "proved"
        for part in ("c_src", "include", "tests/models"):
            shutil.copytree(pathlib.Path(SOURCE) / part, cls.proved / part)
        (cls.proved / "tests/models/ledger.txt").unlink(missing_ok=True)
        cls.tree = cls.proved
        code, said = cls.prove(cls)
        assert code == 0, said

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        self.tree = pathlib.Path(self.folder.name) / "tree"
        shutil.copytree(self.proved, self.tree)

    def tearDown(self):
        shutil.rmtree(self.tree)

    def prove(self, *options, suite=SUITE, **env):
        done = subprocess.run(
            [sys.executable, "-B", self.tree / "tests/models/prove.py", "--suite", suite,
             "--cc", CC, "--cxx", CXX, "--cargo", CARGO, "--loom", LOOM,
             "--sources", FILE, "--mutate", FILE, *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "NART_PROVE": "", "NART_PROVE_DAY": "0", **env})
        return done.returncode, done.stdout

    def edit(self, file, pattern, text):
        path = self.tree / file
        before = path.read_text()
        after = re.sub(pattern, text, before, count=1, flags=re.M)
        self.assertNotEqual(before, after, f"{file} has nothing like {pattern}")
        path.write_text(after)

    def break_an_order(self):
        self.edit(FILE, r"NART__RELEASE\b", "NART__RELAXED")

    def ledger(self):
        return (self.tree / "tests/models/ledger.txt").read_text()

    def digests(self, suite=SUITE, **env):
        code, said = self.prove("--digests", suite=suite, **env)
        self.assertEqual(code, 0, said)
        return dict(line.split() for line in said.splitlines())

    def test_what_is_unchanged_is_run_in_part(self):
        run = 0
        for day in range(10):
            code, said = self.prove(NART_PROVE_DAY=str(day))
            self.assertEqual(code, 0, said)
            run += sum(map(int, re.findall(r"(\d+) of \d+ run, 0 failed: unchanged", said)))
        items = sum(map(int, re.findall(r"^\S+ \w+ (\d+) ", self.ledger(), flags=re.M)))
        self.assertEqual(run, items, "in ten days each has its turn, once")

    def test_all_can_be_asked_for(self):
        code, said = self.prove(NART_PROVE="whole")
        self.assertEqual(code, 0, said)
        for ran, of in re.findall(r"(\d+) of (\d+) run", said):
            self.assertEqual(ran, of)

    def test_a_broken_source_is_run_and_fails_and_is_not_recorded(self):
        before = self.ledger()
        self.break_an_order()
        code, said = self.prove()
        self.assertEqual(code, 1, said)
        self.assertRegex(said, r"loom\.watchdog: (\d+) of \1 run, [1-9]\d* failed: .*has changed")
        line = next(line for line in before.splitlines() if line.startswith("loom.watchdog"))
        self.assertIn(line, self.ledger())

    def test_a_forged_line_is_found_out(self):
        self.break_an_order()
        text = self.ledger()
        for proof, digest in self.digests().items():
            text = re.sub(rf"^({re.escape(proof)}) \w+", rf"\1 {digest}", text, flags=re.M)
        (self.tree / "tests/models/ledger.txt").write_text(text)
        codes = [self.prove(NART_PROVE_DAY=str(day))[0] for day in range(10)]
        self.assertIn(1, codes, "within ten days")

    def test_a_line_that_is_none_is_refused(self):
        for line in ("loom.watchdog\n", "loom.other 0123 1 2026-01-01\n", self.ledger()):
            with self.subTest(line=line):
                (self.tree / "tests/models/ledger.txt").write_text(self.ledger() + line)
                code, said = self.prove()
                self.assertEqual(code, 1, said)
                self.assertIn("take out the line", said)

    def test_another_number_of_items_is_run(self):
        text = re.sub(r"^(mutants\.watchdog \w+) \d+", r"\1 1", self.ledger(), flags=re.M)
        (self.tree / "tests/models/ledger.txt").write_text(text)
        code, said = self.prove()
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"mutants\.watchdog: (\d+) of \1 run")

    def test_whatever_it_depends_on_counts(self):
        lists, both = "tests/models/mutants/watchdog.txt", ("loom", "mutants")
        for file, pattern, text, proofs in (
            (FILE, r"NART__ACQUIRE\b", "NART__RELAXED", both),
            ("include/nart/detail/atomic.h", r"__ATOMIC_ACQUIRE", "__ATOMIC_SEQ_CST", both),
            ("tests/models/scenarios/watchdog.c", r"\d, \d \}", "9, 0 }", both),
            ("tests/models/Cargo.lock", r'^version = "0\.', 'version = "9.', both),
            ("tests/models/loom/src/model.rs", r"20_000", "20_001", both),
            (lists, r"^\[time_before_the_name\]", "[another_name]", ("mutants",)),
            ("tests/models/mutants.py", r'"ACQUIRE": \["RELAXED"\]', '"ACQUIRE": []', ("mutants",)),
            ("tests/models/prove.py", r"^MUTANT_SECONDS = \d+", "MUTANT_SECONDS = 1", both),
            ("tests/models/ledger.py", r"^    return code == 0", "    return True", both),
        ):
            with self.subTest(file=file):
                before = self.digests()
                self.edit(file, pattern, text)
                after = self.digests()
                changed = {p.partition(".")[0] for p in before if before[p] != after[p]}
                self.assertEqual(changed, set(proofs))

    def test_new_files_and_settings_of_the_engine_count(self):
        before = self.digests()
        self.assertNotEqual(self.digests(RUSTFLAGS="-Copt-level=0"), before)
        for file in ("tests/models/loom/build.rs", "tests/models/.cargo/config.toml"):
            (self.tree / file).parent.mkdir(exist_ok=True)
            (self.tree / file).write_text("")
            after = self.digests()
            self.assertNotEqual(after, before)
            before = after

    def test_settings_do_not_cut_a_search_short(self):
        self.break_an_order()
        short = {"LOOM_MAX_PERMUTATIONS": "1", "LOOM_MAX_DURATION": "0",
                 "LOOM_CHECKPOINT_INTERVAL": "1"}
        self.assertEqual(self.prove(**short)[0], 1)

    def test_a_proof_that_fails_loses_its_line(self):
        before = self.ledger()
        self.break_an_order()
        text = self.ledger()
        for proof, digest in self.digests().items():
            text = re.sub(rf"^({re.escape(proof)}) \w+", rf"\1 {digest}", text, flags=re.M)
        (self.tree / "tests/models/ledger.txt").write_text(text)
        self.assertEqual(self.prove(NART_PROVE="whole")[0], 1)
        self.assertIn("loom.watchdog", before)
        self.assertNotIn("loom.watchdog", self.ledger())
        self.assertEqual(self.prove()[0], 1, "it is run whole again")

    def test_a_list_that_cannot_be_read_is_refused(self):
        for text in ("[time-is-not] c_src/x.c\n-a\n", "+ nothing\n"):
            with self.subTest(text=text):
                path = self.tree / "tests/models/mutants/watchdog.txt"
                path.write_text(path.read_text() + "\n" + text)
                code, said = self.prove()
                self.assertEqual(code, 1, said)
                self.assertIn("no mutant can be made of", said)

    def test_relacy_has_its_own_sources(self):
        before = self.digests(suite="oneshot")
        self.edit("tests/models/relacy/engine.hpp", r"MODEL_MEMORY = \d+", "MODEL_MEMORY = 4096")
        after = self.digests(suite="oneshot")
        changed = {p.partition(".")[0] for p in before if before[p] != after[p]}
        self.assertEqual(changed, {"relacy", "mutants"})

    def test_the_folder_of_the_tree_does_not_count(self):
        other = pathlib.Path("/var/tmp") / self.folder.name.lstrip("/").replace("/", "-")
        before = self.digests()
        tree = self.tree
        for self.tree in (other, pathlib.Path(self.folder.name) / "a tree"):
            shutil.copytree(tree, self.tree)
            self.assertEqual(self.digests(), before)
            shutil.rmtree(self.tree)
        self.tree = tree

    def test_comments_and_layout_do_not_count(self):
        before = self.digests()
        self.edit(FILE, r"^(#include.*)$", r"/* A comment */\n\n\1 // and another")
        self.edit("tests/models/mutants.py", r"^import re$", "import re  # a comment\n")
        self.edit("tests/models/mutants/watchdog.txt", r"\A", "# a comment\n")
        self.assertEqual(self.digests(), before)

    def test_lines_that_are_joined_do(self):
        self.edit(FILE, r"^(    NART__STORE)", r"    // a comment\n\1")
        before = self.digests()
        self.edit(FILE, r"// a comment$", r"// a comment \\")
        self.assertNotEqual(self.digests(), before)

    def test_strings_do(self):
        before = self.digests()
        self.edit("tests/models/scenarios/watchdog.c", r'"(\w+)"', r'"/* \1 */"')
        self.assertNotEqual(self.digests(), before)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
