/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Unix sockets: connections, listeners, paths. */
#include "unix_test.h"

#include "threads.h"

#include <nart/pipe.h>
#include <nart/socket.h>

#include <netinet/in.h>
#include <sys/un.h>
#include <sys/wait.h>

/* ---- addresses ---- */

static void text_of(const char *text, const char *expected)
{
    char buf[NART_ADDR_TEXT];
    nart_addr a = addr_of(text);

    CHECK_RES(nart_addr_format(&a, buf, sizeof buf), (nart_res)strlen(expected));
    CHECK_STR(buf, expected);
    nart_addr again = addr_of(buf);
    CHECK(nart_addr_equal(&a, &again));
    CHECK(nart_addr_hash(&a, 7) == nart_addr_hash(&again, 7));
    CHECK_EQ(a.len, again.len);
}

TEST(unix_addresses_as_text)
{
    text_of("unix:/run/app.sock", "unix:/run/app.sock");
    text_of("unix:relative", "unix:relative");
    text_of("unix:@app", "unix:@app");
    text_of("unix:@", "unix:@");
    text_of("unix:", "unix:");
    text_of("unix:@a\\x00b\\x00", "unix:@a\\x00b\\x00");
    text_of("unix:/a\\\\b", "unix:/a\\\\b");
    text_of("unix:\\x40name", "unix:\\x40name"); /* a path that begins with @ */
    text_of("unix:./@name\n", "unix:./@name\\x0a");
    text_of("unix:@\\xFf\\x7F", "unix:@\xff\\x7f");
}

TEST(names_that_are_too_long_or_no_names)
{
    static const char *const bad[] = { "unix",     "Unix:/a",    "unix:/a\\x00b", "unix:\\x00",
                                       "unix:/\\", "unix:@\\x4", "unix:@\\xg0",   "unix:@\\n" };
    char text[600] = "unix:", back[NART_ADDR_TEXT];
    nart_addr a;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (nart_addr_parse(&a, bad[i]) != -EINVAL || a.len != 0)
            test_fail(__FILE__, __LINE__, "\"%s\" was taken for an address", bad[i]);
    memset(text + 5, 'p', 107);
    text_of(text, text);
    text[5] = '@';
    text[112] = 'p';
    text_of(text, text);
    text[113] = 'p';
    CHECK_RES(nart_addr_parse(&a, text), -ENAMETOOLONG);
    text[113] = '\0';
    text[5] = '/';
    CHECK_RES(nart_addr_parse(&a, text), -ENAMETOOLONG);
    CHECK_EQ(a.len, 0);

    /* The longest text. */
    strcpy(text, "unix:@");
    for (int i = 0; i < 107; i++)
        strcat(text, "\\x00");
    text_of(text, text);
    CHECK_LE(strlen(text) + 1, NART_ADDR_TEXT);
    a = addr_of(text);
    CHECK_RES(nart_addr_format(&a, back, strlen(text)), -ENOSPC);
    CHECK_STR(back, "");
}

TEST(addresses_are_compared)
{
    static const char *const all[] = {
        "127.0.0.1:80", "127.0.0.1:81", "127.0.0.2:80", "[::1]:80",     "[::1]:81",
        "[::2]:80",     "[::1%1]:80",   "unix:",        "unix:/a",      "unix:/ab",
        "unix:@/a",     "unix:@",       "unix:@a",      "unix:@a\\x00", "[::ffff:127.0.0.1]:80",
        "unix:@b",
    };
    enum { N = sizeof all / sizeof *all };
    nart_addr none = { .len = 0 };

    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) {
            nart_addr a = addr_of(all[i]), b = addr_of(all[k]);
            CHECK_EQ(nart_addr_equal(&a, &b), i == k);
            CHECK_EQ(nart_addr_hash(&a, 1) == nart_addr_hash(&b, 1), i == k);
            CHECK(nart_addr_hash(&a, 1) != nart_addr_hash(&b, 2));
        }
    CHECK(nart_addr_equal(&none, &none));
    nart_addr a = addr_of("unix:/a"), kernels = a;
    kernels.len = (socklen_t)offsetof(struct sockaddr_un, sun_path) + 2; /* without its NUL */
    CHECK(nart_addr_equal(&a, &kernels));
    CHECK(!nart_addr_equal(&a, &none));
    a = addr_of("[::1]:80");
    kernels = a;
    ((struct sockaddr_in6 *)(void *)&kernels.storage)->sin6_flowinfo = 1;
    CHECK(nart_addr_equal(&a, &kernels));
}

/* ---- connections ---- */

