/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* journal.c: records of one length, so that the file's length says where the next one belongs. Only one
 * thread at a time writes and syncs: a sync that fails then concerns no record but its own. */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

void record_format(const struct record *r, char text[RECORD_TEXT + 1])
{
    uint64_t check = mix(mix(mix(r->seq) ^ r->n) ^ r->seal);

    snprintf(text, RECORD_TEXT + 1, "%016" PRIx64 " %016" PRIx64 " %016" PRIx64 " %016" PRIx64 "\n",
             r->seq, r->n, r->seal, check);
}

/* The inverse: the text is valid if it is the one that its numbers have. */
static bool record_valid(const char *text, uint64_t seq)
{
    char again[RECORD_TEXT + 1];
    struct record r;

    if (sscanf(text, "%" SCNx64 " %" SCNx64 " %" SCNx64, &r.seq, &r.n, &r.seal) != 3)
        return false;
    record_format(&r, again);
    return r.seq == seq && memcmp(text, again, RECORD_TEXT) == 0;
}

/* Counts the records up to the first one that is not valid, and removes the rest. None of the rest was
 * acknowledged, because a sync includes everything before the record. */
static int recover(struct journal *j)
{
    char text[RECORD_TEXT + 1] = "";
    off_t end = 0;

    while (pread(j->fd, text, RECORD_TEXT, end) == RECORD_TEXT &&
           record_valid(text, j->records + 1)) {
        j->records++;
        end += RECORD_TEXT;
    }
    if (ftruncate(j->fd, end) < 0 || fsync(j->fd) < 0)
        return -errno;
    return 0;
}

/* A new file is lost in a crash unless its folder is on the disk, too. */
static int sync_folder(const char *path)
{
    char copy[PATH_MAX];

    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy)
        return -ENAMETOOLONG;
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int r = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return r;
}

int journal_open(struct journal *j, const char *path)
{
    *j = (struct journal){ .lock = PTHREAD_MUTEX_INITIALIZER };
    j->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (j->fd < 0)
        return -errno;
    int r = flock(j->fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
    if (r == 0)
        r = recover(j);
    if (r == 0)
        r = sync_folder(path);
    if (r < 0)
        journal_close(j);
    return r;
}

void journal_close(struct journal *j)
{
    if (j->fd >= 0)
        close(j->fd);
    j->fd = -1;
}

static int append_locked(struct journal *j, struct record *r)
{
    char text[RECORD_TEXT + 1];

    if (j->broken)
        return -EIO;
    r->seq = j->records + 1;
    record_format(r, text);
    j->broken = true; /* until all of it is on the disk */
    for (size_t done = 0; done < RECORD_TEXT;) {
        off_t at = (off_t)(j->records * RECORD_TEXT + done);
        ssize_t n = pwrite(j->fd, text + done, RECORD_TEXT - done, at);
        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    if (fdatasync(j->fd) < 0)
        return -errno;
    j->broken = false;
    j->records++;
    return 0;
}

int journal_append(struct journal *j, struct record *r)
{
    pthread_mutex_lock(&j->lock);
    int result = append_locked(j, r);
    pthread_mutex_unlock(&j->lock);
    return result;
}
