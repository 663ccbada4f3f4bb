/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A stream over a file: lines read, all written, short transfers, and writes that are left and done again. System calls
 * are replaced: this is a program of its own. */
#include "file_test.h"

#include <nart/stream.h>

/* ---- system calls ---- */

static size_t most; /* bytes of one call; 0: no limit */
static bool held;   /* a call posts `begun` and waits for `go` */
static int writes, write_fails;

static void wait_if_held(void)
{
    if (held) {
        CHECK_EQ(sem_post(&begun), 0);
        sem_await(&go);
    }
}

ssize_t pread(int fd, void *buf, size_t len, off_t at)
{
    wait_if_held();
    return syscall(SYS_pread64, fd, buf, most && len > most ? most : len, at);
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
    __atomic_fetch_add(&writes, 1, __ATOMIC_SEQ_CST);
    wait_if_held();
    if (write_fails) {
        errno = write_fails;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, buf, most && len > most ? most : len, at);
}

/* ---- the stream ---- */

static nart_stream s;
static nart_file_stream fs;
static char buf[64], *line;
static const char *text = "";
static size_t moved;

static nart_res do_open(nart_cx *cx)
{
    return nart_file_open(cx, &fop, &file, "f", O_RDWR | O_CREAT, 0600);
}

static nart_res do_line(nart_cx *cx)
{
    return nart_stream_read_line(cx, &s, 0, &line);
}

static nart_res do_write(nart_cx *cx)
{
    return nart_stream_write_all(cx, &s, text, strlen(text), &moved);
}

static void stream_open(void)
{
    files_open();
    CHECK_RES(done(do_open), 0);
    fs = (nart_file_stream){ .file = &file, .pool = pool };
    CHECK_RES(nart_stream_init_file(&s, &fs, buf, sizeof buf), 0);
}

static void stream_close(void)
{
    CHECK_RES(nart_stream_close(&s), 0);
    CHECK_RES(nart_file_fd(&file), -EBADF);
    files_close();
}

static nart_res written(enum form form, const char *what)
{
    text = what;
    call_start(form, do_write);
    return call_finish();
}

static void content_is(const char *what)
{
    char is[128];

    FILE *f = fopen("f", "r");
    CHECK(f != NULL);
    size_t n = fread(is, 1, sizeof is - 1, f);
    fclose(f);
    is[n] = '\0';
    CHECK_STR(is, what);
}

TEST_EACH(a_stream_writes_a_file_and_reads_it_by_lines, BODY, FIBER)
{
    stream_open();
    most = 3;
    CHECK_RES(written(kind, "first line\n"), 11);
    CHECK_RES(written(kind, "second\nrest"), 11);
    CHECK_EQ(fs.write_at, 22);
    content_is("first line\nsecond\nrest");
    call_start(kind, do_line);
    CHECK_RES(call_finish(), 10);
    CHECK_STR(line, "first line");
    call_start(kind, do_line);
    CHECK_RES(call_finish(), 6);
    CHECK_STR(line, "second");
    call_start(kind, do_line);
    CHECK_RES(call_finish(), 4); /* the file ends without a line feed */
    CHECK_STR(line, "rest");
    call_start(kind, do_line);
    CHECK_RES(call_finish(), NART_EEOF);
    CHECK_EQ(fs.read_at, 22);
    stream_close();
}

TEST_WITH(a_stream_begins_at_its_offsets, stream)
{
    CHECK_RES(written(BODY, "0123456789"), 10);
    fs.write_at = 4;
    CHECK_RES(written(BODY, "xy\n"), 3);
    content_is("0123xy\n789");
    fs.read_at = 2;
    CHECK_RES(done(do_line), 4);
    CHECK_STR(line, "23xy");
}

static nart_stream direct; /* without a buffer */
static char into[8];
static size_t room = sizeof into;

static nart_res do_read(nart_cx *cx)
{
    return nart_stream_read(cx, &direct, into, room);
}

TEST_WITH(a_read_that_continues_with_less_room_skips_nothing, stream)
{
    CHECK_RES(written(BODY, "01234567"), 8);
    CHECK_RES(nart_stream_init_file(&direct, &fs, NULL, 0), 0);
    held = true;
    call_start(BODY, do_read);
    CHECK_RES(call.res, NART_PENDING);
    sem_await(&begun);
    room = 3;
    held = false;
    CHECK_EQ(sem_post(&go), 0);
    CHECK_RES(call_finish(), 3);
    CHECK_EQ(fs.read_at, 3);
    CHECK_RES(done(do_read), 3);
    CHECK_EQ(memcmp(into, "345", 3), 0);
}