/* A listener and a connection to it: *client of this runtime, *server accepted. */
static void connected(const nart_addr *at, uint32_t flags, nart_unix *client, nart_unix *server)
{
    nart_unix_listener l;
    nart_unix_opts opts = NART_UNIX_OPTS_INIT;
    nart_addr bound, peer;

    opts.flags = flags | NART_UNIX_UNLINK;
    CHECK_RES(nart_unix_listen(rt, at, &opts, &l), 0);
    CHECK_RES(nart_unix_listener_addr(&l, &bound), 0);
    *client = *server = (nart_unix){ .conn = { .fd = 0 } };
    CHECK_RES(NOW(do_connect, client, .addr = &bound, .flags = flags), 0);
    CHECK_RES(NOW(do_accept, &l, .other = server, .addr = &peer), 0);
    nart_addr none = addr_of("unix:");
    CHECK(nart_addr_equal(&peer, &none));
    CHECK_RES(nart_unix_peer_addr(client, &peer), 0);
    CHECK(nart_addr_equal(&peer, &bound));
    CHECK_RES(nart_unix_local_addr(client, &peer), 0);
    CHECK(nart_addr_equal(&peer, &none));
    CHECK_RES(nart_unix_listener_close(&l), 0);
    CHECK_RES(nart_unix_listener_close(&l), 0);
}

static void echo_at(const nart_addr *at)
{
    nart_unix a, b;
    char buf[16] = "";

    connected(at, 0, &a, &b);
    CHECK_RES(NOW(do_send_all, &a, .buf = "hello", .len = 5), 5);
    CHECK_RES(SEND(&a, "there"), 5);
    CHECK_RES(RECV(&b, buf), 10); /* bytes have no boundaries */
    CHECK_STR(buf, "hellothere");
    CHECK_RES(SEND(&b, ""), 0);
    CHECK_RES(nart_unix_shutdown(&b, NART_WRITE), 0);
    CHECK_RES(RECV(&a, buf), 0);
    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(SEND(&b, "x"), -EPIPE);
    CHECK_RES(nart_unix_close(&b), 0);
}

TEST_WITH(a_connection_by_path_abstract_name_and_free_name, rt)
{
    const char *path;
    nart_addr at = path_addr("sock", &path);

    echo_at(&at);
    CHECK_EQ(mode_of(path), -ENOENT); /* closing has unlinked it */
    at = addr_of("unix:@nart test\\x00name");
    echo_at(&at);
    at = addr_of("unix:");
    echo_at(&at);
}

TEST_WITH(messages_keep_their_boundaries, rt)
{
    nart_addr at = path_addr("sock", NULL);
    nart_unix a, b;
    char buf[16] = "";

    connected(&at, NART_UNIX_SEQPACKET, &a, &b);
    CHECK_RES(SEND(&a, "one"), 3);
    CHECK_RES(SEND(&a, "two and more"), 12);
    CHECK_RES(SEND(&a, "three"), 5);
    CHECK_RES(SEND(&a, ""), 0); /* not sent: it would read as the end */
    CHECK_RES(RECV(&b, buf), 3);
    CHECK_RES(NOW(do_recv, &b, .buf = buf, .len = 3), -EMSGSIZE);
    CHECK_EQ(memcmp(buf, "two", 3), 0);
    CHECK_RES(RECV(&b, buf), 5); /* the rest was lost */
    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(RECV(&b, buf), 0);
    CHECK_RES(nart_unix_close(&b), 0);
}

TEST_WITH(why_a_connect_fails, rt)
{
    const char *path;
    nart_addr at = path_addr("sock", &path), ip = localhost(), none = addr_of("unix:");
    nart_unix u = { .conn = { .fd = 0 } }, v = u, more[8];
    nart_unix_listener l;
    nart_unix_opts opts = NART_UNIX_OPTS_INIT;

    CHECK_RES(NOW(do_connect, &u, .addr = &at), -ENOENT);
    CHECK_RES(NOW(do_connect, &u, .addr = &ip), -EAFNOSUPPORT);
    CHECK_RES(NOW(do_connect, &u, .addr = &none), -EINVAL);
    CHECK_RES(NOW(do_connect, &u, .addr = NULL), -EINVAL);
    CHECK_RES(NOW(do_connect, &u, .addr = &at, .flags = NART_UNIX_REPLACE), -EINVAL);
    opts.backlog = 1;
    CHECK_RES(nart_unix_listen(rt, &at, &opts, &l), 0);
    CHECK_RES(NOW(do_connect, &u, .addr = &at, .flags = NART_UNIX_SEQPACKET), -EPROTOTYPE);
    CHECK_RES(NOW(do_connect, &u, .addr = &at), 0);
    CHECK_RES(NOW(do_connect, &u, .addr = &at), -EISCONN);
    memset(more, 0, sizeof more);
    nart_res r = 0;
    int n = 0;
    while (r == 0 && n < 8)
        r = NOW(do_connect, &more[n++], .addr = &at);
    CHECK_RES(r, -EAGAIN); /* the queue is full */
    CHECK_RES(NOW(do_accept, &l, .other = &v), 0);
    CHECK_RES(NOW(do_connect, &more[n - 1], .addr = &at), 0);
    while (n > 0)
        CHECK_RES(nart_unix_close(&more[--n]), 0);
    CHECK_RES(nart_unix_listener_close(&l), 0);
    CHECK_RES(nart_unix_close(&u), 0);
    CHECK_RES(nart_unix_close(&v), 0);
    CHECK_RES(NOW(do_connect, &u, .addr = &at), -ECONNREFUSED);
    CHECK_EQ(unlink(path), 0);
}

