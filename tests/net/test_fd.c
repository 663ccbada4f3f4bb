/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Readiness of descriptors of any kind. */
#include "net_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

FIXTURE_RT();

struct ready {
    nart_fd *h;
    uint32_t dirs;
    nart_res *answer;
    nart_waker *waker;
};

static nart_res ready_run(nart_cx *cx, void *frame)
{
    struct ready *f = frame;
    if (f->waker)
        *f->waker = nart_cx_waker(cx);
    nart_res r = nart_fd_ready(cx, f->h, f->dirs);
    *f->answer = r;
    return r;
}

TYPE(ready, ready_run);

static nart_res ready_now(nart_fd *h, uint32_t dirs)
{
    nart_res answer;
    return run(rt, &ready_type, &(struct ready){ h, dirs, &answer, NULL });
}

static void new_pipe(int ends[2])
{
    CHECK_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
}

TEST_WITH(a_pipe_becomes_readable_and_hangs_up, rt)
{
    nart_fd h;
    nart_join join;
    nart_res answer;
    int ends[2];
    char c;

    new_pipe(ends);
    CHECK_RES(nart_fd_open(rt, ends[0], 0, &h), 0);
    CHECK_RES(ready_now(&h, NART_READ), NART_READ); /* a new one is tried first */
    CHECK_EQ(read(ends[0], &c, 1), -1);
    CHECK_EQ(errno, EAGAIN);
    nart_fd_clear(&h, NART_READ);

    spawn(rt, &ready_type, &(struct ready){ &h, NART_READ, &answer, NULL }, &join);
    settle(rt);
    CHECK_RES(answer, NART_PENDING);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    finish(rt, &join);
    CHECK_RES(answer, NART_READ);
    CHECK_RES(ready_now(&h, NART_READ), NART_READ); /* until it is cleared */
    CHECK_EQ(read(ends[0], &c, 1), 1);
    nart_fd_clear(&h, NART_READ);

    spawn(rt, &ready_type, &(struct ready){ &h, NART_READ, &answer, NULL }, &join);
    settle(rt);
    CHECK_RES(answer, NART_PENDING);
    close(ends[1]);
    finish(rt, &join);
    CHECK_RES(answer, NART_READ | NART_HANGUP);
    CHECK_EQ(read(ends[0], &c, 1), 0);
    CHECK_RES(nart_fd_close(&h), 0);
    CHECK_EQ(fcntl(ends[0], F_GETFD), -1); /* owned by the handle */
}

TEST_WITH(a_pipe_becomes_writable_and_its_reader_closes, rt)
{
    nart_fd h;
    nart_join join;
    nart_res answer;
    int ends[2];
    char block[4096] = "";

    new_pipe(ends);
    CHECK_RES(nart_fd_open(rt, ends[1], 0, &h), 0);
    while (write(ends[1], block, sizeof block) > 0)
        continue;
    settle(rt);
    nart_fd_clear(&h, NART_WRITE);
    for (int last = 0; last < 2; last++) {
        spawn(rt, &ready_type, &(struct ready){ &h, NART_WRITE, &answer, NULL }, &join);
        settle(rt);
        CHECK_RES(answer, NART_PENDING);
        if (last)
            close(ends[0]);
        else
            while (read(ends[0], block, sizeof block) > 0)
                continue;
        finish(rt, &join);
        CHECK_RES(answer, last ? NART_WRITE | NART_ERROR : NART_WRITE);
        while (!last && write(ends[1], block, sizeof block) > 0)
            continue;
        settle(rt);
        nart_fd_clear(&h, NART_WRITE);
    }
    CHECK_RES(nart_fd_close(&h), 0);
}

