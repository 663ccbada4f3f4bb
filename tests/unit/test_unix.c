/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Unix sockets and pipes whose system calls fail, each in turn: the error is answered, no descriptor and no path
 * remains. */
#include "../net/net_test.h"
#include "net/net.h"
#include "sys.h"

#include <nart/pipe.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int calls, failing; /* the calls so far; which of them fails, 0: none */
static int with;           /* the error */

/* The call is counted and real, or fails. */
#define CALL(type, name, params, args)                                                             \
    static type faulty_##name params                                                               \
    {                                                                                              \
        return ++calls == failing ? (type)with : nart__sys_real.name args;                         \
    }

CALL(int, socket, (int family, int type), (family, type))
CALL(int, bind, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
CALL(int, listen, (int fd, int n), (fd, n))
CALL(int, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
CALL(int, accept, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
CALL(int, getsockopt, (int fd, int l, int o, void *v, socklen_t *n), (fd, l, o, v, n))
CALL(int, peername, (int fd, struct sockaddr *a, socklen_t *n), (fd, a, n))
CALL(int, set_nonblocking, (int fd), (fd))
CALL(int, dup, (int fd), (fd))
CALL(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
CALL(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
CALL(ssize_t, send, (int fd, const void *b, size_t n, int flags), (fd, b, n, flags))
CALL(ssize_t, read, (int fd, void *b, size_t n), (fd, b, n))
CALL(ssize_t, writev, (int fd, const struct iovec *p, int n), (fd, p, n))
CALL(int, socketpair, (int family, int type, int fds[2]), (family, type, fds))
CALL(int, pipe, (int fds[2]), (fds))
CALL(int, path_id, (const char *path, uint64_t id[2]), (path, id))
CALL(int, unlink, (const char *path), (path))
static int widest; /* the permissions that a path had before its own were set */

static int faulty_set_mode(int fd, const char *path, uint32_t mode)
{
    struct stat st;

    if (path && lstat(path, &st) == 0)
        widest |= (int)(st.st_mode & 0777);
    return ++calls == failing ? with : nart__sys_real.set_mode(fd, path, mode);
}

CALL(int, open, (const char *path, int flags), (path, flags))
CALL(int, kind, (int fd), (fd))
CALL(int, access_mode, (int fd), (fd))
CALL(int, window_size, (int fd, uint16_t size[2]), (fd, size))

static nart_res faulty_add(void *host, int fd, uint64_t *id)
{
    return ++calls == failing ? with : nart__loop.io_add(host, fd, id);
}

static nart_rt *rt;
static nart_sys sys;
static nart_driver driver;

static void faults_open(void)
{
    sys = nart__sys_real;
    sys.socket = faulty_socket;
    sys.bind = faulty_bind;
    sys.listen = faulty_listen;
    sys.connect = faulty_connect;
    sys.accept = faulty_accept;
    sys.getsockopt = faulty_getsockopt;
    sys.peername = faulty_peername;
    sys.set_nonblocking = faulty_set_nonblocking;
    sys.dup = faulty_dup;
    sys.recvmsg = faulty_recvmsg;
    sys.sendmsg = faulty_sendmsg;
    sys.send = faulty_send;
    sys.read = faulty_read;
    sys.writev = faulty_writev;
    sys.socketpair = faulty_socketpair;
    sys.pipe = faulty_pipe;
    sys.path_id = faulty_path_id;
    sys.unlink = faulty_unlink;
    sys.set_mode = faulty_set_mode;
    sys.open = faulty_open;
    sys.kind = faulty_kind;
    sys.access_mode = faulty_access_mode;
    sys.window_size = faulty_window_size;
    driver = nart__loop;
    driver.sys = &sys;
    driver.io_add = faulty_add;
    rt = new_rt();
    rt->cx.drv = &driver;
}

static void faults_close(void)
{
    rt->cx.drv = &nart__loop;
    CHECK_RES(nart_rt_free(rt), 0);
}

static int fds_open(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

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

TEST_WITH(what_fails_to_open_leaves_nothing, faults)
{
    static nart_res (*const opens[])(void) = { listen_once, dgram_once,  dgram_unbound,
                                               pair_once,   adopt_once,  pipe_once,
                                               fifo_once,   reopen_once, reopen_file };
    static const int errors[] = { -EACCES, -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM, -EIO, NART_EFDS };

    path_begin();
    for (size_t i = 0; i < sizeof opens / sizeof *opens; i++)
        for (size_t k = 0; k < sizeof errors / sizeof *errors; k++)
            each_call_fails(opens[i], errors[k]);
}

TEST_WITH(a_path_never_permits_more_than_was_asked_for, faults)
{
    mode_t mask = umask(0);

    path_begin();
    failing = widest = 0;
    CHECK_RES(listen_once(), 0);
    CHECK_EQ(widest, 0600);
    CHECK_RES(dgram_once(), 0);
    CHECK_EQ(widest, 0600);
    umask(mask);
}

/* Replacing: a failure to find out whether somebody listens there is no permission to unlink. */
TEST_WITH(a_path_is_replaced_only_if_it_is_known_to_be_stale, faults)
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

/* ---- operations ---- */

struct ops {
    nart_unix a, b;
    nart_fd in, out;
    int which;
};

enum { RECV, SEND, SEND_FDS, READ, WRITE, OPS };

static nart_res ops_run(nart_cx *cx, void *frame)
{
    struct ops *o = *(struct ops **)frame;
    char buf[8];
    int fd = 0;

    switch (o->which) {
    case RECV:
        return nart_unix_recv(cx, &o->b, buf, sizeof buf);
    case SEND:
        return nart_unix_send(cx, &o->a, "x", 1);
    case SEND_FDS:
        return nart_unix_send_fds(cx, &o->a, "x", 1, &fd, 1);
    case READ:
        return nart_fd_read(cx, &o->in, buf, sizeof buf);
    default:
        return nart_fd_write(cx, &o->out, "x", 1);
    }
}

static const nart_task_type ops_type = NART_TASK_TYPE(struct ops *, ops_run, NULL);

TEST_WITH(the_errors_of_operations_are_answered, faults)
{
    static const int errors[] = { -ECONNRESET, -EPIPE, -EIO, -ENOBUFS, -ENOMEM, -EMSGSIZE };
    static struct ops o;
    struct ops *frame = &o;

    failing = calls = 0;
    CHECK_RES(nart_unix_pair(rt, 0, &o.a, &o.b), 0);
    CHECK_RES(nart_pipe_open(rt, &o.in, &o.out), 0);
    for (o.which = 0; o.which < OPS; o.which++)
        for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
            calls = 0;
            failing = 1;
            with = errors[i];
            CHECK_RES(run(rt, &ops_type, &frame), with);
        }
    CHECK_RES(nart_unix_close(&o.a), 0);
    CHECK_RES(nart_unix_close(&o.b), 0);
    CHECK_RES(nart_fd_close(&o.in), 0);
    CHECK_RES(nart_fd_close(&o.out), 0);
}