/* ---- paths ---- */

TEST_WITH(a_path_that_nobody_uses_is_replaced, rt)
{
    const char *path;
    nart_addr at = path_addr("sock", &path);
    nart_unix_listener l, second;
    nart_unix_opts opts = NART_UNIX_OPTS_INIT;

    CHECK_RES(nart_unix_listen(rt, &at, NULL, &l), 0);
    CHECK_RES(nart_unix_listener_close(&l), 0);
    CHECK_LE(0, mode_of(path)); /* without UNLINK it stays */
    CHECK_RES(nart_unix_listen(rt, &at, NULL, &l), -EADDRINUSE);
    opts.flags = NART_UNIX_REPLACE | NART_UNIX_UNLINK;
    CHECK_RES(nart_unix_listen(rt, &at, &opts, &l), 0);
    CHECK_RES(nart_unix_listen(rt, &at, &opts, &second), -EADDRINUSE); /* somebody listens */
    opts.flags |= NART_UNIX_SEQPACKET;
    CHECK_RES(nart_unix_listen(rt, &at, &opts, &second), -EADDRINUSE);
    CHECK_RES(nart_unix_listener_close(&l), 0);
    CHECK_EQ(mode_of(path), -ENOENT);
}

/* The sockets of every kind that a process has open, also one that does not listen yet, and every kind that would
 * replace them: all are refused, and no server accepts a connection for it. */
