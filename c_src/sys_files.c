/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sys_files.c: the system calls on files and paths. They block, and are called by threads of a pool. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "sys_call.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- open files, names ---- */

int nart__sys_file_open(const char *path, int flags, mode_t mode)
{
    RETRY(int, fd, open(path, flags | O_CLOEXEC, mode));
}

/* Never retried, as above. */
int nart__sys_file_close(int fd)
{
    int r = close(fd);
    return r < 0 && errno != EINTR ? -errno : 0;
}

ssize_t nart__sys_file_read(int fd, void *buf, size_t len, int64_t offset)
{
    RETRY(ssize_t, n, offset == -1 ? read(fd, buf, len) : pread(fd, buf, len, (off_t)offset));
}

ssize_t nart__sys_file_write(int fd, const void *buf, size_t len, int64_t offset)
{
    RETRY(ssize_t, n, offset == -1 ? write(fd, buf, len) : pwrite(fd, buf, len, (off_t)offset));
}

int nart__sys_file_sync(int fd, bool data_only)
{
    RETRY(int, r, data_only ? fdatasync(fd) : fsync(fd));
}

int nart__sys_file_truncate(int fd, int64_t size)
{
    RETRY(int, r, ftruncate(fd, (off_t)size));
}

int nart__sys_file_stat(int fd, const char *path, bool link, struct stat *out)
{
    if (!path)
        ONCE(fstat(fd, out));
    ONCE(fstatat(AT_FDCWD, path, out, link ? AT_SYMLINK_NOFOLLOW : 0));
}

int nart__sys_file_rename(const char *from, const char *to)
{
    ONCE(rename(from, to));
}

int nart__sys_file_remove(const char *path, bool directory)
{
    ONCE(directory ? rmdir(path) : unlink(path));
}

int nart__sys_file_mkdir(const char *path, mode_t mode)
{
    ONCE(mkdir(path, mode));
}

ssize_t nart__sys_file_entries(int fd, int64_t at, void *buf, size_t len)
{
    if (lseek(fd, (off_t)at, SEEK_SET) < 0)
        return -errno;
    RETRY(ssize_t, n, (ssize_t)syscall(SYS_getdents64, fd, buf, len));
}

/* ---- links ---- */

int nart__sys_file_link(const char *from, const char *to)
{
    ONCE(link(from, to));
}

int nart__sys_file_symlink(const char *text, const char *path)
{
    ONCE(symlink(text, path));
}

ssize_t nart__sys_file_readlink(const char *path, char *buf, size_t len)
{
    RETRY(ssize_t, n, readlink(path, buf, len));
}

int nart__sys_file_real(const char *path, char *buf)
{
    return realpath(path, buf) ? 0 : -errno;
}

/* ---- new names ---- */

int nart__sys_file_temp(char *name)
{
    RETRY(int, fd, mkostemp(name, O_CLOEXEC));
}

int nart__sys_file_temp_directory(char *name)
{
    return mkdtemp(name) ? 0 : -errno;
}

/* ---- attributes ---- */

int nart__sys_file_chmod(int fd, const char *path, mode_t mode)
{
    ONCE(path ? chmod(path, mode) : fchmod(fd, mode));
}

int nart__sys_file_chown(int fd, const char *path, bool link, uid_t uid, gid_t gid)
{
    if (!path)
        ONCE(fchown(fd, uid, gid));
    ONCE(fchownat(AT_FDCWD, path, uid, gid, link ? AT_SYMLINK_NOFOLLOW : 0));
}

int nart__sys_file_utimes(int fd, const char *path, bool link, const struct timespec times[2])
{
    if (!path)
        ONCE(futimens(fd, times));
    ONCE(utimensat(AT_FDCWD, path, times, link ? AT_SYMLINK_NOFOLLOW : 0));
}

int nart__sys_file_access(const char *path, int mode)
{
    ONCE(access(path, mode));
}

int nart__sys_file_statfs(const char *path, struct statfs *out)
{
    RETRY(int, r, statfs(path, out));
}
