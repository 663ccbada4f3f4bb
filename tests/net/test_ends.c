/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A receive or a send waits, and the connection ends: the peer closes or shuts down, or this side does. One table for
 * every kind of handle. */
#include "unix_test.h"

#include <nart/pipe.h>

#include <netinet/in.h>
#include <signal.h>
#include <termios.h>

/* ---- what is waited in ---- */

/* `mine` waits; `far` is the other end. */
static struct {
    nart_tcp mine, far;
} tcp;

static struct {
    nart_unix mine, far;
} un;

static struct {
    nart_unix_dgram mine, far;
} dgram;

static struct {
    nart_fd mine, far;
} fd;

static void tcp_open(void)
{
    int a, b;

    raw_pair(&a, &b);
    CHECK_RES(nart_tcp_adopt(rt, a, &tcp.mine), 0);
    CHECK_RES(nart_tcp_adopt(rt, b, &tcp.far), 0);
}

static void stream_open(void)
{
    CHECK_RES(nart_unix_pair(rt, 0, &un.mine, &un.far), 0);
}

static void messages_open(void)
{
    CHECK_RES(nart_unix_pair(rt, NART_UNIX_SEQPACKET, &un.mine, &un.far), 0);
}

static void dgram_open(void)
{
    nart_addr at = addr_of("unix:");

    CHECK_RES(nart_unix_dgram_open(rt, &at, NULL, &dgram.far), 0);
    CHECK_RES(nart_unix_dgram_local_addr(&dgram.far, &at), 0);
    CHECK_RES(nart_unix_dgram_open(rt, NULL, NULL, &dgram.mine), 0);
    CHECK_RES(nart_unix_dgram_connect(&dgram.mine, &at), 0);
}

static void pipe_open_to(nart_fd *reader, nart_fd *writer)
{
    CHECK_RES(nart_pipe_open(rt, reader, writer), 0);
}

static void pipe_read_open(void)
{
    pipe_open_to(&fd.mine, &fd.far);
}

static void pipe_write_open(void)
{
    pipe_open_to(&fd.far, &fd.mine);
}

static void fifo_open_to(nart_fd *reader, nart_fd *writer)
{
    const char *path;

    (void)path_addr("fifo", &path);
    CHECK_EQ(mkfifo(path, 0600), 0);
    CHECK_RES(nart_fifo_open(rt, path, NART_READ, reader), 0);
    CHECK_RES(nart_fifo_open(rt, path, NART_WRITE, writer), 0);
    CHECK_EQ(unlink(path), 0);
}

static void fifo_read_open(void)
{
    fifo_open_to(&fd.mine, &fd.far);
}

static void fifo_write_open(void)
{
    fifo_open_to(&fd.far, &fd.mine);
}

/* A socket as a plain descriptor. */
static void socket_open(void)
{
    int ends[2];

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    CHECK_RES(nart_fd_open(rt, ends[0], 0, &fd.mine), 0);
    CHECK_RES(nart_fd_open(rt, ends[1], 0, &fd.far), 0);
}

/* A terminal, and the program at its other side. */
static void tty_open_to(nart_fd *terminal, nart_fd *program)
{
    struct termios mode;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    CHECK(slave >= 0 && tcgetattr(slave, &mode) == 0);
    cfmakeraw(&mode);
    CHECK_EQ(tcsetattr(slave, TCSANOW, &mode), 0);
    CHECK_RES(nart_fd_open(rt, master, 0, program), 0);
    CHECK_RES(nart_fd_open(rt, slave, 0, terminal), 0);
}

static void tty_open(void)
{
    tty_open_to(&fd.mine, &fd.far);
}

static void program_open(void)
{
    tty_open_to(&fd.far, &fd.mine);
}

/* ---- how they are used ---- */

static char much[1 << 16], buf[16];

#define WAIT(name, call)                                                                           \
    static nart_res name(nart_cx *cx, struct op *op)                                               \
    {                                                                                              \
        (void)op;                                                                                  \
        return call;                                                                               \
    }

WAIT(tcp_recv, nart_tcp_recv(cx, &tcp.mine, buf, sizeof buf))
WAIT(tcp_send, nart_tcp_send(cx, &tcp.mine, much, sizeof much))
WAIT(un_recv, nart_unix_recv(cx, &un.mine, buf, sizeof buf))
WAIT(un_send, nart_unix_send(cx, &un.mine, much, sizeof much))
WAIT(un_sendmsg, nart_unix_sendmsg(cx, &un.mine, op->msg))
WAIT(un_readable, nart_unix_ready(cx, &un.mine, NART_READ))
WAIT(un_writable, nart_unix_ready(cx, &un.mine, NART_WRITE))
WAIT(dgram_recv, nart_unix_dgram_recv(cx, &dgram.mine, buf, sizeof buf, NULL))
WAIT(dgram_send, nart_unix_dgram_send(cx, &dgram.mine, "x", 1, NULL))
WAIT(fd_read, nart_fd_read(cx, &fd.mine, buf, sizeof buf))
WAIT(fd_write, nart_fd_write(cx, &fd.mine, much, sizeof much))

