/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Unix sockets and pipes whose system calls fail, each in turn: the error is answered, no descriptor and no path
 * remains. */
#include "faults.h"

#include "../net/net_test.h"

#include <nart/fiber.h>
#include <nart/pipe.h>
#include <nart/socket.h>
#include <nart/unix.h>

#include <stdlib.h>
#include <termios.h>

FIXTURE_RT();

/* Runs fn() once without faults, and then with each of its calls failing. fn() closes what it has opened, and answers
 * the first error. */
static void each_call_fails(nart_res (*fn)(void), int error)
{
    failing = calls = 0;
    CHECK_RES(fn(), 0);
    int before = fds_open(), all = calls;
    CHECK_LE(2, all);
    for (int i = 1; i <= all; i++) {
        calls = 0;
        failing = i;
        with = error;
        nart_res r = fn();
        if (r != error)
            test_fail(__FILE__, __LINE__, "call %d of %d fails, the answer is %s", i, all,
                      nart_err_name(r));
        CHECK_EQ(fds_open(), before);
    }
    failing = 0;
}

/* ---- opening ---- */

static char path[64];
static nart_addr at;

static void path_begin(void)
{
    char text[80];

    snprintf(path, sizeof path, "/tmp/nart-unit-unix-%d", (int)getpid());
    snprintf(text, sizeof text, "unix:%s", path);
    CHECK_RES(nart_addr_parse(&at, text), 0);
}

static bool path_exists(void)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static nart_unix_opts opts_of(uint32_t flags)
{
    nart_unix_opts o = NART_UNIX_OPTS_INIT;
    o.flags = flags;
    o.mode = 0600;
    return o;
}

static nart_res listen_once(void)
{
    nart_unix_listener l;
    nart_unix_opts o = opts_of(NART_UNIX_UNLINK);
    nart_res r = nart_unix_listen(rt, &at, &o, &l);

    CHECK_EQ(path_exists(), r == 0);
    int made = calls;
    CHECK_RES(nart_unix_listener_close(&l), 0);
    calls = made;
    CHECK(!path_exists());
    return r;
}

static nart_res dgram_once(void)
{
    nart_unix_dgram d;
    nart_unix_opts o = opts_of(NART_UNIX_UNLINK);
    nart_res r = nart_unix_dgram_open(rt, &at, &o, &d);

    CHECK_EQ(path_exists(), r == 0);
    int made = calls;
    CHECK_RES(nart_unix_dgram_close(&d), 0);
    calls = made;
    CHECK(!path_exists());
    return r;
}

static nart_res dgram_unbound(void)
{
    nart_unix_dgram d;
    nart_res r = nart_unix_dgram_open(rt, NULL, NULL, &d);

    CHECK_RES(nart_unix_dgram_close(&d), 0);
    return r;
}

static nart_res pair_once(void)
{
    nart_unix a, b;
    nart_res r = nart_unix_pair(rt, 0, &a, &b);

    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(nart_unix_close(&b), 0);
    return r;
}

