/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* actions.c: what a thread of a pool does for an operation on a file.
 *
 * What it keeps true: a file that is replaced or copied to has its old content until the new one is complete and
 * on the disk; the temporary file beside it is removed unless it was renamed. */
#include "../sys.h"
#include "file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 64 << 10, SUFFIX = sizeof ".XXXXXX", NAMES_MAX = 100 };

/* ---- references ---- */

nart__file *nart__file_new(int fd)
{
    nart__file *f = malloc(sizeof *f);

    if (f) {
        f->fd = fd;
        nart__lock_init(&f->position);
        NART__STORE(&f->refs, 1u, NART__RELAXED); /* nobody else has it yet */
    }
    return f;
}

nart_res nart__file_unref(nart__file *f)
{
    /* Release: what this thread did with the file. Acquire: what the others did, before it is closed. */
    if (NART__FETCH_ADD(&f->refs, UINT32_MAX, NART__ACQ_REL) != 1)
        return 0;
    nart_res r = nart__sys_file_close(f->fd);
    nart__lock_finish(&f->position);
    free(f);
    return r;
}

/* ---- one call ---- */

nart_res nart__file_do_open(nart__file_job *j)
{
    int fd = nart__sys_file_open(j->path, j->flags, j->mode);

    if (fd < 0)
        return fd;
    j->file = nart__file_new(fd);
    j->opened = true;
    if (j->file)
        return 0;
    nart__sys_close(fd);
    return -ENOMEM;
}

nart_res nart__file_do_close(nart__file_job *j)
{
    nart__file *f = j->file;

    j->file = NULL;
    return nart__file_unref(f);
}

nart_res nart__file_do_read(nart__file_job *j)
{
    return nart__sys_file_read(j->file->fd, j->bytes, j->len, j->offset);
}

nart_res nart__file_do_write(nart__file_job *j)
{
    return nart__sys_file_write(j->file->fd, j->bytes, j->len, j->offset);
}

nart_res nart__file_do_sync(nart__file_job *j)
{
    return nart__sys_file_sync(j->file->fd, j->flags != 0);
}

nart_res nart__file_do_truncate(nart__file_job *j)
{
    return nart__sys_file_truncate(j->file->fd, j->offset);
}

/* A time that is too far away for 64 bits is the nearest that is, but none that stands for something else. */
static int64_t time_of(struct timespec ts)
{
    const int64_t last = NART_FILE_TIME_NOW - 1, first = NART_FILE_TIME_OMIT + 1;

    if (ts.tv_sec >= last / NART_SEC)
        return last;
    if (ts.tv_sec <= first / NART_SEC)
        return first;
    return nart_time_add((int64_t)ts.tv_sec * NART_SEC, ts.tv_nsec);
}

nart_res nart__file_do_stat(nart__file_job *j)
{
    struct stat st;
    int r = nart__sys_file_stat(j->file ? j->file->fd : -1, j->path, j->flags != 0, &st);

    if (r < 0)
        return r;
    j->info = (nart_file_info){ .dev = (uint64_t)st.st_dev,
                                .ino = (uint64_t)st.st_ino,
                                .links = (uint64_t)st.st_nlink,
                                .size = (uint64_t)st.st_size,
                                .blocks = (uint64_t)st.st_blocks,
                                .mode = (uint32_t)st.st_mode,
                                .uid = (uint32_t)st.st_uid,
                                .gid = (uint32_t)st.st_gid,
                                .accessed = time_of(st.st_atim),
                                .modified = time_of(st.st_mtim),
                                .changed = time_of(st.st_ctim) };
    return 0;
}

nart_res nart__file_do_rename(nart__file_job *j)
{
    return nart__sys_file_rename(j->path, j->to);
}

nart_res nart__file_do_remove(nart__file_job *j)
{
    return nart__sys_file_remove(j->path, j->flags != 0);
}

nart_res nart__file_do_mkdir(nart__file_job *j)
{
    return nart__sys_file_mkdir(j->path, j->mode);
}

/* ---- whole files ---- */

/* Reads from the file's position to its end into a block that grows. */
static nart_res load(nart__file_job *j, int fd)
{
    size_t size = 0, used = 0;
    nart_res n = 0;

    do {
        used += (size_t)n;
        if (used > j->len)
            return -EFBIG;
        if (used + 1 >= size) { /* a byte for the NUL */
            size = size ? 2 * size : 4096;
            char *more = realloc(j->loaded, size);
            if (!more)
                return -ENOMEM;
            j->loaded = more;
        }
        n = nart__sys_file_read(fd, j->loaded + used, size - 1 - used, NART_FILE_POSITION);
    } while (n > 0 && !nart_work_cancelled(j->job));
    if (n < 0)
        return n;
    j->loaded[used] = '\0';
    j->len = used;
    return n > 0 ? -ECANCELED : 0;
}