#define ACT(name, call)                                                                            \
    static void name(void)                                                                         \
    {                                                                                              \
        CHECK_RES(call, 0);                                                                        \
    }

ACT(tcp_far_close, nart_tcp_close(&tcp.far))
ACT(tcp_far_reset, nart_tcp_reset(&tcp.far))
ACT(tcp_far_write, nart_tcp_shutdown(&tcp.far, NART_WRITE))
ACT(tcp_read, nart_tcp_shutdown(&tcp.mine, NART_READ))
ACT(tcp_write, nart_tcp_shutdown(&tcp.mine, NART_WRITE))
ACT(tcp_close, nart_tcp_close(&tcp.mine))
ACT(un_far_close, nart_unix_close(&un.far))
ACT(un_far_read, nart_unix_shutdown(&un.far, NART_READ))
ACT(un_far_write, nart_unix_shutdown(&un.far, NART_WRITE))
ACT(un_far_both, nart_unix_shutdown(&un.far, NART_READ | NART_WRITE))
ACT(un_read, nart_unix_shutdown(&un.mine, NART_READ))
ACT(un_write, nart_unix_shutdown(&un.mine, NART_WRITE))
ACT(un_both, nart_unix_shutdown(&un.mine, NART_READ | NART_WRITE))
ACT(un_close, nart_unix_close(&un.mine))
ACT(dgram_far_close, nart_unix_dgram_close(&dgram.far))
ACT(dgram_close, nart_unix_dgram_close(&dgram.mine))
ACT(fd_far_close, nart_fd_close(&fd.far))
ACT(fd_close, nart_fd_close(&fd.mine))

/* The peer has not read what was sent to it. */
static void un_far_close_unread(void)
{
    CHECK_RES(nart_unix_try_send(&un.mine, "x", 1), 1);
    CHECK_RES(nart_unix_close(&un.far), 0);
}

/* The peer is no handle: it shuts down reading, and then reads what is pending. */
static void un_far_reads_on(void)
{
    int peer = (int)nart_unix_fd(&un.far);

    CHECK_EQ(shutdown(peer, SHUT_RD), 0);
    while (recv(peer, much, sizeof much, 0) > 0)
        continue;
}