static nart_res adopt_once(void)
{
    nart_unix u;
    int fds[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    nart_res r = nart_unix_adopt(rt, fds[0], &u);
    CHECK_RES(nart_unix_close(&u), 0);
    if (r)
        close(fds[0]);
    close(fds[1]);
    return r;
}

static nart_res adopt_listener(void)
{
    struct sockaddr none = { .sa_family = AF_UNIX };
    nart_unix_listener l;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    CHECK_EQ(bind(fd, &none, sizeof none.sa_family), 0);
    CHECK_EQ(listen(fd, 1), 0);
    nart_res r = nart_unix_listener_adopt(rt, fd, &l);
    CHECK_RES(nart_unix_listener_close(&l), 0);
    if (r)
        close(fd);
    return r;
}

static nart_res adopt_dgram(void)
{
    nart_unix_dgram d;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    nart_res r = nart_unix_dgram_adopt(rt, fd, &d);
    CHECK_RES(nart_unix_dgram_close(&d), 0);
    if (r)
        close(fd);
    return r;
}

static nart_res listen_step_by_step(void)
{
    nart_unix_listener l;
    nart_socket s = { 0 };
    nart_addr none;

    CHECK_RES(nart_addr_parse(&none, "unix:"), 0);
    nart_res r = nart_socket_open(&s, AF_UNIX, SOCK_SEQPACKET);
    if (r == 0)
        r = nart_socket_bind(&s, &none);
    bool opened = r == 0;
    if (opened)
        r = nart_unix_listen_socket(rt, &s, 1, &l);
    if (opened) {
        CHECK_EQ(nart_socket_fd(&s) >= 0, r != 0); /* after an error it is as it was */
        CHECK_RES(nart_unix_listener_close(&l), 0);
    }
    CHECK_RES(nart_socket_close(&s), 0);
    return r;
}

struct connecting {
    nart_unix *u;
    nart_socket *from; /* NULL: a new one */
    const nart_addr *to;
};

static nart_res connecting_run(nart_cx *cx, void *frame)
{
    const struct connecting *c = frame;
    return c->from ? nart_unix_connect_socket(cx, c->u, c->from, c->to)
                   : nart_unix_connect(cx, c->u, c->to, NART_UNIX_SEQPACKET);
}

static const nart_task_type connecting_type =
    NART_TASK_TYPE(struct connecting, connecting_run, NULL);

/* With a socket that was made step by step: after an error it is as it was. */
static nart_res connect_once(bool step_by_step)
{
    nart_addr to;
    nart_socket s = { 0 };
    nart_unix u = { .conn = { .fd = 0 } };
    int server = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    CHECK_RES(nart_addr_parse(&to, "unix:@nart unit unix"), 0);
    CHECK_EQ(bind(server, (struct sockaddr *)&to.storage, to.len), 0);
    CHECK_EQ(listen(server, 1), 0);
    nart_res r = step_by_step ? nart_socket_open(&s, AF_UNIX, SOCK_SEQPACKET) : 0;
    bool made = step_by_step && r == 0;
    if (r == 0)
        r = run(rt, &connecting_type, &(struct connecting){ &u, made ? &s : NULL, &to });
    int before = calls;
    CHECK_EQ(nart_unix_fd(&u) >= 0, r == 0);
    CHECK_EQ(nart_socket_fd(&s) >= 0, made && r != 0);
    CHECK_RES(nart_unix_close(&u), 0);
    CHECK_RES(nart_socket_close(&s), 0);
    calls = before;
    close(server);
    return r;
}

static nart_res connect_with_socket(void)
{
    return connect_once(true);
}

static nart_res connect_new(void)
{
    return connect_once(false);
}

static nart_res pipe_once(void)
{
    nart_fd in, out;
    nart_res r = nart_pipe_open(rt, &in, &out);

    CHECK_RES(nart_fd_close(&in), 0);
    CHECK_RES(nart_fd_close(&out), 0);
    return r;
}

static nart_res fifo_once(void)
{
    nart_fd in;

    CHECK_EQ(mkfifo(path, 0600), 0);
    nart_res r = nart_fifo_open(rt, path, NART_READ, &in);
    CHECK_RES(nart_fd_close(&in), 0);
    CHECK_EQ(unlink(path), 0);
    return r;
}

static nart_res reopen_once(void)
{
    nart_fd in;
    int fds[2];

    CHECK_EQ(pipe(fds), 0);
    nart_res r = nart_fd_reopen(rt, fds[0], &in);
    CHECK_RES(nart_fd_close(&in), 0);
    close(fds[0]);
    close(fds[1]);
    return r;
}

static nart_res reopen_file(void)
{
    nart_fd in;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0);
    nart_res r = nart_fd_reopen(rt, fd, &in);
    CHECK_RES(nart_fd_close(&in), 0);
    close(fd);
    return r;
}

TEST_WITH(what_fails_to_open_leaves_nothing, rt)
{
    static nart_res (*const opens[])(void) = {
        listen_once, dgram_once,          dgram_unbound,       pair_once,   adopt_once,
        pipe_once,   fifo_once,           reopen_once,         reopen_file, adopt_listener,
        adopt_dgram, listen_step_by_step, connect_with_socket, connect_new
    };
    static const int errors[] = { -EACCES, -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, -EIO };

    path_begin();
    for (size_t i = 0; i < sizeof opens / sizeof *opens; i++)
        for (size_t k = 0; k < sizeof errors / sizeof *errors; k++)
            each_call_fails(opens[i], errors[k]);
}

