/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* file.c: operations on files: jobs of a pool of threads.
 *
 * What it keeps true
 *  - A job uses its own copy of paths and bytes, and a reference to the open file: so the descriptor that it uses is not
 *    closed, and its number is no other file's, until it has returned.
 *  - A job gives its reference back before it ends, not when its data is dropped, and the task that of a job that has
 *    ended without having run: a finished operation keeps no file open. The open of a file is the exception: its
 *    reference passes to the handle when it answers.
 *  - Bytes that were read are copied to the caller's buffer in the poll in which the operation answers. */
#include "file.h"
#include "../sys.h"
#include "../work/work.h"

#include <stdlib.h>
#include <string.h>

static void release_file(nart__file_job *j)
{
    if (!j->file)
        return;
    (void)nart__file_unref(j->file);
    j->file = NULL;
}

nart_res nart__file_job_do(nart__file_job *j, const nart_job *job,
                           nart_res (*call)(nart__file_job *))
{
    j->job = job;
    nart_res r = call(j);
    if (!j->opened)
        release_file(j);
    return r;
}

void nart__file_job_drop(void *data)
{
    nart__file_job *j = data;

    release_file(j);
    if (j->made != MADE_NOTHING)
        (void)nart__sys_file_remove(j->path, j->made == MADE_DIRECTORY);
    free(j->loaded);
}

NART__FILE_JOB(open);
NART__FILE_JOB(close);
NART__FILE_JOB(read);
NART__FILE_JOB(write);
NART__FILE_JOB(sync);
NART__FILE_JOB(truncate);
NART__FILE_JOB(stat);
NART__FILE_JOB(load);
NART__FILE_JOB(replace);
NART__FILE_JOB(copy);
NART__FILE_JOB(entries);

/* ---- starting ---- */

static char *copy_text(char **at, const char *text)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    char *copy = memcpy(*at, text, size);
    *at += size;
    return copy;
}

static void gather(char *to, size_t len, const struct iovec *pieces, size_t n)
{
    for (size_t i = 0; i < n && len > 0; i++) {
        size_t part = pieces[i].iov_len < len ? pieces[i].iov_len : len;
        if (part > 0)
            memcpy(to, pieces[i].iov_base, part);
        to += part;
        len -= part;
    }
}

static void scatter(const char *from, size_t len, const struct iovec *pieces, size_t n)
{
    for (size_t i = 0; i < n && len > 0; i++) {
        size_t part = pieces[i].iov_len < len ? pieces[i].iov_len : len;
        if (part > 0)
            memcpy(pieces[i].iov_base, from, part);
        from += part;
        len -= part;
    }
}

