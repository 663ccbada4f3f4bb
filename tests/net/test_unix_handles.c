/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What Unix handles can as those of TCP and UDP can: taken over and given back, made step by step, tried, looked at. */
#include "unix_test.h"

#include <nart/socket.h>

static const uint32_t kinds[] = { 0, NART_UNIX_SEQPACKET };
enum { KINDS = 2 };

static int type_of(uint32_t flags)
{
    return flags ? SOCK_SEQPACKET : SOCK_STREAM;
}

static nart_res do_peek(nart_cx *cx, struct op *op)
{
    return nart_unix_peek(cx, op->h, op->buf, op->len);
}

static nart_res do_ready(nart_cx *cx, struct op *op)
{
    return nart_unix_ready(cx, op->h, op->flags);
}

static nart_res do_write(nart_cx *cx, struct op *op)
{
    return nart_unix_write(cx, op->h, op->buf);
}

static nart_res do_listener_ready(nart_cx *cx, struct op *op)
{
    return nart_unix_listener_ready(cx, op->h);
}

static nart_res do_connect_socket(nart_cx *cx, struct op *op)
{
    return nart_unix_connect_socket(cx, op->h, op->other, op->addr);
}

static nart_res do_dgram_peek(nart_cx *cx, struct op *op)
{
    return nart_unix_dgram_peek(cx, op->h, op->buf, op->len, op->addr);
}

static nart_res do_dgram_ready(nart_cx *cx, struct op *op)
{
    return nart_unix_dgram_ready(cx, op->h, op->flags);
}

/* A plain socket that is bound to a free abstract name, in *at. */
static int raw_bound(int type, nart_addr *at)
{
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    *at = addr_of("unix:");
    CHECK(fd >= 0);
    CHECK_EQ(bind(fd, sockaddr_of(at), at->len), 0);
    CHECK_RES(nart_sock_local_addr(fd, at), 0);
    return fd;
}

static void is_ready_for_handles(nart_res fd)
{
    CHECK_LE(0, fd);
    CHECK(fcntl((int)fd, F_GETFL) & O_NONBLOCK);
}

/* ---- listeners ---- */

/* Accepts, then one message is sent in two halves: only a connection of messages answers both separately. */
static void serves(nart_unix_listener *l, const nart_addr *at, uint32_t flags, uint32_t form)
{
    nart_unix client = { .conn = { .fd = 0 } }, server = client;
    nart_addr to = *at;
    char buf[8];
    struct op op = { .call = do_accept, .h = l, .other = &server };

    op_start(&op, form);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(NOW(do_connect, &client, .addr = &to, .flags = flags), 0);
    CHECK_RES(op_finish(&op), 0);
    CHECK_RES(SEND(&client, "ab"), 2);
    CHECK_RES(SEND(&client, "cde"), 3);
    CHECK_RES(RECV(&server, buf), flags ? 2 : 5);
    if (flags)
        CHECK_RES(NOW(do_recv, &server, .buf = buf, .len = 2), -EMSGSIZE);
    CHECK_RES(nart_unix_close(&client), 0);
    CHECK_RES(nart_unix_close(&server), 0);
}

TEST_EACH(a_listener_is_taken_over_and_given_back, BODY, FIBER)
{
    nart_unix_listener l;
    nart_addr at, now;
    int back = -1;

    rt_open();
    for (int i = 0; i < KINDS; i++) {
        int fd = raw_bound(type_of(kinds[i]), &at);
        CHECK_RES(nart_unix_listener_adopt(rt, fd, &l), -EINVAL); /* it does not listen */
        CHECK_EQ(listen(fd, 4), 0);
        CHECK_RES(nart_unix_listener_adopt(rt, fd, &l), 0);
        CHECK_RES(nart_unix_listener_fd(&l), fd);
        is_ready_for_handles(fd);
        CHECK_RES(nart_unix_listener_addr(&l, &now), 0);
        CHECK(nart_addr_equal(&at, &now));
        serves(&l, &at, kinds[i], kind);
        CHECK_RES(nart_unix_listener_detach(&l, NULL), -EINVAL);
        CHECK_RES(nart_unix_listener_detach(&l, &back), 0);
        CHECK_EQ(back, fd);
        CHECK_RES(nart_unix_listener_fd(&l), -EBADF);
        CHECK_RES(nart_unix_listener_detach(&l, &back), -EBADF);
        CHECK_RES(nart_unix_listener_adopt(rt, fd, &l), 0);
        serves(&l, &at, kinds[i], kind);
        CHECK_RES(nart_unix_listener_close(&l), 0);
    }
    rt_close();
}

