/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every operation of nart/file.h, left in every way: while it is queued, and when it has ended but has not answered. */
#include "file_test.h"

#include <sys/stat.h>

/* ---- the operations, on a file f, a link l to it, and an empty directory d ---- */

static nart_file out, folder;
static char name[16], text[64];
static char *data;
static size_t len;
static nart_file_info info;
static nart_fs_info fs;
static nart_dir_entry found[2];
static int64_t cursor;
static struct iovec piece = { text, 3 };

#define OPERATIONS(_)                                                                              \
    _(open, nart_file_open(cx, &fop, &out, "new", O_RDWR | O_CREAT, 0600))                         \
    _(read, nart_file_read(cx, &fop, &file, text, 3, 0))                                           \
    _(write, nart_file_write(cx, &fop, &file, "abc", 3, 0))                                        \
    _(readv, nart_file_readv(cx, &fop, &file, &piece, 1, 0))                                       \
    _(writev, nart_file_writev(cx, &fop, &file, &piece, 1, 0))                                     \
    _(sync, nart_file_sync(cx, &fop, &file, false))                                                \
    _(truncate, nart_file_truncate(cx, &fop, &file, 1))                                            \
    _(file_stat, nart_file_stat(cx, &fop, &file, &info))                                           \
    _(file_chmod, nart_file_chmod(cx, &fop, &file, 0640))                                          \
    _(file_chown, nart_file_chown(cx, &fop, &file, getuid(), (gid_t)-1))                           \
    _(file_utimes, nart_file_utimes(cx, &fop, &file, 1, 2))                                        \
    _(temp, nart_file_temp(cx, &fop, &out, name))                                                  \
    _(load, nart_file_load(cx, &fop, "f", 100, &data, &len))                                       \
    _(replace, nart_file_replace(cx, &fop, "f", "new", 3, 0600))                                   \
    _(copy, nart_file_copy(cx, &fop, "f", "new"))                                                  \
    _(dir_read, nart_dir_read(cx, &fop, &folder, &cursor, found, 2))                               \
    _(stat, nart_path_stat(cx, &fop, "l", true, &info))                                            \
    _(rename, nart_path_rename(cx, &fop, "f", "new"))                                              \
    _(remove, nart_path_remove(cx, &fop, "d", true))                                               \
    _(mkdir, nart_path_mkdir(cx, &fop, "new", 0700))                                               \
    _(mkdirs, nart_path_mkdirs(cx, &fop, "new", 0700))                                             \
    _(link, nart_path_link(cx, &fop, "f", "new"))                                                  \
    _(symlink, nart_path_symlink(cx, &fop, "f", "new"))                                            \
    _(readlink, nart_path_readlink(cx, &fop, "l", text, sizeof text))                              \
    _(real, nart_path_real(cx, &fop, "l", text, sizeof text))                                      \
    _(access, nart_path_access(cx, &fop, "f", R_OK))                                               \
    _(mkdtemp, nart_path_mkdtemp(cx, &fop, name))                                                  \
    _(chmod, nart_path_chmod(cx, &fop, "f", 0640))                                                 \
    _(chown, nart_path_chown(cx, &fop, "l", true, getuid(), (gid_t)-1))                            \
    _(utimes, nart_path_utimes(cx, &fop, "f", false, 1, 2))                                        \
    _(statfs, nart_path_statfs(cx, &fop, "f", &fs))

#define DO(name, call)                                                                             \
    static nart_res do_##name(nart_cx *cx)                                                         \
    {                                                                                              \
        return call;                                                                               \
    }
OPERATIONS(DO)

#define ROW(name, call) { #name, do_##name },
static const struct operation {
    const char *name;
    nart_res (*call)(nart_cx *cx);
} operations[] = { OPERATIONS(ROW) };

enum { ALL = sizeof operations / sizeof *operations };

/* ---- what is there before and after ---- */

/* What the directory has, in the order of `names`. */
static const char *state(char *to, size_t size)
{
    static const char *const names[] = { "f", "l", "d", "new" };
    size_t at = 0;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct stat st;
        if (lstat(names[i], &st) != 0)
            continue;
        at += (size_t)snprintf(to + at, size - at, "%s %lo %ld %ld %ld;", names[i],
                               (unsigned long)st.st_mode, (long)st.st_nlink, (long)st.st_size,
                               (long)st.st_mtim.tv_nsec);
    }
    (void)snprintf(to + at, size - at, "%d", entries());
    return to;
}

static int descriptors(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void make(void)
{
    int fd = open("f", O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    CHECK_EQ(write(fd, "12345", 5), 5);
    CHECK_RES(nart_file_adopt(&file, fd), 0);
    CHECK_EQ(symlink("f", "l"), 0);
    CHECK_EQ(mkdir("d", 0700), 0);
    CHECK_RES(nart_file_adopt(&folder, open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)), 0);
    strcpy(name, "t-XXXXXX");
    cursor = 0;
}

static void unmake(void)
{
    static const char *const names[] = { "f", "l", "d", "new", name };

    nart_file_finish(&file);
    nart_file_finish(&folder);
    nart_file_finish(&out);
    free(data);
    data = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)remove(names[i]);
    CHECK_EQ(entries(), 0);
}

/* ---- the pool's only thread ---- */

static nart_work holders[2]; /* by turns: the other one's job has ended when one's job runs */
static int turn;

static nart_res hold(void *held, const nart_job *job)
{
    (void)held, (void)job;
    CHECK_EQ(sem_post(&begun), 0);
    sem_await(&go);
    return 0;
}

static void occupy(void)
{
    static const nart_work_type type = NART_WORK_TYPE(char, hold, NULL);

    turn = !turn;
    CHECK_RES(nart_work_start(&holders[turn], pool, &type, NULL), 0);
    sem_await(&begun);
}

