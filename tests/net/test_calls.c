/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The system calls of handles: those of a loop written by hand, and no others. */
#include "calls.h"
#include "net_test.h"

#include <nart/fiber.h>
#include <nart/unix.h>

#include <sys/ioctl.h>

enum { TCP, UNIX, UDP, UDP_MANY }; /* UDP_MANY: by nart_udp_recv_many() */
enum { BATCH = 4, CONNECTIONS = 64, SIZE = 64 };

/* One handle of the runtime, the peer's plain descriptor, and who echoes. */
struct link {
    nart_co co;
    uint32_t kind;
    union {
        nart_tcp tcp;
        nart_unix un;
        nart_udp udp;
    };
    int peer;
    nart_udp_msg msg[BATCH];
    size_t len, done;
    char buf[BATCH][SIZE + 1]; /* a message is shorter, so a receive is, too */
};

static nart_res take(nart_cx *cx, struct link *l)
{
    switch (l->kind) {
    case TCP:
        return nart_tcp_recv(cx, &l->tcp, l->buf, sizeof l->buf);
    case UNIX:
        return nart_unix_recv(cx, &l->un, l->buf, sizeof l->buf);
    default:
        return nart_udp_recv_many(cx, &l->udp, l->msg, l->kind == UDP_MANY ? BATCH : 1);
    }
}

static nart_res give(nart_cx *cx, struct link *l)
{
    switch (l->kind) {
    case TCP:
        return nart_tcp_send_all(cx, &l->tcp, l->buf, l->len, &l->done);
    case UNIX:
        return nart_unix_send_all(cx, &l->un, l->buf, l->len, &l->done);
    default:
        return nart_udp_send_many(cx, &l->udp, l->msg, l->len);
    }
}

static nart_res link_body(nart_cx *cx, void *frame)
{
    struct link *l = *(struct link **)frame;
    nart_res n = 0;

    NART_BEGIN(cx, &l->co);
    for (;;) {
        NART_AWAIT(n, take(cx, l));
        if (n <= 0)
            break;
        l->len = (size_t)n;
        NART_AWAIT(n, give(cx, l));
        CHECK_EQ(n, l->len);
    }
    NART_END(n);
}

static const nart_task_type link_type = NART_TASK_TYPE(struct link *, link_body, NULL);

static nart_res link_fiber(nart_cx *cx, void *arg)
{
    struct link *l = arg;
    nart_res n;

    while ((n = nart_await(cx, take(cx, l))) > 0) {
        l->len = (size_t)n;
        CHECK_RES(nart_await(cx, give(cx, l)), n);
    }
    return n;
}

static void link_open(nart_rt *rt, struct link *l, uint32_t kind)
{
    int fds[2];
    nart_addr mine;

    *l = (struct link){ .kind = kind };
    if (kind == TCP) {
        l->peer = tcp_pair(rt, &l->tcp);
    } else if (kind == UNIX) {
        CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        CHECK_RES(nart_unix_adopt(rt, fds[0], &l->un), 0);
        l->peer = fds[1];
    } else {
        udp_at(rt, &l->udp, &mine);
        l->peer = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        CHECK_EQ(connect(l->peer, sockaddr_of(&mine), mine.len), 0);
        for (int i = 0; i < BATCH; i++)
            l->msg[i] = (nart_udp_msg){ .buf = l->buf[i], .cap = sizeof l->buf[i] };
    }
}

/* The peer sends one message, which has arrived. */
static void link_send(struct link *l)
{
    char text[SIZE] = "echo";
    nart_res fd = l->kind == TCP    ? nart_tcp_fd(&l->tcp)
                  : l->kind == UNIX ? nart_unix_fd(&l->un)
                                    : nart_udp_fd(&l->udp);

    CHECK_EQ(send(l->peer, text, sizeof text, 0), sizeof text);
    wait_for((int)fd, POLLIN);
}

static void link_expect(struct link *l)
{
    char text[SIZE];

    CHECK_EQ(recv(l->peer, text, sizeof text, MSG_WAITALL), sizeof text);
    CHECK_STR(text, "echo");
}

static void link_close(struct link *l)
{
    CHECK_RES(l->kind == TCP    ? nart_tcp_close(&l->tcp)
              : l->kind == UNIX ? nart_unix_close(&l->un)
                                : nart_udp_close(&l->udp),
              0);
    close(l->peer);
}

/* Echoes one message on each of n connections, whose tasks are bodies or fibers. */
static void rounds(uint32_t kind, int n, bool fibers)
{
    static struct link links[CONNECTIONS], *l;
    nart_rt *rt = new_rt();
    uint64_t events;

    for (l = links; l < links + n; l++) {
        link_open(rt, l, kind);
        if (fibers)
            CHECK_RES(nart_rt_fiber_spawn(rt, link_fiber, l, NULL, NULL), 0);
        else
            spawn(rt, &link_type, &l, NULL);
    }
    settle(rt);
    for (int round = 0; round < 4; round++) {
        for (l = links; l < links + n; l++)
            link_send(l);
        events = stats_of(rt).io_events;
        count_from_here();
        CHECK_RES(nart_rt_poll(rt, 0), n);
        /* Whether another datagram is there only the kernel knows, unless a batch was not filled. And the first
         * receives of a socket that was adopted are not counted. */
        if (round > 0)
            CHECK_MADE(.waits = 1, .recvs = kind == UDP ? 2 * n : n, .sends = n);
        counting = false;
        for (l = links; l < links + n; l++)
            link_expect(l);
        CHECK_EQ(stats_of(rt).io_events - events, n);
        count_from_here();
        CHECK_RES(nart_rt_poll(rt, 0), 0);
        CHECK_MADE(.waits = 1);
        CHECK_EQ(stats_of(rt).io_events - events, n); /* what was sent, and was read, is no event */
    }
    for (l = links; l < links + n; l++)
        link_close(l);
    settle(rt);
    CHECK_RES(nart_rt_free(rt), 0);
}

