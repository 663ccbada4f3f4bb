/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Descriptors of C tasks on tokio. The handler of a connection is one type, which both drivers run. */
#include "bridge.h"
#include "threads.h"

#include <nart/chan.h>
#include <nart/net.h>
#include <nart/time.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static nart_addr local_addr(uint16_t port)
{
    nart_addr a;
    struct sockaddr_in in = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    memset(&a, 0, sizeof a);
    memcpy(&a.storage, &in, sizeof in);
    a.len = sizeof in;
    return a;
}

/* ---- one handler under both drivers ---- */

struct echo {
    nart_co co;
    int fd;
    nart_tcp conn;
    char buf[2048];
    size_t n, sent, total;
};

static nart_res echo_run(nart_cx *cx, void *frame)
{
    struct echo *e = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &e->co);
    r = nart_tcp_adopt_here(cx, e->fd, &e->conn);
    if (r < 0)
        NART_RETURN(r);
    for (;;) {
        NART_AWAIT(r, nart_tcp_recv(cx, &e->conn, e->buf, sizeof e->buf));
        if (r <= 0)
            break;
        e->n = (size_t)r;
        NART_AWAIT(r, nart_tcp_send_all(cx, &e->conn, e->buf, e->n, &e->sent));
        if (r < 0)
            break;
        e->total += e->n;
    }
    nart_tcp_close(&e->conn);
    NART_END(r < 0 ? r : (nart_res)e->total);
}

static void echo_drop(void *frame)
{
    struct echo *e = frame;
    nart_tcp_close(&e->conn);
}

static const nart_task_type echo_type =
    NART_TASK_TYPE_FLAGS(struct echo, echo_run, echo_drop, NART_TASK_SEND);

enum { ROUNDS = 200, LONGEST = 20000 };

/* Sends and receives blocks of all sizes. Returns the number of bytes. */
static void *client_main(void *arg)
{
    char out[LONGEST], in[LONGEST];
    int fd = *(int *)arg;
    intptr_t total = 0;

    for (int i = 0; i < ROUNDS; i++) {
        size_t n = 1 + random_number() % LONGEST;
        for (size_t k = 0; k < n; k++)
            out[k] = (char)(random_number() >> 8);
        CHECK_EQ(send(fd, out, n, MSG_NOSIGNAL), (ssize_t)n);
        CHECK_EQ(recv(fd, in, n, MSG_WAITALL), (ssize_t)n);
        CHECK(memcmp(in, out, n) == 0);
        total += (intptr_t)n;
    }
    CHECK_EQ(shutdown(fd, SHUT_WR), 0);
    CHECK_EQ(recv(fd, in, 1, 0), 0);
    close(fd);
    return (void *)total;
}

TEST_WITH(a_handler_serves_a_connection_on_tokio, both)
{
    nart_tokio_op op = { 0 };
    int ends[2];
    int64_t value = 0;
    void *total;

    tcp_pair(ends);
    pthread_t client = thread_start(client_main, &ends[0]);
    CHECK_RES(nart_tokio_spawn_task(bridge, &echo_type, &(struct echo){ .fd = ends[1] }, &op), 0);
    CHECK_RES(wait_for_answer(&op, &value), 0);
    CHECK_EQ(pthread_join(client, &total), 0);
    CHECK_EQ(value, (intptr_t)total);
    nart_tokio_op_close(&op);
}

TEST_WITH(the_same_handler_serves_one_on_the_loop, both)
{
    int ends[2];
    void *total;

    tcp_pair(ends);
    pthread_t client = thread_start(client_main, &ends[0]);
    nart_res r = run(&echo_type, &(struct echo){ .fd = ends[1] });
    CHECK_EQ(pthread_join(client, &total), 0);
    CHECK_EQ(r, (intptr_t)total);
}