/* Neither giving a listener back nor one that was taken over unlinks the path. */
TEST_WITH(a_path_stays_when_its_socket_is_given_back, rt)
{
    const char *path;
    nart_addr at = path_addr("sock", &path);
    nart_unix_opts opts = NART_UNIX_OPTS_INIT;
    nart_unix_listener l;
    nart_unix_dgram d;
    int fd = -1;

    opts.flags = NART_UNIX_UNLINK;
    CHECK_RES(nart_unix_listen(rt, &at, &opts, &l), 0);
    CHECK_RES(nart_unix_listener_detach(&l, &fd), 0);
    CHECK_LE(0, mode_of(path));
    CHECK_RES(nart_unix_listener_adopt(rt, fd, &l), 0);
    CHECK_RES(nart_unix_listener_close(&l), 0);
    CHECK_LE(0, mode_of(path));
    CHECK_EQ(unlink(path), 0);
    CHECK_RES(nart_unix_dgram_open(rt, &at, &opts, &d), 0);
    CHECK_RES(nart_unix_dgram_detach(&d, &fd), 0);
    CHECK_LE(0, mode_of(path));
    CHECK_RES(nart_unix_dgram_adopt(rt, fd, &d), 0);
    CHECK_RES(nart_unix_dgram_close(&d), 0);
    CHECK_EQ(unlink(path), 0);
}

TEST_EACH(a_unix_listener_is_ready_when_a_connection_is_pending, BODY, FIBER)
{
    nart_unix_listener l;
    nart_unix client = { .conn = { .fd = 0 } }, server = client;
    nart_addr at = addr_of("unix:");

    rt_open();
    CHECK_RES(nart_unix_listen(rt, &at, NULL, &l), 0);
    CHECK_RES(nart_unix_listener_addr(&l, &at), 0);
    struct op op = { .call = do_accept, .h = &l, .other = &server, .limit = 1 };
    op_start(&op, kind);
    CHECK_RES(op_finish(&op), -ETIMEDOUT); /* now the queue is known to be empty */
    op = (struct op){ .call = do_listener_ready, .h = &l };
    op_start(&op, kind);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(NOW(do_connect, &client, .addr = &at), 0);
    CHECK_RES(op_finish(&op), NART_READ);
    CHECK_RES(nart_unix_close(&client), 0);
    CHECK_RES(nart_unix_listener_close(&l), 0);
    rt_close();
}

/* ---- step by step ---- */

static nart_socket made(int type)
{
    nart_socket s = { 0 };

    CHECK_RES(nart_socket_open(&s, AF_UNIX, type), 0);
    is_ready_for_handles(nart_socket_fd(&s));
    return s;
}

TEST_EACH(unix_sockets_are_set_up_before_they_listen_and_connect, BODY, FIBER)
{
    rt_open();
    for (int i = 0; i < KINDS; i++) {
        int type = type_of(kinds[i]);
        nart_socket raw = made(type), from = made(type);
        nart_unix_listener l;
        nart_unix client = { .conn = { .fd = 0 } }, server = client;
        nart_addr at = addr_of("unix:"), mine = at, peer;

        nart_res fd = nart_socket_fd(&from);
        CHECK_RES(nart_unix_listen_socket(rt, &raw, 4, &l), -EINVAL); /* it is not bound */
        CHECK_RES(nart_socket_bind(&raw, &at), 0);
        CHECK_RES(nart_sock_local_addr(nart_socket_fd(&raw), &at), 0);
        CHECK_RES(nart_unix_listen_socket(rt, &raw, 4, &l), 0);
        CHECK_RES(nart_socket_fd(&raw), -EBADF);
        CHECK_RES(nart_sock_listening(nart_unix_listener_fd(&l)), 1);
        CHECK_RES(nart_sock_set_sndbuf(fd, 8192), 0);
        CHECK_RES(nart_socket_bind(&from, &mine), 0);
        CHECK_RES(nart_sock_local_addr(fd, &mine), 0);
        struct op op = { .call = do_connect_socket, .h = &client, .other = &from, .addr = &at };
        op_start(&op, kind);
        CHECK_RES(op_finish(&op), 0);
        CHECK_RES(nart_socket_fd(&from), -EBADF);
        CHECK_RES(nart_unix_fd(&client), fd);
        CHECK_RES(nart_sock_sndbuf(fd), 16384);
        CHECK_RES(NOW(do_accept, &l, .other = &server, .addr = &peer), 0);
        CHECK(nart_addr_equal(&peer, &mine));
        CHECK_RES(SEND(&client, "ab"), 2);
        CHECK_RES(SEND(&client, "c"), 1);
        char buf[8];
        CHECK_RES(RECV(&server, buf), kinds[i] ? 2 : 3);
        CHECK_RES(kinds[i] ? RECV(&server, buf) : 1, 1);
        CHECK_RES(SEND(&server, "ab"), 2);
        CHECK_RES(SEND(&server, "c"), 1);
        CHECK_RES(RECV(&client, buf), kinds[i] ? 2 : 3); /* its kind is known, too */
        CHECK_RES(kinds[i] ? RECV(&client, buf) : 1, 1);
        CHECK_RES(nart_unix_close(&client), 0);
        CHECK_RES(nart_unix_close(&server), 0);
        CHECK_RES(nart_unix_listener_close(&l), 0);
    }
    rt_close();
}

