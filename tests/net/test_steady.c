/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The steady-state cost of an echo, counted by interposing the C library's functions. Per
 * message, each side makes one receive, one send and one epoll_wait, nothing else, and nothing
 * is allocated. */
#include "net_test.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* ---- counting -------------------------------------------------------------------------------- */

static long recvs, sends, waits, others, allocations;
static bool counting;

#ifndef TEST_SANITIZED
#define COUNT(n) ((n) += counting)

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
    COUNT(recvs);
    return syscall(SYS_recvfrom, fd, buf, len, flags, NULL, NULL);
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
    COUNT(sends);
    return syscall(SYS_sendto, fd, buf, len, flags, NULL, 0);
}

int epoll_wait(int epfd, struct epoll_event *evs, int max, int timeout)
{
    COUNT(waits);
    return (int)syscall(SYS_epoll_pwait, epfd, evs, max, timeout, NULL, (size_t)8);
}

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
    COUNT(others);
    return (int)syscall(SYS_epoll_ctl, epfd, op, fd, ev);
}

ssize_t read(int fd, void *buf, size_t len)
{
    COUNT(others);
    return syscall(SYS_read, fd, buf, len);
}

ssize_t write(int fd, const void *buf, size_t len)
{
    COUNT(others);
    return syscall(SYS_write, fd, buf, len);
}

void *mmap(void *at, size_t len, int prot, int flags, int fd, off_t offset)
{
    COUNT(allocations);
    return (void *)syscall(SYS_mmap, at, len, prot, flags, fd, offset);
}

#ifdef __GLIBC__
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

void *malloc(size_t size)
{
    COUNT(allocations);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    COUNT(allocations);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
    COUNT(allocations);
    return __libc_realloc(p, size);
}
#endif
#endif

/* ---- the echo -------------------------------------------------------------------------------- */

enum { WARM_UP = 100, MESSAGES = 10000, SIZE = 64 };

struct end {
    nart_co co;
    nart_tcp *s;
    int left;
    size_t done;
    char buf[1024];
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct end *e = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &e->co);
    for (;;) {
        NART_AWAIT(n, nart_tcp_recv(cx, e->s, e->buf, sizeof e->buf));
        if (n <= 0)
            break;
        CHECK_EQ(n, SIZE);
        NART_AWAIT(n, nart_tcp_send_all(cx, e->s, e->buf, SIZE, &e->done));
        CHECK_RES(n, SIZE);
    }
    NART_END(n);
}

static nart_res client_run(nart_cx *cx, void *frame)
{
    struct end *e = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &e->co);
    for (; e->left > 0; e->left--) {
        if (e->left == MESSAGES)
            counting = true;
        NART_AWAIT(n, nart_tcp_send_all(cx, e->s, e->buf, SIZE, &e->done));
        CHECK_RES(n, SIZE);
        NART_AWAIT(n, nart_tcp_recv(cx, e->s, e->buf, sizeof e->buf));
        CHECK_RES(n, SIZE);
    }
    counting = false;
    NART_END(0);
}

TEST(an_echo_costs_six_calls_and_no_memory)
{
    static const nart_task_type server = NART_TASK_TYPE(struct end, server_run, NULL),
                                client = NART_TASK_TYPE(struct end, client_run, NULL);
    nart_rt *rt = new_rt();
    nart_tcp a, b;
    int fd, peer;

#ifdef TEST_SANITIZED
    SKIP("the sanitizer stands in for these calls itself");
#endif
    raw_pair(&fd, &peer);
    CHECK_RES(nart_tcp_adopt(rt, fd, &a), 0);
    CHECK_RES(nart_tcp_adopt(rt, peer, &b), 0);
    spawn(rt, &server, &(struct end){ .s = &a }, NULL);
    CHECK_RES(run(rt, &client, &(struct end){ .s = &b, .left = WARM_UP + MESSAGES }), 0);
    CHECK_EQ(recvs, 2 * MESSAGES);
    CHECK_EQ(sends, 2 * MESSAGES);
    /* A late packet, as on a busy network, costs one more epoll_wait; a superfluous one would be
     * one per message. */
    CHECK_LE(waits, 2 * MESSAGES + MESSAGES / 2);
    CHECK_EQ(others, 0);
    CHECK_EQ(allocations, 0);
    CHECK_RES(nart_tcp_close(&b), 0);
    CHECK_RES(nart_rt_run(rt), 0);
    CHECK_RES(nart_tcp_close(&a), 0);
    CHECK_RES(nart_rt_free(rt), 0);
}