/* States end, with and without an event; an operation answers the current state. */
TEST_WITH(a_new_writer_ends_a_hang_up, rt)
{
    nart_fd h;
    int ends[2];
    char c, path[32];

    new_pipe(ends);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    CHECK_RES(nart_fd_open(rt, ends[0], 0, &h), 0);
    for (int event = 0; event < 2; event++) {
        close(ends[1]);
        settle(rt);
        CHECK_RES(ready_now(&h, NART_READ), NART_READ | NART_HANGUP);
        CHECK_EQ(read(ends[0], &c, 1), 0);
        ends[1] = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        CHECK_LE(0, ends[1]);
        if (event)
            CHECK_EQ(write(ends[1], "x", 1), 1);
        CHECK_RES(ready_now(&h, NART_READ), NART_READ);
        if (event)
            CHECK_EQ(read(ends[0], &c, 1), 1);
    }
    CHECK_RES(nart_fd_close(&h), 0);
    close(ends[1]);
}

/* A socket that neither is connected nor listens counts as hung up. */
TEST_WITH(a_socket_that_was_watched_early_is_not_hung_up_for_ever, rt)
{
    nart_fd client, server;
    nart_join join;
    nart_res answer;
    nart_addr at = localhost();
    int out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int in = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    CHECK_EQ(bind(in, sockaddr_of(&at), at.len), 0);
    CHECK_EQ(getsockname(in, (struct sockaddr *)&at.storage, &at.len), 0);
    CHECK_RES(nart_fd_open(rt, out, 0, &client), 0);
    CHECK_RES(nart_fd_open(rt, in, 0, &server), 0);
    settle(rt);
    CHECK_RES(ready_now(&client, NART_WRITE), NART_WRITE | NART_HANGUP);
    CHECK_RES(ready_now(&server, NART_READ), NART_READ | NART_HANGUP);
    CHECK_EQ(listen(in, 4), 0);
    CHECK_EQ(accept(in, NULL, NULL), -1);
    CHECK_EQ(errno, EAGAIN);
    nart_fd_clear(&server, NART_READ);
    spawn(rt, &ready_type, &(struct ready){ &server, NART_READ, &answer, NULL }, &join);
    settle(rt);
    CHECK_RES(answer, NART_PENDING);
    CHECK(connect(out, sockaddr_of(&at), at.len) == 0 || errno == EINPROGRESS);
    finish(rt, &join);
    CHECK_RES(answer, NART_READ);
    wait_for(out, POLLOUT);
    CHECK_RES(ready_now(&client, NART_WRITE), NART_WRITE);
    nart_fd_clear(&client, NART_READ);
    CHECK_RES(ready_now(&client, NART_READ | NART_WRITE), NART_WRITE);
    CHECK_RES(nart_fd_close(&client), 0);
    CHECK_RES(nart_fd_close(&server), 0);
}

/* An error is transient: it ends once it has been read and the descriptor tried. */
TEST_WITH(an_error_is_reported_and_passes, rt)
{
    nart_fd h;
    nart_addr at = localhost();
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char c;

    CHECK_EQ(bind(other, sockaddr_of(&at), at.len), 0);
    CHECK_EQ(getsockname(other, (struct sockaddr *)&at.storage, &at.len), 0);
    close(other); /* the address has no receiver */
    CHECK_EQ(connect(fd, sockaddr_of(&at), at.len), 0);
    CHECK_RES(nart_fd_open(rt, fd, 0, &h), 0);
    nart_fd_clear(&h, NART_READ);
    CHECK_EQ(send(fd, "x", 1, 0), 1);
    CHECK_RES(ready_now(&h, NART_READ), NART_READ | NART_ERROR);
    CHECK_EQ(recv(fd, &c, 1, 0), -1);
    CHECK_EQ(errno, ECONNREFUSED);
    CHECK_EQ(recv(fd, &c, 1, 0), -1);
    CHECK_EQ(errno, EAGAIN);
    nart_fd_clear(&h, NART_READ);
    CHECK_RES(ready_now(&h, NART_WRITE), NART_WRITE);
    CHECK_RES(nart_fd_close(&h), 0);
}

