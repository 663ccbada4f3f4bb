/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* path_calls.c: the system calls on paths and attributes, by a thread of a pool. None of them is interrupted. */
#include "../sys.h"
#include "file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

static int fd_of(const nart__file_job *j)
{
    return j->file ? j->file->fd : -1;
}

nart_res nart__file_do_chmod(nart__file_job *j)
{
    return nart__sys_file_chmod(fd_of(j), j->path, j->mode);
}

nart_res nart__file_do_chown(nart__file_job *j)
{
    return nart__sys_file_chown(fd_of(j), j->path, j->flags != 0, j->uid, j->gid);
}

static struct timespec time_at(int64_t t)
{
    struct timespec ts = { .tv_sec = 0, .tv_nsec = UTIME_OMIT };

    if (t == NART_FILE_TIME_NOW)
        ts.tv_nsec = UTIME_NOW;
    if (t == NART_FILE_TIME_NOW || t == NART_FILE_TIME_OMIT)
        return ts;
    int64_t ns = t % NART_SEC;
    ts.tv_sec = (time_t)(t / NART_SEC) - (ns < 0);
    ts.tv_nsec = (long)(ns < 0 ? ns + NART_SEC : ns);
    return ts;
}

nart_res nart__file_do_utimes(nart__file_job *j)
{
    const struct timespec times[] = { time_at(j->offset), time_at(j->second) };

    return nart__sys_file_utimes(fd_of(j), j->path, j->flags != 0, times);
}

nart_res nart__file_do_access(nart__file_job *j)
{
    return nart__sys_file_access(j->path, j->flags);
}

nart_res nart__file_do_link(nart__file_job *j)
{
    return nart__sys_file_link(j->path, j->to);
}

nart_res nart__file_do_symlink(nart__file_job *j)
{
    return nart__sys_file_symlink(j->path, j->to);
}

nart_res nart__file_do_readlink(nart__file_job *j)
{
    ssize_t n = nart__sys_file_readlink(j->path, j->bytes, j->len);

    if (n < 0)
        return n;
    if ((size_t)n >= j->len)
        return -ENAMETOOLONG;
    j->bytes[n] = '\0';
    return n;
}

nart_res nart__file_do_realpath(nart__file_job *j)
{
    int r = nart__sys_file_real(j->path, j->bytes);
    return r < 0 ? r : (nart_res)strlen(j->bytes);
}

/* Creates the directory, or finds it. */
static nart_res one_directory(const char *path, mode_t mode)
{
    struct stat st;
    int r = nart__sys_file_mkdir(path, mode);

    if (r != -EEXIST)
        return r;
    r = nart__sys_file_stat(-1, path, false, &st);
    return r == 0 && S_ISDIR(st.st_mode) ? 0 : -EEXIST;
}

/* From the first directory to the last. */
nart_res nart__file_do_mkdirs(nart__file_job *j)
{
    char *path = (char *)(uintptr_t)j->path; /* the job's own */
    size_t len = strlen(path);
    nart_res r = 0;

    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    for (char *p = path + 1; *path && *p && r == 0; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        r = one_directory(path, 0777); /* as mkdir -p: the mode is that of the last */
        *p = '/';
    }
    return r ? r : one_directory(path, j->mode);
}

nart_res nart__file_do_mktemp(nart__file_job *j)
{
    char *name = (char *)(uintptr_t)j->path; /* the job's own */

    int fd = j->flags ? nart__sys_file_temp_directory(name) : nart__sys_file_temp(name);
    if (fd < 0)
        return fd;
    j->made = j->flags ? MADE_DIRECTORY : MADE_FILE;
    if (j->flags)
        return 0;
    j->file = nart__file_new(fd);
    j->opened = true;
    if (j->file)
        return 0;
    nart__sys_close(fd); /* the file is removed with the job */
    return -ENOMEM;
}

nart_res nart__file_do_statfs(nart__file_job *j)
{
    struct statfs st;
    int r = nart__sys_file_statfs(j->path, &st);

    if (r < 0)
        return r;
    j->fs = (nart_fs_info){ .type = (uint64_t)st.f_type,
                            .block_size = (uint64_t)st.f_bsize,
                            .blocks = (uint64_t)st.f_blocks,
                            .free = (uint64_t)st.f_bfree,
                            .available = (uint64_t)st.f_bavail,
                            .files = (uint64_t)st.f_files,
                            .files_free = (uint64_t)st.f_ffree,
                            .name_max = (uint64_t)st.f_namelen };
    return 0;
}