TEST_WITH(a_socket_of_datagrams_is_set_up_before_it_is_a_handle, rt)
{
    nart_socket raw = made(SOCK_DGRAM);
    nart_unix_dgram a, b;
    nart_addr at = addr_of("unix:"), none = at;
    char buf[8];

    CHECK_RES(nart_socket_bind(&raw, &at), 0);
    CHECK_RES(nart_sock_local_addr(nart_socket_fd(&raw), &at), 0);
    CHECK_RES(nart_unix_dgram_from_socket(rt, &raw, &a), 0);
    CHECK_RES(nart_socket_fd(&raw), -EBADF);
    CHECK_RES(nart_unix_dgram_open(rt, NULL, NULL, &b), 0);
    CHECK_RES(nart_unix_dgram_try_send(&b, "abc", 3, &at), 3);
    nart_addr from = at;
    CHECK_RES(NOW(do_dgram_recv, &a, .buf = buf, .len = sizeof buf, .addr = &from), 3);
    CHECK(nart_addr_equal(&from, &none)); /* the sender has no name */
    CHECK_RES(nart_unix_dgram_close(&a), 0);
    CHECK_RES(nart_unix_dgram_close(&b), 0);
}

/* After an error a socket is as it was. */
TEST_WITH(a_connect_with_a_socket_can_be_repeated, rt)
{
    nart_socket from = made(SOCK_STREAM), wrong = made(SOCK_DGRAM), closed = { 0 };
    nart_unix_listener l;
    nart_unix_opts opts = NART_UNIX_OPTS_INIT;
    nart_unix u = { .conn = { .fd = 0 } }, more[8] = { { .conn = { .fd = 0 } } }, server = u;
    nart_addr at = addr_of("unix:@nart test nobody"), none = addr_of("unix:"), ip = localhost();
    int n = 0;

#define CONNECT(to, socket) NOW(do_connect_socket, &u, .other = (socket), .addr = (to))
    CHECK_RES(CONNECT(&at, &from), -ECONNREFUSED);
    CHECK_RES(CONNECT(&none, &from), -EINVAL);
    CHECK_RES(CONNECT(&ip, &from), -EAFNOSUPPORT);
    CHECK_RES(CONNECT(&at, &wrong), -EPROTOTYPE);
    CHECK_RES(CONNECT(&at, &closed), -EBADF);
    CHECK_RES(CONNECT(&at, NULL), -EBADF);
    CHECK_LE(0, nart_socket_fd(&from));
    opts.backlog = 1;
    CHECK_RES(nart_unix_listen(rt, &at, &opts, &l), 0);
    while (n < 8 && NOW(do_connect, &more[n], .addr = &at) == 0)
        n++;
    CHECK_RES(CONNECT(&at, &from), -EAGAIN);
    CHECK_RES(NOW(do_accept, &l, .other = &server), 0);
    CHECK_RES(CONNECT(&at, &from), 0);
    nart_socket other = made(SOCK_STREAM);
    CHECK_RES(CONNECT(&at, &other), -EISCONN);
    CHECK_RES(nart_socket_close(&other), 0);
    CHECK_RES(nart_socket_close(&wrong), 0);
    while (n > 0)
        CHECK_RES(nart_unix_close(&more[--n]), 0);
    CHECK_RES(nart_unix_close(&server), 0);
    CHECK_RES(nart_unix_close(&u), 0);
    CHECK_RES(nart_unix_listener_close(&l), 0);
}

/* ---- what is refused ---- */