TEST(many_connections_on_several_workers)
{
    enum { N = 16 };
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    nart_tokio_op ops[N] = { 0 };
    int ends[N][2];
    pthread_t clients[N];

    opts.workers = 3;
    both_open_with(&opts);
    for (int i = 0; i < N; i++) {
        tcp_pair(ends[i]);
        struct echo e = { .fd = ends[i][1] };
        CHECK_RES(nart_tokio_spawn_task(bridge, &echo_type, &e, &ops[i]), 0);
    }
    for (int i = 0; i < N; i += 2) { /* the others stay silent */
        clients[i] = thread_start(client_main, &ends[i][0]);
    }
    for (int i = 0; i < N; i++) {
        int64_t value = 0;
        void *total = NULL;
        if (i % 2 == 0)
            CHECK_EQ(pthread_join(clients[i], &total), 0);
        else
            close(ends[i][0]);
        CHECK_RES(wait_for_answer(&ops[i], &value), 0);
        CHECK_EQ(value, (intptr_t)total);
        nart_tokio_op_close(&ops[i]);
    }
    both_close();
}

/* A read stops at the mark of urgent data: it is short although more data is available, for which there is no
 * other event. */
TEST_WITH(urgent_data_does_not_stall_a_stream, both)
{
    nart_tokio_op op = { 0 }, worker = { 0 };
    char buf[8];
    int ends[2];
    int64_t value = 0;

    tcp_pair(ends);
    CHECK_RES(nart_tokio_spawn_task(bridge, &echo_type, &(struct echo){ .fd = ends[1] }, &op), 0);
    for (int i = 0; i < 2; i++) { /* from then on tokio watches it */
        CHECK_EQ(send(ends[0], "x", 1, 0), 1);
        CHECK_EQ(recv(ends[0], buf, 1, 0), 1);
    }
    occupy_worker(&worker);                       /* all of it is one event */
    CHECK_EQ(send(ends[0], "ab", 2, MSG_OOB), 2); /* 'b' is the urgent byte, out of band */
    CHECK_EQ(send(ends[0], "cd", 2, 0), 2);
    release_worker(&worker);
    CHECK_EQ(recv(ends[0], buf, 3, MSG_WAITALL), 3);
    CHECK(memcmp(buf, "acd", 3) == 0);
    CHECK_EQ(send(ends[0], "e", 1, 0), 1);
    CHECK_EQ(recv(ends[0], buf, 1, 0), 1);
    close(ends[0]);
    CHECK_RES(wait_for_answer(&op, &value), 0);
    CHECK_EQ(value, 6);
    nart_tokio_op_close(&op);
}

/* ---- listening and connecting ---- */

static uint64_t port;

struct server {
    nart_co co;
    nart_tcp_listener listener;
    nart_tcp conn;
    nart_addr addr;
    char byte;
    size_t sent;
    int i, n;
};

static nart_res server_run(nart_cx *cx, void *frame)
{
    struct server *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    s->addr = local_addr(0);
    CHECK_RES(nart_tcp_listen_here(cx, &s->addr, NULL, &s->listener), 0);
    CHECK_RES(nart_tcp_listener_addr(&s->listener, &s->addr), 0);
    set_word(&port, nart_addr_port(&s->addr));
    for (s->i = 0; s->i < s->n; s->i++) {
        NART_AWAIT(r, nart_tcp_accept(cx, &s->listener, &s->conn, NULL));
        CHECK_RES(r, 0);
        NART_AWAIT(r, nart_tcp_recv(cx, &s->conn, &s->byte, 1));
        CHECK_EQ(r, 1);
        NART_AWAIT(r, nart_tcp_send_all(cx, &s->conn, &s->byte, 1, &s->sent));
        CHECK_EQ(r, 1);
        CHECK_RES(nart_tcp_close(&s->conn), 0);
    }
    CHECK_RES(nart_tcp_listener_close(&s->listener), 0);
    NART_END(s->n);
}

struct caller {
    nart_co co;
    nart_tcp conn;
    nart_addr addr;
    char byte;
    size_t sent;
    int i, n;
};

