/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Operations on paths and on attributes of files, transfers of several pieces, and directories whose entries come in
 * small batches. System calls are replaced: this is a program of its own. */
#include "file_test.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <sys/statfs.h>

/* ---- system calls with faults ---- */

static const char *fails; /* this call, with `fails_with` */
static int fails_with;
static bool held;       /* it has succeeded, posts `begun` and waits for `go` */
static size_t most = 0; /* bytes of entries of one call; 0: as the caller has room */

#define REAL(name) (*(void **)(void *)&real = dlsym(RTLD_NEXT, #name))

#define REPLACED(type, name, params, args)                                                         \
    type name params                                                                               \
    {                                                                                              \
        type(*real) params;                                                                        \
                                                                                                   \
        if (fails && strcmp(fails, #name) == 0) {                                                  \
            errno = fails_with;                                                                    \
            return (type)FAILURE;                                                                  \
        }                                                                                          \
        REAL(name);                                                                                \
        return real args;                                                                          \
    }

#define FAILURE -1
REPLACED(int, fchmod, (int fd, mode_t mode), (fd, mode))
REPLACED(int, chmod, (const char *p, mode_t mode), (p, mode))
REPLACED(int, fchown, (int fd, uid_t u, gid_t g), (fd, u, g))
REPLACED(int, fchownat, (int d, const char *p, uid_t u, gid_t g, int how), (d, p, u, g, how))
REPLACED(int, futimens, (int fd, const struct timespec t[2]), (fd, t))
REPLACED(int, utimensat, (int d, const char *p, const struct timespec t[2], int how),
         (d, p, t, how))
REPLACED(int, access, (const char *p, int mode), (p, mode))
REPLACED(int, link, (const char *from, const char *to), (from, to))
REPLACED(int, symlink, (const char *what, const char *p), (what, p))
REPLACED(ssize_t, readlink, (const char *p, char *buf, size_t n), (p, buf, n))
REPLACED(int, mkdir, (const char *p, mode_t mode), (p, mode))
REPLACED(int, statfs, (const char *p, struct statfs *st), (p, st))
#undef FAILURE
#define FAILURE 0
REPLACED(char *, realpath, (const char *p, char *buf), (p, buf))

static time_t far_away; /* what a file was accessed after 1970, and modified before; 0: as it is */

int fstatat(int d, const char *p, struct stat *st, int how)
{
    int (*real)(int, const char *, struct stat *, int);

    REAL(fstatat);
    int r = real(d, p, st, how);
    if (far_away) {
        st->st_atim = (struct timespec){ .tv_sec = far_away };
        st->st_mtim = (struct timespec){ .tv_sec = -far_away };
    }
    return r;
}

/* The caller waits until the test has seen what it has made. */
static int made(int r)
{
    if (held) {
        CHECK_EQ(sem_post(&begun), 0);
        sem_await(&go);
    }
    return r;
}

int mkostemp(char *name, int how)
{
    int (*real)(char *, int);

    REAL(mkostemp);
    errno = fails_with;
    return fails_with ? -1 : made(real(name, how));
}

char *mkdtemp(char *name)
{
    char *(*real)(char *);

    REAL(mkdtemp);
    errno = fails_with;
    char *r = fails_with ? NULL : real(name);
    (void)made(0);
    return r;
}

long syscall(long number, ...)
{
    static long (*real)(long, ...);
    long a[6];
    va_list list;

    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_getdents64 && most)
        a[2] = (long)most;
    REAL(syscall);
    return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- the operations ---- */

static const char *path = "f", *to = "g";
static char name[16];
static char text[4096];
static size_t size = sizeof text;
static int flags;
static uid_t uid;
static gid_t gid;
static int64_t accessed, modified, at;
static nart_fs_info fs;
static nart_file_info info;
static nart_dir_entry found[4];

static nart_res do_open(nart_cx *cx)
{
    return nart_file_open(cx, &fop, &file, path, flags, 0640);
}

static nart_res do_stat(nart_cx *cx)
{
    return nart_path_stat(cx, &fop, path, flags != 0, &info);
}

static nart_res do_fchmod(nart_cx *cx)
{
    return nart_file_chmod(cx, &fop, &file, (mode_t)flags);
}

static nart_res do_chmod(nart_cx *cx)
{
    return nart_path_chmod(cx, &fop, path, (mode_t)flags);
}

static nart_res do_fchown(nart_cx *cx)
{
    return nart_file_chown(cx, &fop, &file, uid, gid);
}

static nart_res do_chown(nart_cx *cx)
{
    return nart_path_chown(cx, &fop, path, flags != 0, uid, gid);
}

static nart_res do_futimes(nart_cx *cx)
{
    return nart_file_utimes(cx, &fop, &file, accessed, modified);
}

static nart_res do_utimes(nart_cx *cx)
{
    return nart_path_utimes(cx, &fop, path, flags != 0, accessed, modified);
}

static nart_res do_access(nart_cx *cx)
{
    return nart_path_access(cx, &fop, path, flags);
}

static nart_res do_link(nart_cx *cx)
{
    return nart_path_link(cx, &fop, path, to);
}

static nart_res do_symlink(nart_cx *cx)
{
    return nart_path_symlink(cx, &fop, path, to);
}

static nart_res do_readlink(nart_cx *cx)
{
    return nart_path_readlink(cx, &fop, path, text, size);
}

static nart_res do_real(nart_cx *cx)
{
    return nart_path_real(cx, &fop, path, text, size);
}

static nart_res do_mkdirs(nart_cx *cx)
{
    return nart_path_mkdirs(cx, &fop, path, 0750);
}

static nart_res do_temp(nart_cx *cx)
{
    return nart_file_temp(cx, &fop, &file, name);
}

static nart_res do_mkdtemp(nart_cx *cx)
{
    return nart_path_mkdtemp(cx, &fop, name);
}

static nart_res do_statfs(nart_cx *cx)
{
    return nart_path_statfs(cx, &fop, path, &fs);
}

static nart_res do_entries(nart_cx *cx)
{
    return nart_dir_read(cx, &fop, &file, &at, found, 4);
}

static nart_res do_sync(nart_cx *cx)
{
    return nart_file_sync(cx, &fop, &file, false);
}

static char first[3], second[5], third[8];
static struct iovec pieces[] = { { first, 3 }, { NULL, 0 }, { second, 5 }, { third, 8 } };
static size_t n_pieces = 4;

static nart_res do_readv(nart_cx *cx)
{
    return nart_file_readv(cx, &fop, &file, pieces, n_pieces, at);
}

static nart_res do_writev(nart_cx *cx)
{
    return nart_file_writev(cx, &fop, &file, pieces, n_pieces, at);
}

static nart_res in_form(enum form form, nart_res (*do_it)(nart_cx *cx))
{
    call_start(form, do_it);
    return call_finish();
}

static void open_as(int with)
{
    flags = with;
    CHECK_RES(done(do_open), 0);
    flags = 0;
}

static struct stat stat_of(const char *p)
{
    struct stat st;
    CHECK_EQ(lstat(p, &st), 0);
    return st;
}

/* ---- what they do ---- */

TEST_EACH(several_pieces_are_written_and_read_by_one_call, BODY, FIBER)
{
    static const char letters[16] = "abcdefghijklmnop";

    files_open();
    open_as(O_RDWR | O_CREAT);
    memcpy(first, letters, 3);
    memcpy(second, letters + 3, 5);
    memcpy(third, letters + 8, 8);
    at = 100;
    CHECK_RES(in_form(kind, do_writev), 16);
    CHECK_EQ(pread((int)nart_file_fd(&file), text, 100, 100), 16);
    CHECK_EQ(memcmp(text, letters, 16), 0);
    memset(first, 'x', 3);
    memset(second, 'x', 5);
    memset(third, 'x', 8);
    at = 106; /* the last piece is not filled */
    CHECK_RES(in_form(kind, do_readv), 10);
    CHECK_EQ(memcmp(first, "ghi", 3), 0);
    CHECK_EQ(memcmp(second, "jklmn", 5), 0);
    CHECK_EQ(memcmp(third, "opxxxxxx", 8), 0);
    n_pieces = 0;
    CHECK_RES(in_form(kind, do_writev), 0);
    CHECK_RES(in_form(kind, do_readv), 0);
    files_close();
}

TEST_WITH(links, files)
{
    open_as(O_RDWR | O_CREAT);
    CHECK_RES(done(do_link), 0);
    CHECK_EQ(stat_of("f").st_ino, stat_of("g").st_ino);
    CHECK_RES(done(do_link), -EEXIST);
    to = "h";
    CHECK_RES(done(do_symlink), 0);
    CHECK_RES(done(do_symlink), -EEXIST);
    path = "h";
    CHECK_RES(done(do_readlink), 1);
    CHECK_STR(text, "f");
    size = 1; /* without room for the NUL */
    CHECK_RES(done(do_readlink), -ENAMETOOLONG);
    CHECK_RES(done(do_real), -ENAMETOOLONG);
    size = sizeof text;
    char is[64];
    (void)snprintf(is, sizeof is, "%s/f", dir);
    CHECK_RES(done(do_real), (nart_res)strlen(is));
    CHECK_STR(text, is);
    path = "f";
    CHECK_RES(done(do_readlink), -EINVAL);
    path = "nowhere";
    CHECK_RES(done(do_real), -ENOENT);
    CHECK_RES(done(do_link), -ENOENT);
}

TEST_WITH(modes_and_owners, files)
{
    open_as(O_RDWR | O_CREAT);
    flags = 0604;
    CHECK_RES(done(do_fchmod), 0);
    CHECK_EQ(stat_of("f").st_mode & 07777, 0604);
    flags = 0400;
    CHECK_RES(done(do_chmod), 0);
    CHECK_EQ(stat_of("f").st_mode & 07777, 0400);
    flags = F_OK;
    CHECK_RES(done(do_access), 0);
    flags = X_OK;
    CHECK_RES(done(do_access), -EACCES); /* also for root */
    uid = (uid_t)-1;
    gid = (gid_t)-1;
    CHECK_RES(done(do_fchown), 0);
    CHECK_EQ(stat_of("f").st_uid, geteuid());
    if (geteuid() != 0)
        SKIP("only root may change owners");
    uid = 2345;
    gid = 2346;
    CHECK_RES(done(do_fchown), 0);
    CHECK_EQ(stat_of("f").st_uid, 2345);
    CHECK_EQ(stat_of("f").st_gid, 2346);
    CHECK_EQ(symlink("f", "l"), 0);
    path = "l";
    uid = 2347;
    flags = 1; /* of the link */
    CHECK_RES(done(do_chown), 0);
    CHECK_EQ(stat_of("f").st_uid, 2345);
    CHECK_EQ(stat_of("l").st_uid, 2347);
    flags = 0;
    CHECK_RES(done(do_chown), 0);
    CHECK_EQ(stat_of("f").st_uid, 2347);
}

TEST_WITH(times_are_set_left_and_now, files)
{
    open_as(O_RDWR | O_CREAT);
    accessed = 1000 * NART_SEC + 7;
    modified = -1; /* the nanosecond before 1970 */
    CHECK_RES(done(do_futimes), 0);
    struct stat st = stat_of("f");
    CHECK_EQ(st.st_atim.tv_sec, 1000);
    CHECK_EQ(st.st_atim.tv_nsec, 7);
    CHECK_EQ(st.st_mtim.tv_sec, -1);
    CHECK_EQ(st.st_mtim.tv_nsec, 999999999);
    accessed = NART_FILE_TIME_OMIT;
    modified = NART_FILE_TIME_NOW;
    CHECK_RES(done(do_utimes), 0);
    st = stat_of("f");
    CHECK_EQ(st.st_atim.tv_sec, 1000);
    CHECK_LE(1000, st.st_mtim.tv_sec);
    CHECK_EQ(symlink("f", "l"), 0);
    path = "l";
    flags = 1;
    modified = 5 * NART_SEC;
    CHECK_RES(done(do_utimes), 0);
    CHECK_EQ(stat_of("l").st_mtim.tv_sec, 5);
    CHECK_LE(1000, stat_of("f").st_mtim.tv_sec);
}

/* As some file systems keep them; this one may not: what fstatat() answers is replaced. */
TEST_WITH(times_that_are_too_far_away_are_the_nearest_that_fit, files)
{
    open_as(O_RDWR | O_CREAT);
    far_away = (time_t)1 << 40;
    CHECK_RES(done(do_stat), 0);
    CHECK_EQ(info.accessed, NART_FILE_TIME_NOW - 1);
    CHECK_EQ(info.modified, NART_FILE_TIME_OMIT + 1);
    far_away = 9223372035;
    CHECK_RES(done(do_stat), 0);
    CHECK_EQ(info.accessed, 9223372035 * NART_SEC);
    CHECK_EQ(info.modified, -9223372035 * NART_SEC);
}

TEST_WITH(directories_are_made_with_those_above_them, files)
{
    path = "a/b//c/";
    CHECK_RES(done(do_mkdirs), 0);
    CHECK_EQ(stat_of("a").st_mode, S_IFDIR | 0755);
    CHECK_EQ(stat_of("a/b").st_mode, S_IFDIR | 0755);
    CHECK_EQ(stat_of("a/b/c").st_mode, S_IFDIR | 0750);
    CHECK_RES(done(do_mkdirs), 0); /* they exist */
    path = "/";
    CHECK_RES(done(do_mkdirs), 0);
    path = "";
    CHECK_RES(done(do_mkdirs), -ENOENT);
    path = "f";
    open_as(O_RDWR | O_CREAT);
    CHECK_RES(done(do_mkdirs), -EEXIST);
    path = "f/x";
    CHECK_RES(done(do_mkdirs), -EEXIST);
    CHECK_EQ(rmdir("a/b/c"), 0);
    CHECK_EQ(rmdir("a/b"), 0);
}

TEST_EACH(temporary_files_and_directories_have_names_of_their_own, BODY, FIBER)
{
    files_open();
    strcpy(name, "t-XXXXXX");
    CHECK_RES(in_form(kind, do_temp), 0);
    CHECK_EQ(strncmp(name, "t-", 2), 0);
    CHECK_EQ(stat_of(name).st_mode, S_IFREG | 0600);
    CHECK_EQ(write((int)nart_file_fd(&file), "x", 1), 1);
    nart_file_finish(&file);
    strcpy(name, "d-XXXXXX");
    CHECK_RES(in_form(kind, do_mkdtemp), 0);
    CHECK_EQ(stat_of(name).st_mode, S_IFDIR | 0700);
    CHECK_EQ(entries(), 2);
    strcpy(name, "without");
    CHECK_RES(in_form(kind, do_temp), -EINVAL);
    CHECK_RES(in_form(kind, do_mkdtemp), -EINVAL);
    CHECK_EQ(entries(), 2);
    files_close();
}

/* Nobody knows its name. */
TEST_EACH(what_a_task_has_left_is_removed, BODY, FIBER)
{
    nart_res (*const both[])(nart_cx *) = { do_temp, do_mkdtemp };

    files_open();
    held = true;
    for (int i = 0; i < 2; i++) {
        strcpy(name, "t-XXXXXX");
        call_start(kind, both[i]);
        sem_await(&begun);
        CHECK_EQ(entries(), 1);
        CHECK_RES(nart_task_cancel(rt, call.id), 0);
        settle(rt);
        CHECK_RES(call.res, -ECANCELED);
        CHECK_STR(name, "t-XXXXXX");
        CHECK_EQ(sem_post(&go), 0);
        nart_file_op_close(&fop);
        while (entries() > 0)
            sched_yield();
    }
    held = false;
    files_close();
}

TEST_WITH(a_file_system_is_described, files)
{
    struct statfs st;

    path = ".";
    CHECK_RES(done(do_statfs), 0);
    CHECK_EQ(statfs(".", &st), 0);
    CHECK_EQ(fs.type, st.f_type);
    CHECK_EQ(fs.block_size, st.f_bsize);
    CHECK_EQ(fs.blocks, st.f_blocks);
    CHECK_EQ(fs.files, st.f_files);
    CHECK_EQ(fs.name_max, st.f_namelen);
    CHECK_LE(fs.available, fs.free);
}

TEST_WITH(a_directory_is_synced, files)
{
    path = ".";
    open_as(O_RDONLY | O_DIRECTORY);
    CHECK_RES(done(do_sync), 0);
}

/* As file systems do that answer with few entries at a time. */
TEST_WITH(a_batch_of_the_dots_is_not_the_end, files)
{
    int seen = 0;
    nart_res n;

    CHECK_EQ(close(open("x", O_CREAT | O_WRONLY, 0600)), 0);
    CHECK_EQ(close(open("y", O_CREAT | O_WRONLY, 0600)), 0);
    path = ".";
    open_as(O_RDONLY | O_DIRECTORY);
    most = 24; /* one short name */
    while ((n = done(do_entries)) > 0)
        for (int i = 0; i < n; i++)
            seen |= 1 << (found[i].name[0] - 'x');
    CHECK_RES(n, 0);
    CHECK_EQ(seen, 3);
}

/* ---- errors ---- */

static const struct {
    const char *call;
    nart_res (*do_it)(nart_cx *cx);
    int err;
} faults[] = {
    { "fchmod", do_fchmod, EROFS },     { "chmod", do_chmod, EPERM },
    { "fchown", do_fchown, EPERM },     { "fchownat", do_chown, EROFS },
    { "futimens", do_futimes, EACCES }, { "utimensat", do_utimes, EPERM },
    { "access", do_access, ELOOP },     { "link", do_link, EMLINK },
    { "symlink", do_symlink, ENOSPC },  { "readlink", do_readlink, EIO },
    { "realpath", do_real, ELOOP },     { "mkdir", do_mkdirs, ENOSPC },
    { "statfs", do_statfs, ENOSYS },    { "mkostemp", do_temp, EMFILE },
    { "mkdtemp", do_mkdtemp, EDQUOT },
};

TEST_WITH(errors_of_system_calls_are_answered_for_paths, files)
{
    open_as(O_RDWR | O_CREAT);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        nart_file none = { NULL };
        nart_file opened = file;
        file = faults[i].do_it == do_temp ? none : opened;
        strcpy(name, "t-XXXXXX");
        fails = faults[i].call;
        fails_with = faults[i].err;
        CHECK_RES(done(faults[i].do_it), -faults[i].err);
        file = opened;
    }
    fails_with = 0;
    CHECK_EQ(entries(), 1);
}