/* A pair of sockets: `h` is the first, neither readable nor writable. */
static void open_full(int ends[2], nart_fd *h)
{
    static const char block[4096];
    int big = 1 << 16;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    CHECK_EQ(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &big, sizeof big), 0);
    CHECK_RES(nart_fd_open(rt, ends[0], 0, h), 0);
    while (send(ends[0], block, sizeof block, 0) > 0)
        continue;
    settle(rt);
    nart_fd_clear(h, NART_READ | NART_WRITE);
}

static void drain(int fd)
{
    char block[4096];
    while (recv(fd, block, sizeof block, 0) > 0)
        continue;
}

TEST_WITH(either_direction_ends_the_wait_for_both, rt)
{
    nart_fd h;
    nart_join join;
    nart_res answer;
    int ends[2];
    char byte;

    open_full(ends, &h);
    struct ready both = { &h, NART_READ | NART_WRITE, &answer, NULL };
    spawn(rt, &ready_type, &both, &join);
    settle(rt);
    CHECK_RES(answer, NART_PENDING);
    nart_res ignored;
    CHECK_RES(run(rt, &ready_type, &(struct ready){ &h, NART_READ, &ignored, NULL }), -EBUSY);
    CHECK_RES(run(rt, &ready_type, &(struct ready){ &h, NART_WRITE, &ignored, NULL }), -EBUSY);
    raw_send(ends[1], "x");
    finish(rt, &join);
    CHECK_RES(answer, NART_READ);
    CHECK_EQ(recv(ends[0], &byte, 1, 0), 1);
    nart_fd_clear(&h, NART_READ);

    spawn(rt, &ready_type, &both, &join);
    settle(rt);
    CHECK_RES(answer, NART_PENDING);
    drain(ends[1]);
    finish(rt, &join);
    CHECK_RES(answer, NART_WRITE);
    CHECK_RES(nart_fd_close(&h), 0);
    close(ends[1]);
}

/* Waits for both directions in its first poll, then for something else. */
struct refused {
    nart_fd *h;
    nart_res *answer;
    nart_waker *waker;
    bool asked;
};

static nart_res refused_run(nart_cx *cx, void *frame)
{
    struct refused *f = frame;

    if (f->asked)
        return 0;
    f->asked = true;
    *f->answer = nart_fd_ready(cx, f->h, NART_READ | NART_WRITE);
    *f->waker = nart_cx_waker(cx);
    return nart_op_park(cx);
}

TYPE(refused, refused_run);

TEST_WITH(a_refused_direction_leaves_nothing_behind_in_the_other, rt)
{
    nart_fd h;
    nart_join writer, asker, reader;
    nart_res writes, refused, reads;
    nart_waker waker;
    int ends[2];

    open_full(ends, &h);
    spawn(rt, &ready_type, &(struct ready){ &h, NART_WRITE, &writes, NULL }, &writer);
    spawn(rt, &refused_type, &(struct refused){ &h, &refused, &waker, false }, &asker);
    settle(rt);
    CHECK_RES(writes, NART_PENDING);
    CHECK_RES(refused, -EBUSY);
    spawn(rt, &ready_type, &(struct ready){ &h, NART_READ, &reads, NULL }, &reader);
    settle(rt);
    CHECK_RES(reads, NART_PENDING);
    raw_send(ends[1], "x");
    finish(rt, &reader);
    CHECK_RES(reads, NART_READ);
    nart_waker_wake(waker);
    finish(rt, &asker);
    drain(ends[1]);
    finish(rt, &writer);
    CHECK_RES(writes, NART_WRITE);
    CHECK_RES(nart_fd_close(&h), 0);
    close(ends[1]);
}

/* A loop on a descriptor that is always ready still lets other tasks run. */
struct greedy {
    nart_co co;
    nart_fd *h;
    int left, *mine, *other;
};