TEST_WITH(a_path_in_use_is_not_replaced_and_its_server_sees_nothing, rt)
{
    static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
    const char *path;
    nart_addr at = path_addr("sock", &path);
    nart_unix_opts opts = NART_UNIX_OPTS_INIT;
    nart_unix_listener l;
    nart_unix_dgram d;

    for (int i = 0; i < 4; i++) { /* the last one does not listen */
        int fd = socket(AF_UNIX, types[i % 3] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK_EQ(bind(fd, sockaddr_of(&at), at.len), 0);
        CHECK_EQ(i < 2 ? listen(fd, 8) : 0, 0);
        opts.flags = NART_UNIX_REPLACE;
        CHECK_RES(nart_unix_dgram_open(rt, &at, &opts, &d), -EADDRINUSE);
        CHECK_RES(nart_unix_listen(rt, &at, &opts, &l), -EADDRINUSE);
        opts.flags |= NART_UNIX_SEQPACKET;
        CHECK_RES(nart_unix_listen(rt, &at, &opts, &l), -EADDRINUSE);
        CHECK_LE(0, mode_of(path));
        if (i < 2) {
            CHECK_EQ(accept4(fd, NULL, NULL, SOCK_CLOEXEC), -1);
            CHECK_EQ(errno, EAGAIN);
        }
        close(fd);
        CHECK_RES(nart_unix_listen(rt, &at, &opts, &l), 0); /* nobody uses it any more */
        CHECK_RES(nart_unix_listener_close(&l), 0);
        CHECK_EQ(unlink(path), 0);
    }
}

TEST_WITH(only_a_socket_is_replaced_and_only_its_own_path_unlinked, rt)
{
    const char *path;
    nart_addr at = path_addr("sock", &path);
    nart_unix_listener l, second;
    nart_unix_opts opts = NART_UNIX_OPTS_INIT;
    int file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    opts.flags = NART_UNIX_REPLACE | NART_UNIX_UNLINK;
    CHECK(file >= 0);
    close(file);
    CHECK_RES(nart_unix_listen(rt, &at, &opts, &l), -EADDRINUSE);
    CHECK_EQ(mode_of(path), 0600);
    CHECK_EQ(unlink(path), 0);

    CHECK_RES(nart_unix_listen(rt, &at, &opts, &l), 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_RES(nart_unix_listen(rt, &at, &opts, &second), 0);
    CHECK_RES(nart_unix_listener_close(&l), 0); /* its path is another's now */
    CHECK_LE(0, mode_of(path));
    nart_unix_listener moved;
    nart_unix_listener_move(&moved, &second);
    CHECK_RES(nart_unix_listener_close(&second), 0);
    CHECK_LE(0, mode_of(path));
    CHECK_RES(nart_unix_listener_close(&moved), 0);
    CHECK_EQ(mode_of(path), -ENOENT);
}

TEST_WITH(the_mode_of_a_path, rt)
{
    const char *path;
    nart_addr at = path_addr("sock", &path), name = addr_of("unix:@nart test mode");
    nart_unix_listener l;
    nart_unix_dgram d;
    nart_unix_opts opts = NART_UNIX_OPTS_INIT;

    mode_t mask = umask(027);
    opts.flags = NART_UNIX_UNLINK;
    CHECK_RES(nart_unix_listen(rt, &at, &opts, &l), 0);
    CHECK_EQ(mode_of(path), 0750);
    CHECK_RES(nart_unix_listener_close(&l), 0);
    opts.mode = 0666;
    CHECK_RES(nart_unix_listen(rt, &at, &opts, &l), 0);
    CHECK_EQ(mode_of(path), 0666);
    CHECK_RES(nart_unix_listener_close(&l), 0);
    opts.mode = 0600;
    CHECK_RES(nart_unix_dgram_open(rt, &at, &opts, &d), 0);
    CHECK_EQ(mode_of(path), 0600);
    CHECK_RES(nart_unix_dgram_close(&d), 0);
    CHECK_EQ(mode_of(path), -ENOENT);
    CHECK_RES(nart_unix_listen(rt, &name, &opts, &l), -EINVAL);
    opts.mode = 010000;
    CHECK_RES(nart_unix_listen(rt, &at, &opts, &l), -EINVAL);
    umask(mask);
}

TEST_WITH(listening_refuses_what_is_wrong, rt)
{
    nart_addr at = addr_of("unix:@nart test"), ip = localhost(), bad = at;
    nart_addr in_file = addr_of("unix:/dev/null/sock"), nowhere = addr_of("unix:/nonexistent/sock");
    nart_unix_listener l, second;
    nart_unix_opts opts = NART_UNIX_OPTS_INIT;

    CHECK_RES(nart_unix_listen(NULL, &at, NULL, &l), -EINVAL);
    CHECK_RES(nart_unix_listen(rt, &at, NULL, NULL), -EINVAL);
    CHECK_RES(nart_unix_listen(rt, NULL, NULL, &l), -EINVAL);
    CHECK_RES(nart_unix_listen(rt, &ip, NULL, &l), -EAFNOSUPPORT);
    CHECK_RES(nart_unix_listen(rt, &in_file, NULL, &l), -ENOTDIR);
    CHECK_RES(nart_unix_listen(rt, &nowhere, NULL, &l), -ENOENT);
    bad.len = sizeof(struct sockaddr_un) + 1;
    CHECK_RES(nart_unix_listen(rt, &bad, NULL, &l), -EINVAL);
    opts.flags = 8;
    CHECK_RES(nart_unix_listen(rt, &at, &opts, &l), -EINVAL);
    opts = (nart_unix_opts){ .size = 1 };
    CHECK_RES(nart_unix_listen(rt, &at, &opts, &l), NART_EABI);
    CHECK_RES(nart_unix_listen(rt, &at, NULL, &l), 0);
    CHECK_RES(nart_unix_listen(rt, &at, NULL, &second), -EADDRINUSE);
    CHECK_RES(nart_unix_listener_close(&l), 0);
}

/* ---- pairs, adopting ---- */

TEST_WITH(a_pair_is_given_away_and_taken_over, rt)
{
    nart_unix a, b;
    char buf[8] = "";
    int fd, tcp, other;

    CHECK_RES(nart_unix_pair(rt, 0, &a, &b), 0);
    CHECK_RES(SEND(&a, "hi"), 2);
    CHECK_RES(nart_unix_detach(&b, &fd), 0);
    CHECK_RES(nart_unix_detach(&b, &fd), -EBADF);
    CHECK_RES(RECV(&b, buf), -EBADF);
    CHECK_RES(nart_unix_adopt(rt, fd, &b), 0);
    CHECK_RES(nart_unix_fd(&b), fd);
    CHECK_RES(RECV(&b, buf), 2);
    CHECK_RES(nart_unix_detach(&b, NULL), -EINVAL);
    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(nart_unix_close(&b), 0);

    CHECK_RES(nart_unix_pair(rt, NART_UNIX_SEQPACKET, &a, &b), 0);
    CHECK_RES(nart_unix_detach(&b, &fd), 0);
    CHECK_RES(nart_unix_adopt(rt, fd, &b), 0);
    CHECK_RES(SEND(&a, "1"), 1);
    CHECK_RES(SEND(&a, "long"), 4);
    CHECK_RES(RECV(&b, buf), 1);
    CHECK_RES(NOW(do_recv, &b, .buf = buf, .len = 2), -EMSGSIZE);
    CHECK_RES(NOW(do_recv, &b, .buf = buf, .len = 0), -EINVAL);
    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(nart_unix_close(&b), 0);

    CHECK_RES(nart_unix_pair(rt, 2, &a, &b), -EINVAL);
    CHECK_RES(nart_unix_pair(rt, 0, &a, NULL), -EINVAL);
    CHECK_RES(nart_unix_pair(NULL, 0, &a, &b), -EINVAL);
    raw_pair(&tcp, &other);
    CHECK_RES(nart_unix_adopt(rt, tcp, &a), -EPROTOTYPE);
    CHECK_RES(nart_unix_adopt(rt, -1, &a), -EBADF);
    CHECK_RES(nart_unix_adopt(rt, tcp, NULL), -EINVAL);
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    CHECK_RES(nart_unix_adopt(rt, fd, &a), -ENOTSOCK);
    close(fd);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_RES(nart_unix_adopt(rt, fd, &a), -ENOTCONN);
    close(fd);
    close(tcp);
    close(other);
}

TEST_WITH(who_the_peer_is, rt)
{
    nart_unix a, b, closed = { .conn = { .fd = 0 } };
    nart_unix_cred c;
    nart_addr at = addr_of("unix:");

    connected(&at, 0, &a, &b);
    CHECK_RES(nart_unix_peer_cred(&b, &c), 0);
    CHECK_EQ(c.pid, getpid());
    CHECK_EQ(c.uid, geteuid());
    CHECK_EQ(c.gid, getegid());
    CHECK_RES(nart_unix_peer_cred(&closed, &c), -EBADF);
    nart_res fd = nart_unix_peer_pidfd(&b);
    if (fd != -ENOPROTOOPT) { /* Linux 6.5 */
        CHECK_LE(0, fd);
        CHECK(fcntl((int)fd, F_GETFD) & FD_CLOEXEC);
        close((int)fd);
    }
    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(nart_unix_close(&b), 0);
}

TEST_WITH(shutting_down_and_ends, rt)
{
    nart_unix a, b;
    char buf[8];

    CHECK_RES(nart_unix_pair(rt, 0, &a, &b), 0);
    CHECK_RES(SEND(&a, "lost"), 4);
    CHECK_RES(nart_unix_shutdown(&b, 0), -EINVAL);
    CHECK_RES(nart_unix_shutdown(&b, NART_READ), 0);
    CHECK_RES(RECV(&b, buf), 0);
    CHECK_RES(SEND(&a, "x"), -EPIPE);
    CHECK_RES(nart_unix_close(&b), 0);
    CHECK_RES(RECV(&a, buf), 0); /* the shutdown has discarded what was not read */
    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(nart_unix_close(NULL), 0);
    CHECK_RES(nart_unix_listener_close(NULL), 0);
    CHECK_RES(nart_unix_dgram_close(NULL), 0);
}

/* ---- waiting ---- */

TEST_EACH(a_receive_waits_and_is_woken, BODY, FIBER)
{
    nart_unix a, b;
    char buf[8] = "";
    struct op op = { .call = do_recv, .h = &b, .buf = buf, .len = sizeof buf };

    rt_open();
    CHECK_RES(nart_unix_pair(rt, 0, &a, &b), 0);
    for (int i = 0; i < 3; i++) {
        op_start(&op, kind);
        CHECK_RES(op.res, NART_PENDING);
        CHECK_RES(SEND(&b, "other"), 5); /* the other direction is free */
        CHECK_RES(RECV(&b, buf), -EBUSY);
        CHECK_RES(SEND(&a, "x"), 1);
        CHECK_RES(op_finish(&op), 1);
    }
    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(nart_unix_close(&b), 0);
    rt_close();
}

TEST_EACH(a_full_socket_is_waited_for, BODY, FIBER)
{
    static char much[1 << 20], got[1 << 20];
    nart_unix a, b;
    struct op op = { .call = do_send_all, .h = &a, .buf = much, .len = sizeof much };
    size_t n = 0;

    rt_open();
    for (size_t i = 0; i < sizeof much; i++)
        much[i] = (char)(i * 7 >> 3);
    CHECK_RES(nart_unix_pair(rt, 0, &a, &b), 0);
    op_start(&op, kind);
    CHECK_RES(op.res, NART_PENDING);
    while (n < sizeof got) {
        nart_res r = NOW(do_recv, &b, .buf = got + n, .len = sizeof got - n);
        CHECK_LE(1, r);
        n += (size_t)r;
    }
    CHECK_RES(op_finish(&op), sizeof much);
    CHECK_EQ(memcmp(much, got, n), 0);
    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(nart_unix_close(&b), 0);
    rt_close();
}

TEST_EACH(a_wait_is_cancelled_expires_and_ends_with_its_handle, BODY, FIBER)
{
    nart_unix a, b, moved;
    nart_unix_listener l;
    nart_addr at = addr_of("unix:");
    char buf[8] = "";
    struct op op = { .call = do_recv, .h = &b, .buf = buf, .len = sizeof buf };

    rt_open();
    CHECK_RES(nart_unix_pair(rt, 0, &a, &b), 0);
    op_start(&op, kind);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&op.join)), 0);
    CHECK_RES(op_finish(&op), -ECANCELED);
    op.limit = 1;
    op_start(&op, kind);
    CHECK_RES(op_finish(&op), -ETIMEDOUT);
    op.limit = 0;
    op_start(&op, kind);
    nart_unix_move(&moved, &b);
    CHECK_RES(op_finish(&op), -EBADF);
    CHECK_RES(SEND(&a, "kept"), 4); /* nothing was consumed */
    CHECK_RES(RECV(&moved, buf), 4);
    op.h = &moved;
    op_start(&op, kind);
    CHECK_RES(nart_unix_close(&moved), 0);
    CHECK_RES(op_finish(&op), -EBADF);
    CHECK_RES(nart_unix_close(&a), 0);

    CHECK_RES(nart_unix_listen(rt, &at, NULL, &l), 0);
    op = (struct op){ .call = do_accept, .h = &l, .other = &a };
    op_start(&op, kind);
    CHECK_RES(op.res, NART_PENDING);
    CHECK_RES(nart_unix_listener_close(&l), 0);
    CHECK_RES(op_finish(&op), -EBADF);
    rt_close();
}

