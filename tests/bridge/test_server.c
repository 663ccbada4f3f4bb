/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One echo server, from listening to its shutdown, under both drivers: hundreds of connections, of which some
 * are reset, some half closed, and the rest in use when the shutdown begins. */
#include "bridge.h"
#include "threads.h"

#include <nart/net.h>
#include <nart/nursery.h>
#include <nart/shutdown.h>
#include <nart/sync.h>
#include <nart/time.h>

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 200, BLOCK = 1000, ROUNDS = 3, SENDERS = 10 };

static uint64_t port, begun, dropped, rounds;

/* ---- the server: no line of it depends on the driver ---- */

struct conn {
    nart_co co;
    nart_tcp sock;
    nart_semaphore *senders;
    nart_waiter waiter;
    size_t len, done;
    char buf[512];
};

static nart_res conn_run(nart_cx *cx, void *frame)
{
    struct conn *c = frame;
    nart_res n = 0;

    NART_BEGIN(cx, &c->co);
    for (;;) {
        NART_AWAIT_FOR(n, 3600 * NART_SEC, nart_tcp_recv(cx, &c->sock, c->buf, sizeof c->buf));
        if (n <= 0)
            break;
        c->len = (size_t)n;
        NART_AWAIT(n, nart_semaphore_acquire(cx, c->senders, &c->waiter, 1));
        if (n < 0)
            break;
        NART_AWAIT(n, nart_tcp_send_all(cx, &c->sock, c->buf, c->len, &c->done));
        nart_semaphore_release(c->senders, 1);
        if (n < 0)
            break;
    }
    NART_END(n);
}

static void conn_drop(void *frame)
{
    struct conn *c = frame;
    nart_tcp_close(&c->sock);
    count(&dropped);
}

static const nart_task_type conn_type = NART_TASK_TYPE(struct conn, conn_run, conn_drop);

struct server {
    nart_co co;
    nart_tcp_listener listener;
    nart_addr addr;
    nart_nursery conns;
    nart_semaphore senders;
    struct conn conn;
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    nart_semaphore_init(&s->senders, SENDERS);
    CHECK_RES(nart_addr_parse(&s->addr, "127.0.0.1:0"), 0);
    CHECK_RES(nart_tcp_listen_here(cx, &s->addr, NULL, &s->listener), 0);
    CHECK_RES(nart_tcp_listener_addr(&s->listener, &s->addr), 0);
    CHECK_RES(nart_nursery_open(cx, &s->conns, 0), 0);
    set_word(&port, nart_addr_port(&s->addr));
    for (;;) {
        NART_AWAIT(r, nart_tcp_accept(cx, &s->listener, &s->conn.sock, NULL));
        if (r == -ECANCELED)
            break;
        CHECK_RES(r, 0);
        s->conn.senders = &s->senders;
        CHECK_RES(nart_nursery_spawn(cx, &s->conns, &conn_type, &s->conn), 0);
        memset(&s->conn, 0, sizeof s->conn); /* the socket is the task's */
        count(&begun);
    }
    NART_END(r); /* the nursery cancels the connections, and the end waits for them */
}

static void server_drop(void *frame)
{
    struct server *s = frame;
    nart_tcp_listener_close(&s->listener);
}

static const nart_task_type server_type =
    NART_TASK_TYPE_FLAGS(struct server, server_run, server_drop, NART_TASK_SEND);

/* ---- its clients: one thread ---- */

static int connect_once(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)read_word(&port)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(fd >= 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

/* Sends a block and receives it. False: the server has closed the connection. */
static bool exchange(int fd, char fill)
{
    char out[BLOCK], in[BLOCK];

    memset(out, fill, sizeof out);
    if (send(fd, out, sizeof out, MSG_NOSIGNAL) != (ssize_t)sizeof out ||
        recv(fd, in, sizeof in, MSG_WAITALL) != (ssize_t)sizeof in)
        return false;
    CHECK(memcmp(in, out, sizeof in) == 0);
    return true;
}

static void reset_it(int fd)
{
    const struct linger at_once = { .l_onoff = 1 };
    char byte = 0;

    CHECK_EQ(send(fd, &byte, 1, MSG_NOSIGNAL), 1);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(fd);
}

static void close_half(int fd)
{
    char byte;

    CHECK_EQ(shutdown(fd, SHUT_WR), 0);
    CHECK_EQ(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

static void *clients_main(void *arg)
{
    int fds[CONNECTIONS];
    int left = CONNECTIONS;

    wait_for(&port, 1);
    for (int i = 0; i < CONNECTIONS; i++)
        fds[i] = connect_once();
    for (int k = 0; k < ROUNDS; k++)
        for (int i = 0; i < CONNECTIONS; i++)
            CHECK(exchange(fds[i], (char)(i + k)));
    for (int i = 0; i < CONNECTIONS; i++) {
        if (i % 4 == 1)
            reset_it(fds[i]);
        else if (i % 4 == 2)
            close_half(fds[i]);
        else
            continue;
        fds[i] = -1;
        left--;
    }
    while (left > 0) { /* until the shutdown has closed every connection */
        for (int i = 0; i < CONNECTIONS; i++) {
            if (fds[i] < 0 || exchange(fds[i], (char)i))
                continue;
            close(fds[i]);
            fds[i] = -1;
            left--;
        }
        count(&rounds);
    }
    return arg;
}

/* ---- the two drivers ---- */

static void check_end(void)
{
    CHECK_EQ(read_word(&begun), CONNECTIONS);
    CHECK_EQ(read_word(&dropped), CONNECTIONS);
}

TEST_WITH(a_server_on_tokio_from_listen_to_shutdown, both)
{
    nart_tokio_op op = { 0 };
    pthread_t clients = thread_start(clients_main, NULL);

    CHECK_RES(nart_tokio_spawn_task(bridge, &server_type, NULL, &op), 0);
    wait_for(&rounds, 2);
    CHECK_RES(nart_tokio_shutdown(bridge, 3600 * NART_SEC, NULL), 0);
    CHECK_RES(wait_for_answer(&op, NULL), NART_EABORTED);
    nart_tokio_op_close(&op);
    CHECK_EQ(pthread_join(clients, NULL), 0);
    check_end();
}

TEST_WITH(the_same_server_on_a_loop, both)
{
    pthread_t clients = thread_start(clients_main, NULL);

    CHECK_RES(nart_rt_spawn(loop, &server_type, NULL, NULL), 0);
    while (read_word(&rounds) < 2)
        CHECK_LE(0, nart_rt_poll(loop, NART_MS));
    CHECK_RES(nart_rt_shutdown_within(loop, 0, 3600 * NART_SEC, NULL), 0);
    CHECK_EQ(pthread_join(clients, NULL), 0);
    check_end();
}