static void fill(void *data, const void *arg)
{
    const nart__file_request *q = arg;
    nart__file_job *j = data;
    char *at = (char *)(j + 1);

    *j = (nart__file_job){ .offset = q->offset,
                           .second = q->second,
                           .len = q->len,
                           .flags = q->flags,
                           .mode = q->mode,
                           .uid = q->uid,
                           .gid = q->gid,
                           .bytes = at };
    if (q->pieces)
        gather(at, q->len, q->pieces, q->n);
    at += q->room;
    j->path = copy_text(&at, q->path);
    j->to = copy_text(&at, q->to);
    if (!q->file)
        return;
    j->file = q->file->shared;
    if (q->takes)
        q->file->shared = NULL;
    else
        (void)NART__FETCH_ADD(&j->file->refs, 1u, NART__RELAXED); /* the handle has one */
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static nart_file handle_of(const nart_file *f)
{
    return f ? *f : (nart_file){ NULL };
}

static size_t size_of(const nart__file_request *q)
{
    return sizeof(nart__file_job) + text_size(q->path) + text_size(q->to) + q->room;
}

nart_res nart__file_run(nart_cx *cx, nart_file_op *op, const nart__file_request *q,
                        nart__file_job **j)
{
    size_t size = 0;

    *j = NULL;
    if (!op)
        return -EINVAL;
    if (!op->work.wait.task) {
        if (q->file && !q->file->shared)
            return -EBADF;
        size = size_of(q);
    }
    nart_res r = nart__work_run(cx, &op->work, op->pool, q->type, size, fill, q);
    nart__file_job *ended = nart_work_data(&op->work);
    if (r >= 0)
        *j = ended;
    else if (ended && !ended->job) /* it was ended in the queue */
        release_file(ended);
    return r;
}

nart_res nart__file_run_on(nart_cx *cx, nart_file_op *op, const nart_file *f, nart__file_request q)
{
    nart_file file = handle_of(f);
    nart__file_job *j;

    q.file = &file;
    return f ? nart__file_run(cx, op, &q, &j) : -EINVAL;
}

void nart_file_op_close(nart_file_op *op)
{
    if (op)
        nart_work_close(&op->work);
}

/* ---- open files ---- */

nart_res nart_file_open(nart_cx *cx, nart_file_op *op, nart_file *out, const char *path, int flags,
                        mode_t mode)
{
    const nart__file_request q = { .type = &open_type, .path = path, .flags = flags, .mode = mode };
    nart__file_job *j;

    if (!path || !out)
        return -EINVAL;
    nart_res r = nart__file_run(cx, op, &q, &j);
    if (j) {
        out->shared = j->file;
        j->file = NULL;
    }
    return r;
}

nart_res nart_file_adopt(nart_file *out, int fd)
{
    if (!out || fd < 0)
        return -EINVAL;
    out->shared = nart__file_new(fd);
    return out->shared ? 0 : -ENOMEM;
}

nart_res nart_file_fd(const nart_file *f)
{
    return f && f->shared ? f->shared->fd : -EBADF;
}

nart_res nart_file_close(nart_cx *cx, nart_file_op *op, nart_file *f)
{
    const nart__file_request q = { .type = &close_type, .file = f, .takes = true };
    nart__file_job *j;

    return f ? nart__file_run(cx, op, &q, &j) : -EINVAL;
}

void nart_file_finish(nart_file *f)
{
    if (!f || !f->shared)
        return;
    (void)nart__file_unref(f->shared);
    f->shared = NULL;
}

/* The bytes of all pieces, at most NART_FILE_MAX; negative: one has no memory. */
static int64_t total(const struct iovec *pieces, size_t n)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        if (!pieces[i].iov_base && pieces[i].iov_len > 0)
            return -1;
        len += pieces[i].iov_len < NART_FILE_MAX - len ? pieces[i].iov_len : NART_FILE_MAX - len;
    }
    return (int64_t)len;
}

nart_res nart_file_readv(nart_cx *cx, nart_file_op *op, const nart_file *f,
                         const struct iovec *pieces, size_t n, int64_t offset)
{
    nart_file file = handle_of(f);
    int64_t len = pieces || n == 0 ? total(pieces, n) : -1;
    const nart__file_request q = {
        .type = &read_type, .file = &file, .len = (size_t)len, .room = (size_t)len, .offset = offset
    };
    nart__file_job *j;

    if (!f || len < 0)
        return -EINVAL;
    nart_res r = nart__file_run(cx, op, &q, &j);
    if (j && r > 0)
        scatter(j->bytes, (size_t)r, pieces, n);
    return r;
}

nart_res nart_file_read(nart_cx *cx, nart_file_op *op, const nart_file *f, void *buf, size_t len,
                        int64_t offset)
{
    const struct iovec piece = { buf, len };

    return buf ? nart_file_readv(cx, op, f, &piece, 1, offset) : -EINVAL;
}

/* `*file`: where the request finds the handle. False: an argument is missing. */
static bool write_request(nart__file_request *q, nart_file *file, const nart_file *f,
                          const struct iovec *pieces, size_t n, int64_t offset)
{
    int64_t len = pieces || n == 0 ? total(pieces, n) : -1;

    *file = handle_of(f);
    *q = (nart__file_request){ .type = &write_type,
                               .file = file,
                               .pieces = pieces,
                               .n = n,
                               .len = (size_t)len,
                               .room = (size_t)len,
                               .offset = offset };
    return f && len >= 0;
}

nart_res nart_file_writev(nart_cx *cx, nart_file_op *op, const nart_file *f,
                          const struct iovec *pieces, size_t n, int64_t offset)
{
    nart__file_request q;
    nart__file_job *j;
    nart_file file;

    return write_request(&q, &file, f, pieces, n, offset) ? nart__file_run(cx, op, &q, &j)
                                                          : -EINVAL;
}