/* Freed while tasks wait: they are aborted, and the descriptors closed. */
TEST(freeing_the_runtime_closes_all)
{
    nart_unix a, b;
    nart_unix_dgram d;
    char buf[8];
    struct op op = { .call = do_recv, .h = &b, .buf = buf, .len = sizeof buf };

    rt_open();
    CHECK_RES(nart_unix_pair(rt, 0, &a, &b), 0);
    CHECK_RES(nart_unix_dgram_open(rt, NULL, NULL, &d), 0);
    op_start(&op, BODY);
    nart_join_release(&op.join);
    rt_close();
    CHECK_RES(op.res, -ECANCELED);
    nart_unix_cred c;
    CHECK_RES(nart_unix_peer_cred(&a, &c), NART_ESTALE);
    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(nart_unix_close(&b), 0);
    CHECK_RES(nart_unix_dgram_close(&d), 0);
}

/* ---- wrong places and times ---- */

static nart_unix_listener listener;
static nart_unix conn, other;
static nart_unix_dgram dgram;
static nart_fd in, out;

/* Every call that does not wait, on handles that cannot be used. */
static void calls_answer(nart_res expected)
{
    nart_addr at = addr_of("unix:@nobody");
    nart_unix_cred cred;
    uint32_t rows, columns;
    char buf[8];
    int fd;

    CHECK_RES(nart_unix_listener_addr(&listener, &at), expected);
    CHECK_RES(nart_unix_listener_fd(&listener), expected);
    CHECK_RES(nart_unix_try_recv(&conn, buf, sizeof buf), expected);
    CHECK_RES(nart_unix_try_send(&conn, "x", 1), expected);
    CHECK_RES(nart_unix_dgram_try_recv(&dgram, buf, sizeof buf, NULL), expected);
    CHECK_RES(nart_unix_dgram_try_send(&dgram, "x", 1, NULL), expected);
    CHECK_RES(nart_unix_local_addr(&conn, &at), expected);
    CHECK_RES(nart_unix_peer_addr(&conn, &at), expected);
    CHECK_RES(nart_unix_fd(&conn), expected);
    CHECK_RES(nart_unix_shutdown(&conn, NART_WRITE), expected);
    CHECK_RES(nart_unix_peer_cred(&conn, &cred), expected);
    CHECK_RES(nart_unix_peer_pidfd(&conn), expected);
    CHECK_RES(nart_unix_dgram_local_addr(&dgram, &at), expected);
    CHECK_RES(nart_unix_dgram_fd(&dgram), expected);
    at = addr_of("unix:@nobody");
    CHECK_RES(nart_unix_dgram_connect(&dgram, &at), expected);
    CHECK_RES(nart_tty_size(&in, &rows, &columns), expected);
    if (expected == NART_EFORK)
        return;
    CHECK_RES(nart_unix_detach(&conn, &fd), expected);
    CHECK_RES(nart_unix_listener_detach(&listener, &fd), expected);
    CHECK_RES(nart_unix_dgram_detach(&dgram, &fd), expected);
}