TEST_WITH(arguments_of_paths_are_checked, files)
{
    nart_res (*const on_files[])(
        nart_cx *) = { do_fchmod, do_fchown, do_futimes, do_readv, do_writev },
                (*const on_paths[])(nart_cx *) = { do_chmod,  do_chown,   do_utimes,   do_access,
                                                   do_link,   do_symlink, do_readlink, do_real,
                                                   do_mkdirs, do_statfs,  do_stat };

    for (size_t i = 0; i < sizeof on_files / sizeof *on_files; i++)
        CHECK_RES(done(on_files[i]), -EBADF);
    pieces[1].iov_len = 1; /* without memory */
    CHECK_RES(done(do_readv), -EINVAL);
    CHECK_RES(done(do_writev), -EINVAL);
    size = 0;
    CHECK_RES(done(do_readlink), -EINVAL);
    to = NULL;
    CHECK_RES(done(do_link), -EINVAL);
    CHECK_RES(done(do_symlink), -EINVAL);
    path = NULL;
    for (size_t i = 0; i < sizeof on_paths / sizeof *on_paths; i++)
        CHECK_RES(done(on_paths[i]), -EINVAL);
    test_alloc_fail(1, true);
    path = "f";
    CHECK_RES(done(do_statfs), -ENOMEM);
    test_alloc_fail(0, false);
}
