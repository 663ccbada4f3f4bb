/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* paths.c: operations on paths, and on the attributes of files. */
#include "file.h"

#include <limits.h>
#include <string.h>

NART__FILE_JOB(rename);
NART__FILE_JOB(remove);
NART__FILE_JOB(mkdir);
NART__FILE_JOB(chmod);
NART__FILE_JOB(chown);
NART__FILE_JOB(utimes);
NART__FILE_JOB(access);
NART__FILE_JOB(link);
NART__FILE_JOB(symlink);
NART__FILE_JOB(readlink);
NART__FILE_JOB(realpath);
NART__FILE_JOB(mkdirs);
NART__FILE_JOB(mktemp);
NART__FILE_JOB(statfs);

/* An operation on a path, or on two. */
static nart_res on_path(nart_cx *cx, nart_file_op *op, const nart__file_request *q)
{
    nart__file_job *j;
    return q->path ? nart__file_run(cx, op, q, &j) : -EINVAL;
}

/* ---- names ---- */

nart_res nart_path_rename(nart_cx *cx, nart_file_op *op, const char *from, const char *to)
{
    const nart__file_request q = { .type = &rename_type, .path = from, .to = to };
    return to ? on_path(cx, op, &q) : -EINVAL;
}

nart_res nart_path_remove(nart_cx *cx, nart_file_op *op, const char *path, bool directory)
{
    const nart__file_request q = { .type = &remove_type, .path = path, .flags = directory };
    return on_path(cx, op, &q);
}

nart_res nart_path_mkdir(nart_cx *cx, nart_file_op *op, const char *path, mode_t mode)
{
    const nart__file_request q = { .type = &mkdir_type, .path = path, .mode = mode };
    return on_path(cx, op, &q);
}

nart_res nart_path_mkdirs(nart_cx *cx, nart_file_op *op, const char *path, mode_t mode)
{
    const nart__file_request q = { .type = &mkdirs_type, .path = path, .mode = mode };
    return on_path(cx, op, &q);
}

nart_res nart_path_link(nart_cx *cx, nart_file_op *op, const char *from, const char *to)
{
    const nart__file_request q = { .type = &link_type, .path = from, .to = to };
    return to ? on_path(cx, op, &q) : -EINVAL;
}

nart_res nart_path_symlink(nart_cx *cx, nart_file_op *op, const char *text, const char *path)
{
    const nart__file_request q = { .type = &symlink_type, .path = text, .to = path };
    return path ? on_path(cx, op, &q) : -EINVAL;
}

/* A path that is found, with its NUL. */
static nart_res text_run(nart_cx *cx, nart_file_op *op, const nart_work_type *type,
                         const char *path, char *buf, size_t size)
{
    const nart__file_request q = { .type = type, .path = path, .len = PATH_MAX, .room = PATH_MAX };
    nart__file_job *j;

    if (!path || !buf || size == 0)
        return -EINVAL;
    nart_res r = nart__file_run(cx, op, &q, &j);
    if (!j)
        return r;
    if ((size_t)r >= size)
        return -ENAMETOOLONG;
    memcpy(buf, j->bytes, (size_t)r + 1);
    return r;
}

nart_res nart_path_readlink(nart_cx *cx, nart_file_op *op, const char *path, char *buf, size_t size)
{
    return text_run(cx, op, &readlink_type, path, buf, size);
}

nart_res nart_path_real(nart_cx *cx, nart_file_op *op, const char *path, char *buf, size_t size)
{
    return text_run(cx, op, &realpath_type, path, buf, size);
}

/* Creates what gets a name of its own, which is known to the task when this answers. */
static nart_res temp_run(nart_cx *cx, nart_file_op *op, nart_file *out, char *name)
{
    const nart__file_request q = { .type = &mktemp_type, .path = name, .flags = out == NULL };
    nart__file_job *j;

    if (!name)
        return -EINVAL;
    nart_res r = nart__file_run(cx, op, &q, &j);
    if (!j)
        return r;
    memcpy(name, j->path, strlen(j->path));
    if (out) {
        out->shared = j->file;
        j->file = NULL;
    }
    j->made = MADE_NOTHING;
    return r;
}

nart_res nart_file_temp(nart_cx *cx, nart_file_op *op, nart_file *out, char *name)
{
    return out ? temp_run(cx, op, out, name) : -EINVAL;
}

nart_res nart_path_mkdtemp(nart_cx *cx, nart_file_op *op, char *name)
{
    return temp_run(cx, op, NULL, name);
}

/* ---- attributes ---- */

nart_res nart_file_chmod(nart_cx *cx, nart_file_op *op, const nart_file *f, mode_t mode)
{
    const nart__file_request q = { .type = &chmod_type, .mode = mode };
    return nart__file_run_on(cx, op, f, q);
}

nart_res nart_path_chmod(nart_cx *cx, nart_file_op *op, const char *path, mode_t mode)
{
    const nart__file_request q = { .type = &chmod_type, .path = path, .mode = mode };
    return on_path(cx, op, &q);
}

nart_res nart_file_chown(nart_cx *cx, nart_file_op *op, const nart_file *f, uid_t uid, gid_t gid)
{
    const nart__file_request q = { .type = &chown_type, .uid = uid, .gid = gid };
    return nart__file_run_on(cx, op, f, q);
}

nart_res nart_path_chown(nart_cx *cx, nart_file_op *op, const char *path, bool link, uid_t uid,
                         gid_t gid)
{
    const nart__file_request q = {
        .type = &chown_type, .path = path, .flags = link, .uid = uid, .gid = gid
    };
    return on_path(cx, op, &q);
}

nart_res nart_file_utimes(nart_cx *cx, nart_file_op *op, const nart_file *f, int64_t accessed,
                          int64_t modified)
{
    const nart__file_request q = { .type = &utimes_type, .offset = accessed, .second = modified };
    return nart__file_run_on(cx, op, f, q);
}

nart_res nart_path_utimes(nart_cx *cx, nart_file_op *op, const char *path, bool link,
                          int64_t accessed, int64_t modified)
{
    const nart__file_request q = {
        .type = &utimes_type, .path = path, .flags = link, .offset = accessed, .second = modified
    };
    return on_path(cx, op, &q);
}

nart_res nart_path_access(nart_cx *cx, nart_file_op *op, const char *path, int mode)
{
    const nart__file_request q = { .type = &access_type, .path = path, .flags = mode };
    return on_path(cx, op, &q);
}

nart_res nart_path_statfs(nart_cx *cx, nart_file_op *op, const char *path, nart_fs_info *out)
{
    const nart__file_request q = { .type = &statfs_type, .path = path };
    nart__file_job *j;

    if (!path || !out)
        return -EINVAL;
    nart_res r = nart__file_run(cx, op, &q, &j);
    if (j)
        *out = j->fs;
    return r;
}
