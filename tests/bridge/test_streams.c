/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Streams over descriptors of C tasks on tokio, whose threads poll the tasks in turn. A pair is refused there:
 * see test_waits.c. */
#include "bridge.h"
#include "threads.h"

#include <nart/net.h>
#include <nart/stream.h>

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A descriptor of the task, as a TCP socket or as another one. */
struct side {
    nart_tcp tcp;
    nart_fd sock;
    nart_stream s;
    char buf[32];
};

static nart_res side_open(nart_cx *cx, struct side *e, int fd, bool tcp)
{
    nart_res r =
        tcp ? nart_tcp_adopt_here(cx, fd, &e->tcp) : nart_fd_open_here(cx, fd, 0, &e->sock);
    if (r < 0)
        return r;
    return tcp ? nart_stream_init_tcp(&e->s, &e->tcp, e->buf, sizeof e->buf)
               : nart_stream_init_fd(&e->s, &e->sock, e->buf, sizeof e->buf);
}

/* ---- lines ---- */

struct server {
    nart_co co;
    int fd;
    bool tcp, late;
    struct side e;
    char out[32], *line;
    size_t len, done, lines;
};

/* Returns each line. The first deadline that passes is reported to the client, which then sends the rest. */
static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    CHECK_RES(side_open(cx, &f->e, f->fd, f->tcp), 0);
    CHECK_RES(nart_stream_buffer_writes(&f->e.s, f->out, sizeof f->out), 0);
    for (;;) {
        NART_AWAIT_FOR(r, NART_MS, nart_stream_read_line(cx, &f->e.s, 0, &f->line));
        if (r == -ETIMEDOUT && f->late)
            continue;
        if (r < 0 && r != -ETIMEDOUT)
            break;
        if (r == -ETIMEDOUT) {
            f->late = true;
            NART_AWAIT(r, nart_stream_write_all(cx, &f->e.s, "late\n", 5, &f->done));
            CHECK_RES(r, 5);
        } else {
            f->lines++;
            f->line[r] = '\n';
            f->len = (size_t)r + 1;
            NART_AWAIT(r, nart_stream_write_all(cx, &f->e.s, f->line, f->len, &f->done));
            CHECK_RES(r, (nart_res)f->len);
        }
        NART_AWAIT(r, nart_stream_flush(cx, &f->e.s));
        CHECK_RES(r, 0);
    }
    CHECK_RES(r, NART_EEOF);
    NART_AWAIT(r, nart_stream_shutdown(cx, &f->e.s));
    CHECK_RES(r, 0);
    CHECK_RES(nart_stream_close(&f->e.s), 0);
    NART_END((nart_res)f->lines);
}

static const nart_task_type server_type =
    NART_TASK_TYPE_FLAGS(struct server, server_run, NULL, NART_TASK_SEND);

static void client_send(int fd, const char *text)
{
    CHECK_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void client_expect(int fd, const char *text)
{
    char got[64] = "";

    CHECK_EQ(recv(fd, got, strlen(text), MSG_WAITALL), (ssize_t)strlen(text));
    CHECK_STR(got, text);
}

TEST_WITH(lines_are_read_and_written_on_tokio, both)
{
    for (int tcp = 0; tcp < 2; tcp++) {
        nart_tokio_op op = { 0 };
        int ends[2];
        int64_t lines = 0;

        if (tcp)
            tcp_pair(ends);
        else
            CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        const struct server init = { .fd = ends[1], .tcp = tcp };
        CHECK_RES(nart_tokio_spawn_task(bridge, &server_type, &init, &op), 0);
        client_send(ends[0], "par"); /* is kept when the deadline passes */
        client_expect(ends[0], "late\n");
        client_send(ends[0], "tial\ntwo\r\n");
        client_expect(ends[0], "partial\ntwo\n");
        CHECK_EQ(shutdown(ends[0], SHUT_WR), 0);
        CHECK_RES(wait_for_answer(&op, &lines), 0);
        CHECK_EQ(lines, 2);
        CHECK_EQ(recv(ends[0], &(char){ 0 }, 1, 0), 0);
        nart_tokio_op_close(&op);
        close(ends[0]);
    }
}

/* ---- both directions ---- */

enum { MUCH = 300000 };

struct relay {
    nart_co co;
    int fd[2];
    struct side e[2];
    nart_stream_relay relay;
};

static nart_res relay_run(nart_cx *cx, void *frame)
{
    struct relay *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (int i = 0; i < 2; i++)
        CHECK_RES(side_open(cx, &f->e[i], f->fd[i], i), 0);
    NART_AWAIT(r, nart_stream_copy_both(cx, &f->e[0].s, &f->e[1].s, &f->relay));
    CHECK_RES(r, 0);
    nart_stream_relay_finish(&f->relay);
    for (int i = 0; i < 2; i++)
        CHECK_RES(nart_stream_close(&f->e[i].s), 0);
    NART_END((nart_res)(f->relay.there.copied * 10 + f->relay.back.copied));
}

static const nart_task_type relay_type =
    NART_TASK_TYPE_FLAGS(struct relay, relay_run, NULL, NART_TASK_SEND);

static char nth_byte(int i)
{
    return (char)(i * 7 >> 3);
}

static void *sender_main(void *arg)
{
    static char much[MUCH];
    int fd = *(const int *)arg;

    for (int i = 0; i < MUCH; i++)
        much[i] = nth_byte(i);
    CHECK_EQ(send(fd, much, sizeof much, MSG_NOSIGNAL), (ssize_t)sizeof much);
    CHECK_EQ(shutdown(fd, SHUT_WR), 0);
    client_expect(fd, "ok");
    CHECK_EQ(recv(fd, much, 1, 0), 0);
    return NULL;
}

TEST_WITH(a_relay_on_tokio_copies_both_ways_and_passes_on_each_end, both)
{
    static char got[MUCH];
    nart_tokio_op op = { 0 };
    int there[2], back[2];
    int64_t copied = 0;

    signal(SIGPIPE, SIG_IGN); /* it splices */
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, there), 0);
    tcp_pair(back);
    const struct relay init = { .fd = { there[1], back[1] } };
    CHECK_RES(nart_tokio_spawn_task(bridge, &relay_type, &init, &op), 0);
    pthread_t sender = thread_start(sender_main, &there[0]);
    CHECK_EQ(recv(back[0], got, sizeof got, MSG_WAITALL), (ssize_t)sizeof got);
    CHECK_EQ(recv(back[0], &(char){ 0 }, 1, 0), 0); /* its end, while the other direction is open */
    for (int i = 0; i < MUCH; i++)
        if (got[i] != nth_byte(i))
            test_fail(__FILE__, __LINE__, "byte %d differs", i);
    client_send(back[0], "ok");
    CHECK_EQ(shutdown(back[0], SHUT_WR), 0);
    CHECK_EQ(pthread_join(sender, NULL), 0);
    CHECK_RES(wait_for_answer(&op, &copied), 0);
    CHECK_EQ(copied, MUCH * 10 + 2);
    nart_tokio_op_close(&op);
    close(there[0]);
    close(back[0]);
}
