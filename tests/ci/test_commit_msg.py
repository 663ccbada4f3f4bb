# SPDX-License-Identifier: MIT OR Apache-2.0
"""Tests the commit message hook in a repository of its own, as git calls it, and its list.

usage: test_commit_msg.py SOURCE
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HOOKS = pathlib.Path(sys.argv[1]) / ".ci/hooks"
# Ignores the environment of the repository that runs this, as from a hook of its own, and the user's
# configuration.
ENV = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
ENV.update(GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
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
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENV)

    def since(self, *revision):
        return subprocess.run([HOOKS / "commit-msg", "--since", *revision], cwd=self.folder.name,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENV)

    def edited(self, text, *options):
        """A commit message written in an editor: its text, then the text that git adds."""
        env = {**ENV, "GIT_EDITOR": f"f() {{ {{ printf '%s' \"$TEXT\"; cat \"$1\"; }} >\"$1.new\"; "
                                    f"mv \"$1.new\" \"$1\"; }}; f", "TEXT": text}
        return subprocess.run(["git", "-C", self.folder.name, "commit", *options], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)

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
        self.refused("no body", "hub: free idle records\n\n  \n", 40)
        self.refused("no body", "hub: free idle records\n\nSigned-off-by: nobody\n", 40)
        self.refused("no body", "hub: free idle records\n\nCo-Authored-By: nobody\n", 40)
        self.taken("hub: free idle records" + WHY, 40)
        self.taken("hub: free one record", 20)
        self.refused("no body", "hub: free one record", 21)

    def test_lock_files_are_not_counted(self):
        self.taken("build: update crates", 400, file="Cargo.lock")

    def test_a_subject_of_two_lines_is_one(self):
        self.refused("characters", "hub: " + "x" * 40 + "\n" + "x" * 40 + WHY)

    def test_what_git_writes_is_taken(self):
        self.taken("fixup! whatever; it goes away")
        self.taken("Merge branch 'other'; whatever git says")
        self.taken("Revert \"hub: a subject that is so long that there is no room for the word before\"")

    def test_in_an_editor_comments_and_the_diff_are_no_body(self):
        for options in ((), ("-v",), ("-v", "-c", "core.commentChar=%")):
            self.assertEqual(self.git("config", "core.commentChar", "%" if len(options) > 1 else "#")
                             .returncode, 0)
            name = f"edited{len(options)}"
            (pathlib.Path(self.folder.name) / name).write_text("a line\n" * 40)
            self.git("add", name)
            done = self.edited("hub: free idle records\n", *options[:1])
            self.assertNotEqual(done.returncode, 0, options)
            self.assertIn("no body", done.stdout)
            done = self.edited("hub: free idle records" + WHY, *options[:1])
            self.assertEqual(done.returncode, 0, done.stdout)

    def test_without_an_editor_there_are_no_comments(self):
        self.refused("subsystem", "#12; mend everything")
        self.taken("hub: free idle records\n\n#12 asked for it\n", 40)

    def test_a_moved_file_is_no_change(self):
        self.taken("tests: add a file" + WHY, 400, file="before")
        first = self.git("rev-parse", "HEAD").stdout.strip()
        self.git("mv", "before", "after")
        done = self.git("commit", "--quiet", "-m", "tests: move a file")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("0 commit messages to do better, of 1", self.since(first).stdout)

    def test_names_with_spaces(self):
        self.refused("no body", "hub: free idle records", 300, file="x.lock y.c")
        self.git("rm", "--cached", "--quiet", "x.lock y.c")
        self.taken("build: update crates", 300, file="a b.lock")

    def test_the_list_has_what_slipped_through(self):
        first = self.git("rev-parse", "HEAD").stdout.strip()
        self.assertEqual(self.commit("bad; worse", 1, "--no-verify").returncode, 0)
        self.taken("fixup! bad; worse")
        self.taken("timers: cascade early" + WHY, 40)
        done = self.since(first)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("bad; worse", done.stdout)
        self.assertIn("semicolon", done.stdout)
        self.assertNotIn("timers:", done.stdout)
        self.assertIn("2 commit messages to do better, of 3", done.stdout)

    def test_the_list_refuses_what_is_no_revision(self):
        for revision in (("nowhere",), ()):
            done = self.since(*revision)
            self.assertEqual(done.returncode, 2)
            self.assertIn("wants a revision", done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