static nart_res caller_run(nart_cx *cx, void *frame)
{
    struct caller *c = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    for (c->i = 0; c->i < c->n; c->i++) {
        NART_AWAIT(r, nart_tcp_connect(cx, &c->conn, &c->addr));
        CHECK_RES(r, 0);
        c->byte = (char)c->i;
        NART_AWAIT(r, nart_tcp_send_all(cx, &c->conn, &c->byte, 1, &c->sent));
        CHECK_EQ(r, 1);
        NART_AWAIT(r, nart_tcp_recv(cx, &c->conn, &c->byte, 1));
        CHECK_EQ(r, 1);
        CHECK_EQ(c->byte, (char)c->i);
        NART_AWAIT(r, nart_tcp_recv(cx, &c->conn, &c->byte, 1));
        CHECK_EQ(r, 0);
        CHECK_RES(nart_tcp_close(&c->conn), 0);
    }
    NART_END(c->n);
}

static const nart_task_type server_type = NART_TASK_TYPE_FLAGS(struct server, server_run, NULL,
                                                               NART_TASK_SEND),
                            caller_type = NART_TASK_TYPE_FLAGS(struct caller, caller_run, NULL,
                                                               NART_TASK_SEND);

TEST_WITH(a_server_and_its_clients_on_both_drivers, both)
{
    nart_tokio_op server = { 0 }, caller = { 0 };
    int64_t value = 0;

    CHECK_RES(nart_tokio_spawn_task(bridge, &server_type, &(struct server){ .n = 200 }, &server),
              0);
    wait_for(&port, 1);
    struct caller c = { .addr = local_addr((uint16_t)read_word(&port)), .n = 100 };
    CHECK_RES(nart_tokio_spawn_task(bridge, &caller_type, &c, &caller), 0);
    CHECK_EQ(run(&caller_type, &c), 100);
    CHECK_RES(wait_for_answer(&caller, &value), 0);
    CHECK_EQ(value, 100);
    CHECK_RES(wait_for_answer(&server, &value), 0);
    CHECK_EQ(value, 200);
    nart_tokio_op_close(&caller);
    nart_tokio_op_close(&server);
}

struct refused {
    nart_co co;
    nart_tcp conn;
    nart_addr addr;
};

static nart_res refused_run(nart_cx *cx, void *frame)
{
    struct refused *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, nart_tcp_connect(cx, &f->conn, &f->addr));
    CHECK(f->conn.io.drv == NULL);
    NART_END(r);
}

static const nart_task_type refused_type =
    NART_TASK_TYPE_FLAGS(struct refused, refused_run, NULL, NART_TASK_SEND);

TEST_WITH(a_refused_connect, both)
{
    nart_tokio_op op = { 0 };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct refused f = { .addr = local_addr(listen_locally(fd, 1)) };

    close(fd);
    CHECK_RES(nart_tokio_spawn_task(bridge, &refused_type, &f, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), -ECONNREFUSED);
    nart_tokio_op_close(&op);
}

/* ---- deadlines, races, cancellation ---- */

struct patient {
    nart_co co;
    int fd;
    nart_tcp conn;
    nart_timer timer;
    char byte;
    int which;
};

static uint64_t parked;

static nart_res mark_parked(void)
{
    count(&parked);
    return NART_PENDING;
}

static nart_res patient_run(nart_cx *cx, void *frame)
{
    struct patient *p = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &p->co);
    CHECK_RES(nart_tcp_adopt_here(cx, p->fd, &p->conn), 0);
    NART_AWAIT_FOR(r, NART_MS, nart_tcp_recv(cx, &p->conn, &p->byte, 1));
    CHECK_RES(r, -ETIMEDOUT);
    NART_AWAIT_ANY(p->which, r, nart_tcp_recv(cx, &p->conn, &p->byte, 1),
                   nart_sleep(cx, &p->timer, NART_MS));
    CHECK_EQ(p->which, 1);
    NART_AWAIT_ANY(p->which, r, nart_tcp_recv(cx, &p->conn, &p->byte, 1), mark_parked());
    CHECK_EQ(p->which, 0);
    CHECK(r < 0 || p->byte == 'x');
    NART_END(r);
}

