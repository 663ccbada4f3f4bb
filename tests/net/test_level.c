/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Descriptors whose state the kernel is asked for, and descriptors that are given back. */
#include "net_test.h"

#include <nart/fiber.h>
#include <nart/watch.h>

#include <fcntl.h>

FIXTURE_RT();

struct ready {
    nart_fd *h;
    uint32_t dirs;
};

static nart_res ready_run(nart_cx *cx, void *frame)
{
    struct ready *f = frame;
    return nart_fd_ready(cx, f->h, f->dirs);
}

TYPE(ready, ready_run);

static nart_res ready_fiber(nart_cx *cx, void *arg)
{
    struct ready *f = arg;
    return nart_await(cx, nart_fd_ready(cx, f->h, f->dirs));
}

/* Waits in a body, or in a fiber, and does not get an answer yet. */
static void begin(nart_fd *h, uint32_t dirs, bool fiber, nart_join *join)
{
    static struct ready init;

    init = (struct ready){ h, dirs };
    if (fiber)
        CHECK_RES(nart_rt_fiber_spawn(rt, ready_fiber, &init, NULL, join), 0);
    else
        spawn(rt, &ready_type, &init, join);
    settle(rt);
    CHECK(!nart_join_done(join));
}

/* Its answer. */
static nart_res end(nart_join *join)
{
    nart_res answer;

    while (!nart_join_done(join))
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    CHECK_RES(await_now(rt, join, &answer), 0);
    return answer;
}

static nart_res ready_now(nart_fd *h, uint32_t dirs)
{
    return run(rt, &ready_type, &(struct ready){ h, dirs });
}

TEST_WITH(a_level_is_what_the_kernel_says_now, rt)
{
    nart_fd h;
    nart_join join;
    int ends[2];
    char c;

    CHECK_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    CHECK_RES(nart_fd_open(rt, ends[0], NART_FD_LEVEL, &h), 0);
    for (int fiber = 0; fiber < 2; fiber++) {
        begin(&h, NART_READ, fiber, &join); /* also a new one */
        CHECK_EQ(write(ends[1], "ab", 2), 2);
        CHECK_RES(end(&join), NART_READ);
        CHECK_EQ(read(ends[0], &c, 1), 1);
        CHECK_RES(ready_now(&h, NART_READ), NART_READ); /* without EAGAIN and without a clear */
        CHECK_EQ(read(ends[0], &c, 1), 1);
    }
    begin(&h, NART_READ, false, &join);
    close(ends[1]);
    CHECK_RES(end(&join), NART_READ | NART_HANGUP);
    CHECK_RES(ready_now(&h, 0), -EINVAL);
    CHECK_RES(nart_fd_close(&h), 0);
}

TEST_WITH(a_level_has_two_directions, rt)
{
    nart_fd h;
    int ends[2];
    char block[4096] = "";

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    CHECK_RES(nart_fd_open(rt, ends[0], NART_FD_LEVEL, &h), 0);
    CHECK_RES(ready_now(&h, NART_READ | NART_WRITE), NART_WRITE);
    CHECK_EQ(send(ends[1], "x", 1, 0), 1);
    CHECK_RES(ready_now(&h, NART_READ | NART_WRITE), NART_READ | NART_WRITE);
    while (send(ends[0], block, sizeof block, 0) > 0)
        continue;
    CHECK_RES(ready_now(&h, NART_READ | NART_WRITE), NART_READ);
    CHECK_RES(nart_fd_close(&h), 0);
    close(ends[1]);
}

static void count(nart_watch *w, uint32_t events, void *arg)
{
    (void)w;
    *(uint32_t *)arg |= events;
}

/* The accept queue is full, so the kernel ignores the connection until one is accepted, and tries it again. */
TEST_WITH(a_descriptor_that_connects_is_not_ready, rt)
{
    nart_addr at;
    nart_fd h;
    nart_join join;
    nart_watch w = { 0 };
    uint32_t seen = 0;
    int full = raw_listen(&at, 0), first = raw_connect(&at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    wait_for(full, POLLIN);
    CHECK_EQ(connect(fd, sockaddr_of(&at), at.len), -1);
    CHECK_EQ(errno, EINPROGRESS);
    CHECK_RES(nart_fd_open(rt, fd, NART_FD_LEVEL | NART_FD_BORROW, &h), 0);
    CHECK_RES(nart_watch_start(rt, &w, fd, count, &seen), 0);
    CHECK_RES(nart_watch_set(&w, NART_WRITE, NART_NEVER), 0);
    begin(&h, NART_WRITE, false, &join);
    CHECK_EQ(seen, 0);
    close(accept(full, NULL, NULL));
    CHECK_RES(end(&join), NART_WRITE);
    settle(rt);
    CHECK_EQ(seen, NART_WRITE);
    CHECK_RES(nart_watch_stop(&w), 0);
    CHECK_RES(nart_fd_close(&h), 0);
    close(fd);
    close(first);
    close(full);
}

TEST_WITH(a_descriptor_is_named_and_given_back, rt)
{
    nart_fd h, other;
    nart_join join;
    int ends[2];

    CHECK_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    CHECK_RES(nart_fd_open(rt, ends[0], 4, &h), -EINVAL);
    CHECK_RES(nart_fd_open(rt, ends[0], 0, &h), 0);
    CHECK_RES(nart_fd_fd(&h), ends[0]);
    CHECK_RES(nart_fd_open(rt, ends[0], NART_FD_BORROW, &other), 0);
    nart_res copy = nart_fd_fd(&other);
    CHECK_LE(0, copy);
    CHECK_NE(copy, ends[0]);
    CHECK_RES(nart_fd_detach(&other), copy);
    CHECK_RES(nart_fd_fd(&other), -EBADF);
    CHECK_RES(nart_fd_detach(&other), -EBADF);
    close((int)copy);

    nart_fd_clear(&h, NART_READ);
    begin(&h, NART_READ, false, &join);
    CHECK_RES(nart_fd_detach(&h), ends[0]);
    CHECK_RES(end(&join), -EBADF);
    CHECK_NE(fcntl(ends[0], F_GETFD), -1);
    CHECK_RES(nart_fd_open(rt, ends[0], 0, &h), 0); /* it is not watched any more */
    CHECK_RES(nart_fd_close(&h), 0);
    close(ends[1]);
}

TEST(a_freed_runtime_gives_nothing_back)
{
    nart_fd h;
    int ends[2];

    rt_open();
    CHECK_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    CHECK_RES(nart_fd_open(rt, ends[0], 0, &h), 0);
    rt_close();
    CHECK_RES(nart_fd_fd(&h), NART_ESTALE);
    CHECK_RES(nart_fd_detach(&h), NART_ESTALE);
    CHECK_RES(nart_fd_close(&h), 0);
    close(ends[1]);
}
