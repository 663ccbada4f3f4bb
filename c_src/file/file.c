/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* file.c: operations on files: jobs of a pool of threads.
 *
 * What it keeps true
 *  - A job uses its own copy of paths and bytes, and a reference to the open file: so the descriptor that it uses is not
 *    closed, and its number is no other file's, until it has returned.
 *  - A job gives its reference back before it ends, not when its data is dropped: a finished operation keeps no file
 *    open. The open of a file is the exception: its reference passes to the handle when it answers.
 *  - Bytes that were read are copied to the caller's buffer in the poll in which the operation answers. */
#include "file.h"
#include "../work/work.h"

#include <stdlib.h>
#include <string.h>

enum { NAMES = 32 << 10 };

static nart_res run(nart__file_job *j, const nart_job *job, nart_res (*call)(nart__file_job *))
{
    j->job = job;
    nart_res r = call(j);
    if (j->file && call != nart__file_do_open) {
        (void)nart__file_unref(j->file);
        j->file = NULL;
    }
    return r;
}

static void job_drop(void *data)
{
    nart__file_job *j = data;

    if (j->file)
        (void)nart__file_unref(j->file);
    free(j->loaded);
}

/* The type of the jobs of one call: `call`_type. */
#define FILE_JOB(call)                                                                             \
    static nart_res call##_job(void *data, const nart_job *job)                                    \
    {                                                                                              \
        return run(data, job, nart__file_do_##call);                                               \
    }                                                                                              \
    static const nart_work_type call##_type = { NART_WORK_ABI,                                     \
                                                sizeof(nart__file_job),                            \
                                                NART__ALIGNOF(nart__file_job),                     \
                                                "file " #call,                                     \
                                                call##_job,                                        \
                                                job_drop,                                          \
                                                { NULL, NULL } }

FILE_JOB(open);
FILE_JOB(close);
FILE_JOB(read);
FILE_JOB(write);
FILE_JOB(sync);
FILE_JOB(truncate);
FILE_JOB(stat);
FILE_JOB(rename);
FILE_JOB(remove);
FILE_JOB(mkdir);
FILE_JOB(load);
FILE_JOB(replace);
FILE_JOB(copy);
FILE_JOB(entries);

/* ---- starting ---- */

/* The arguments of an operation, in the caller's memory. */
struct request {
    const nart_work_type *type;
    nart_file *file;       /* or NULL */
    const char *path, *to; /* or NULL */
    const void *bytes;     /* to write, or NULL */
    size_t len;
    size_t room; /* for bytes that are read or written */
    int64_t offset;
    int flags;
    mode_t mode;
};

static char *copy_text(char **at, const char *text)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    char *copy = memcpy(*at, text, size);
    *at += size;
    return copy;
}

