/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* faults_files.h: the system calls on files, paths and children of this process, with the errors with which their manual
 * pages say that they can fail: more of faults.h. The linker gives them to the library (--wrap, see
 * tests/CMakeLists.txt). A thread of a pool makes them, while the thread that started the job waits. */
#ifndef NART_TEST_FAULTS_FILES_H
#define NART_TEST_FAULTS_FILES_H

#include "faults.h"

#include <sys/statfs.h>

/* _(type, name, parameters, arguments, errors), as SYSTEM_CALLS. */
#define SYSTEM_CALLS_OF_FILES(_)                                                                   \
    _(int, file_open, (const char *p, int f, mode_t m), (p, f, m), EACCES, EDQUOT, EISDIR, ELOOP,  \
      EMFILE, ENFILE, ENOENT, ENOMEM, ENOSPC, ENOTDIR, ENXIO, EPERM, EROFS, ETXTBSY)               \
    _(ssize_t, file_read, (int fd, void *b, size_t n, int64_t o), (fd, b, n, o), EIO, EISDIR,      \
      EINVAL, EOVERFLOW, ESPIPE)                                                                   \
    _(ssize_t, file_write, (int fd, const void *b, size_t n, int64_t o), (fd, b, n, o), EDQUOT,    \
      EFBIG, EIO, ENOSPC, EPERM, ESPIPE)                                                           \
    _(int, file_sync, (int fd, bool d), (fd, d), EDQUOT, EIO, EINVAL, ENOSPC, EROFS)               \
    _(int, file_truncate, (int fd, int64_t n), (fd, n), EFBIG, EINVAL, EIO, EPERM, ETXTBSY)        \
    _(int, file_stat, (int fd, const char *p, bool l, struct stat *st), (fd, p, l, st), EACCES,    \
      ELOOP, ENOENT, ENOMEM, ENOTDIR, EOVERFLOW)                                                   \
    _(int, file_rename, (const char *a, const char *b), (a, b), EACCES, EBUSY, EDQUOT, EISDIR,     \
      ENOENT, ENOSPC, ENOTEMPTY, EPERM, EROFS, EXDEV)                                              \
    _(int, file_remove, (const char *p, bool d), (p, d), EACCES, EBUSY, EIO, EISDIR, ENOENT,       \
      ENOTEMPTY, EPERM, EROFS)                                                                     \
    _(int, file_mkdir, (const char *p, mode_t m), (p, m), EACCES, EDQUOT, EMLINK, ENOENT, ENOSPC,  \
      ENOTDIR, EPERM, EROFS)                                                                       \
    _(ssize_t, file_entries, (int fd, int64_t at, void *b, size_t n), (fd, at, b, n), EINVAL,      \
      ENOENT, ENOTDIR, EIO)                                                                        \
    _(int, file_link, (const char *a, const char *b), (a, b), EACCES, EDQUOT, EEXIST, EMLINK,      \
      ENOENT, ENOSPC, EPERM, EROFS, EXDEV)                                                         \
    _(int, file_symlink, (const char *t, const char *p), (t, p), EACCES, EDQUOT, EEXIST, EIO,      \
      ENOENT, ENOSPC, EPERM, EROFS)                                                                \
    _(ssize_t, file_readlink, (const char *p, char *b, size_t n), (p, b, n), EACCES, EINVAL, EIO,  \
      ELOOP, ENOENT, ENOTDIR)                                                                      \
    _(int, file_real, (const char *p, char *b), (p, b), EACCES, EIO, ELOOP, ENAMETOOLONG, ENOENT,  \
      ENOTDIR)                                                                                     \
    _(int, file_temp, (char *n), (n), EACCES, EEXIST, EINVAL, EMFILE, ENFILE, ENOSPC, EROFS)       \
    _(int, file_temp_directory, (char *n), (n), EACCES, EEXIST, EINVAL, EMLINK, ENOSPC, EROFS)     \
    _(int, file_chmod, (int fd, const char *p, mode_t m), (fd, p, m), EACCES, EIO, EPERM, EROFS)   \
    _(int, file_chown, (int fd, const char *p, bool l, uid_t u, gid_t g), (fd, p, l, u, g),        \
      EACCES, EDQUOT, EIO, EPERM, EROFS)                                                           \
    _(int, file_utimes, (int fd, const char *p, bool l, const struct timespec t[2]),               \
      (fd, p, l, t), EACCES, EINVAL, EPERM, EROFS)                                                 \
    _(int, file_access, (const char *p, int m), (p, m), EACCES, EIO, ELOOP, ENOENT, ETXTBSY)       \
    _(int, file_statfs, (const char *p, struct statfs *st), (p, st), EACCES, EIO, ELOOP, ENOENT,   \
      ENOSYS, EOVERFLOW)                                                                           \
    _(int, child_pidfd, (pid_t p), (p), EMFILE, ENFILE, ENODEV, ENOMEM)                            \
    _(int, child_reap, (int fd, pid_t p, bool k, siginfo_t *i), (fd, p, k, i), ECHILD)             \
    _(int, child_kill, (int fd, int s), (fd, s), EPERM, ESRCH)                                     \
    _(int, kill, (pid_t p, int s), (p, s), EPERM, ESRCH)                                           \
    _(int, child_pipe, (int p[2]), (p), EMFILE, ENFILE)                                            \
    _(int, child_dup, (int fd, int n), (fd, n), EMFILE)

/* The linker's names for the library's call and for the one it would have been. */
#define WRAPPED(type, name, params, args, ...)                                                     \
    type real_##name params __asm__("__real_nart__sys_" #name);                                    \
    type faulty_##name params __asm__("__wrap_nart__sys_" #name);                                  \
    type faulty_##name params                                                                      \
    {                                                                                              \
        static const int errors[] = { __VA_ARGS__ };                                               \
        return fails(#name, errors, sizeof errors / sizeof *errors) ? (type)error_given            \
                                                                    : real_##name args;            \
    }
SYSTEM_CALLS_OF_FILES(WRAPPED)

/* It closes even if it fails. */
int real_file_close(int fd) __asm__("__real_nart__sys_file_close");
int faulty_file_close(int fd) __asm__("__wrap_nart__sys_file_close");

int faulty_file_close(int fd)
{
    static const int errors[] = { EDQUOT, EIO, ENOSPC };
    int r = real_file_close(fd);

    return fails("file_close", errors, sizeof errors / sizeof *errors) ? error_given : r;
}

#endif
