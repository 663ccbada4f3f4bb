/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Files on a pool of threads: what each operation does and answers, short transfers, faults of system calls, and every
 * way to leave an operation. System calls are replaced: this is a program of its own. */
#include "file_test.h"

#include <sched.h>
#include <stdarg.h>
#include <sys/mount.h>

/* ---- system calls with faults ---- */

enum call {
    PREAD,
    PWRITE,
    READ,
    WRITE,
    FSYNC,
    FDATASYNC,
    FTRUNCATE,
    RENAME,
    OPEN,
    CLOSE,
    FSTAT,
    FSTATAT,
    UNLINK,
    RMDIR,
    MKDIR,
    CALLS
};

static struct fault {
    int err;   /* what the call answers instead, from the `after`-th on, `times` times */
    int after; /* 1: the next one */
    int times;
    size_t most; /* 0: no limit of the bytes of one call */
    bool held;   /* it waits for `go` first, and posts `begun` */
    int calls;
} faults[CALLS];

/* Does the call fail? Sets errno. */
static bool fails(enum call c, size_t *len)
{
    struct fault *f = &faults[c];

    __atomic_fetch_add(&f->calls, 1, __ATOMIC_SEQ_CST);
    if (f->held) {
        CHECK_EQ(sem_post(&begun), 0);
        sem_await(&go);
    }
    if (len && f->most && *len > f->most)
        *len = f->most;
    if (f->err == 0 || f->times == 0 || --f->after > 0)
        return false;
    f->times--;
    errno = f->err;
    return true;
}

ssize_t pread(int fd, void *buf, size_t len, off_t at)
{
    return fails(PREAD, &len) ? -1 : syscall(SYS_pread64, fd, buf, len, at);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
    return fails(PWRITE, &len) ? -1 : syscall(SYS_pwrite64, fd, buf, len, at);
}

/* Threads wake the loop by read and write, too: of an eventfd. */
static bool is_regular(int fd)
{
    struct stat st;
    return syscall(SYS_fstat, fd, &st) == 0 && S_ISREG(st.st_mode);
}

ssize_t read(int fd, void *buf, size_t len)
{
    return is_regular(fd) && fails(READ, &len) ? -1 : syscall(SYS_read, fd, buf, len);
}

ssize_t write(int fd, const void *buf, size_t len)
{
    return is_regular(fd) && fails(WRITE, &len) ? -1 : syscall(SYS_write, fd, buf, len);
}

int open(const char *path, int how, ...)
{
    va_list list;

    va_start(list, how);
    mode_t mode = how & O_CREAT ? va_arg(list, mode_t) : 0;
    va_end(list);
    return fails(OPEN, NULL) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, how, mode);
}

/* The descriptor is closed nevertheless, as by the kernel. */
int close(int fd)
{
    bool failed = is_regular(fd) && fails(CLOSE, NULL);
    int r = (int)syscall(SYS_close, fd);
    if (!failed)
        return r;
    errno = faults[CLOSE].err;
    return -1;
}

int fstat(int fd, struct stat *st)
{
    return fails(FSTAT, NULL) ? -1 : (int)syscall(SYS_fstat, fd, st);
}

int fstatat(int at, const char *path, struct stat *st, int how)
{
    return fails(FSTATAT, NULL) ? -1 : (int)syscall(SYS_newfstatat, at, path, st, how);
}

