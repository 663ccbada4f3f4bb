# SPDX-License-Identifier: MIT OR Apache-2.0
"""The hook for commit messages, in a repository of its own, as git calls it; and its list.

usage: test_commit_msg.py SOURCE
"""

import pathlib
import subprocess
import sys
import tempfile
import unittest

HOOKS = pathlib.Path(sys.argv[1]) / ".ci/hooks"
WHY = "\n\nBecause it has to be.\n"


class CommitMsg(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="nart-commit-")
        self.git("init", "--quiet")
        for key, value in (("core.hooksPath", HOOKS), ("user.name", "nobody"),
                           ("user.email", "nobody@localhost"), ("commit.gpgsign", "false")):
            self.git("config", key, str(value))
        self.commit("tests: begin", 1)

    def tearDown(self):
        self.folder.cleanup()

    def git(self, *words, text=""):
        return subprocess.run(["git", "-C", self.folder.name, *words], input=text, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def commit(self, message, lines, *options, file=None):
        file = file or f"file{len(list(pathlib.Path(self.folder.name).iterdir()))}"
        (pathlib.Path(self.folder.name) / file).write_text("a line\n" * lines)
        self.git("add", file)
        return self.git("commit", "--quiet", "-F", "-", *options, text=message)

    def taken(self, message, lines=1, **more):
        done = self.commit(message, lines, **more)
        self.assertEqual(done.returncode, 0, done.stdout)

    def refused(self, says, message, lines=1, **more):
        done = self.commit(message, lines, **more)
        self.assertNotEqual(done.returncode, 0, message)
        self.assertIn(says, done.stdout)

    def test_the_subject_has_at_most_72_characters(self):
        self.taken("hub: " + "x" * 67)
        self.refused("73 characters", "hub: " + "x" * 68)

    def test_characters_are_not_bytes(self):
        self.taken("hub: " + "ä" * 67)

    def test_no_semicolon(self):
        self.refused("semicolon", "hub: free records; mend the model")
        self.taken("hub: free records" + WHY.replace("to be", "to be; so it is"))

    def test_a_subsystem(self):
        self.taken("chan, bytes: close")
        self.taken("rust_bridge/http: refuse a second host")
        self.refused("subsystem", "Free idle records")
        self.refused("subsystem", "hub:free idle records")

    def test_over_20_lines_say_why(self):
        self.refused("no body", "hub: free idle records", 40)
        self.refused("no body", "hub: free idle records\n\n# a comment\n  \n", 40)
        self.refused("no body", "hub: free idle records\n\nSigned-off-by: nobody\n", 40)
        self.taken("hub: free idle records" + WHY, 40)
        self.taken("hub: free one record", 20)
        self.refused("no body", "hub: free one record", 21)

    def test_lock_files_are_not_counted(self):
        self.taken("build: update crates", 400, file="Cargo.lock")

    def test_a_subject_of_two_lines_is_one(self):
        self.refused("characters", "hub: " + "x" * 40 + "\n" + "x" * 40 + WHY)

    def test_what_git_writes_is_taken(self):
        self.taken("fixup! whatever; it goes away")
        self.taken("Revert \"hub: a subject that is so long that there is no room for the word before\"")

    def test_the_diff_of_a_verbose_commit_is_no_body(self):
        scissors = "# ------------------------ >8 ------------------------\n+ more\n"
        self.refused("no body", "hub: free idle records\n\n" + scissors, 40)

    def test_the_list_has_what_slipped_through(self):
        first = self.git("rev-parse", "HEAD").stdout.strip()
        self.assertEqual(self.commit("bad; worse", 1, "--no-verify").returncode, 0)
        self.taken("timers: cascade early" + WHY, 40)
        done = subprocess.run([HOOKS / "commit-msg", "--since", first], cwd=self.folder.name,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("bad; worse", done.stdout)
        self.assertIn("semicolon", done.stdout)
        self.assertNotIn("timers:", done.stdout)
        self.assertIn("1 commit messages to do better, of 2", done.stdout)

    def test_the_list_refuses_what_is_no_revision(self):
        done = subprocess.run([HOOKS / "commit-msg", "--since", "nowhere"], cwd=self.folder.name,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("nowhere", done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