static void opening_answers(nart_res expected)
{
    nart_addr at = addr_of("unix:");
    nart_unix_listener l;
    nart_unix a, b;
    nart_unix_dgram d;
    nart_socket s = { 0 };
    nart_fd x, y;

    CHECK_RES(nart_unix_listen(rt, &at, NULL, &l), expected);
    CHECK_RES(nart_unix_dgram_open(rt, &at, NULL, &d), expected);
    CHECK_RES(nart_unix_pair(rt, 0, &a, &b), expected);
    CHECK_RES(nart_unix_adopt(rt, 0, &a), expected);
    CHECK_RES(nart_unix_listener_adopt(rt, 0, &l), expected);
    CHECK_RES(nart_unix_dgram_adopt(rt, 0, &d), expected);
    CHECK_RES(nart_unix_listen_socket(rt, &s, 0, &l), expected);
    CHECK_RES(nart_unix_dgram_from_socket(rt, &s, &d), expected);
    CHECK_RES(nart_pipe_open(rt, &x, &y), expected);
    CHECK_RES(nart_fd_reopen(rt, 0, &x), expected);
    CHECK_RES(nart_fifo_open(rt, "/dev/null", NART_READ, &x), expected);
}

static void all_open(nart_addr *at)
{
    nart_unix_opts opts = NART_UNIX_OPTS_INIT;

    opts.flags = NART_UNIX_UNLINK;
    CHECK_RES(nart_unix_listen(rt, at, &opts, &listener), 0);
    CHECK_RES(nart_unix_pair(rt, 0, &conn, &other), 0);
    CHECK_RES(nart_unix_dgram_open(rt, NULL, NULL, &dgram), 0);
    CHECK_RES(nart_pipe_open(rt, &in, &out), 0);
}