nart_res nart__file_do_load(nart__file_job *j)
{
    int fd = nart__sys_file_open(j->path, O_RDONLY, 0);

    if (fd < 0)
        return fd;
    nart_res r = load(j, fd);
    nart__sys_close(fd);
    return r;
}

static nart_res write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        nart_res n = nart__sys_file_write(fd, bytes, len, NART_FILE_POSITION);
        if (n < 0)
            return n;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

static nart_res copy_all(const nart__file_job *j, int from, int to)
{
    char *piece = malloc(PIECE);
    nart_res n = -ENOMEM, r = 0;

    while (piece && r == 0) {
        n = nart__sys_file_read(from, piece, PIECE, NART_FILE_POSITION);
        if (n <= 0)
            break;
        r = nart_work_cancelled(j->job) ? -ECANCELED : write_all(to, piece, (size_t)n);
    }
    free(piece);
    return n < 0 ? n : r;
}

/* Syncs the directory that contains `path`, whose end is overwritten. */
static nart_res sync_parent(char *path)
{
    char *slash = strrchr(path, '/');
    const char *parent = ".";

    if (slash) {
        slash[slash == path] = '\0';
        parent = path;
    }
    int fd = nart__sys_file_open(parent, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    nart_res r = nart__sys_file_sync(fd, false);
    nart__sys_close(fd);
    return r;
}

/* Creates a file with a new name, which is `name` with another end. */
static int open_temporary(char *name, size_t len, mode_t mode)
{
    static NART__ATOMIC(uint32_t) last;
    int fd = -EEXIST;

    for (int i = 0; i < NAMES_MAX && fd == -EEXIST; i++) {
        /* Relaxed: a number that differs. Other processes' files are found to exist. */
        uint32_t n =
            NART__FETCH_ADD(&last, 1u, NART__RELAXED) * 2654435761u ^ (uint32_t)nart__sys_now();
        (void)snprintf(name + len, SUFFIX, ".%06x", n & 0xffffff);
        fd = nart__sys_file_open(name, O_WRONLY | O_CREAT | O_EXCL, mode);
    }
    return fd;
}

/* Fills the new file and syncs it: from `from`, or from the job's bytes if that is negative. Closes it. */
static nart_res fill(const nart__file_job *j, int from, int fd)
{
    nart_res r = from < 0 ? write_all(fd, j->bytes, j->len) : copy_all(j, from, fd);

    if (r == 0)
        r = nart__sys_file_sync(fd, false);
    nart_res closed = nart__sys_file_close(fd);
    return r ? r : closed;
}

static nart_res replace(const nart__file_job *j, int from, const char *path, mode_t mode)
{
    size_t len = strlen(path);
    char *name = malloc(len + SUFFIX);

    if (!name)
        return -ENOMEM;
    (void)snprintf(name, len + SUFFIX, "%s", path);
    nart_res r = open_temporary(name, len, mode);
    if (r < 0) {
        free(name);
        return r;
    }
    r = fill(j, from, (int)r);
    if (r == 0)
        r = nart__sys_file_rename(name, path);
    if (r)
        (void)nart__sys_file_remove(name, false);
    else
        r = sync_parent(name);
    free(name);
    return r;
}

nart_res nart__file_do_replace(nart__file_job *j)
{
    return replace(j, -1, j->path, j->mode);
}

nart_res nart__file_do_copy(nart__file_job *j)
{
    struct stat st;
    int from = nart__sys_file_open(j->path, O_RDONLY, 0);

    if (from < 0)
        return from;
    nart_res r = nart__sys_file_stat(from, NULL, false, &st);
    if (r == 0)
        r = replace(j, from, j->to, st.st_mode & 0777);
    nart__sys_close(from);
    return r;
}

/* ---- directories ---- */

/* As the kernel writes it. */
struct entry {
    uint64_t ino;
    int64_t next;
    uint16_t size;
    uint8_t type;
    char name[];
};

static bool is_dots(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* Answers the length of a batch that has an entry besides the dots: 0 is the end only. Other jobs may read the same
 * directory: its position is one. */
nart_res nart__file_do_entries(nart__file_job *j)
{
    nart_dir_entry e;
    size_t at = 0;
    nart_res r;

    do {
        nart__lock_enter(&j->file->position);
        r = nart__sys_file_entries(j->file->fd, j->offset, j->bytes, NART__FILE_ENTRIES);
        nart__lock_leave(&j->file->position);
        j->len = r > 0 ? (size_t)r : 0;
        at = 0;
    } while (r > 0 && !nart__file_entry(j, &at, &e, &j->offset));
    return r;
}

bool nart__file_entry(const nart__file_job *j, size_t *at, nart_dir_entry *e, int64_t *next)
{
    while (*at < j->len) {
        const struct entry *d = (const void *)(j->bytes + *at);
        *at += d->size;
        *next = d->next;
        *e = (nart_dir_entry){ .ino = d->ino, .type = d->type, .name = d->name };
        if (!is_dots(d->name))
            return true;
    }
    return false;
}