static void patient_drop(void *frame)
{
    struct patient *p = frame;
    nart_tcp_close(&p->conn);
}

static const nart_task_type patient_type =
    NART_TASK_TYPE_FLAGS(struct patient, patient_run, patient_drop, NART_TASK_SEND);

TEST_WITH(deadlines_and_races_leave_the_data, both)
{
    nart_tokio_op op = { 0 };
    int ends[2];
    int64_t value = 0;

    tcp_pair(ends);
    CHECK_RES(nart_tokio_spawn_task(bridge, &patient_type, &(struct patient){ .fd = ends[1] }, &op),
              0);
    wait_for(&parked, 1);
    CHECK_EQ(send(ends[0], "x", 1, 0), 1);
    CHECK_RES(wait_for_answer(&op, &value), 0);
    CHECK_EQ(value, 1);
    CHECK_EQ(recv(ends[0], ends, 1, 0), 0); /* the drop has closed it */
    nart_tokio_op_close(&op);
    close(ends[0]);
}

TEST_WITH(a_cancelled_task_closes_its_connection, both)
{
    nart_tokio_op op = { 0 };
    int ends[2];
    char byte;

    tcp_pair(ends);
    CHECK_RES(nart_tokio_spawn_task(bridge, &patient_type, &(struct patient){ .fd = ends[1] }, &op),
              0);
    wait_for(&parked, 1);
    nart_tokio_op_cancel(&op);
    CHECK_RES(wait_for_answer(&op, NULL), NART_EABORTED);
    CHECK_EQ(recv(ends[0], &byte, 1, 0), 0);
    nart_tokio_op_close(&op);
    close(ends[0]);
}

static nart_res close_pending(struct patient *p)
{
    CHECK_RES(nart_tcp_close(&p->conn), 0);
    return NART_PENDING;
}

/* Another arm of the race closes the handle that an arm waits in. */
static nart_res closes_run(nart_cx *cx, void *frame)
{
    struct patient *p = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &p->co);
    CHECK_RES(nart_tcp_adopt_here(cx, p->fd, &p->conn), 0);
    NART_AWAIT_ANY(p->which, r, nart_tcp_recv(cx, &p->conn, &p->byte, 1), close_pending(p));
    CHECK_EQ(p->which, 0);
    NART_END(r);
}

static const nart_task_type closes_type =
    NART_TASK_TYPE_FLAGS(struct patient, closes_run, patient_drop, NART_TASK_SEND);

TEST_WITH(closing_a_handle_wakes_the_arm_that_waits_in_it, both)
{
    nart_tokio_op op = { 0 };
    int ends[2];

    tcp_pair(ends);
    CHECK_RES(nart_tokio_spawn_task(bridge, &closes_type, &(struct patient){ .fd = ends[1] }, &op),
              0);
    CHECK_RES(wait_for_answer(&op, NULL), -EBADF);
    nart_tokio_op_close(&op);
    close(ends[0]);
}

/* ---- other descriptors ---- */

struct reader {
    nart_co co;
    int fd;
    bool fifo;
    nart_fd handle;
    nart_res n;
    char buf[8];
    size_t total;
};

static uint64_t reads, empty_reads, ends_read;

static nart_res reader_run(nart_cx *cx, void *frame)
{
    struct reader *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    r = nart_fd_open_here(cx, f->fd, NART_FD_BORROW, &f->handle);
    if (r < 0)
        NART_RETURN(r);
    for (;;) {
        NART_AWAIT(r, nart_fd_ready(cx, &f->handle, NART_READ));
        if (r < 0)
            break;
        f->n = read(f->fd, f->buf, sizeof f->buf);
        if (f->n < 0 && errno == EAGAIN) {
            count(&empty_reads);
            nart_fd_clear(&f->handle, NART_READ);
            continue;
        }
        if (f->n == 0 && f->fifo) { /* waits for another writer */
            count(&ends_read);
            nart_fd_clear(&f->handle, NART_READ);
            continue;
        }
        count(&reads);
        if (f->n == 0 || f->buf[f->n - 1] == '.')
            break;
        f->total += (size_t)f->n;
    }
    nart_fd_close(&f->handle);
    NART_END(r < 0 ? r : (nart_res)f->total);
}

