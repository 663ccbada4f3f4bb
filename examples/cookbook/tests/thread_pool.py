# SPDX-License-Identifier: MIT OR Apache-2.0
import pathlib
import random
import tempfile

from program import check, run


def test_words_of_all_files(command):
    words = ["w%d" % n for n in range(1000)]
    with tempfile.TemporaryDirectory() as folder:
        for files in (0, 1, 3, 10):
            paths, texts = [pathlib.Path(folder, str(i)) for i in range(files)], []
            for path in paths:
                texts.append(random.choices(words, k=500))
                path.write_text(" ".join(texts[-1]))
            different = {word for text in texts for word in text}
            out = run(command, *paths)
            check(out == ["%d words, %d different ones" % (500 * files, len(different))], files, *out)


def test_one_file_is_missing(command):
    """The thread that does not find it ends; the others are still answered."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "there")
        path.write_text("a b c " * 1000)
        out = run(command, path, folder + "/missing", path, path, status=1)
        check(out == ["9000 words, 3 different ones"], *out)


def test_a_file_that_cannot_be_read(command):
    with tempfile.TemporaryDirectory() as folder:
        out = run(command, folder, status=1)  # opens, but read() answers EISDIR
        check(out == ["0 words, 0 different ones"], *out)
