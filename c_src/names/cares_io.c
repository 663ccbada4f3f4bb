/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cares_io.c: the sockets of c-ares, and its time.
 *
 *  1. c-ares opens its sockets by the driver's system calls, and says what it waits for; each has a watch, because
 *     c-ares never reports EAGAIN.
 *  2. c-ares measures its timeouts by the system's clock, so the alarm is a timer of the kernel: a server that is
 *     silent is given up after the same time while the runtime's clock is stopped, advanced or jumps. The alarm is
 *     watched only while a query is pending: a clock that advances by itself waits for nothing that is watched.
 *
 * A socket that cannot be watched is given up: its queries end by their timeout. If the alarm cannot be watched, it
 * rings by the runtime's clock. */
#include "resolver.h"

#ifdef NART_CARES

#include "../sys.h"

#include <ares.h>
#include <errno.h>
#include <sys/time.h>
#include <sys/uio.h>

/* How many refusals a send takes for those of earlier datagrams. */
#define REFUSALS 4
/* How many questions a receive ignores before it lets others be served. */
#define QUESTIONS 16

/* ---- the driver's system calls ---- */

static const nart_sys *sys_of(void *resolver)
{
    return ((nart_resolver *)resolver)->rt->cx.drv->sys;
}

/* As c-ares wants it. */
static ssize_t answer(ssize_t r)
{
    if (r >= 0)
        return r;
    errno = (int)-r;
    return -1;
}

static int sys_socket(int family, int type, int protocol, void *r)
{
    (void)protocol;
    return (int)answer(nart__socket_open(sys_of(r), family, type));
}

static int sys_close(int fd, void *r)
{
    sys_of(r)->close(fd);
    return 0;
}

/* Is the socket connected to itself? So it is if its server's port, on this host, was free, and the kernel has chosen it
 * for this socket: then nobody else serves there, and it would receive its own questions. */
static bool is_own_peer(const nart_sys *sys, int fd)
{
    nart_addr own = { .len = sizeof own.storage }, peer = own;

    return sys->sockname(fd, (struct sockaddr *)&own.storage, &own.len) == 0 &&
           sys->peername(fd, (struct sockaddr *)&peer.storage, &peer.len) == 0 &&
           nart_addr_equal(&own, &peer);
}

static int sys_connect(int fd, const struct sockaddr *to, ares_socklen_t len, void *r)
{
    int done = sys_of(r)->connect(fd, to, len);

    return (int)answer(done == 0 && is_own_peer(sys_of(r), fd) ? -ECONNREFUSED : done);
}

/* c-ares would take it for an answer without records. */
static bool is_question(const unsigned char *message, ssize_t len)
{
    return len > 2 && !(message[2] & 0x80); /* RFC 1035 4.1.1: QR */
}

static ssize_t sys_recv(int fd, void *buf, size_t cap, int flags, struct sockaddr *from,
                        ares_socklen_t *len, void *r)
{
    struct iovec piece = { buf, cap };
    struct msghdr msg = {
        .msg_name = from, .msg_namelen = from ? *len : 0, .msg_iov = &piece, .msg_iovlen = 1
    };

    int ignored = 0;
    ssize_t n = sys_of(r)->recvmsg(fd, &msg, flags);
    while (from && is_question(buf, n)) { /* a datagram */
        msg.msg_namelen = *len;
        n = ignored++ < QUESTIONS ? sys_of(r)->recvmsg(fd, &msg, flags) : -EAGAIN;
    }
    if (from)
        *len = msg.msg_namelen;
    return answer(n);
}

/* Without SIGPIPE, which writev() raises.
 *
 * The kernel reports that a datagram was refused by the next call on its socket. If that call sends the next question,
 * c-ares lets that one fail, and the refused one wait for its timeout. So this function sends again: then a receive
 * reports the refusal, and there c-ares lets all questions to the server fail. */
static ssize_t sys_send(int fd, const struct iovec *pieces, int n, void *r)
{
    const struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)pieces,
                                .msg_iovlen = (size_t)n };
    ssize_t sent = -ECONNREFUSED;

    for (int i = 0; i < REFUSALS && sent == -ECONNREFUSED; i++)
        sent = sys_of(r)->sendmsg(fd, &msg, MSG_NOSIGNAL);
    return answer(sent);
}