/* Until the pool has done all that was queued, and has sent the wake-ups: its thread has taken the next job. */
static void drain(void)
{
    CHECK_EQ(sem_post(&go), 0);
    occupy();
    CHECK_EQ(sem_post(&go), 0);
}

static void leave_close(void)
{
    for (int i = 0; i < 2; i++)
        nart_work_close(&holders[i]);
    files_close();
}

static void leave_open(void)
{
    files_open();
}

/* ---- leaving ---- */

enum way { CANCELLED, ABORTED, RACE_LOST, TIMED_OUT, FREED, WAYS };

static nart_notify instead;

static void start(enum form form, enum way way, const struct operation *op)
{
    call = (struct call_of){ .instead = way == RACE_LOST ? &instead : NULL,
                             .limit = way == TIMED_OUT ? 10 * NART_MS : 0 };
    call_start(form, op->call);
    if (call.res != NART_PENDING)
        test_fail(__FILE__, __LINE__, "%s answers %s at once", op->name, nart_err_name(call.res));
}

static void leave(enum way way)
{
    if (way == CANCELLED)
        CHECK_RES(nart_task_cancel(rt, call.id), 0);
    else if (way == ABORTED)
        CHECK_RES(nart_task_abort(rt, call.id), 0);
    else if (way == RACE_LOST)
        nart_notify_one(&instead);
    else if (way == TIMED_OUT)
        CHECK_RES(nart_rt_clock_advance(rt, 11 * NART_MS), 0);
    else {
        CHECK_RES(nart_rt_free(rt), 0);
        rt = new_rt();
        CHECK_RES(nart_rt_clock_pause(rt), 0);
    }
    settle(rt);
}

/* How it is answered then. */
static nart_res answer_of(enum way way)
{
    return way == TIMED_OUT ? -ETIMEDOUT : way == RACE_LOST ? 0 : -ECANCELED;
}

static void leave_queued(enum form form, enum way way, const struct operation *op)
{
    char before[512], after[512];

    make();
    state(before, sizeof before);
    int fds = descriptors();
    occupy();
    start(form, way, op);
    leave(way);
    CHECK_RES(call.res, answer_of(way));
    drain();
    if (strcmp(before, state(after, sizeof after)) != 0)
        test_fail(__FILE__, __LINE__, "%s was done: %s, then %s", op->name, before, after);
    CHECK_EQ(descriptors(), fds);
    CHECK(!out.shared && !data);
    call = (struct call_of){ .limit = 0 };
    call_start(form, op->call); /* the same handle is used again */
    CHECK_LE(0, call_finish());
    unmake();
}

TEST_EACH(an_operation_that_is_left_while_it_is_queued_does_nothing, BODY, FIBER)
{
    files_open();
    for (enum way way = 0; way < WAYS; way++)
        for (int i = 0; i < ALL; i++)
            leave_queued(kind, way, &operations[i]);
    leave_close();
}

static void leave_ended(enum form form, enum way way, const struct operation *op)
{
    make();
    int fds = descriptors();
    occupy();
    start(form, way, op);
    drain();
    leave(way);
    if (way == TIMED_OUT) /* an answer precedes a deadline */
        CHECK_LE(0, call.res);
    else
        CHECK_RES(call.res, answer_of(way));
    if (call.res == answer_of(way)) {
        CHECK(!out.shared && !data);
        CHECK_EQ(strcmp(name, "t-XXXXXX"), 0); /* unmake() finds another one that is left */
        CHECK_EQ(descriptors(), fds);
    }
    unmake();
}

TEST_EACH(an_operation_that_has_ended_when_its_task_leaves_keeps_nothing, BODY, FIBER)
{
    files_open();
    for (enum way way = 0; way < WAYS; way++)
        for (int i = 0; i < ALL; i++)
            leave_ended(kind, way, &operations[i]);
    leave_close();
}

/* ---- an arm of a race closes the operation of the other ---- */

struct closer {
    nart_co co;
    nart_waker *waker;
    const struct operation *op;
    bool last, began;
    int which;
    nart_res r;
};

static nart_res close_now(nart_cx *cx, struct closer *f)
{
    if (f->began)
        nart_file_op_close(&fop);
    f->began = true;
    return nart_op_park(cx);
}

static nart_res closer_run(nart_cx *cx, void *frame)
{
    struct closer *f = frame;

    NART_BEGIN(cx, &f->co);
    *f->waker = nart_cx_waker(cx);
    if (f->last)
        NART_AWAIT_ANY(f->which, f->r, f->op->call(cx), close_now(cx, f));
    else
        NART_AWAIT_ANY(f->which, f->r, close_now(cx, f), f->op->call(cx));
    CHECK_EQ(f->which, !f->last);
    CHECK_RES(f->r, NART_EABORTED);
    NART_END(0);
}

static void close_in_a_race(const struct operation *op, bool last)
{
    static const nart_task_type type = NART_TASK_TYPE(struct closer, closer_run, NULL);
    nart_waker waker;
    nart_join join;

    make();
    occupy();
    CHECK_RES(nart_rt_spawn(rt, &type, &(struct closer){ .waker = &waker, .op = op, .last = last },
                            &join),
              0);
    settle(rt);
    CHECK(!nart_join_done(&join));
    nart_waker_wake(waker);
    settle(rt);
    CHECK(nart_join_done(&join));
    nart_join_release(&join);
    drain();
    unmake();
}

TEST_WITH(an_operation_that_another_arm_closes_is_aborted, leave)
{
    for (int last = 0; last < 2; last++)
        for (int i = 0; i < ALL; i++)
            close_in_a_race(&operations[i], last);
}