static int widest; /* the permissions that the path had before its own were set */

static void look_at_mode(const char *name)
{
    struct stat st;

    if (strcmp(name, "set_mode") == 0 && lstat(path, &st) == 0)
        widest |= (int)(st.st_mode & 0777);
}

TEST_WITH(a_path_never_permits_more_than_was_asked_for, rt)
{
    mode_t mask = umask(0);

    path_begin();
    failing = widest = 0;
    look = look_at_mode;
    CHECK_RES(listen_once(), 0);
    CHECK_EQ(widest, 0600);
    CHECK_RES(dgram_once(), 0);
    CHECK_EQ(widest, 0600);
    look = NULL;
    umask(mask);
}

/* Replacing: a failure to find out whether somebody listens there is no permission to unlink. */
TEST_WITH(a_path_is_replaced_only_if_it_is_known_to_be_stale, rt)
{
    nart_unix_listener l;
    nart_unix_opts o = opts_of(NART_UNIX_REPLACE);

    path_begin();
    failing = calls = 0;
    CHECK_RES(nart_unix_listen(rt, &at, &o, &l), 0);
    CHECK_RES(nart_unix_listener_close(&l), 0);
    CHECK(path_exists());
    o.mode = 0;
    with = -EACCES;
    /* socket, bind, path_id, socket, connect, unlink, bind, listen */
    for (failing = 3; failing <= 6; failing++) {
        calls = 0;
        CHECK_RES(nart_unix_listen(rt, &at, &o, &l), failing == 6 ? -EACCES : -EADDRINUSE);
        CHECK(path_exists());
    }
    failing = calls = 0;
    CHECK_RES(nart_unix_listen(rt, &at, &o, &l), 0);
    CHECK_RES(nart_unix_listener_close(&l), 0);
    CHECK_EQ(unlink(path), 0);
}

/* The mode is set and restored; each call can fail, and the last resort keeps nothing. */
static nart_res tty_once(void)
{
    nart_fd tty = { 0 };
    struct termios before, after;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK_EQ(tcgetattr(slave, &before), 0);
    nart_res r = nart_fd_open(rt, slave, 0, &tty);
    if (r == 0)
        r = nart_tty_set_mode(&tty, NART_TTY_RAW);
    int set = calls;
    if (r == 0)
        r = nart_tty_set_mode(&tty, NART_TTY_COOKED);
    int made = calls;
    if (failing > set) /* it was not restored: once more */
        CHECK_RES(nart_tty_set_mode(&tty, NART_TTY_COOKED), 0);
    CHECK_EQ(tcgetattr(slave, &after), 0);
    CHECK_EQ(before.c_lflag, after.c_lflag);
    calls = made;
    CHECK_RES(nart_fd_close(&tty), 0);
    if (failing == 1)
        close(slave);
    close(master);
    return r;
}

TEST_WITH(a_mode_that_cannot_be_set_keeps_nothing, rt)
{
    static const int errors[] = { -EIO, -EMFILE, -ENOTTY };

    for (size_t k = 0; k < sizeof errors / sizeof *errors; k++)
        each_call_fails(tty_once, errors[k]);
}

/* ---- operations ---- */

struct ops {
    nart_unix a, b;
    nart_unix *from; /* receives: b, or a */
    nart_unix_dgram d;
    nart_fd in, out;
    int which;
};

enum {
    RECV,
    PEEK,
    TRY_RECV,
    SEND,
    TRY_SEND,
    SEND_FDS,
    SENDV,
    SENDV_ALL,
    RECVV,
    SEND_FILE,
    SEND_PIPE,
    DGRAM_RECV,
    DGRAM_PEEK,
    DGRAM_TRY_RECV,
    DGRAM_SEND,
    DGRAM_SEND_MANY,
    DGRAM_RECV_MANY,
    DGRAM_TRY_SEND,
    READ,
    WRITE,
    OPS
};