void nart__cares_sockets(nart_resolver *r, void *channel)
{
    static const struct ares_socket_functions calls = { sys_socket, sys_close, sys_connect,
                                                        sys_recv, sys_send };

    ares_set_socket_functions(channel, &calls, r);
}

/* ---- sockets ---- */

static void on_socket(nart_watch *w, uint32_t events, void *arg)
{
    nart_resolver *r = ((nart__name_socket *)arg)->resolver;
    int fd = ((nart__name_socket *)arg)->fd;

    (void)w;
    ares_process_fd(r->channel, events & ~(uint32_t)NART_WRITE ? fd : ARES_SOCKET_BAD,
                    events & NART_WRITE ? fd : ARES_SOCKET_BAD);
    nart__cares_alarm(r);
}

static nart__name_socket *socket_new(nart_resolver *r, int fd)
{
    nart__name_socket *s = nart__alloc(&r->rt->alloc, sizeof *s, _Alignof(nart__name_socket));

    if (!s)
        return NULL;
    *s = (nart__name_socket){ .next = r->sockets, .resolver = r, .fd = fd };
    if (nart_watch_start(r->rt, &s->watch, fd, on_socket, s) != 0) {
        nart__free(&r->rt->alloc, s, sizeof *s, _Alignof(nart__name_socket));
        return NULL;
    }
    r->sockets = s;
    return s;
}

void nart__cares_state(void *resolver, int fd, int readable, int writable)
{
    nart_resolver *r = resolver;
    nart__name_socket **p = &r->sockets, *s;
    uint32_t dirs = (readable ? NART_READ : 0) | (writable ? NART_WRITE : 0);

    while (*p && (*p)->fd != fd)
        p = &(*p)->next;
    s = *p;
    if (dirs) {
        if (!s)
            s = socket_new(r, fd);
        nart_res set = s ? nart_watch_set(&s->watch, dirs, NART_NEVER) : -ENOMEM;
        (void)set; /* see the top */
    } else if (s) {
        *p = s->next;
        (void)nart_watch_stop(&s->watch);
        nart__free(&r->rt->alloc, s, sizeof *s, _Alignof(nart__name_socket));
    }
}

/* ---- the alarm ---- */

static void on_alarm(nart_watch *w, uint32_t events, void *arg)
{
    nart_resolver *r = arg;

    (void)w, (void)events;
    r->alarm_at = 0;
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    nart__cares_alarm(r);
}

/* What the alarm waits for: its timer, or a time of the runtime's clock, or nothing. */
static nart_res watch_alarm(nart_resolver *r, uint32_t dirs, int64_t at)
{
    return nart_watch_set(&r->alarm, dirs, at);
}

void nart__cares_alarm(nart_resolver *r)
{
    struct timeval tv;

    if (!ares_timeout(r->channel, NULL, &tv)) {
        (void)watch_alarm(r, 0, NART_NEVER); /* the timer may go on, unwatched */
        return;
    }
    /* a millisecond later: its clock counts others */
    int64_t left = tv.tv_sec * NART_SEC + (int64_t)tv.tv_usec * NART_US + NART_MS;
    int64_t now = nart__sys_now(), at = nart_time_add(now, left);
    if (r->alarm_at <= now || at < r->alarm_at) { /* one that rings too early is set again */
        r->alarm_at = at;
        (void)nart__sys_timerfd_set(r->alarm_fd, at);
    }
    if (watch_alarm(r, NART_READ, NART_NEVER) < 0)
        (void)watch_alarm(r, 0, nart_time_add(nart__rt_now(r->rt), left));
}

nart_res nart__cares_alarm_open(nart_resolver *r)
{
    int fd = nart__sys_timerfd();

    if (fd < 0)
        return fd;
    r->alarm_fd = fd;
    nart_res res = nart_watch_start(r->rt, &r->alarm, fd, on_alarm, r);
    if (res)
        nart__sys_close(fd);
    return res;
}

void nart__cares_alarm_close(nart_resolver *r)
{
    (void)nart_watch_stop(&r->alarm);
    nart__sys_close(r->alarm_fd);
}

#endif