/* Every kind of socket, to every function that takes one over. */
TEST_WITH(only_the_right_kind_of_socket_is_taken_over, rt)
{
    static const struct {
        int family, type;
    } sockets[] = { { AF_INET, SOCK_STREAM },
                    { AF_INET, SOCK_DGRAM },
                    { AF_UNIX, SOCK_STREAM },
                    { AF_UNIX, SOCK_DGRAM },
                    { AF_UNIX, SOCK_SEQPACKET } };
    nart_unix_listener l;
    nart_unix_dgram d;
    nart_unix u;
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC), fd;

    for (size_t i = 0; i < sizeof sockets / sizeof *sockets; i++) {
        bool stream = sockets[i].family == AF_UNIX && sockets[i].type != SOCK_DGRAM,
             dgram = sockets[i].family == AF_UNIX && !stream;
        fd = socket(sockets[i].family, sockets[i].type | SOCK_CLOEXEC, 0);
        CHECK_RES(nart_unix_adopt(rt, fd, &u), stream ? -ENOTCONN : -EPROTOTYPE);
        CHECK_RES(nart_unix_listener_adopt(rt, fd, &l), stream ? -EINVAL : -EPROTOTYPE);
        nart_socket s = { 0 };
        CHECK_RES(nart_socket_adopt(&s, fd), 0);
        CHECK_RES(nart_unix_listen_socket(rt, &s, 0, &l), stream ? -EINVAL : -EPROTOTYPE);
        CHECK_RES(nart_socket_fd(&s), fd);
        CHECK_RES(nart_unix_dgram_adopt(rt, fd, &d), dgram ? 0 : -EPROTOTYPE);
        if (dgram)
            CHECK_RES(nart_unix_dgram_detach(&d, &fd), 0);
        CHECK_RES(nart_unix_dgram_from_socket(rt, &s, &d), dgram ? 0 : -EPROTOTYPE);
        CHECK_RES(dgram ? nart_unix_dgram_close(&d) : nart_socket_close(&s), 0);
    }
    CHECK_RES(nart_unix_listener_adopt(rt, file, &l), -ENOTSOCK);
    CHECK_RES(nart_unix_dgram_adopt(rt, file, &d), -ENOTSOCK);
    close(file);
    CHECK_RES(nart_unix_listener_adopt(rt, -1, &l), -EBADF);
    CHECK_RES(nart_unix_dgram_adopt(rt, -1, &d), -EBADF);

    nart_socket closed = { 0 };
    CHECK_RES(nart_unix_listen_socket(rt, &closed, 0, &l), -EBADF);
    CHECK_RES(nart_unix_dgram_from_socket(rt, &closed, &d), -EBADF);
    CHECK_RES(nart_unix_listen_socket(rt, NULL, 0, &l), -EINVAL);
    CHECK_RES(nart_unix_listen_socket(rt, &closed, 0, NULL), -EINVAL);
    CHECK_RES(nart_unix_listen_socket(NULL, &closed, 0, &l), -EINVAL);
    CHECK_RES(nart_unix_dgram_from_socket(rt, NULL, &d), -EINVAL);
    CHECK_RES(nart_unix_dgram_from_socket(rt, &closed, NULL), -EINVAL);
    CHECK_RES(nart_unix_listener_adopt(rt, 0, NULL), -EINVAL);
    CHECK_RES(nart_unix_listener_adopt(NULL, 0, &l), -EINVAL);
    CHECK_RES(nart_unix_dgram_adopt(rt, 0, NULL), -EINVAL);
    CHECK_RES(nart_unix_dgram_adopt(NULL, 0, &d), -EINVAL);
}

TEST(unix_sockets_that_cannot_be_made_or_bound)
{
    nart_socket s = { 0 };
    nart_addr at = path_addr("sock", NULL), name = addr_of("unix:@nart test"),
              in_file = addr_of("unix:/dev/null/sock"), nowhere = addr_of("unix:/nonexistent/sock"),
              ip = localhost(), bad = at;
    const char *path;

    CHECK_RES(nart_socket_open(&s, AF_UNIX, SOCK_RAW), -EINVAL);
    CHECK_RES(nart_socket_open(&s, AF_INET, SOCK_SEQPACKET), -EINVAL);
    CHECK_RES(nart_socket_bind(&s, &at), -EBADF);
    s = made(SOCK_STREAM);
    bad.len = sizeof bad.storage;
    CHECK_RES(nart_socket_bind(&s, &bad), -EINVAL);
    CHECK_RES(nart_socket_bind(&s, &ip), -EINVAL);
    CHECK_RES(nart_socket_bind(&s, &in_file), -ENOTDIR);
    CHECK_RES(nart_socket_bind(&s, &nowhere), -ENOENT);
    CHECK_RES(nart_socket_bind(&s, &at), 0);
    CHECK_RES(nart_socket_bind(&s, &name), -EINVAL); /* it is bound */
    CHECK_RES(nart_socket_close(&s), 0);
    s = made(SOCK_STREAM);
    CHECK_RES(nart_socket_bind(&s, &at), -EADDRINUSE); /* the path stays */
    CHECK_RES(nart_socket_close(&s), 0);
    (void)path_addr("sock", &path);
    CHECK_EQ(unlink(path), 0);
}