static nart_res greedy_run(nart_cx *cx, void *frame)
{
    struct greedy *g = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &g->co);
    while (g->left-- > 0) {
        NART_AWAIT(r, nart_fd_ready(cx, g->h, NART_READ | NART_WRITE));
        CHECK_RES(r, NART_READ | NART_WRITE);
        nart_fd_clear(g->h, NART_READ | NART_WRITE);
        ++*g->mine;
        CHECK_LE(*g->mine - *g->other, 2 * NART_BUDGET);
    }
    NART_END(0);
}

TYPE(greedy, greedy_run);

TEST_WITH(a_regular_file_is_always_ready_and_starves_no_task, rt)
{
    nart_fd h, null;
    nart_join first, second;
    int a = 0, b = 0;

    CHECK_RES(nart_fd_open(rt, open(TEST_SOURCE_DIR "/test_fd.c", O_RDONLY | O_CLOEXEC), 0, &h), 0);
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK_RES(nart_fd_open(rt, fd, 0, &null), 0);
    CHECK_RES(ready_now(&null, NART_WRITE), NART_WRITE);
    nart_fd twice;
    CHECK_RES(nart_fd_open(rt, fd, 0, &twice), -EEXIST); /* it would be closed twice */
    CHECK_RES(nart_fd_open(rt, fd, NART_FD_BORROW, &twice), 0);
    CHECK_RES(nart_fd_close(&twice), 0);
    spawn(rt, &greedy_type, &(struct greedy){ .h = &h, .left = 10000, .mine = &a, .other = &b },
          &first);
    spawn(rt, &greedy_type, &(struct greedy){ .h = &null, .left = 10000, .mine = &b, .other = &a },
          &second);
    finish(rt, &first);
    finish(rt, &second);
    CHECK_RES(nart_fd_close(&h), 0);
    CHECK_RES(nart_fd_close(&null), 0);
}

TEST_WITH(a_borrowed_descriptor_stays_the_callers, rt)
{
    nart_fd h, other;
    int ends[2], more[2];

    new_pipe(ends);
    CHECK_RES(nart_fd_open(rt, ends[0], NART_FD_BORROW, &h), 0);
    CHECK_RES(nart_fd_open(rt, ends[0], NART_FD_BORROW, &other), 0); /* any number of times */
    nart_fd_clear(&h, NART_READ);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    CHECK_RES(ready_now(&h, NART_READ), NART_READ);
    CHECK_RES(nart_fd_close(&other), 0);
    CHECK(fcntl(ends[0], F_GETFD) >= 0);

    /* Closed too early by its owner, and its number reused: other descriptors are unaffected. */
    new_pipe(more);
    CHECK_EQ(dup3(more[0], ends[0], O_CLOEXEC), ends[0]);
    nart_fd again;
    CHECK_RES(nart_fd_open(rt, ends[0], 0, &again), 0);
    CHECK_RES(nart_fd_close(&h), 0);
    nart_fd_clear(&again, NART_READ);
    CHECK_EQ(write(more[1], "y", 1), 1);
    CHECK_RES(ready_now(&again, NART_READ), NART_READ);
    CHECK_RES(nart_fd_close(&again), 0);
    close(ends[1]);
    close(more[0]);
    close(more[1]);
}

TEST_WITH(bad_descriptors_and_directions_are_refused, rt)
{
    nart_fd h, other;
    int ends[2];

    new_pipe(ends);
    CHECK_RES(nart_fd_open(rt, -1, 0, &h), -EBADF);
    CHECK_RES(nart_fd_open(rt, -1, NART_FD_BORROW, &h), -EBADF);
    CHECK_RES(nart_fd_open(rt, 100000, 0, &h), -EBADF);
    CHECK_RES(nart_fd_open(rt, ends[0], 8, &h), -EINVAL);
    CHECK_RES(nart_fd_open(NULL, ends[0], 0, &h), -EINVAL);
    CHECK_RES(nart_fd_open(rt, ends[0], 0, NULL), -EINVAL);
    CHECK_RES(nart_fd_close(&h), 0);
    CHECK_RES(nart_fd_open(rt, ends[0], 0, &h), 0);
    CHECK_RES(nart_fd_open(rt, ends[0], 0, &other), -EEXIST);
    CHECK_RES(ready_now(&h, 0), -EINVAL);
    CHECK_RES(ready_now(&h, NART_ERROR), -EINVAL);
    CHECK_RES(nart_fd_close(&h), 0);
    close(ends[1]);
}