static const nart_task_type reader_type =
    NART_TASK_TYPE_FLAGS(struct reader, reader_run, NULL, NART_TASK_SEND);

TEST_WITH(a_pipe_and_a_regular_file, both)
{
    nart_tokio_op op = { 0 };
    int ends[2];
    int64_t value = 0;
    char path[] = "/tmp/nart-test-XXXXXX";

    CHECK_EQ(pipe2(ends, O_NONBLOCK), 0);
    CHECK_RES(nart_tokio_spawn_task(bridge, &reader_type, &(struct reader){ .fd = ends[0] }, &op),
              0);
    for (uint64_t i = 1; i <= 100; i++) {
        CHECK_EQ(write(ends[1], "abc", 3), 3);
        wait_for(&reads, i);
    }
    close(ends[1]);
    CHECK_RES(wait_for_answer(&op, &value), 0);
    CHECK_EQ(value, 300);
    nart_tokio_op_close(&op);
    close(ends[0]);

    int file = mkstemp(path);
    CHECK(file >= 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(pwrite(file, "0123456789", 10, 0), 10);
    CHECK_RES(run_on_tokio(bridge, &reader_type, &(struct reader){ .fd = file }, &value), 0);
    CHECK_EQ(value, 10);
    close(file);
    CHECK_RES(run_on_tokio(bridge, &reader_type, &(struct reader){ .fd = file }, NULL), -EBADF);
}

/* tokio does not forget that a FIFO had no writer, but it gets another one. */
TEST_WITH(the_end_of_a_fifo_can_be_over, both)
{
    nart_tokio_op op = { 0 };
    char dir[] = "/tmp/nart-test-XXXXXX", path[64];
    int64_t value = 0;

    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof path, "%s/fifo", dir);
    CHECK_EQ(mkfifo(path, 0600), 0);
    struct reader f = { .fd = open(path, O_RDONLY | O_NONBLOCK), .fifo = true };
    int out = open(path, O_WRONLY);
    CHECK(f.fd >= 0 && out >= 0);
    CHECK_RES(nart_tokio_spawn_task(bridge, &reader_type, &f, &op), 0);
    wait_for(&empty_reads, 1);
    CHECK_EQ(write(out, "a", 1), 1);
    wait_for(&reads, 1);
    close(out);
    wait_for(&ends_read, 1);
    out = open(path, O_WRONLY);
    CHECK_EQ(write(out, "b", 1), 1);
    wait_for(&reads, 2);
    uint64_t before = read_word(&empty_reads);
    for (int i = 0; i < 20000; i++)
        let_others_run();
    CHECK_LE(read_word(&empty_reads), before + 4); /* it waits */
    CHECK_EQ(write(out, ".", 1), 1);
    CHECK_RES(wait_for_answer(&op, &value), 0);
    CHECK_EQ(value, 2);
    nart_tokio_op_close(&op);
    close(f.fd);
    close(out);
    unlink(path);
    rmdir(dir);
}

struct pings {
    nart_co co;
    nart_udp sock;
    nart_addr addr;
    char buf[64];
    int i, n;
    bool serves;
};