TEST(a_unix_handle_that_cannot_be_registered_leaves_the_socket)
{
    nart_rt *small = NEW_RT(.max_io = 1);
    nart_socket s = made(SOCK_STREAM), t = made(SOCK_STREAM), u = made(SOCK_DGRAM);
    nart_unix_listener l, m;
    nart_unix_dgram d;
    nart_addr at = addr_of("unix:");

    CHECK_RES(nart_socket_bind(&s, &at), 0);
    CHECK_RES(nart_socket_bind(&t, &at), 0);
    CHECK_RES(nart_unix_listen_socket(small, &s, 0, &l), 0);
    CHECK_RES(nart_unix_listen_socket(small, &t, 0, &m), NART_EFDS);
    CHECK_RES(nart_unix_dgram_from_socket(small, &u, &d), NART_EFDS);
    CHECK_RES(nart_unix_listener_fd(&m), -EBADF);
    CHECK_RES(nart_unix_dgram_fd(&d), -EBADF);
    CHECK_RES(nart_unix_listener_close(&l), 0);
    CHECK_RES(nart_unix_listen_socket(small, &t, 0, &m), 0);
    CHECK_RES(nart_unix_listener_close(&m), 0);
    CHECK_RES(nart_unix_dgram_from_socket(small, &u, &d), 0);
    CHECK_RES(nart_unix_dgram_close(&d), 0);
    CHECK_RES(nart_rt_free(small), 0);
}

/* ---- looked at ---- */

TEST_EACH(what_a_unix_peek_shows_is_received, BODY, FIBER)
{
    nart_unix a, b;
    char buf[8] = "";
    struct op op = { .call = do_peek, .h = &b, .buf = buf, .len = sizeof buf };

    rt_open();
    for (int i = 0; i < KINDS; i++) {
        CHECK_RES(nart_unix_pair(rt, kinds[i], &a, &b), 0);
        op.limit = 1;
        op_start(&op, kind);
        CHECK_RES(op_finish(&op), -ETIMEDOUT);
        op.limit = 0;
        op_start(&op, kind);
        CHECK_RES(nart_task_cancel(rt, nart_join_task(&op.join)), 0);
        CHECK_RES(op_finish(&op), -ECANCELED);
        op_start(&op, kind);
        CHECK_RES(op.res, NART_PENDING);
        CHECK_RES(SEND(&a, "abc"), 3);
        CHECK_RES(op_finish(&op), 3);
        CHECK_EQ(memcmp(buf, "abc", 3), 0);
        CHECK_RES(NOW(do_peek, &b, .buf = buf, .len = 8), 3); /* at once, though it was short */
        CHECK_RES(NOW(do_peek, &b, .buf = buf, .len = 2), kinds[i] ? -EMSGSIZE : 2);
        CHECK_RES(NOW(do_peek, &b, .buf = buf, .len = 0), -EINVAL);
        CHECK_RES(SEND(&a, "d"), 1);
        CHECK_RES(NOW(do_peek, &b, .buf = buf, .len = 8), kinds[i] ? 3 : 4);
        CHECK_RES(RECV(&b, buf), kinds[i] ? 3 : 4); /* nothing was lost */
        CHECK_RES(kinds[i] ? RECV(&b, buf) : 1, 1);
        CHECK_RES(nart_unix_close(&a), 0);
        CHECK_RES(NOW(do_peek, &b, .buf = buf, .len = 8), 0);
        CHECK_RES(nart_unix_shutdown(&b, NART_READ), 0);
        CHECK_RES(NOW(do_peek, &b, .buf = buf, .len = 8), 0);
        CHECK_RES(nart_unix_close(&b), 0);
        CHECK_RES(NOW(do_peek, &b, .buf = buf, .len = 8), -EBADF);
    }
    rt_close();
}

/* Descriptors that come with what is peeked at stay with it, and none is left open. */
TEST_WITH(a_peek_leaves_descriptors_where_they_are, rt)
{
    nart_unix a, b;
    char buf[8];
    int ends[2], got = -1;

    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    CHECK_RES(nart_unix_pair(rt, 0, &a, &b), 0);
    CHECK_RES(NOW(do_send_fds, &a, .buf = (void *)"x", .len = 1, .fds = ends, .n = 1), 1);
    CHECK_RES(NOW(do_peek, &b, .buf = buf, .len = sizeof buf), 1);
    struct op op = { .call = do_recv_fds, .h = &b, .buf = buf, .len = 8, .fds = &got, .flags = 1 };
    op_start(&op, BODY);
    CHECK_RES(op_finish(&op), 1);
    CHECK_EQ(op.n, 1);
    close(got);
    close(ends[0]);
    close(ends[1]);
    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(nart_unix_close(&b), 0);
}