static nart_res ops_run(nart_cx *cx, void *frame)
{
    struct ops *o = *(struct ops **)frame;
    char buf[8];
    int fd = 0;
    size_t done = 0;
    const struct iovec pieces[] = { { buf, 4 }, { buf + 4, 4 } };

    switch (o->which) {
    case RECV:
        return nart_unix_recv(cx, o->from, buf, sizeof buf);
    case PEEK:
        return nart_unix_peek(cx, o->from, buf, sizeof buf);
    case TRY_RECV:
        return nart_unix_try_recv(o->from, buf, sizeof buf);
    case SEND:
        return nart_unix_send(cx, &o->a, "x", 1);
    case TRY_SEND:
        return nart_unix_try_send(&o->a, "x", 1);
    case DGRAM_RECV:
        return nart_unix_dgram_recv(cx, &o->d, buf, sizeof buf, NULL);
    case DGRAM_PEEK:
        return nart_unix_dgram_peek(cx, &o->d, buf, sizeof buf, NULL);
    case DGRAM_TRY_RECV:
        return nart_unix_dgram_try_recv(&o->d, buf, sizeof buf, NULL);
    case DGRAM_SEND:
        return nart_unix_dgram_send(cx, &o->d, "x", 1, NULL);
    case DGRAM_SEND_MANY:
        return nart_unix_dgram_send_many(cx, &o->d, &(nart_udp_msg){ .buf = buf, .len = 1 }, 1);
    case DGRAM_RECV_MANY:
        return nart_unix_dgram_recv_many(cx, &o->d, &(nart_udp_msg){ .buf = buf, .cap = 1 }, 1);
    case DGRAM_TRY_SEND:
        return nart_unix_dgram_try_send(&o->d, "x", 1, NULL);
    case SEND_FDS:
        return nart_unix_send_fds(cx, &o->a, "x", 1, &fd, 1);
    case SENDV:
        return nart_unix_sendv(cx, &o->a, pieces, 2);
    case SENDV_ALL:
        return nart_unix_sendv_all(cx, &o->a, pieces, 2, &done);
    case RECVV:
        return nart_unix_recvv(cx, o->from, pieces, 2);
    case SEND_FILE:
        return nart_unix_send_file(cx, &o->a, 0, 0, 1, &done);
    case SEND_PIPE:
        return nart_unix_send_pipe(cx, &o->a, &o->in, 1, &done);
    case READ:
        return nart_fd_read(cx, &o->in, buf, sizeof buf);
    default:
        return nart_fd_write(cx, &o->out, "x", 1);
    }
}

static nart_res ops_fiber(nart_cx *cx, void *arg)
{
    return nart_await(cx, ops_run(cx, arg));
}

static const nart_task_type ops_type = NART_TASK_TYPE(struct ops *, ops_run, NULL);

TEST_WITH(the_errors_of_operations_are_answered, rt)
{
    static const int errors[] = { -ECONNRESET, -EPIPE,        -EIO,      -ENOBUFS, -ENOMEM,
                                  -EMSGSIZE,   -ECONNREFUSED, -ENOTCONN, -EPERM,   -EACCES };
    static struct ops o;
    struct ops *frame = &o;
    nart_res answer = 0;

    failing = calls = 0;
    CHECK_RES(nart_unix_dgram_open(rt, NULL, NULL, &o.d), 0);
    CHECK_RES(nart_pipe_open(rt, &o.in, &o.out), 0);
    o.from = &o.b;
    for (o.which = 0; o.which < OPS; o.which++)
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
            for (int fiber = 0; fiber < 2; fiber++) {
                failing = 0;
                CHECK_RES(nart_unix_pair(rt, 0, &o.a, &o.b), 0); /* an error may end it */
                fail_with(errors[i]);
                if (fiber)
                    CHECK_RES(nart_fiber_block_on(rt, ops_fiber, &frame, NULL, &answer), 0);
                else
                    answer = run(rt, &ops_type, &frame);
                CHECK_RES(answer, errors[i]);
                CHECK_RES(nart_unix_close(&o.a), 0);
                CHECK_RES(nart_unix_close(&o.b), 0);
            }
    CHECK_RES(nart_unix_dgram_close(&o.d), 0);
    CHECK_RES(nart_fd_close(&o.in), 0);
    CHECK_RES(nart_fd_close(&o.out), 0);
}