int unlink(const char *path)
{
    return fails(UNLINK, NULL) ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int rmdir(const char *path)
{
    return fails(RMDIR, NULL) ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}

int mkdir(const char *path, mode_t mode)
{
    return fails(MKDIR, NULL) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int fsync(int fd)
{
    return fails(FSYNC, NULL) ? -1 : (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return fails(FDATASYNC, NULL) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t size)
{
    return fails(FTRUNCATE, NULL) ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

int rename(const char *from, const char *to)
{
    return fails(RENAME, NULL) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static bool seeks_slowly; /* another thread runs before the directory is read */

off_t lseek(int fd, off_t to_where, int whence)
{
    off_t r = syscall(SYS_lseek, fd, to_where, whence);

    if (seeks_slowly)
        usleep(500);
    return r;
}

/* What the operations below are called with. */
static char text[1 << 12];
static const char *path = "f", *to = "g";
static int flags;
static int64_t at;
static size_t length = sizeof text;

static nart_res do_open(nart_cx *cx)
{
    return nart_file_open(cx, &fop, &file, path, flags, 0640);
}

static nart_res do_close(nart_cx *cx)
{
    return nart_file_close(cx, &fop, &file);
}

static nart_res do_read(nart_cx *cx)
{
    return nart_file_read(cx, &fop, &file, text, length, at);
}

static nart_res do_write(nart_cx *cx)
{
    return nart_file_write(cx, &fop, &file, text, length, at);
}

static nart_res do_sync(nart_cx *cx)
{
    return nart_file_sync(cx, &fop, &file, flags != 0);
}

static nart_res do_truncate(nart_cx *cx)
{
    return nart_file_truncate(cx, &fop, &file, at);
}

static nart_file_info info;

static nart_res do_stat(nart_cx *cx)
{
    return nart_file_stat(cx, &fop, &file, &info);
}

static nart_res do_path_stat(nart_cx *cx)
{
    return nart_path_stat(cx, &fop, path, flags != 0, &info);
}

static nart_res do_rename(nart_cx *cx)
{
    return nart_path_rename(cx, &fop, path, to);
}

static nart_res do_remove(nart_cx *cx)
{
    return nart_path_remove(cx, &fop, path, flags != 0);
}

static nart_res do_mkdir(nart_cx *cx)
{
    return nart_path_mkdir(cx, &fop, path, 0755);
}

static char *loaded;
static size_t loaded_len;

static nart_res do_load(nart_cx *cx)
{
    return nart_file_load(cx, &fop, path, length, &loaded, &loaded_len);
}

static nart_res do_replace(nart_cx *cx)
{
    return nart_file_replace(cx, &fop, path, text, length, 0666);
}

static nart_res do_copy(nart_cx *cx)
{
    return nart_file_copy(cx, &fop, path, to);
}

static nart_dir_entry found[8];
static size_t found_max = 8;

static nart_res do_entries(nart_cx *cx)
{
    return nart_dir_read(cx, &fop, &file, &at, found, found_max);
}

/* Opens path with these flags. */
static void open_as(int with)
{
    flags = with;
    CHECK_RES(done(do_open), 0);
    flags = 0;
}

static void fill_text(size_t n)
{
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + i % 26);
    length = n;
}

/* The file at `name` has the first `n` bytes of fill_text(). */
static void check_content(const char *name, size_t n)
{
    char is[sizeof text + 1];
    FILE *f = fopen(name, "r");

    CHECK(f != NULL);
    CHECK_EQ(fread(is, 1, sizeof is, f), n);
    fclose(f);
    for (size_t i = 0; i < n; i++)
        CHECK_EQ(is[i], 'a' + i % 26);
}

/* ---- what they do ---- */

TEST_EACH(a_file_is_written_read_and_closed, BODY, FIBER)
{
    files_open();
    flags = O_RDWR | O_CREAT;
    call_start(kind, do_open);
    CHECK_RES(call_finish(), 0);
    int fd = (int)nart_file_fd(&file);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    fill_text(1000);
    call_start(kind, do_write);
    memset(text, 0, sizeof text); /* the bytes were copied */
    CHECK_RES(call_finish(), 1000);
    check_content("f", 1000);
    at = 26;
    length = 5;
    call_start(kind, do_read);
    CHECK_RES(call_finish(), 5);
    CHECK_EQ(memcmp(text, "abcde", 5), 0);
    at = 1000;
    CHECK_RES(done(do_read), 0);
    at = 998;
    CHECK_RES(done(do_read), 2);
    call_start(kind, do_close);
    CHECK_RES(nart_file_fd(&file), -EBADF);
    CHECK_RES(call_finish(), 0);
    CHECK_EQ(fcntl(fd, F_GETFD), -1);
    CHECK_RES(done(do_close), -EBADF);
    files_close();
}

TEST_WITH(an_operation_that_has_answered_keeps_no_file_open, files)
{
    open_as(O_RDWR | O_CREAT);
    int fd = (int)nart_file_fd(&file);
    fill_text(10);
    CHECK_RES(done(do_write), 10);
    nart_file_finish(&file);
    CHECK_EQ(fcntl(fd, F_GETFD), -1);
}

TEST_WITH(the_position_of_a_file_moves, files)
{
    open_as(O_RDWR | O_CREAT);
    fill_text(100);
    at = NART_FILE_POSITION;
    CHECK_RES(done(do_write), 100);
    CHECK_RES(done(do_write), 100);
    CHECK_RES(done(do_read), 0);
    CHECK_EQ(lseek((int)nart_file_fd(&file), 0, SEEK_CUR), 200);
}

TEST_WITH(sync_truncate_and_stat, files)
{
    open_as(O_RDWR | O_CREAT);
    CHECK_RES(done(do_sync), 0);
    CHECK_EQ(faults[FSYNC].calls, 1);
    flags = 1;
    CHECK_RES(done(do_sync), 0);
    CHECK_EQ(faults[FDATASYNC].calls, 1);
    at = 12345;
    CHECK_RES(done(do_truncate), 0);
    CHECK_RES(done(do_stat), 0);
    struct stat st;
    CHECK_EQ(stat("f", &st), 0);
    CHECK_EQ(info.size, 12345);
    CHECK_EQ(info.ino, st.st_ino);
    CHECK_EQ(info.dev, st.st_dev);
    CHECK_EQ(info.mode, S_IFREG | 0640);
    CHECK_EQ(info.links, 1);
    CHECK_EQ(info.uid, getuid());
    CHECK_EQ(info.gid, getgid());
    CHECK_EQ(info.blocks, st.st_blocks);
    CHECK_EQ(info.modified, (int64_t)st.st_mtim.tv_sec * NART_SEC + st.st_mtim.tv_nsec);
    CHECK_EQ(info.accessed, (int64_t)st.st_atim.tv_sec * NART_SEC + st.st_atim.tv_nsec);
    CHECK_EQ(info.changed, (int64_t)st.st_ctim.tv_sec * NART_SEC + st.st_ctim.tv_nsec);
}

TEST_WITH(paths_are_made_renamed_and_removed, files)
{
    CHECK_RES(done(do_mkdir), 0);
    CHECK_RES(done(do_mkdir), -EEXIST);
    CHECK_RES(done(do_path_stat), 0);
    CHECK(S_ISDIR(info.mode));
    CHECK_RES(done(do_rename), 0);
    CHECK_RES(done(do_path_stat), -ENOENT);
    CHECK_RES(done(do_rename), -ENOENT);
    path = "g";
    CHECK_RES(done(do_remove), -EISDIR);
    flags = 1;
    CHECK_RES(done(do_remove), 0);
    CHECK_RES(done(do_remove), -ENOENT);
    CHECK_EQ(symlink("nowhere", "l"), 0);
    path = "l";
    CHECK_RES(done(do_path_stat), 0); /* of the link itself */
    flags = 0;
    CHECK_RES(done(do_path_stat), -ENOENT);
    CHECK_RES(done(do_remove), 0);
}

TEST_WITH(a_directory_is_read_in_batches, files)
{
    char name[] = "0";
    uint32_t seen = 0;

    for (int i = 0; i < 10; i++) {
        name[0] = (char)('0' + i);
        CHECK_EQ(close(open(name, O_CREAT | O_WRONLY, 0600)), 0);
    }
    path = ".";
    open_as(O_RDONLY | O_DIRECTORY);
    found_max = 4;
    for (int batch = 0; batch < 3; batch++) {
        nart_res n = done(do_entries);
        CHECK_RES(n, batch < 2 ? 4 : 2);
        for (int i = 0; i < n; i++) {
            CHECK_EQ(strlen(found[i].name), 1);
            CHECK_EQ(found[i].type, DT_REG);
            seen |= 1u << (found[i].name[0] - '0');
        }
    }
    CHECK_EQ(seen, 1023);
    CHECK_RES(done(do_entries), 0);
}

/* Tasks that read one directory, each with a cursor of its own. */
struct lister {
    nart_co co;
    nart_file_op op;
    int64_t cursor;
    nart_dir_entry entry;
    unsigned *seen;
};

static nart_res lister_run(nart_cx *cx, void *frame)
{
    struct lister *l = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &l->co);
    for (;;) {
        NART_AWAIT(r, nart_dir_read(cx, &l->op, &file, &l->cursor, &l->entry, 1));
        if (r != 1)
            break;
        CHECK_EQ(*l->seen >> (l->entry.name[0] - 'a') & 1, 0);
        *l->seen |= 1u << (l->entry.name[0] - 'a');
    }
    CHECK_RES(r, 0);
    nart_file_op_close(&l->op);
    NART_END(r);
}

static const nart_task_type lister_type = NART_TASK_TYPE(struct lister, lister_run, NULL);

TEST_WITH(tasks_read_one_directory_side_by_side, files)
{
    char name[] = "?";
    unsigned seen[3] = { 0 };

    for (int i = 0; i < 26; i++) {
        name[0] = (char)('a' + i);
        CHECK_EQ(close(open(name, O_CREAT | O_WRONLY, 0600)), 0);
    }
    path = ".";
    open_as(O_RDONLY | O_DIRECTORY);
    seeks_slowly = true;
    for (int i = 0; i < 3; i++)
        CHECK_RES(nart_rt_spawn(rt, &lister_type, &(struct lister){ .seen = &seen[i] }, NULL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    seeks_slowly = false;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(seen[i], (1u << 26) - 1);
    CHECK_RES(nart_workers_shutdown(NULL, NART_NEVER), 0);
}

TEST_WITH(a_whole_file_is_loaded_up_to_a_limit, files)
{
    fill_text(sizeof text);
    path = "f";
    CHECK_RES(done(do_replace), 0);
    CHECK_RES(done(do_load), 0);
    CHECK_EQ(loaded_len, sizeof text);
    CHECK_EQ(memcmp(loaded, text, sizeof text), 0);
    CHECK_EQ(loaded[sizeof text], 0);
    free(loaded);
    length--;
    CHECK_RES(done(do_load), -EFBIG);
    path = "none";
    CHECK_RES(done(do_load), -ENOENT);
}

TEST_WITH(a_file_is_replaced_and_copied, files)
{
    struct stat st;

    fill_text(10);
    CHECK_RES(done(do_replace), 0);
    fill_text(3000);
    CHECK_RES(done(do_replace), 0);
    CHECK_EQ(faults[FSYNC].calls, 4); /* of the file and of the directory */
    check_content("f", 3000);
    CHECK_EQ(stat("f", &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0644);
    CHECK_EQ(chmod("f", 0600), 0);
    CHECK_RES(done(do_copy), 0);
    check_content("g", 3000);
    CHECK_EQ(stat("g", &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    path = "none";
    CHECK_RES(done(do_copy), -ENOENT);
    path = "none/f";
    CHECK_RES(done(do_replace), -ENOENT);
    CHECK_EQ(entries(), 2);
}

/* ---- faults ---- */

TEST_WITH(transfers_may_be_short_and_interrupted, files)
{
    open_as(O_RDWR | O_CREAT);
    fill_text(100);
    faults[PWRITE] = (struct fault){ .err = EINTR, .times = 3, .most = 7 };
    faults[PREAD] = (struct fault){ .err = EINTR, .times = 3, .most = 3 };
    CHECK_RES(done(do_write), 7);
    CHECK_EQ(faults[PWRITE].calls, 4);
    CHECK_RES(done(do_read), 3);
    CHECK_EQ(faults[PREAD].calls, 4);
}

static char large[NART_FILE_MAX + 1];

static nart_res do_write_large(nart_cx *cx)
{
    return nart_file_write(cx, &fop, &file, large, sizeof large, 0);
}

static nart_res do_read_large(nart_cx *cx)
{
    return nart_file_read(cx, &fop, &file, large, sizeof large, 0);
}

TEST_WITH(a_transfer_has_a_limit, files)
{
    open_as(O_RDWR | O_CREAT);
    CHECK_RES(done(do_write_large), NART_FILE_MAX);
    CHECK_RES(done(do_read_large), NART_FILE_MAX);
}

static const struct {
    nart_res (*do_it)(nart_cx *cx);
    enum call c;
    int err;
} injected[] = {
    { do_read, PREAD, EIO },
    { do_write, PWRITE, ENOSPC },
    { do_write, PWRITE, EFBIG },
    { do_write, PWRITE, EDQUOT },
    { do_sync, FSYNC, EIO },
    { do_sync, FSYNC, ENOSPC },
    { do_truncate, FTRUNCATE, EFBIG },
    { do_stat, FSTAT, EIO },
    { do_path_stat, FSTATAT, EACCES },
    { do_rename, RENAME, EROFS },
    { do_remove, UNLINK, EBUSY },
    { do_mkdir, MKDIR, EDQUOT },
    { do_load, OPEN, ENFILE },
    { do_load, READ, EISDIR },
    { do_replace, OPEN, EROFS },
    { do_replace, WRITE, EDQUOT },
    { do_copy, OPEN, EMFILE },
    { do_copy, FSTAT, EIO },
    { do_copy, READ, EIO },
    { do_copy, WRITE, ENOSPC },
    { do_open, OPEN, EMFILE },
    { do_close, CLOSE, EIO },
};

TEST_WITH(errors_of_system_calls_are_answered, files)
{
    open_as(O_RDWR | O_CREAT);
    fill_text(10);
    CHECK_RES(done(do_write), 10);
    for (size_t i = 0; i < sizeof injected / sizeof *injected; i++) {
        nart_file opened = file;
        if (injected[i].do_it == do_open)
            file = (nart_file){ NULL };
        faults[injected[i].c] = (struct fault){ .err = injected[i].err, .times = 1 };
        CHECK_RES(done(injected[i].do_it), -injected[i].err);
        if (injected[i].do_it == do_open)
            file = opened;
    }
    flags = 1; /* a directory */
    faults[RMDIR] = (struct fault){ .err = EBUSY, .times = 1 };
    CHECK_RES(done(do_remove), -EBUSY);
    CHECK_RES(nart_file_fd(&file), -EBADF); /* closed, although that failed */
    CHECK_EQ(entries(), 1);
}

/* A fault at each step of replacing: the old content stays, and no other file. */
TEST_WITH(a_replacement_that_fails_changes_nothing, files)
{
    static const struct {
        enum call c;
        int err;
    } steps[] = { { OPEN, EMFILE },  { WRITE, ENOSPC }, { WRITE, EDQUOT }, { FSYNC, EIO },
                  { FSYNC, ENOSPC }, { CLOSE, EIO },    { RENAME, EIO },   { RENAME, EXDEV } };

    fill_text(10);
    CHECK_RES(done(do_replace), 0);
    fill_text(20);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        faults[steps[i].c] = (struct fault){ .err = steps[i].err, .times = 1 };
        CHECK_RES(done(do_replace), -steps[i].err);
        check_content("f", 10);
        CHECK_EQ(entries(), 1);
    }
    faults[WRITE] = (struct fault){ .err = ENOSPC, .times = 1, .after = 3, .most = 7 };
    CHECK_RES(done(do_replace), -ENOSPC); /* after a part */
    check_content("f", 10);
    CHECK_EQ(entries(), 1);
    faults[WRITE] = (struct fault){ .most = 0 };
    const struct rlimit small = { 15, RLIM_INFINITY };
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    CHECK_RES(done(do_replace), -EFBIG); /* SIGXFSZ is blocked */
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY }), 0);
    check_content("f", 10);
    CHECK_EQ(entries(), 1);
}

TEST_WITH(a_full_disk_is_answered, files)
{
    path = "/dev/full";
    open_as(O_WRONLY);
    at = NART_FILE_POSITION;
    CHECK_RES(done(do_write), -ENOSPC);
}

/* A file system without space, in a mount namespace of its own, which the pool's thread shares. */
TEST_WITH(a_replacement_on_a_full_file_system_loses_nothing, files)
{
    CHECK_EQ(mkdir("d", 0700), 0);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "d", "tmpfs", 0, "size=64k") != 0)
        SKIP("this process may not mount a file system");
    CHECK_EQ(chdir("d"), 0);
    fill_text(10);
    CHECK_RES(done(do_replace), 0);
    path = "filler";
    open_as(O_RDWR | O_CREAT);
    at = NART_FILE_POSITION;
    length = sizeof text;
    nart_res r;
    while ((r = done(do_write)) > 0)
        continue;
    CHECK_RES(r, -ENOSPC);
    path = "f";
    fill_text(sizeof text);
    CHECK_RES(done(do_replace), -ENOSPC);
    check_content("f", 10);
    CHECK_EQ(entries(), 2);
    nart_file_finish(&file);
    CHECK_EQ(unlink("filler"), 0);
    CHECK_RES(done(do_replace), 0);
    check_content("f", sizeof text);
    CHECK_EQ(chdir(".."), 0);
    CHECK_EQ(umount2("d", MNT_DETACH), 0);
}

TEST_WITH(bad_arguments_are_refused, files)
{
    CHECK_RES(done(do_read), -EBADF);
    CHECK_RES(done(do_write), -EBADF);
    CHECK_RES(done(do_sync), -EBADF);
    CHECK_RES(done(do_truncate), -EBADF);
    CHECK_RES(done(do_stat), -EBADF);
    CHECK_RES(done(do_entries), -EBADF);
    CHECK_RES(nart_file_fd(&file), -EBADF);
    CHECK_RES(nart_file_adopt(&file, -1), -EINVAL);
    CHECK_RES(nart_file_adopt(NULL, 0), -EINVAL);
    found_max = 0;
    CHECK_RES(done(do_entries), -EINVAL);
    to = NULL;
    CHECK_RES(done(do_rename), -EINVAL);
    CHECK_RES(done(do_copy), -EINVAL);
    path = NULL;
    CHECK_RES(done(do_open), -EINVAL);
    CHECK_RES(done(do_path_stat), -EINVAL);
    CHECK_RES(done(do_remove), -EINVAL);
    CHECK_RES(done(do_mkdir), -EINVAL);
    CHECK_RES(done(do_load), -EINVAL);
    CHECK_RES(done(do_replace), -EINVAL);
    test_alloc_fail(1, true);
    path = "f";
    CHECK_RES(done(do_open), -ENOMEM);
    test_alloc_fail(0, false);
}

static nart_res without_op(nart_cx *cx)
{
    const nart_file f = file;

    CHECK_RES(nart_file_open(cx, NULL, &file, "f", O_RDONLY, 0), -EINVAL);
    CHECK_RES(nart_file_sync(cx, NULL, &f, false), -EINVAL);
    return nart_path_remove(cx, NULL, "f", false);
}

static nart_res without_file(nart_cx *cx)
{
    CHECK_RES(nart_file_read(cx, &fop, NULL, text, 1, 0), -EINVAL);
    CHECK_RES(nart_file_write(cx, &fop, NULL, text, 1, 0), -EINVAL);
    CHECK_RES(nart_file_sync(cx, &fop, NULL, false), -EINVAL);
    CHECK_RES(nart_file_truncate(cx, &fop, NULL, 0), -EINVAL);
    CHECK_RES(nart_file_stat(cx, &fop, NULL, &info), -EINVAL);
    CHECK_RES(nart_dir_read(cx, &fop, NULL, &at, found, 1), -EINVAL);
    return nart_file_close(cx, &fop, NULL);
}

TEST_WITH(missing_arguments_are_refused, files)
{
    open_as(O_RDWR | O_CREAT);
    CHECK_RES(done(without_op), -EINVAL);
    CHECK_RES(done(without_file), -EINVAL);
    CHECK_RES(nart_file_fd(NULL), -EBADF);
}

TEST_WITH(an_offset_below_the_file_is_refused, files)
{
    open_as(O_RDWR | O_CREAT);
    at = -2; /* not NART_FILE_POSITION */
    CHECK_RES(done(do_write), -EINVAL);
    CHECK_RES(done(do_read), -EINVAL);
    CHECK_EQ(lseek((int)nart_file_fd(&file), 0, SEEK_CUR), 0);
}

/* A task closes the file when the budget of its poll is spent, and is cancelled before the next one. */
struct spender {
    nart_co co;
    int i;
};

static nart_task spender_id;

static nart_res canceller_run(nart_cx *cx, void *frame)
{
    (void)cx;
    (void)frame;
    return nart_task_cancel(rt, spender_id);
}

static const nart_task_type canceller_type = NART_TASK_TYPE(struct spender, canceller_run, NULL);

static nart_res spender_run(nart_cx *cx, void *frame)
{
    struct spender *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    for (; s->i < NART_BUDGET; s->i++)
        NART_AWAIT(r, nart_work_await(cx, &fop.work)); /* the open, which has ended */
    spender_id = nart_cx_task(cx);
    CHECK_RES(nart_rt_spawn(rt, &canceller_type, NULL, NULL), 0);
    NART_AWAIT(r, do_close(cx));
    CHECK_RES(r, -ECANCELED);
    NART_END(r);
}

static const nart_task_type spender_type = NART_TASK_TYPE(struct spender, spender_run, NULL);

TEST_WITH(a_close_that_has_been_awaited_once_closes_the_file, files)
{
    open_as(O_RDWR | O_CREAT);
    CHECK_RES(nart_rt_spawn(rt, &spender_type, NULL, NULL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(nart_file_fd(&file), -EBADF);
}

TEST_WITH(operations_of_a_pool_that_is_shut_down_are_refused, files)
{
    open_as(O_RDWR | O_CREAT);
    int fd = (int)nart_file_fd(&file);
    CHECK_RES(nart_workers_shutdown(pool, NART_NEVER), 0);
    CHECK_RES(done(do_read), NART_ESHUTDOWN);
    CHECK_RES(done(do_open), NART_ESHUTDOWN);
    nart_file_finish(&file);
    CHECK_EQ(fcntl(fd, F_GETFD), -1); /* nothing holds it */
}

static nart_res hold(void *data, const nart_job *job)
{
    (void)data, (void)job;
    CHECK_EQ(sem_post(&begun), 0);
    sem_await(&go);
    return 0;
}

static void shut_down(void)
{
    CHECK_RES(nart_workers_shutdown(pool, 0), -ETIMEDOUT);
}

static void cancel_work(void)
{
    nart_work_cancel(&fop.work);
}

/* `end` ends a close in the queue: the only thread of the pool is occupied. */
static void end_in_queue(enum form form, void (*end)(void), nart_res answer)
{
    static const nart_work_type type = NART_WORK_TYPE(char, hold, NULL);
    nart_work w = { .job = NULL };

    files_open();
    open_as(O_RDWR | O_CREAT);
    int fd = (int)nart_file_fd(&file);
    CHECK_RES(nart_work_start(&w, pool, &type, NULL), 0);
    sem_await(&begun);
    call_start(form, do_close);
    end();
    CHECK_RES(call_finish(), answer);
    CHECK_EQ(fcntl(fd, F_GETFD), -1);
    CHECK_EQ(sem_post(&go), 0);
    nart_work_close(&w);
    files_close();
}

TEST_EACH(an_operation_that_its_pool_ends_in_the_queue_keeps_no_file_open, BODY, FIBER)
{
    end_in_queue(kind, shut_down, NART_ESHUTDOWN);
}

TEST_EACH(an_operation_that_is_cancelled_in_the_queue_keeps_no_file_open, BODY, FIBER)
{
    end_in_queue(kind, cancel_work, NART_EABORTED);
}

/* These are the answers of pools that refuse a job, too. */
TEST_WITH(an_operation_that_itself_answers_as_a_refusal_leaves_the_file_open, files)
{
    const int errors[] = { EAGAIN, -NART_ESHUTDOWN, -NART_EABORTED };

    open_as(O_RDWR | O_CREAT);
    int fd = (int)nart_file_fd(&file);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        faults[PREAD] = (struct fault){ .err = errors[i], .times = 1 };
        CHECK_RES(done(do_read), -errors[i]);
        CHECK_LE(0, fcntl(fd, F_GETFD));
    }
    CHECK_RES(done(do_read), 0);
    nart_file_finish(&file);
    CHECK_EQ(fcntl(fd, F_GETFD), -1); /* each has released it once */
}

/* ---- leaving ---- */

enum way { CANCELLED, ABORTED, RACE_LOST, TIMED_OUT, WAYS };

static void leave(enum way way)
{
    if (way == CANCELLED)
        CHECK_RES(nart_task_cancel(rt, call.id), 0);
    else if (way == ABORTED)
        CHECK_RES(nart_task_abort(rt, call.id), 0);
    else if (way == RACE_LOST)
        nart_notify_one(call.instead);
    else
        CHECK_RES(nart_rt_clock_advance(rt, 11 * NART_MS), 0);
    settle(rt);
    CHECK_RES(call.res, way == TIMED_OUT ? -ETIMEDOUT : way == RACE_LOST ? 0 : -ECANCELED);
}

TEST_EACH(a_read_that_is_left_while_it_runs_does_not_touch_the_buffer, BODY, FIBER)
{
    static nart_notify instead;

    files_open();
    open_as(O_RDWR | O_CREAT);
    fill_text(100);
    CHECK_RES(done(do_write), 100);
    memset(text, 'x', 100);
    faults[PREAD].held = true;
    for (enum way way = 0; way < WAYS; way++) {
        call.instead = way == RACE_LOST ? &instead : NULL;
        call.limit = way == TIMED_OUT ? 10 * NART_MS : 0;
        call_start(kind, do_read);
        sem_await(&begun);
        leave(way);
        CHECK_EQ(sem_post(&go), 0);
    }
    call = (struct call_of){ .limit = 0 };
    nart_workers_stats s = NART_WORKERS_STATS_INIT;
    do
        CHECK_RES(nart_workers_stats_get(pool, &s), 0);
    while (s.running > 0);
    for (int i = 0; i < 100; i++)
        CHECK_EQ(text[i], 'x');
    faults[PREAD].held = false;
    CHECK_RES(done(do_read), 100);
    CHECK_EQ(memcmp(text, "abcdef", 6), 0);
    files_close();
}

/* A write that runs keeps its descriptor: the file that is opened next has another one. */
TEST_WITH(a_file_stays_open_until_the_last_operation_on_it_has_ended, files)
{
    open_as(O_RDWR | O_CREAT);
    int fd = (int)nart_file_fd(&file);
    fill_text(50);
    faults[PWRITE].held = true;
    call_start(BODY, do_write);
    sem_await(&begun);
    leave(CANCELLED);
    nart_file_finish(&file);
    int other = open("g", O_CREAT | O_RDWR, 0600);
    CHECK_NE(other, fd);
    CHECK_EQ(sem_post(&go), 0);
    nart_file_op_close(&fop);
    CHECK_RES(nart_workers_shutdown(pool, NART_NEVER), 0);
    CHECK_EQ(fcntl(fd, F_GETFD), -1);
    check_content("f", 50);
    check_content("g", 0);
    close(other);
}

TEST_WITH(an_open_that_is_left_opens_nothing_or_closes_it, files)
{
    nart_file_op blocker = { .pool = pool }, mine;

    open_as(O_RDWR | O_CREAT);
    mine = fop;
    fop = blocker;
    faults[PWRITE].held = true; /* occupies the only thread */
    call_start(BODY, do_write);
    sem_await(&begun);
    leave(CANCELLED);
    nart_file_op_close(&fop);
    fop = mine;
    path = "h";
    flags = O_CREAT | O_RDWR;
    call_start(BODY, do_open);
    leave(CANCELLED); /* it has not begun */
    CHECK_EQ(sem_post(&go), 0);
    CHECK_RES(nart_workers_shutdown(pool, NART_NEVER), 0);
    CHECK_EQ(access("h", F_OK), -1);
}

/* The ledger counts the descriptor. */
TEST_WITH(an_open_whose_task_has_left_is_closed, files)
{
    CHECK_EQ(mkfifo("p", 0600), 0);
    path = "p";
    flags = O_WRONLY; /* blocks until there is a reader */
    call_start(BODY, do_open);
    nart_workers_stats s = NART_WORKERS_STATS_INIT;
    do
        CHECK_RES(nart_workers_stats_get(pool, &s), 0);
    while (s.running == 0);
    leave(CANCELLED);
    CHECK(file.shared == NULL);
    int reader = open("p", O_RDONLY);
    CHECK_LE(0, reader);
    CHECK_RES(nart_workers_shutdown(pool, NART_NEVER), 0);
    close(reader);
}

TEST_WITH(a_closed_operation_wakes_its_task, files)
{
    open_as(O_RDWR | O_CREAT);
    faults[PREAD].held = true;
    call_start(BODY, do_read);
    sem_await(&begun);
    nart_file_op_close(&fop);
    settle(rt);
    CHECK_RES(call.res, NART_EABORTED);
    CHECK_EQ(sem_post(&go), 0);
}

/* Several at once, on threads of the default pool. */
struct reader {
    nart_co co;
    nart_file_op op;
    uint64_t value;
    int i, round;
    nart_res r;
};

enum { READERS = 16 };

static nart_res reader_run(nart_cx *cx, void *frame)
{
    struct reader *f = frame;

    NART_BEGIN(cx, &f->co);
    for (f->round = 0; f->round < 20; f->round++) {
        f->value = (uint64_t)f->i * 1000 + (uint64_t)f->round;
        NART_AWAIT(f->r, nart_file_write(cx, &f->op, &file, &f->value, 8, 8 * (int64_t)f->i));
        CHECK_RES(f->r, 8);
        f->value = 0;
        NART_AWAIT(f->r, nart_file_read(cx, &f->op, &file, &f->value, 8, 8 * (int64_t)f->i));
        CHECK_RES(f->r, 8);
        CHECK_EQ(f->value, f->i * 1000 + f->round);
    }
    nart_file_op_close(&f->op);
    NART_END(0);
}

static const nart_task_type reader_type = NART_TASK_TYPE(struct reader, reader_run, NULL);

TEST_WITH(operations_on_one_file_run_side_by_side, files)
{
    open_as(O_RDWR | O_CREAT);
    for (int i = 0; i < READERS; i++)
        CHECK_RES(nart_rt_spawn(rt, &reader_type, &(struct reader){ .i = i }, NULL), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(nart_workers_shutdown(NULL, NART_NEVER), 0);
}