static nart_res pings_run(nart_cx *cx, void *frame)
{
    struct pings *p = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &p->co);
    if (p->serves) {
        p->addr = local_addr(0);
        CHECK_RES(nart_udp_open_here(cx, &p->addr, NULL, &p->sock), 0);
        CHECK_RES(nart_udp_local_addr(&p->sock, &p->addr), 0);
        set_word(&port, nart_addr_port(&p->addr));
    } else {
        nart_addr any = local_addr(0);
        CHECK_RES(nart_udp_open_here(cx, &any, NULL, &p->sock), 0);
    }
    for (p->i = 0; p->i < p->n; p->i++) {
        if (!p->serves) {
            NART_AWAIT(r, nart_udp_send(cx, &p->sock, "ping", 4, &p->addr));
            CHECK_EQ(r, 4);
        }
        NART_AWAIT(r, nart_udp_recv(cx, &p->sock, p->buf, sizeof p->buf, &p->addr));
        CHECK_EQ(r, 4);
        if (p->serves) {
            NART_AWAIT(r, nart_udp_send(cx, &p->sock, p->buf, 4, &p->addr));
            CHECK_EQ(r, 4);
        }
    }
    CHECK_RES(nart_udp_close(&p->sock), 0);
    NART_END(p->n);
}

static const nart_task_type pings_type =
    NART_TASK_TYPE_FLAGS(struct pings, pings_run, NULL, NART_TASK_SEND);

TEST_WITH(datagrams_between_tokio_and_the_loop, both)
{
    nart_tokio_op op = { 0 };
    struct pings server = { .n = 500, .serves = true };

    CHECK_RES(nart_tokio_spawn_task(bridge, &pings_type, &server, &op), 0);
    wait_for(&port, 1);
    struct pings client = { .n = 500, .addr = local_addr((uint16_t)read_word(&port)) };
    CHECK_EQ(run(&pings_type, &client), 500);
    CHECK_RES(wait_for_answer(&op, NULL), 0);
    nart_tokio_op_close(&op);
}

/* ---- a task that is dropped while it waits ---- */

struct shielded {
    nart_co co;
    int which;
    nart_tx tx;
    uint64_t value;
};

/* Is protected from its cancellation: also the last poll waits. */
static nart_res shielded_run(nart_cx *cx, void *frame)
{
    struct shielded *s = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    NART_SHIELD(3600 * NART_SEC);
    NART_AWAIT_ANY(s->which, r, nart_send(cx, &s->tx, &s->value), mark_parked());
    NART_END(r);
}

/* A drop that closes nothing would leave the waits in the frame. */
static void shielded_drop(void *frame)
{
    struct shielded *s = frame;

    CHECK(s->tx.wait.task == NULL);
    nart_tx_close(&s->tx);
}

static const nart_task_type shielded_type =
    NART_TASK_TYPE_FLAGS(struct shielded, shielded_run, shielded_drop, NART_TASK_SEND);

TEST_WITH(the_waits_of_a_task_that_is_dropped_are_withdrawn, both)
{
    nart_chan_opts opts = NART_CHAN_OPTS_INIT;
    nart_tokio_op op = { 0 };
    struct shielded s = { .value = 1 };
    nart_tx tx;
    nart_rx rx;
    uint64_t got = 0;

    opts.kind = NART_CHAN_MPSC;
    opts.elem = sizeof s.value;
    opts.capacity = 1;
    CHECK_RES(nart_chan_open(loop, &opts, &tx, &rx), 0);
    CHECK_RES(nart_tx_clone(&tx, &s.tx), 0);
    CHECK_RES(nart_try_send(&tx, &s.value), 0); /* it is full */
    CHECK_RES(nart_tokio_spawn_task(bridge, &shielded_type, &s, &op), 0);
    wait_for(&parked, 1);
    nart_res r = nart_tokio_shutdown(bridge, 10 * NART_MS, NULL);
    CHECK(r == 0 || r == -ETIMEDOUT); /* the latter if the worker gets no processor in that time */
    CHECK_RES(wait_for_answer(&op, NULL), NART_ESHUTDOWN);
    wait_until_all_work_has_ended();
    nart_tokio_op_close(&op);
    CHECK_RES(nart_try_recv(&rx, &got), 0);
    CHECK_EQ(nart_rx_len(&rx), 0);
    CHECK_RES(nart_try_send(&tx, &s.value), 0);
    nart_tx_close(&tx);
    nart_rx_close(&rx);
}