struct big {
    nart_unix *to;
    struct iovec piece;
    size_t done;
};

static nart_res big_run(nart_cx *cx, void *frame)
{
    struct big *b = frame;
    return nart_unix_sendv_all(cx, b->to, &b->piece, 1, &b->done);
}

static const nart_task_type big_type = NART_TASK_TYPE(struct big, big_run, NULL);

/* A short send says that the buffer is full: no second call asks. */
TEST_WITH(a_short_send_in_pieces_waits_without_another_call, rt)
{
    enum { LEN = 4 << 20 };
    nart_unix a, b;
    nart_join join;
    void *bytes = calloc(1, LEN);

    failing = 0;
    CHECK_RES(nart_unix_pair(rt, 0, &a, &b), 0);
    calls = 0;
    spawn(rt, &big_type, &(struct big){ .to = &a, .piece = { bytes, LEN } }, &join);
    settle(rt);
    CHECK(!nart_join_done(&join));
    CHECK_EQ(calls, 1);
    CHECK_RES(nart_unix_close(&a), 0);
    finish(rt, &join);
    CHECK_RES(nart_unix_close(&b), 0);
    free(bytes);
}

struct piped {
    nart_unix *to;
    nart_fd *from;
    size_t done;
};

static nart_res piped_run(nart_cx *cx, void *frame)
{
    struct piped *p = frame;
    return nart_unix_send_pipe(cx, p->to, p->from, 3, &p->done);
}

static const nart_task_type piped_type = NART_TASK_TYPE(struct piped, piped_run, NULL);

/* The first call may fail because of either end: the other one, or both, may be ready by the time they are asked. */
TEST_WITH(a_splice_that_would_wait_is_repeated_if_both_ends_are_ready, rt)
{
    nart_unix a, b;
    nart_fd in;
    int fds[2];

    failing = 0;
    CHECK_RES(nart_unix_pair(rt, 0, &a, &b), 0);
    CHECK_EQ(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    CHECK_RES(nart_fd_open(rt, fds[0], 0, &in), 0);
    CHECK_EQ(write(fds[1], "abc", 3), 3);
    calls = 0;
    failing = 1;
    with = -EAGAIN;
    CHECK_RES(run(rt, &piped_type, &(struct piped){ .to = &a, .from = &in }), 3);
    CHECK_EQ(calls, 4); /* twice, and one question to each end */
    close(fds[1]);
    failing = 0;
    CHECK_RES(nart_fd_close(&in), 0);
    CHECK_RES(nart_unix_close(&a), 0);
    CHECK_RES(nart_unix_close(&b), 0);
}

/* Whichever operation gets the error first, each one answers it. */
TEST_WITH(each_operation_answers_the_error_of_its_connection, rt)
{
    static struct ops o;
    struct ops *frame = &o;
    nart_res answer = 0;

    failing = 0;
    CHECK_RES(nart_pipe_open(rt, &o.in, &o.out), 0);
    o.from = &o.a;
    for (int first = 0; first <= SEND_PIPE; first++) {
        CHECK_RES(nart_unix_pair(rt, 0, &o.a, &o.b), 0);
        o.which = first;
        fail_with(-ECONNRESET);
        CHECK_RES(run(rt, &ops_type, &frame), -ECONNRESET);
        CHECK_EQ(calls, 1);
        for (o.which = 0; o.which <= SEND_PIPE; o.which++) {
            failing = 0;
            CHECK_RES(run(rt, &ops_type, &frame), -ECONNRESET);
            CHECK_RES(nart_fiber_block_on(rt, ops_fiber, &frame, NULL, &answer), 0);
            CHECK_RES(answer, -ECONNRESET);
        }
        CHECK_RES(nart_unix_close(&o.a), 0);
        CHECK_RES(nart_unix_close(&o.b), 0);
    }
    CHECK_RES(nart_fd_close(&o.in), 0);
    CHECK_RES(nart_fd_close(&o.out), 0);
}