/* A failed open occupies no slot and leaks no descriptor. */
TEST(a_failure_to_open_leaves_nothing)
{
    nart_rt_opts too_many = { .size = sizeof too_many, .max_io = UINT32_MAX };
    rt = NEW_RT(.max_io = 2);
    nart_fd h[2];
    int ends[2];

    for (int i = 0; i < 1000; i++)
        CHECK_RES(nart_fd_open(rt, 100000 + i, 0, &h[0]), -EBADF);
    new_pipe(ends);
    CHECK_RES(nart_fd_open(rt, ends[0], 0, &h[0]), 0);
    CHECK_RES(nart_fd_open(rt, ends[1], 0, &h[1]), 0);
    for (int i = 0; i < 1000; i++) {
        nart_fd more;
        CHECK_RES(nart_fd_open(rt, ends[0], NART_FD_BORROW, &more), NART_EFDS);
    }
    CHECK_RES(nart_fd_close(&h[0]), 0);
    CHECK_RES(nart_fd_close(&h[1]), 0);
    CHECK_RES(nart_rt_free(rt), 0);
    CHECK_RES(nart_rt_new(&too_many, &rt), -EINVAL);
}

/* ---- kernel errors ---- */

/* A failed wait is an answer of the loop; the tasks stay, and continue when waiting works again. */
TEST_WITH(a_wait_that_fails_is_an_answer, rt)
{
    nart_fd h;
    nart_join join;
    nart_res answer;
    int ends[2], queue = nart_rt_backend_fd(rt), copy = fcntl(queue, F_DUPFD_CLOEXEC, 0);

    new_pipe(ends);
    CHECK_RES(nart_fd_open(rt, ends[0], 0, &h), 0);
    nart_fd_clear(&h, NART_READ);
    spawn(rt, &ready_type, &(struct ready){ &h, NART_READ, &answer, NULL }, &join);
    settle(rt);
    CHECK_EQ(close(queue), 0);
    CHECK_RES(nart_rt_run(rt), -EBADF);
    CHECK_RES(nart_rt_poll(rt, NART_NEVER), -EBADF);
    CHECK_RES(answer, NART_PENDING);
    CHECK_EQ(dup3(copy, queue, O_CLOEXEC), queue);
    close(copy);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    finish(rt, &join);
    CHECK_RES(answer, NART_READ);
    CHECK_RES(nart_fd_close(&h), 0);
    close(ends[1]);
}

/* A descriptor closed without its handle's knowledge cannot be removed from the kernel's queue;
 * its slot in the table is freed all the same. */
TEST(a_descriptor_closed_behind_its_handle_frees_its_slot)
{
    rt = NEW_RT(.max_io = 1);
    nart_fd h;
    int ends[2];

    for (int i = 0; i < 100; i++) {
        new_pipe(ends);
        CHECK_RES(nart_fd_open(rt, ends[0], 0, &h), 0);
        close(ends[0]);
        CHECK_RES(nart_fd_close(&h), 0);
        close(ends[1]);
    }
    CHECK_RES(nart_rt_free(rt), 0);
}

/* ---- spurious polls ---- */

/* Everything that can wait for a descriptor, in one race: after a spurious wake it keeps
 * waiting, and the answer is unaffected. */
struct waits {
    nart_co co;
    nart_tcp *s;
    nart_tcp_listener *l;
    nart_udp *u, *many;
    nart_fd *h, *full;
    nart_waker *waker;
    int *polls, *which;
    nart_tcp accepted;
    nart_udp_msg msg;
    char buf[8];
};