TEST_EACH(what_a_peek_at_datagrams_shows_is_received, BODY, FIBER)
{
    nart_unix_dgram a, b;
    nart_addr at = addr_of("unix:"), from_at = at, from;
    char buf[8] = "";
    struct op op = { .call = do_dgram_peek, .h = &b, .buf = buf, .len = sizeof buf, .addr = &from };

    rt_open();
    CHECK_RES(nart_unix_dgram_open(rt, &at, NULL, &b), 0);
    CHECK_RES(nart_unix_dgram_local_addr(&b, &at), 0);
    CHECK_RES(nart_unix_dgram_open(rt, &from_at, NULL, &a), 0);
    CHECK_RES(nart_unix_dgram_local_addr(&a, &from_at), 0);
    op_start(&op, kind);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(nart_unix_dgram_try_send(&a, "abcd", 4, &at), 4);
    CHECK_RES(op_finish(&op), 4);
    CHECK_STR(buf, "abcd");
    CHECK(nart_addr_equal(&from, &from_at));
    CHECK_RES(NOW(do_dgram_peek, &b, .buf = buf, .len = 2), -EMSGSIZE);
    CHECK_RES(nart_unix_dgram_try_recv(&b, buf, sizeof buf, &from), 4); /* nothing was lost */
    CHECK(nart_addr_equal(&from, &from_at));
    CHECK_RES(nart_unix_dgram_try_recv(&b, buf, sizeof buf, NULL), -EAGAIN);
    CHECK_RES(nart_unix_dgram_close(&a), 0);
    CHECK_RES(nart_unix_dgram_close(&b), 0);
    rt_close();
}

/* ---- tried ---- */

TEST_EACH(unix_tries_answer_at_once_and_readiness_waits, BODY, FIBER)
{
    static char big[1 << 16];
    nart_unix a, b;
    char buf[8];
    nart_res r;

    rt_open();
    for (int i = 0; i < KINDS; i++) {
        CHECK_RES(nart_unix_pair(rt, kinds[i], &a, &b), 0);
        CHECK_RES(nart_unix_try_recv(&b, buf, sizeof buf), -EAGAIN);
        struct op op = { .call = do_ready, .h = &b, .flags = NART_READ };
        op_start(&op, kind);
        CHECK_RES(op.res, NART_PENDING); /* the try has found that nothing is pending */
        CHECK_RES(nart_unix_try_send(&a, "abc", 3), 3);
        CHECK_RES(op_finish(&op), NART_READ);
        CHECK_RES(nart_unix_try_recv(&b, buf, 0), -EINVAL);
        CHECK_RES(nart_unix_try_recv(&b, buf, 2), kinds[i] ? -EMSGSIZE : 2);
        CHECK_RES(nart_unix_try_recv(&b, buf, 2), kinds[i] ? -EAGAIN : 1);
        CHECK_RES(nart_unix_try_send(&a, "", 0), 0);

        while ((r = nart_unix_try_send(&a, big, sizeof big)) > 0)
            continue;
        CHECK_RES(r, -EAGAIN);
        op = (struct op){ .call = do_ready, .h = &a, .flags = NART_WRITE };
        op_start(&op, kind);
        CHECK_RES(op.res, NART_PENDING);
        while (nart_unix_try_recv(&b, big, sizeof big) > 0)
            continue;
        CHECK_RES(op_finish(&op), NART_WRITE);
        CHECK_LE(1, nart_unix_try_send(&a, big, 1000));

        nart_unix_clear(&b, NART_READ); /* as if a system call of the program had found it */
        op = (struct op){ .call = do_ready, .h = &b, .flags = NART_READ };
        op_start(&op, kind);
        CHECK_RES(op_finish(&op), NART_READ);
        CHECK_RES(nart_unix_shutdown(&b, NART_READ), 0);
        CHECK_RES(NOW(do_ready, &b, .flags = NART_READ), NART_READ);
        CHECK_RES(nart_unix_try_recv(&b, buf, sizeof buf), 0);
        CHECK_RES(nart_unix_try_recv(&b, buf, 0), -EINVAL);
        CHECK_RES(nart_unix_try_send(&a, "x", 1), -EPIPE);
        CHECK_RES(nart_unix_close(&a), 0);
        CHECK_RES(nart_unix_close(&b), 0);
        CHECK_RES(nart_unix_try_recv(&b, buf, sizeof buf), -EBADF);
        CHECK_RES(nart_unix_try_send(&b, "x", 1), -EBADF);
    }
    rt_close();
}

/* Fills the queue of `at`, without a name or connected. Answers what the send does that finds it full. */
static nart_res fill(nart_unix_dgram *d, const nart_addr *at)
{
    nart_res r;

    while ((r = nart_unix_dgram_try_send(d, "x", 1, at)) == 1)
        continue;
    return r;
}