TEST_EACH(a_round_of_echoes_costs_one_wait_and_two_calls_each, TCP, UNIX, UDP, UDP_MANY)
{
    only_where_counted();
    for (int fibers = 0; fibers < 2; fibers++) {
        rounds(kind, 1, fibers);
        rounds(kind, CONNECTIONS, fibers);
    }
}

/* ---- the life of a connection ---- */

struct acceptor {
    nart_co co;
    nart_tcp_listener *l;
    struct link *next;
};

static nart_res acceptor_run(nart_cx *cx, void *frame)
{
    struct acceptor *a = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &a->co);
    for (;; a->next++) {
        NART_AWAIT(r, nart_tcp_accept(cx, a->l, &a->next->tcp, NULL));
        if (r < 0)
            break;
        if (nart_spawn(cx, &link_type, &a->next, NULL) != 0)
            test_fail(__FILE__, __LINE__, "no task");
    }
    NART_END(r);
}

TYPE(acceptor, acceptor_run);

TEST(a_connection_costs_an_accept_and_one_registration)
{
    enum { N = 32 }; /* a tick polls all their tasks */
    static struct link links[N];
    nart_rt *rt = new_rt();
    nart_tcp_listener listener;
    nart_addr at;
    char c = 'x';

    only_where_counted();
    listen_at(rt, &listener, &at);
    spawn(rt, &acceptor_type, &(struct acceptor){ .l = &listener, .next = links }, NULL);
    settle(rt);
    for (int i = 0; i < N; i++) {
        links[i].peer = raw_connect(&at);
        CHECK_EQ(send(links[i].peer, &c, 1, 0), 1);
        for (int left = 1;
             left > 0;) /* until it is acknowledged: it is in the queue of the other end */
            CHECK_EQ(ioctl(links[i].peer, TIOCOUTQ, &left), 0);
    }
    uint64_t events = stats_of(rt).io_events;
    count_from_here();
    settle(rt);
    counting = false;
    CHECK_EQ(stats_of(rt).io_events - events, 1); /* of the listener */
    CHECK_EQ(made.accepts, N + 1);                /* the last one finds none */
    CHECK_EQ(made.adds, N);
    CHECK_EQ(made.mods + made.dels + made.options, 0);
    CHECK_EQ(made.recvs, N); /* what a peer sends at once needs no wait */
    CHECK_EQ(made.sends, N);
    for (int i = 0; i < N; i++)
        CHECK_EQ(recv(links[i].peer, &c, 1, 0), 1);
    settle(rt);
    CHECK_EQ(stats_of(rt).io_events - events, 1); /* idle ones cost nothing */
    count_from_here();
    for (int i = 0; i < N; i++)
        link_close(&links[i]);
    CHECK_MADE(.dels = N); /* a duplicate in another process would keep it registered */
    CHECK_RES(nart_tcp_listener_close(&listener), 0);
    settle(rt);
    CHECK_RES(nart_rt_free(rt), 0);
}

struct connecting {
    nart_tcp *s;
    const nart_addr *to;
};

static nart_res connecting_run(nart_cx *cx, void *frame)
{
    struct connecting *c = frame;
    return nart_tcp_connect(cx, c->s, c->to);
}

TYPE(connecting, connecting_run);

TEST(a_connect_costs_one_registration_and_one_question)
{
    nart_rt *rt = new_rt();
    nart_addr at;
    nart_tcp s = { 0 };
    int l = raw_listen(&at, 1);

    only_where_counted();
    count_from_here();
    CHECK_RES(run(rt, &connecting_type, &(struct connecting){ &s, &at }), 0);
    made.waits = made.allocations = 0;
    CHECK_MADE(.adds = 1, .options = 1); /* SO_ERROR */
    CHECK_RES(nart_tcp_close(&s), 0);
    close(l);
    CHECK_RES(nart_rt_free(rt), 0);
}

/* Sends until the kernel accepts no more. */
static void fill(nart_rt *rt, nart_tcp *s, int peer)
{
    static char bytes[1 << 16];
    static nart_res answer;
    nart_join join = { 0 };
    size_t sent = 16 * sizeof bytes;

    for (size_t i = 0; i < 16; i++) {
        spawn(rt, &sender_type, &(struct sender){ s, bytes, sizeof bytes, 0, &answer }, &join);
        settle(rt);
        while (!nart_join_done(&join)) { /* the peer reads only now, so the task waited */
            ssize_t n = recv(peer, bytes, sizeof bytes, MSG_DONTWAIT);
            sent -= n > 0 ? (size_t)n : 0;
            CHECK_LE(0, nart_rt_poll(rt, 0));
        }
        nart_join_release(&join);
    }
    while (sent > 0) {
        ssize_t n = recv(peer, bytes, sizeof bytes, 0);
        CHECK_LE(1, n);
        sent -= (size_t)n;
    }
}

TEST(waiting_to_send_costs_one_change_of_the_registration_for_ever)
{
    nart_rt *rt = new_rt();
    nart_tcp s;
    int peer = tcp_pair(rt, &s), small = 1 << 16;

    only_where_counted();
    CHECK_EQ(setsockopt((int)nart_tcp_fd(&s), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    CHECK_EQ(setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    for (int times = 0; times < 3; times++) {
        count_from_here();
        fill(rt, &s, peer);
        counting = false;
        CHECK_EQ(made.mods, times == 0);
        CHECK_EQ(made.adds + made.dels, 0);
    }
    CHECK_RES(nart_tcp_close(&s), 0);
    close(peer);
    CHECK_RES(nart_rt_free(rt), 0);
}