static nart_res waits_run(nart_cx *cx, void *frame)
{
    struct waits *w = frame;
    nart_res r = 0;

    *w->waker = nart_cx_waker(cx);
    ++*w->polls;
    w->msg = (nart_udp_msg){ .buf = w->buf, .cap = sizeof w->buf };
    NART_BEGIN(cx, &w->co);
    NART_AWAIT_ANY(*w->which, r, nart_tcp_recv(cx, w->s, w->buf, sizeof w->buf),
                   nart_tcp_accept(cx, w->l, &w->accepted, NULL),
                   nart_udp_recv(cx, w->u, w->buf, sizeof w->buf, NULL),
                   nart_udp_recv_many(cx, w->many, &w->msg, 1),
                   nart_fd_ready(cx, w->full, NART_WRITE), nart_fd_ready(cx, w->h, NART_READ));
    nart_tcp_close(&w->accepted);
    NART_END(r);
}

TYPE(waits, waits_run);

TEST_WITH(polls_for_no_reason_change_nothing, rt)
{
    nart_tcp s;
    nart_tcp_listener l;
    nart_udp u, many;
    nart_fd h, full;
    nart_addr at, at_u = localhost(), at_many = localhost();
    int ends[2], stuffed[2], peer = tcp_pair(rt, &s);
    char some[4096] = { 0 };

    listen_at(rt, &l, &at);
    CHECK_RES(nart_udp_open(rt, &at_u, NULL, &u), 0);
    CHECK_RES(nart_udp_local_addr(&u, &at_u), 0);
    CHECK_RES(nart_udp_open(rt, &at_many, NULL, &many), 0);
    CHECK_RES(nart_udp_local_addr(&many, &at_many), 0);
    new_pipe(ends);
    CHECK_RES(nart_fd_open(rt, ends[0], 0, &h), 0);
    nart_fd_clear(&h, NART_READ);
    new_pipe(stuffed);
    while (write(stuffed[1], some, sizeof some) > 0)
        continue;
    CHECK_RES(nart_fd_open(rt, stuffed[1], 0, &full), 0);
    nart_fd_clear(&full, NART_WRITE);
    int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), connected = -1;

    for (int who = 0; who < 6; who++) {
        nart_waker waker;
        nart_join join;
        int polls = 0, which = -1;
        struct waits w = { .s = &s, .l = &l, .u = &u, .many = &many, .h = &h, .full = &full };
        w.waker = &waker;
        w.polls = &polls;
        w.which = &which;
        spawn(rt, &waits_type, &w, &join);
        settle(rt);
        int before = polls;
        for (int i = 0; i < 1000; i++) {
            nart_waker_wake(waker);
            CHECK_LE(1, nart_rt_poll(rt, 0));
        }
        CHECK_EQ(polls, before + 1000);
        CHECK_EQ(which, -1);
        if (who == 0)
            raw_send(peer, "abc");
        else if (who == 1)
            connected = raw_connect(&at);
        else if (who == 2)
            CHECK_EQ(sendto(client, "abc", 3, 0, sockaddr_of(&at_u), at_u.len), 3);
        else if (who == 3)
            CHECK_EQ(sendto(client, "abc", 3, 0, sockaddr_of(&at_many), at_many.len), 3);
        else if (who == 4)
            while (read(stuffed[0], some, sizeof some) > 0)
                continue;
        else
            CHECK_EQ(write(ends[1], "abc", 3), 3);
        finish(rt, &join);
        if (who == 4) /* stays ready until it is full again */
            nart_fd_clear(&full, NART_WRITE);
        CHECK_EQ(which, who);
    }
    close(client);
    close(connected);
    close(ends[1]);
    close(peer);
    CHECK_RES(nart_tcp_close(&s), 0);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    CHECK_RES(nart_udp_close(&u), 0);
    CHECK_RES(nart_udp_close(&many), 0);
    CHECK_RES(nart_fd_close(&h), 0);
    CHECK_RES(nart_fd_close(&full), 0);
    close(stuffed[0]);
}