/* The kernel reports the end of a full queue only to a connected socket: only there a try may clear the direction. */
TEST_EACH(tries_of_datagrams_and_a_full_queue, BODY, FIBER)
{
    nart_unix_dgram a, b;
    nart_addr at = addr_of("unix:");
    char buf[8];

    rt_open();
    CHECK_RES(nart_unix_dgram_open(rt, &at, NULL, &b), 0);
    CHECK_RES(nart_unix_dgram_local_addr(&b, &at), 0);
    CHECK_RES(nart_unix_dgram_open(rt, NULL, NULL, &a), 0);
    CHECK_RES(fill(&a, &at), -EAGAIN);
    struct op op = { .call = do_dgram_ready, .h = &a, .flags = NART_WRITE };
    op_start(&op, kind);
    CHECK_RES(op_finish(&op), NART_WRITE); /* for other receivers */
    CHECK_RES(nart_unix_dgram_connect(&a, &at), 0);
    for (int named = 0; named < 2; named++) {
        CHECK_RES(fill(&a, named ? &at : NULL), -EAGAIN);
        op_start(&op, kind);
        CHECK_RES(op.res, NART_PENDING);
        while (nart_unix_dgram_try_recv(&b, buf, sizeof buf, NULL) == 1)
            continue;
        CHECK_RES(op_finish(&op), NART_WRITE);
    }
    op = (struct op){ .call = do_dgram_ready, .h = &b, .flags = NART_READ };
    op_start(&op, kind);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(nart_unix_dgram_try_send(&a, "", 0, NULL), 0);
    CHECK_RES(op_finish(&op), NART_READ);
    CHECK_RES(nart_unix_dgram_try_recv(&b, buf, sizeof buf, NULL), 0); /* one without bytes */
    nart_unix_dgram_clear(&b, NART_READ);
    op_start(&op, kind);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(nart_unix_dgram_close(&b), 0);
    CHECK_RES(op_finish(&op), -EBADF);
    CHECK_RES(nart_unix_dgram_close(&a), 0);
    rt_close();
}

/* Batches over sockets of datagrams: the operations' `n` is their length. */
static nart_res do_send_many(nart_cx *cx, struct op *op)
{
    return nart_unix_dgram_send_many(cx, op->h, op->buf, op->n);
}

static nart_res do_recv_many(nart_cx *cx, struct op *op)
{
    return nart_unix_dgram_recv_many(cx, op->h, op->buf, op->n);
}

TEST_EACH(batches_of_unix_datagrams, BODY, FIBER)
{
    static nart_udp_msg out[3], in[3];
    static char text[3][4];
    nart_unix_dgram a, b;
    nart_addr at = addr_of("unix:"), ip = localhost(), none = at;
    struct op op = { .call = do_recv_many, .h = &b, .buf = in, .n = 3 };

    rt_open();
    CHECK_RES(nart_unix_dgram_open(rt, &at, NULL, &b), 0);
    CHECK_RES(nart_unix_dgram_local_addr(&b, &at), 0);
    CHECK_RES(nart_unix_dgram_open(rt, NULL, NULL, &a), 0);
    for (int i = 0; i < 3; i++) {
        out[i] = (nart_udp_msg){ .buf = (void *)"abc", .len = (size_t)i, .addr = at };
        in[i] = (nart_udp_msg){ .buf = text[i], .cap = sizeof text[i] };
    }
    op_start(&op, kind);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(NOW(do_send_many, &a, .buf = out, .n = 0), -EINVAL);
    CHECK_RES(NOW(do_send_many, &a, .buf = out, .n = 3), 3);
    CHECK_RES(op_finish(&op), 3);
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ(in[i].len, i);
        CHECK_EQ(memcmp(in[i].buf, "abc", i), 0);
        CHECK(nart_addr_equal(&in[i].addr, &none)); /* the sender has no name */
    }
    out[1].addr = ip;
    CHECK_RES(NOW(do_send_many, &a, .buf = out, .n = 3), 1); /* up to what cannot be sent */
    CHECK_RES(NOW(do_send_many, &a, .buf = out + 1, .n = 2), -EAFNOSUPPORT);
    CHECK_RES(NOW(do_recv_many, &b, .buf = in, .n = 0), -EINVAL);
    CHECK_RES(NOW(do_recv_many, &b, .buf = in, .n = 3), 1);

    CHECK_RES(fill(&a, &at), -EAGAIN);
    op = (struct op){ .call = do_send_many, .h = &a, .buf = out, .n = 1 };
    op_start(&op, kind);
    CHECK_RES(op_finish(&op), -EAGAIN); /* not connected: nothing reports the end */
    CHECK_RES(nart_unix_dgram_connect(&a, &at), 0);
    op_start(&op, kind);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_LE(1, NOW(do_recv_many, &b, .buf = in, .n = 3));
    while (op.res == NART_PENDING)
        CHECK_LE(1, NOW(do_recv_many, &b, .buf = in, .n = 3));
    CHECK_RES(op_finish(&op), 1);
    CHECK_RES(nart_unix_dgram_close(&a), 0);
    CHECK_RES(nart_unix_dgram_close(&b), 0);
    rt_close();
}