nart_res nart__file_write_start(nart_file_op *op, const nart_file *f, const struct iovec *pieces,
                                size_t n, int64_t offset)
{
    nart__file_request q;
    nart_file file;

    if (!write_request(&q, &file, f, pieces, n, offset))
        return -EINVAL;
    if (!file.shared)
        return -EBADF;
    return nart__work_start(&op->work, op->pool, q.type, size_of(&q), fill, &q);
}

nart_res nart_file_write(nart_cx *cx, nart_file_op *op, const nart_file *f, const void *buf,
                         size_t len, int64_t offset)
{
    const struct iovec piece = { (void *)(uintptr_t)buf, len }; /* only read */

    return nart_file_writev(cx, op, f, &piece, 1, offset);
}

nart_res nart_file_sync(nart_cx *cx, nart_file_op *op, const nart_file *f, bool data_only)
{
    const nart__file_request q = { .type = &sync_type, .flags = data_only };
    return nart__file_run_on(cx, op, f, q);
}

nart_res nart_file_truncate(nart_cx *cx, nart_file_op *op, const nart_file *f, int64_t size)
{
    const nart__file_request q = { .type = &truncate_type, .offset = size };
    return nart__file_run_on(cx, op, f, q);
}

static nart_res stat_run(nart_cx *cx, nart_file_op *op, const nart__file_request *q,
                         nart_file_info *out)
{
    nart__file_job *j;

    if (!out)
        return -EINVAL;
    nart_res r = nart__file_run(cx, op, q, &j);
    if (j)
        *out = j->info;
    return r;
}

nart_res nart_file_stat(nart_cx *cx, nart_file_op *op, const nart_file *f, nart_file_info *out)
{
    nart_file file = handle_of(f);
    const nart__file_request q = { .type = &stat_type, .file = &file };

    return f ? stat_run(cx, op, &q, out) : -EINVAL;
}

/* ---- paths ---- */

nart_res nart_path_stat(nart_cx *cx, nart_file_op *op, const char *path, bool link,
                        nart_file_info *out)
{
    const nart__file_request q = { .type = &stat_type, .path = path, .flags = link };

    return path ? stat_run(cx, op, &q, out) : -EINVAL;
}

/* ---- whole files ---- */

nart_res nart_file_load(nart_cx *cx, nart_file_op *op, const char *path, size_t limit, char **data,
                        size_t *len)
{
    const nart__file_request q = { .type = &load_type, .path = path, .len = limit };
    nart__file_job *j;

    if (!path || !data || !len)
        return -EINVAL;
    nart_res r = nart__file_run(cx, op, &q, &j);
    if (j) {
        *data = j->loaded;
        *len = j->len;
        j->loaded = NULL;
    }
    return r;
}

nart_res nart_file_replace(nart_cx *cx, nart_file_op *op, const char *path, const void *data,
                           size_t len, mode_t mode)
{
    const struct iovec piece = { (void *)(uintptr_t)data, len }; /* only read */
    const nart__file_request q = { .type = &replace_type,
                                   .path = path,
                                   .pieces = &piece,
                                   .n = 1,
                                   .len = len,
                                   .room = len,
                                   .mode = mode };
    nart__file_job *j;

    return !path || (!data && len > 0) ? -EINVAL : nart__file_run(cx, op, &q, &j);
}

nart_res nart_file_copy(nart_cx *cx, nart_file_op *op, const char *from, const char *to)
{
    const nart__file_request q = { .type = &copy_type, .path = from, .to = to };
    nart__file_job *j;

    return from && to ? nart__file_run(cx, op, &q, &j) : -EINVAL;
}

/* ---- directories ---- */

nart_res nart_dir_read(nart_cx *cx, nart_file_op *op, const nart_file *dir, int64_t *cursor,
                       nart_dir_entry *entries, size_t max)
{
    if (!dir || !cursor || !entries || max == 0)
        return -EINVAL;
    nart_file file = handle_of(dir);
    const nart__file_request q = {
        .type = &entries_type, .file = &file, .room = NART__FILE_ENTRIES, .offset = *cursor
    };
    nart__file_job *j;
    nart_dir_entry e;
    size_t at = 0, n = 0;

    nart_res r = nart__file_run(cx, op, &q, &j);
    if (!j)
        return r;
    while (n < max && nart__file_entry(j, &at, &e, cursor))
        entries[n++] = e;
    return (nart_res)n;
}