static const struct end {
    const char *name;
    void (*open)(void);
    nart_res (*wait)(nart_cx *cx, struct op *op);
    void (*end)(void);
    nart_res answer;
} ends[] = {
    { "tcp: a receive, the peer closes", tcp_open, tcp_recv, tcp_far_close, 0 },
    { "tcp: a receive, the peer resets", tcp_open, tcp_recv, tcp_far_reset, -ECONNRESET },
    { "tcp: a receive, the peer ends writing", tcp_open, tcp_recv, tcp_far_write, 0 },
    { "tcp: a receive, reading is ended", tcp_open, tcp_recv, tcp_read, 0 },
    { "tcp: a receive, the handle is closed", tcp_open, tcp_recv, tcp_close, -EBADF },
    { "tcp: a send, the peer closes", tcp_open, tcp_send, tcp_far_close, -ECONNRESET },
    { "tcp: a send, the peer resets", tcp_open, tcp_send, tcp_far_reset, -ECONNRESET },
    { "tcp: a send, writing is ended", tcp_open, tcp_send, tcp_write, -EPIPE },
    { "tcp: a send, the handle is closed", tcp_open, tcp_send, tcp_close, -EBADF },

    { "stream: a receive, the peer closes", stream_open, un_recv, un_far_close, 0 },
    { "stream: a receive, unread bytes", stream_open, un_recv, un_far_close_unread, -ECONNRESET },
    { "stream: a receive, the peer ends writing", stream_open, un_recv, un_far_write, 0 },
    { "stream: a receive, the peer ends both", stream_open, un_recv, un_far_both, 0 },
    { "stream: a receive, reading is ended", stream_open, un_recv, un_read, 0 },
    { "stream: a receive, the handle is closed", stream_open, un_recv, un_close, -EBADF },
    { "stream: a send, the peer closes", stream_open, un_send, un_far_close, -EPIPE },
    { "stream: a send, the peer ends reading", stream_open, un_send, un_far_read, -EPIPE },
    { "stream: a send, the peer ends reading and reads on", stream_open, un_send, un_far_reads_on,
      -EPIPE },
    { "stream: a send, the peer ends both", stream_open, un_send, un_far_both, -EPIPE },
    { "stream: a send, writing is ended", stream_open, un_send, un_write, -EPIPE },
    { "stream: a send, both are ended", stream_open, un_send, un_both, -EPIPE },
    { "stream: a send, the handle is closed", stream_open, un_send, un_close, -EBADF },
    { "stream: a message, writing is ended", stream_open, un_sendmsg, un_write, -EPIPE },
    { "stream: a message, the peer ends reading", stream_open, un_sendmsg, un_far_read, -EPIPE },
    { "stream: readable, reading is ended", stream_open, un_readable, un_read, NART_READ },
    { "stream: writable, writing is ended", stream_open, un_writable, un_write, NART_WRITE },
    { "stream: writable, the peer ends reading", stream_open, un_writable, un_far_read,
      NART_WRITE },

    { "messages: a receive, the peer closes", messages_open, un_recv, un_far_close, 0 },
    { "messages: a receive, unread ones", messages_open, un_recv, un_far_close_unread,
      -ECONNRESET },
    { "messages: a receive, the peer ends writing", messages_open, un_recv, un_far_write, 0 },
    { "messages: a receive, reading is ended", messages_open, un_recv, un_read, 0 },
    { "messages: a send, the peer closes", messages_open, un_send, un_far_close, -ECONNRESET },
    { "messages: a send, the peer ends reading", messages_open, un_send, un_far_read, -EPIPE },
    { "messages: a send, the peer ends both", messages_open, un_send, un_far_both, -EPIPE },
    { "messages: a send, writing is ended", messages_open, un_send, un_write, -EPIPE },

    { "datagrams: a send, the peer closes", dgram_open, dgram_send, dgram_far_close,
      -ECONNREFUSED },
    { "datagrams: a send, the handle is closed", dgram_open, dgram_send, dgram_close, -EBADF },
    { "datagrams: a receive, the handle is closed", dgram_open, dgram_recv, dgram_close, -EBADF },

    { "pipe: a read, the writer closes", pipe_read_open, fd_read, fd_far_close, 0 },
    { "pipe: a read, the handle is closed", pipe_read_open, fd_read, fd_close, -EBADF },
    { "pipe: a write, the reader closes", pipe_write_open, fd_write, fd_far_close, -EPIPE },
    { "pipe: a write, the handle is closed", pipe_write_open, fd_write, fd_close, -EBADF },
    { "fifo: a read, the writer closes", fifo_read_open, fd_read, fd_far_close, 0 },
    { "fifo: a write, the reader closes", fifo_write_open, fd_write, fd_far_close, -EPIPE },
    { "socket: a read, the peer closes", socket_open, fd_read, fd_far_close, 0 },
    { "socket: a write, the peer closes", socket_open, fd_write, fd_far_close, -EPIPE },
    { "terminal: a read, its program closes", tty_open, fd_read, fd_far_close, 0 },
    { "program: a read, the terminal closes", program_open, fd_read, fd_far_close, -EIO },
};

static void all_close(void)
{
    CHECK_RES(nart_tcp_close(&tcp.mine), 0);
    CHECK_RES(nart_tcp_close(&tcp.far), 0);
    CHECK_RES(nart_unix_close(&un.mine), 0);
    CHECK_RES(nart_unix_close(&un.far), 0);
    CHECK_RES(nart_unix_dgram_close(&dgram.mine), 0);
    CHECK_RES(nart_unix_dgram_close(&dgram.far), 0);
    CHECK_RES(nart_fd_close(&fd.mine), 0);
    CHECK_RES(nart_fd_close(&fd.far), 0);
}

/* Starts the operation until it waits: sends fill the buffers before. */
static void start_waiting(struct op *op, uint32_t form)
{
    do {
        op_start(op, form);
    } while (op->res > 0 && (nart_join_release(&op->join), true));
}

TEST_EACH(a_wait_is_answered_when_the_connection_ends, BODY, FIBER)
{
    struct iovec piece = { much, sizeof much };
    nart_msg msg = { .pieces = &piece, .n = 1 };

    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    rt_open();
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct op op = { .call = ends[i].wait, .msg = &msg };
        ends[i].open();
        while (ends[i].wait == un_writable && nart_unix_try_send(&un.mine, much, sizeof much) > 0)
            continue;
        if (ends[i].wait == un_readable)
            CHECK_RES(nart_unix_try_recv(&un.mine, buf, sizeof buf), -EAGAIN);
        start_waiting(&op, kind);
        if (op.res != NART_PENDING)
            test_fail(__FILE__, __LINE__, "%s: it does not wait: %s", ends[i].name,
                      nart_err_name(op.res));
        ends[i].end();
        if (op_finish(&op) != ends[i].answer)
            test_fail(__FILE__, __LINE__, "%s: %s", ends[i].name, nart_err_name(op.res));
        all_close();
    }
    rt_close();
}