TEST_WITH(errors_of_tries_with_unix_datagrams, rt)
{
    static char big[1 << 20];
    nart_unix_dgram a, b, c;
    nart_unix_listener l;
    const char *path;
    nart_addr at = addr_of("unix:"), stream_at = path_addr("sock", &path), ip = localhost(),
              none = at, nowhere = addr_of("unix:/nonexistent/sock");
    char buf[8];

    CHECK_RES(nart_unix_dgram_open(rt, &at, NULL, &b), 0);
    CHECK_RES(nart_unix_dgram_local_addr(&b, &at), 0);
    CHECK_RES(nart_unix_dgram_open(rt, NULL, NULL, &a), 0);
    CHECK_RES(nart_unix_dgram_open(rt, &none, NULL, &c), 0);
    CHECK_RES(nart_unix_listen(rt, &stream_at, NULL, &l), 0);
    CHECK_RES(nart_unix_dgram_try_send(&a, "x", 1, NULL), -ENOTCONN);
    CHECK_RES(nart_unix_dgram_try_send(&a, "x", 1, &nowhere), -ENOENT);
    CHECK_RES(nart_unix_dgram_try_send(&a, "x", 1, &stream_at), -EPROTOTYPE);
    CHECK_RES(nart_unix_dgram_try_send(&a, "x", 1, &ip), -EAFNOSUPPORT);
    CHECK_RES(nart_unix_dgram_try_send(&a, "x", 1, &none), -EINVAL);
    CHECK_RES(nart_unix_dgram_try_send(&a, big, sizeof big, &at), -EMSGSIZE);
    CHECK_RES(nart_unix_dgram_try_send(&a, "abcd", 4, &at), 4);
    CHECK_RES(nart_unix_dgram_try_recv(&b, buf, 2, NULL), -EMSGSIZE);
    CHECK_RES(nart_unix_dgram_try_recv(&b, buf, 2, NULL), -EAGAIN); /* the rest is lost */
    CHECK_EQ(shutdown((int)nart_unix_dgram_fd(&b), SHUT_RD), 0);
    CHECK_RES(nart_unix_dgram_try_send(&a, "x", 1, &at), -EPIPE);
    CHECK_RES(nart_unix_dgram_local_addr(&c, &none), 0);
    CHECK_RES(nart_unix_dgram_connect(&b, &none), 0);
    CHECK_RES(nart_unix_dgram_try_send(&a, "x", 1, &at), -EPERM); /* it has another peer */
    CHECK_RES(nart_unix_dgram_close(&c), 0);
    CHECK_RES(nart_unix_dgram_try_send(&b, "x", 1, NULL), -ECONNREFUSED);
    CHECK_RES(nart_unix_dgram_close(&b), 0);
    CHECK_RES(nart_unix_dgram_try_send(&a, "x", 1, &at), -ECONNREFUSED);
    CHECK_RES(nart_unix_dgram_close(&a), 0);
    CHECK_RES(nart_unix_listener_close(&l), 0);
    CHECK_EQ(unlink(path), 0);
}

/* ---- writers ---- */

TEST_EACH(a_writer_over_a_unix_connection, BODY, FIBER)
{
    static char much[1 << 20], got[1 << 20];
    nart_unix a, b;
    nart_tcp_writer w = { .len = 0 };
    size_t n = 0;

    rt_open();
    CHECK_RES(nart_unix_pair(rt, 0, &a, &b), 0);
    CHECK_RES(nart_tcp_writer_set(&w, much, sizeof much), 0);
    struct op op = { .call = do_write, .h = &a, .buf = &w, .limit = 1 };
    op_start(&op, kind);
    CHECK_RES(op_finish(&op), -ETIMEDOUT);
    CHECK_LE(1, nart_tcp_writer_left(&w));
    op.limit = 0;
    op_start(&op, kind);
    while (n < sizeof got) {
        nart_res r = NOW(do_recv, &b, .buf = got + n, .len = sizeof got - n);
        CHECK_LE(1, r);
        n += (size_t)r;
    }
    CHECK_RES(op_finish(&op), sizeof much);
    CHECK_EQ(nart_tcp_writer_left(&w), 0);
    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(nart_unix_close(&b), 0);
    rt_close();
}
