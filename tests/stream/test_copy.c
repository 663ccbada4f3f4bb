/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Copying between streams, in one direction and in both; frames. */
#include "stream_test.h"

#include <signal.h>
#include <stdlib.h>

/* Two streams of one runtime, and the peers of both. */
struct two {
    struct link a, b;
    nart_stream_copier c;
    nart_stream_relay r;
};

static void two_open(struct two *t, uint32_t kind, size_t cap)
{
    memset(t, 0, sizeof *t);
    link_open(&t->a, kind, cap);
    link_open_in(&t->b, t->a.rt, kind, cap);
}

static void two_finish(struct two *t)
{
    nart_stream_copier_finish(&t->c);
    nart_stream_relay_finish(&t->r);
    link_drop(&t->b);
    link_finish(&t->a);
}

/* The operation of the case that runs; struct op has no members for it. */
static struct two *of;

static nart_res do_copy(nart_cx *cx, struct op *op)
{
    (void)op;
    return nart_stream_copy(cx, &of->a.s, &of->b.s, &of->c);
}

static nart_res do_both(nart_cx *cx, struct op *op)
{
    (void)op;
    return nart_stream_copy_both(cx, &of->a.s, &of->b.s, &of->r);
}

static void nonblocking(int fd)
{
    CHECK_EQ(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

/* Sends `total` bytes into `in` and checks that they arrive at `out`. The sequence has no short period. */
static void pump(nart_rt *rt, int in, int out, size_t total)
{
    enum { MOST = 100000 };
    unsigned char *buf = malloc(MOST);
    size_t sent = 0, got = 0;

    CHECK(buf);
    nonblocking(in);
    nonblocking(out);
    while (got < total) {
        size_t n = total - sent < MOST ? total - sent : MOST;
        for (size_t i = 0; i < n; i++)
            buf[i] = (unsigned char)((sent + i) * 2654435761u >> 13);
        ssize_t r = n ? send(in, buf, n, 0) : 0;
        if (r > 0)
            sent += (size_t)r;
        CHECK_LE(0, nart_rt_poll(rt, 0));
        while ((r = recv(out, buf, MOST, 0)) > 0)
            for (ssize_t i = 0; i < r; i++, got++)
                CHECK_EQ(buf[i], (unsigned char)(got * 2654435761u >> 13));
    }
    CHECK_EQ(sent, got);
    free(buf);
}

TEST_EACH(a_copy_ends_with_its_source_and_does_not_end_its_target, TCP, UNIX, FD)
{
    OPEN(two, t, kind, 8);
    struct op op = OP(&t.a, do_copy, .len = 0);

    of = &t;
    CHECK_RES(nart_stream_buffer_writes(&t.b.s, t.b.out, 8), 0);
    CHECK_RES(OP_NOW(&t.b, do_write, .from = "first ", .len = 6), 6); /* is flushed before */
    link_send(&t.a, "to read ahead");
    CHECK_RES(OP_NOW(&t.a, do_fill, .len = 3), 8);
    op_start(t.a.rt, &op);
    link_expect(&t.b, "first to read ahead");
    CHECK_RES(op.res, NART_PENDING);
    link_end(&t.a);
    settle(t.a.rt);
    CHECK_RES(op.res, 0);
    CHECK_EQ(t.c.copied, 13);
    CHECK_RES(OP_NOW(&t.b, do_write, .from = "more", .len = 4), 4);
    CHECK_RES(OP_NOW(&t.b, do_flush, .len = 0), 0);
    link_expect(&t.b, "more");
}

static void much_is_copied(uint32_t kind)
{
    OPEN(two, t, kind, 16);
    struct op op = OP(&t.a, do_both, .len = 0);

    of = &t;
    op_start(t.a.rt, &op);
    pump(t.a.rt, t.a.peer, t.b.peer, 1000003);
    pump(t.a.rt, t.b.peer, t.a.peer, 70001);
    CHECK_RES(op.res, NART_PENDING);
    link_end(&t.a);
    settle(t.a.rt);
    CHECK_EQ(recv(t.b.peer, t.b.out, 1, 0), 0); /* half closed */
    CHECK_RES(op.res, NART_PENDING);
    link_send(&t.b, "answer");
    settle(t.a.rt);
    link_expect(&t.a, "answer");
    link_end(&t.b);
    settle(t.a.rt);
    CHECK_RES(op.res, 0);
    CHECK_EQ(t.r.there.copied, 1000003);
    CHECK_EQ(t.r.back.copied, 70001 + 6);
}

TEST_EACH(both_directions_end_one_after_the_other, TCP, UNIX, FD)
{
    much_is_copied(kind);
}

TEST_EACH(both_directions_through_the_kernel, TCP, UNIX, FD)
{
    signal(SIGPIPE, SIG_IGN);
    much_is_copied(kind);
}

TEST_EACH(a_cancelled_copy_continues, TCP, UNIX, FD)
{
    OPEN(two, t, kind, 16);
    char fill[60000];

    of = &t;
    signal(SIGPIPE, SIG_IGN);
    memset(fill, 'x', sizeof fill);
    nonblocking(t.a.peer);
    size_t sent = 0, got = 0;
    for (int i = 0; i < 200;
         i++) { /* the peer of b does not read: bytes are under way everywhere */
        struct op op = OP(&t.a, do_copy, .len = 0);
        ssize_t n = send(t.a.peer, fill, sizeof fill, 0);
        sent += n > 0 ? (size_t)n : 0;
        op_start(t.a.rt, &op);
        CHECK_RES(op.res, NART_PENDING);
        CHECK_RES(nart_task_cancel(t.a.rt, op.id), 0);
        settle(t.a.rt);
        CHECK_RES(op.res, -ECANCELED);
    }
    CHECK_EQ(shutdown(t.a.peer, SHUT_WR), 0); /* arrives behind what is under way */
    struct op op = OP(&t.a, do_copy, .len = 0);
    op_start(t.a.rt, &op);
    nonblocking(t.b.peer);
    while (op.res == NART_PENDING) {
        ssize_t n;
        while ((n = recv(t.b.peer, fill, sizeof fill, 0)) > 0)
            got += (size_t)n;
        CHECK_LE(0, nart_rt_poll(t.a.rt, 0));
    }
    CHECK_RES(op.res, 0);
    while (got < sent) {
        wait_for(t.b.peer, POLLIN);
        ssize_t n = recv(t.b.peer, fill, sizeof fill, 0);
        CHECK_LE(1, n);
        got += (size_t)n;
    }
    CHECK_EQ(got, sent);
    CHECK_EQ(t.c.copied, sent);
}

/* `pool`: the bytes that come back from the kernel need a buffer of it. */
static void append(nart_stream_pool *pool)
{
    OPEN(two, t, FD, 16);
    char path[] = "/tmp/nart_stream_XXXXXX", got[64] = "";
    struct op op = OP(&t.a, do_copy, .len = 0);
    int fd = mkstemp(path);

    of = &t;
    signal(SIGPIPE, SIG_IGN);
    CHECK(fd >= 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(fcntl(fd, F_SETFL, O_APPEND), 0); /* splice answers EINVAL */
    CHECK_EQ(fcntl(fd, F_SETFD, FD_CLOEXEC), 0);
    CHECK_RES(nart_stream_close(&t.b.s), 0);
    CHECK_RES(nart_fd_open(t.a.rt, fd, NART_FD_BORROW, &t.b.fd), 0);
    link_begin(&t.b, 16);
    if (pool)
        CHECK_RES(nart_stream_use_pool(&t.a.s, pool), 0);
    link_send(&t.a, "0123456789abcdef0123456789abcdef-");
    link_end(&t.a);
    op_start(t.a.rt, &op);
    CHECK_RES(op.res, 0);
    CHECK_EQ(pread(fd, got, sizeof got, 0), 33);
    CHECK_STR(got, "0123456789abcdef0123456789abcdef-");
    close(fd);
}

TEST(what_cannot_be_spliced_to_gets_every_byte)
{
    append(NULL);
}

TEST(what_cannot_be_spliced_to_gets_every_byte_through_a_pool)
{
    nart_stream_pool pool;

    CHECK_RES(nart_stream_pool_init(&pool, 16, 0, &test_alloc), 0);
    append(&pool);
    CHECK_RES(nart_stream_pool_finish(&pool), 0);
}

TEST(a_copy_that_splices_has_no_buffer_of_a_pool_while_it_is_idle)
{
    nart_stream_pool pool;
    OPEN(two, t, UNIX, 16);
    struct op op = OP(&t.a, do_copy, .len = 0);

    of = &t;
    signal(SIGPIPE, SIG_IGN);
    CHECK_RES(nart_stream_pool_init(&pool, 16, 0, &test_alloc), 0);
    CHECK_RES(nart_stream_use_pool(&t.a.s, &pool), 0);
    link_send(&t.a, "0123456789abcdef0123456789abcdef");
    op_start(t.a.rt, &op);
    link_expect(&t.b, "0123456789abcdef0123456789abcdef");
    CHECK(t.c.sys);
    CHECK_EQ(pool.used, 0);
    link_send(&t.a, "-");
    link_end(&t.a);
    settle(t.a.rt);
    CHECK_RES(op.res, 0);
    link_expect(&t.b, "-");
    CHECK_RES(nart_stream_pool_finish(&pool), 0);
}

TEST(an_idle_relay_ends)
{
    OPEN(two, t, UNIX, 16);
    struct op op = OP(&t.a, do_both, .len = 0);

    of = &t;
    CHECK_RES(nart_rt_clock_pause(t.a.rt), 0);
    t.r.idle = 10 * NART_SEC;
    op_start(t.a.rt, &op);
    for (int i = 0; i < 3; i++) {
        CHECK_RES(nart_rt_clock_advance(t.a.rt, 9 * NART_SEC), 0);
        settle(t.a.rt);
        CHECK_RES(op.res, NART_PENDING);
        link_send(i == 1 ? &t.b : &t.a, "x");
        settle(t.a.rt);
    }
    CHECK_RES(nart_rt_clock_advance(t.a.rt, 10 * NART_SEC), 0);
    settle(t.a.rt);
    CHECK_RES(op.res, -ETIME);
    op_start(t.a.rt, &op); /* the same call continues */
    link_send(&t.a, "y");
    settle(t.a.rt);
    CHECK_RES(op.res, NART_PENDING);
    link_expect(&t.b, "xxy");
    CHECK_RES(nart_task_abort(t.a.rt, op.id), 0); /* it uses `op` */
    settle(t.a.rt);
}

TEST(a_copy_without_a_buffer_is_refused)
{
    OPEN(two, t, UNIX, 0);

    of = &t;
    CHECK_RES(OP_NOW(&t.a, do_copy, .len = 0), -EINVAL);
    CHECK_RES(nart_stream_close(&t.b.s), 0);
    CHECK_RES(OP_NOW(&t.a, do_copy, .len = 0), -EBADF);
}

TEST_EACH(a_relay_whose_deadline_passed_continues, TCP, UNIX, FD)
{
    OPEN(two, t, kind, 16);
    struct op op = OP(&t.a, do_both, .len = 0);

    of = &t;
    op.limit = NART_MS;
    CHECK_RES(op_now(t.a.rt, &op), -ETIMEDOUT);
    link_send(&t.a, "there");
    link_send(&t.b, "back");
    link_end(&t.a);
    link_end(&t.b);
    op.limit = NART_NEVER;
    CHECK_RES(op_now(t.a.rt, &op), 0);
    link_expect(&t.a, "back");
    link_expect(&t.b, "there");
    CHECK_EQ(recv(t.a.peer, t.a.out, 1, 0), 0);
    CHECK_EQ(recv(t.b.peer, t.b.out, 1, 0), 0);
}

/* A relay that fails, and a body below the same one that reads the other stream in the same poll. */
static nart_res reads_below(nart_cx *cx, nart_co *co)
{
    static char buf[16];
    nart_res r = 0;

    NART_BEGIN(cx, co);
    NART_AWAIT(r, nart_stream_read(cx, &of->b.s, buf, sizeof buf));
    NART_END(r);
}

static nart_res do_both_then_read(nart_cx *cx, struct op *op)
{
    static struct {
        nart_co co, below;
    } f;
    nart_res r = 0;

    NART_BEGIN(cx, &f.co);
    NART_AWAIT(r, nart_stream_copy_both(cx, &of->a.s, &of->b.s, &of->r));
    op->done = (size_t)-r;
    NART_AWAIT(r, reads_below(cx, &f.below));
    NART_END(r);
}

TEST(a_relay_that_fails_waits_in_neither_stream)
{
    for (int spurious = 0; spurious < 2; spurious++) { /* either direction is first */
        OPEN(two, t, TCP, 16);
        struct op op = OP(&t.a, do_both_then_read, .len = 0);

        of = &t;
        op_start(t.a.rt, &op);
        for (int i = 0; i < spurious; i++) {
            nart_waker_wake(op.waker);
            settle(t.a.rt);
        }
        raw_reset(t.a.peer);
        t.a.peer = -1;
        settle(t.a.rt);
        CHECK_EQ(op.done, ECONNRESET);
        CHECK_RES(op.res, NART_PENDING);
        link_send(&t.b, "still");
        settle(t.a.rt);
        CHECK_RES(op.res, 5);
    }
}

TEST(a_direction_that_is_always_ready_does_not_stop_the_other)
{
    OPEN(two, t, UNIX, 1); /* a byte for each answer of the budget */
    struct op op = OP(&t.a, do_both, .len = 0);
    char many[2001];

    of = &t;
    memset(many, 'x', 2000);
    many[2000] = '\0';
    link_send(&t.a, many);
    link_send(&t.b, many);
    op_spawn(t.a.rt, &op);
    while (op.polls < 8)
        CHECK_LE(0, nart_rt_poll(t.a.rt, 0));
    CHECK(t.r.there.copied > 0);
    CHECK(t.r.back.copied > 0);
    CHECK(t.r.there.copied < 2000 || t.r.back.copied < 2000);
    CHECK_RES(nart_task_abort(t.a.rt, op.id), 0);
    settle(t.a.rt);
}