/* The write that was left is done after all; the next one waits for it, so it does not replace what is newer. */
TEST_EACH(a_write_that_was_left_never_overtakes_the_next_one, BODY, FIBER)
{
    stream_open();
    held = true;
    text = "old text";
    call.limit = 10 * NART_MS;
    call_start(kind, do_write);
    sem_await(&begun);
    CHECK_RES(nart_rt_clock_advance(rt, 11 * NART_MS), 0);
    settle(rt);
    CHECK_RES(call.res, -ETIMEDOUT);
    CHECK_EQ(moved, 0);
    CHECK_EQ(fs.write_at, 0);
    call.limit = 0;
    text = "new";
    call_start(kind, do_write);
    CHECK_RES(call.res, NART_PENDING);
    CHECK_EQ(__atomic_load_n(&writes, __ATOMIC_SEQ_CST), 1); /* the second one waits */
    CHECK_EQ(sem_post(&go), 0);
    while (__atomic_load_n(&writes, __ATOMIC_SEQ_CST) < 2)
        CHECK_LE(0, nart_rt_poll(rt, NART_SEC));
    sem_await(&begun);
    CHECK_EQ(sem_post(&go), 0);
    CHECK_RES(call_finish(), 3);
    CHECK_EQ(fs.write_at, 3);
    content_is("new text");
    held = false;
    stream_close();
}

TEST_WITH(a_cancelled_task_begins_no_write, stream)
{
    text = "text";
    call.do_it = do_write;
    nart_join join = { 0 };
    CHECK_RES(nart_rt_spawn(rt, &call_type, NULL, &join), 0);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    nart_join_release(&join);
    call.res = NART_PENDING;
    CHECK_RES(call_finish(), -ECANCELED);
    CHECK_EQ(writes, 0);
}

TEST_WITH(a_write_that_fails_is_answered_and_repeated, stream)
{
    write_fails = ENOSPC;
    CHECK_RES(written(BODY, "text"), -ENOSPC);
    CHECK_EQ(fs.write_at, 0);
    write_fails = 0;
    CHECK_RES(written(BODY, "text"), 4);
    content_is("text");
}

TEST_WITH(a_stream_that_is_closed_wakes_its_task, stream)
{
    held = true;
    text = "text";
    call_start(BODY, do_write);
    sem_await(&begun);
    CHECK_RES(nart_stream_close(&s), 0);
    settle(rt);
    CHECK_RES(call.res, -EBADF);
    CHECK_EQ(sem_post(&go), 0);
}

static nart_res do_shutdown(nart_cx *cx)
{
    return nart_stream_shutdown(cx, &s);
}

TEST_WITH(a_shutdown_flushes_and_is_refused, stream)
{
    char waiting[64], got[64] = "";

    text = "flushed";
    moved = 0;
    CHECK_RES(nart_stream_buffer_writes(&s, waiting, sizeof waiting), 0);
    CHECK_RES(done(do_write), (nart_res)strlen(text));
    CHECK_RES(done(do_shutdown), -EOPNOTSUPP);
    nart_res fd = nart_file_fd(&file); /* it is not closed */
    CHECK_LE(0, fd);
    CHECK_EQ(pread((int)fd, got, sizeof got - 1, 0), strlen(text));
    CHECK_STR(got, text);
}

TEST_WITH(what_is_no_transport_is_refused, stream)
{
    nart_file closed = { NULL };
    nart_file_stream none = { .pool = NULL }, other = { .file = &closed };
    nart_stream t = { 0 };

    CHECK_RES(nart_stream_init_file(&t, NULL, buf, sizeof buf), -EINVAL);
    CHECK_RES(nart_stream_init_file(&t, &none, buf, sizeof buf), -EINVAL);
    CHECK_RES(nart_stream_init_file(&t, &other, buf, sizeof buf), -EBADF);
    other = (nart_file_stream){ .file = &file, .read_at = -1 };
    CHECK_RES(nart_stream_init_file(&t, &other, buf, sizeof buf), -EINVAL);
    other = (nart_file_stream){ .file = &file, .write_at = -1 };
    CHECK_RES(nart_stream_init_file(&t, &other, buf, sizeof buf), -EINVAL);
    other = (nart_file_stream){ .file = &file };
    CHECK_RES(nart_stream_init_file(NULL, &other, buf, sizeof buf), -EINVAL);
    CHECK_EQ(fcntl((int)nart_file_fd(&file), F_SETFL, O_APPEND), 0);
    CHECK_RES(nart_stream_init_file(&t, &other, buf, sizeof buf), -EINVAL);
}