static void fill(void *data, const void *arg)
{
    const struct request *q = arg;
    nart__file_job *j = data;
    char *at = (char *)(j + 1);

    *j = (nart__file_job){
        .offset = q->offset, .len = q->len, .flags = q->flags, .mode = q->mode, .bytes = at
    };
    at += q->room;
    if (q->bytes && q->len > 0)
        memcpy(j->bytes, q->bytes, q->len);
    j->path = copy_text(&at, q->path);
    j->to = copy_text(&at, q->to);
    if (!q->file)
        return;
    j->file = q->file->shared;
    if (q->type == &close_type)
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

/* The job of the answer, in *j; NULL before. */
static nart_res op_run(nart_cx *cx, nart_file_op *op, const struct request *q, nart__file_job **j)
{
    size_t size = sizeof **j;

    *j = NULL;
    if (!op)
        return -EINVAL;
    if (!op->work.wait.task) {
        if (q->file && !q->file->shared)
            return -EBADF;
        size += text_size(q->path) + text_size(q->to) + q->room;
    }
    nart_res r = nart__work_run(cx, &op->work, op->pool, q->type, size, fill, q);
    if (r >= 0)
        *j = nart_work_data(&op->work);
    return r;
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
    const struct request q = { .type = &open_type, .path = path, .flags = flags, .mode = mode };
    nart__file_job *j;

    if (!path || !out)
        return -EINVAL;
    nart_res r = op_run(cx, op, &q, &j);
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
    const struct request q = { .type = &close_type, .file = f };
    nart__file_job *j;

    return f ? op_run(cx, op, &q, &j) : -EINVAL;
}

void nart_file_finish(nart_file *f)
{
    if (!f || !f->shared)
        return;
    (void)nart__file_unref(f->shared);
    f->shared = NULL;
}

static size_t at_most(size_t len)
{
    return len < NART_FILE_MAX ? len : NART_FILE_MAX;
}

nart_res nart_file_read(nart_cx *cx, nart_file_op *op, const nart_file *f, void *buf, size_t len,
                        int64_t offset)
{
    nart_file file = handle_of(f);
    const struct request q = { .type = &read_type,
                               .file = &file,
                               .len = at_most(len),
                               .room = at_most(len),
                               .offset = offset };
    nart__file_job *j;

    if (!f || !buf)
        return -EINVAL;
    nart_res r = op_run(cx, op, &q, &j);
    if (j && r > 0)
        memcpy(buf, j->bytes, (size_t)r);
    return r;
}

nart_res nart_file_write(nart_cx *cx, nart_file_op *op, const nart_file *f, const void *buf,
                         size_t len, int64_t offset)
{
    nart_file file = handle_of(f);
    const struct request q = { .type = &write_type,
                               .file = &file,
                               .bytes = buf,
                               .len = at_most(len),
                               .room = at_most(len),
                               .offset = offset };
    nart__file_job *j;

    return !f || (!buf && len > 0) ? -EINVAL : op_run(cx, op, &q, &j);
}

nart_res nart_file_sync(nart_cx *cx, nart_file_op *op, const nart_file *f, bool data_only)
{
    nart_file file = handle_of(f);
    const struct request q = { .type = &sync_type, .file = &file, .flags = data_only };
    nart__file_job *j;

    return f ? op_run(cx, op, &q, &j) : -EINVAL;
}

nart_res nart_file_truncate(nart_cx *cx, nart_file_op *op, const nart_file *f, int64_t size)
{
    nart_file file = handle_of(f);
    const struct request q = { .type = &truncate_type, .file = &file, .offset = size };
    nart__file_job *j;

    return f ? op_run(cx, op, &q, &j) : -EINVAL;
}

static nart_res stat_run(nart_cx *cx, nart_file_op *op, const struct request *q,
                         nart_file_info *out)
{
    nart__file_job *j;

    if (!out)
        return -EINVAL;
    nart_res r = op_run(cx, op, q, &j);
    if (j)
        *out = j->info;
    return r;
}

nart_res nart_file_stat(nart_cx *cx, nart_file_op *op, const nart_file *f, nart_file_info *out)
{
    nart_file file = handle_of(f);
    const struct request q = { .type = &stat_type, .file = &file };

    return f ? stat_run(cx, op, &q, out) : -EINVAL;
}

/* ---- paths ---- */

nart_res nart_path_stat(nart_cx *cx, nart_file_op *op, const char *path, bool link,
                        nart_file_info *out)
{
    const struct request q = { .type = &stat_type, .path = path, .flags = link };

    return path ? stat_run(cx, op, &q, out) : -EINVAL;
}

nart_res nart_path_rename(nart_cx *cx, nart_file_op *op, const char *from, const char *to)
{
    const struct request q = { .type = &rename_type, .path = from, .to = to };
    nart__file_job *j;

    return from && to ? op_run(cx, op, &q, &j) : -EINVAL;
}

nart_res nart_path_remove(nart_cx *cx, nart_file_op *op, const char *path, bool directory)
{
    const struct request q = { .type = &remove_type, .path = path, .flags = directory };
    nart__file_job *j;

    return path ? op_run(cx, op, &q, &j) : -EINVAL;
}

nart_res nart_path_mkdir(nart_cx *cx, nart_file_op *op, const char *path, mode_t mode)
{
    const struct request q = { .type = &mkdir_type, .path = path, .mode = mode };
    nart__file_job *j;

    return path ? op_run(cx, op, &q, &j) : -EINVAL;
}

/* ---- whole files ---- */

nart_res nart_file_load(nart_cx *cx, nart_file_op *op, const char *path, size_t limit, char **data,
                        size_t *len)
{
    const struct request q = { .type = &load_type, .path = path, .len = limit };
    nart__file_job *j;

    if (!path || !data || !len)
        return -EINVAL;
    nart_res r = op_run(cx, op, &q, &j);
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
    const struct request q = {
        .type = &replace_type, .path = path, .bytes = data, .len = len, .room = len, .mode = mode
    };
    nart__file_job *j;

    return !path || (!data && len > 0) ? -EINVAL : op_run(cx, op, &q, &j);
}

nart_res nart_file_copy(nart_cx *cx, nart_file_op *op, const char *from, const char *to)
{
    const struct request q = { .type = &copy_type, .path = from, .to = to };
    nart__file_job *j;

    return from && to ? op_run(cx, op, &q, &j) : -EINVAL;
}

/* ---- directories ---- */

nart_res nart_dir_read(nart_cx *cx, nart_file_op *op, const nart_file *dir, int64_t *cursor,
                       nart_dir_entry *entries, size_t max)
{
    if (!dir || !cursor || !entries || max == 0)
        return -EINVAL;
    nart_file file = handle_of(dir);
    const struct request q = {
        .type = &entries_type, .file = &file, .len = NAMES, .room = NAMES, .offset = *cursor
    };
    nart__file_job *j;
    nart_dir_entry e;
    size_t at = 0, n = 0;

    nart_res r = op_run(cx, op, &q, &j);
    if (!j)
        return r;
    j->len = (size_t)r;
    while (n < max && nart__file_entry(j, &at, &e, cursor))
        if (strcmp(e.name, ".") != 0 && strcmp(e.name, "..") != 0)
            entries[n++] = e;
    return (nart_res)n;
}