static void all_close(nart_res expected)
{
    CHECK_RES(nart_unix_listener_close(&listener), expected);
    CHECK_RES(nart_unix_close(&conn), expected);
    CHECK_RES(nart_unix_close(&other), expected);
    CHECK_RES(nart_unix_dgram_close(&dgram), expected);
    CHECK_RES(nart_fd_close(&in), expected);
    CHECK_RES(nart_fd_close(&out), expected);
}

static void *from_thread(void *arg)
{
    (void)arg;
    calls_answer(NART_EWRONGTHREAD);
    opening_answers(NART_EWRONGTHREAD);
    all_close(NART_EWRONGTHREAD);
    return NULL;
}

TEST_WITH(another_thread_is_refused_and_unlinks_nothing, rt)
{
    const char *path;
    nart_addr at = path_addr("sock", &path);

    all_open(&at);
    settle(rt);
    thread_run(from_thread, NULL);
    CHECK_LE(0, mode_of(path));
    all_close(0);
    CHECK_EQ(mode_of(path), -ENOENT);
    calls_answer(-EBADF);
}

TEST_WITH(a_child_of_fork_closes_its_copies_and_unlinks_nothing, rt)
{
    const char *path;
    nart_addr at = path_addr("sock", &path);
    char buf[8];
    int status = -1;

    all_open(&at);
    settle(rt);
    pid_t child = fork();
    if (child == 0) {
        calls_answer(NART_EFORK);
        opening_answers(NART_EFORK);
        all_close(0);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_LE(0, mode_of(path));
    CHECK_RES(SEND(&conn, "x"), 1);
    CHECK_RES(RECV(&other, buf), 1);
    all_close(0);
}

TEST(handles_that_outlive_their_runtime_are_stale)
{
    nart_addr at = addr_of("unix:");

    rt_open();
    all_open(&at);
    rt_close();
    calls_answer(NART_ESTALE);
    all_close(0);
    calls_answer(-EBADF);
}

/* A receive that loses a race has consumed nothing. */
struct racer {
    nart_co co;
    nart_res *won;
    char buf[8];
};

static nart_res racer_run(nart_cx *cx, void *frame)
{
    struct racer *f = frame;
    nart_res r = 0;
    int won = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(won, r, nart_unix_recv(cx, &conn, f->buf, sizeof f->buf),
                   nart_fd_read(cx, &in, f->buf, sizeof f->buf));
    f->won[0] = won;
    f->won[1] = r;
    NART_END(r);
}

TYPE(racer, racer_run);

static nart_res do_pipe_write(nart_cx *cx, struct op *op)
{
    return nart_fd_write(cx, op->h, op->buf, op->len);
}

TEST_WITH(an_arm_that_loses_a_race_consumes_nothing, rt)
{
    nart_addr at = addr_of("unix:");
    nart_res won[2] = { -1, -1 };
    nart_join join = { 0 };
    char buf[8];
    int fd;

    all_open(&at);
    fd = (int)nart_unix_fd(&other);
    spawn(rt, &racer_type, &(struct racer){ .won = won }, &join);
    settle(rt);
    CHECK_RES(NOW(do_pipe_write, &out, .buf = "pipe", .len = 4), 4);
    CHECK_EQ(send(fd, "kept", 4, 0), 4);
    finish(rt, &join);
    CHECK_EQ(won[0], 1);
    CHECK_RES(won[1], 4);
    CHECK_RES(RECV(&conn, buf), 4);
    all_close(0);
}

/* The forms for bodies. */
static nart_res here_run(nart_cx *cx, void *frame)
{
    nart_addr at = addr_of("unix:");
    nart_socket s = { 0 };
    int fd;
    (void)frame;

    CHECK_RES(nart_unix_listen_here(cx, &at, NULL, &listener), 0);
    CHECK_RES(nart_unix_listener_detach(&listener, &fd), 0);
    CHECK_RES(nart_unix_listener_adopt_here(cx, fd, &listener), 0);
    CHECK_RES(nart_unix_dgram_open_here(cx, &at, NULL, &dgram), 0);
    CHECK_RES(nart_unix_dgram_detach(&dgram, &fd), 0);
    CHECK_RES(nart_unix_dgram_adopt_here(cx, fd, &dgram), 0);
    CHECK_RES(nart_unix_pair_here(cx, 0, &conn, &other), 0);
    CHECK_RES(nart_unix_detach(&conn, &fd), 0);
    CHECK_RES(nart_unix_adopt_here(cx, fd, &conn), 0);
    CHECK_RES(nart_pipe_open_here(cx, &in, &out), 0);
    CHECK_RES(nart_unix_send(cx, &conn, "x", 1), 1);
    CHECK_RES(nart_fd_write(cx, &out, "x", 1), 1);
    all_close(0);
    CHECK_RES(nart_socket_open(&s, AF_UNIX, SOCK_STREAM), 0);
    CHECK_RES(nart_socket_bind(&s, &at), 0);
    CHECK_RES(nart_unix_listen_socket_here(cx, &s, 0, &listener), 0);
    CHECK_RES(nart_socket_open(&s, AF_UNIX, SOCK_DGRAM), 0);
    CHECK_RES(nart_unix_dgram_from_socket_here(cx, &s, &dgram), 0);
    CHECK_RES(nart_unix_listener_close(&listener), 0);
    CHECK_RES(nart_unix_dgram_close(&dgram), 0);
    CHECK_RES(nart_fd_reopen_here(cx, 0, &in), 0);
    CHECK_RES(nart_fd_close(&in), 0);
    CHECK_RES(nart_fifo_open_here(cx, "/dev/null", NART_READ, &in), -EPROTOTYPE);
    return 0;
}

struct here {
    int unused;
};
TYPE(here, here_run);

TEST_WITH(opening_in_a_body, rt)
{
    CHECK_RES(run(rt, &here_type, &(struct here){ 0 }), 0);
}

static nart_res do_accept_many(nart_cx *cx, struct op *op)
{
    return nart_unix_accept_many(cx, op->h, op->other, NULL, op->n);
}

TEST_WITH(a_batch_of_connections_of_messages, rt)
{
    nart_unix_opts o = NART_UNIX_OPTS_INIT;
    nart_unix_listener l;
    nart_unix a[3] = { { .conn = { .fd = 0 } } }, b[2] = { { .conn = { .fd = 0 } } };
    nart_addr name;
    char buf[8];

    o.flags = NART_UNIX_SEQPACKET;
    CHECK_RES(nart_addr_parse(&name, "unix:"), 0);
    CHECK_RES(nart_unix_listen(rt, &name, &o, &l), 0);
    CHECK_RES(nart_unix_listener_addr(&l, &name), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_RES(
            op_now((struct op){
                .call = do_connect, .h = &b[i], .addr = &name, .flags = NART_UNIX_SEQPACKET }),
            0);
        CHECK_RES(SEND(&b[i], "long"), 4);
    }
    CHECK_RES(op_now((struct op){ .call = do_accept_many, .h = &l, .other = a, .n = 3 }), 2);
    for (int i = 0; i < 2; i++) {
        CHECK_RES(op_now((struct op){ .call = do_recv, .h = &a[i], .buf = buf, .len = 2 }),
                  -EMSGSIZE);
        CHECK_RES(nart_unix_close(&a[i]), 0);
        CHECK_RES(nart_unix_close(&b[i]), 0);
    }
    CHECK_RES(nart_unix_fd(&a[2]), -EBADF);
    CHECK_RES(nart_unix_listener_close(&l), 0);
}
