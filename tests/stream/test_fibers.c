/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Streams in fibers. Each operation is left three times: it loses a race, its deadline passes, its fiber is
 * cancelled. Meanwhile bytes arrive. Another fiber then continues it, and no byte is missing. */
#include "stream_test.h"

#include <nart/fiber.h>
#include <nart/sync.h>

struct leaver {
    struct op op;
    nart_notify gate;
    int left;
};

static nart_res leaves(nart_cx *cx, void *arg)
{
    struct leaver *f = arg;
    nart_waiter w = { 0 };
    int which = -1;

    CHECK_RES(nart_await_any(cx, which, op_do(cx, &f->op), nart_notify_await(cx, &f->gate, &w)), 0);
    CHECK_EQ(which, 1);
    f->left++;
    CHECK_RES(nart_await_for(cx, NART_MS, op_do(cx, &f->op)), -ETIMEDOUT);
    f->left++;
    CHECK_RES(nart_await(cx, op_do(cx, &f->op)), -ECANCELED);
    f->left++;
    return 0;
}

static nart_res continues(nart_cx *cx, void *arg)
{
    struct leaver *f = arg;

    f->op.res = nart_await(cx, op_do(cx, &f->op));
    return f->op.res;
}

/* `step` is called while it waits for the i-th time. */
static void leave(nart_rt *rt, struct leaver *f, void (*step)(void *arg, int i), void *arg)
{
    nart_join join;

    f->op.res = NART_PENDING;
    CHECK_RES(nart_rt_fiber_spawn(rt, leaves, f, NULL, &join), 0);
    settle(rt);
    step(arg, 0);
    settle(rt);
    CHECK_EQ(f->left, 0);
    nart_notify_one(&f->gate);
    settle(rt);
    CHECK_LE(1, f->left);
    step(arg, 1);
    settle(rt);
    while (f->left == 1)
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
    step(arg, 2);
    settle(rt);
    CHECK_EQ(f->left, 2);
    CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    settle(rt);
    CHECK_EQ(f->left, 3);
    nart_join_release(&join);
    nart_notify_close(&f->gate);
    CHECK_RES(nart_rt_fiber_spawn(rt, continues, f, NULL, NULL), 0);
    step(arg, 3);
}

static void run_to_answer(nart_rt *rt, const struct op *op)
{
    while (op->res == NART_PENDING)
        CHECK_LE(0, nart_rt_poll(rt, NART_NEVER));
}

/* ---- reading ---- */

static nart_res do_peek(nart_cx *cx, struct op *op)
{
    nart_res r = do_fill(cx, op);

    if (r >= 0)
        CHECK_EQ(nart_stream_peek(op->s, &op->text), r);
    return r;
}

static nart_res do_text(nart_cx *cx, struct op *op)
{
    op->text = op->into;
    return do_exact(cx, op);
}

static nart_res do_frame(nart_cx *cx, struct op *op)
{
    return nart_stream_read_frame(cx, op->s, NART_PREFIX_U8, 0, &op->text);
}

static const struct a_read {
    nart_res (*call)(nart_cx *cx, struct op *op);
    const char *delim, *first;
    size_t len;
    nart_res answer;
} reads[] = {
    { do_text, NULL, "a", 4, 4 }, { do_until, "cd", "a", 2, 4 },   { do_line, NULL, "a", 0, 4 },
    { do_peek, NULL, "a", 5, 5 }, { do_frame, NULL, "\4a", 0, 4 },
};

struct reading {
    struct link *l;
    const struct a_read *read;
};

static void send_piece(void *arg, int i)
{
    const struct reading *f = arg;
    const char *const pieces[] = { f->read->first, "b", "c", "d\n" };

    link_send(f->l, pieces[i]);
}

static void read_in_pieces(uint32_t transport, const struct a_read *read)
{
    OPEN(link, l, transport, 16);
    struct reading f = { &l, read };
    struct leaver leaver = { .op = OP(&l, read->call, .from = read->delim, .len = read->len) };

    leave(l.rt, &leaver, send_piece, &f);
    run_to_answer(l.rt, &leaver.op);
    CHECK_RES(leaver.op.res, read->answer);
    CHECK_EQ(memcmp(leaver.op.text, "abcd", 4), 0);
    CHECK_EQ(leaver.op.done, 0);
}

TEST_EACH(a_read_that_was_left_is_continued, TCP, UNIX)
{
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++)
        read_in_pieces(kind, &reads[i]);
}

/* ---- writing ---- */

static void nothing(void *arg, int i)
{
    (void)arg, (void)i;
}

TEST_EACH(a_write_that_was_left_is_continued, TCP, UNIX)
{
    static char much[8 << 20], got[8 << 20]; /* more than the kernel buffers */
    OPEN(link, l, kind, 16);
    struct leaver f = { .op = OP(&l, do_write, .from = much, .len = sizeof much) };
    size_t n = 0;

    for (size_t i = 0; i < sizeof much; i++)
        much[i] = (char)(i * 2654435761u >> 13);
    leave(l.rt, &f, nothing, NULL);
    while (n < sizeof got) {
        ssize_t r = recv(l.peer, got + n, sizeof got - n, MSG_DONTWAIT);
        if (r > 0)
            n += (size_t)r;
        CHECK_LE(0, nart_rt_poll(l.rt, 0));
    }
    run_to_answer(l.rt, &f.op);
    CHECK_RES(f.op.res, sizeof much);
    CHECK_EQ(memcmp(got, much, sizeof much), 0);
    CHECK_EQ(recv(l.peer, got, 1, MSG_DONTWAIT), -1);
}

/* ---- a relay between a client and a server, all of them fibers ---- */

struct party {
    nart_stream s;
    char buf[16];
};

static struct relayed {
    nart_rt *rt;
    nart_stream_pair front, back;
    char front_mem[8], back_mem[8];
    struct party client, a, b, server;
    nart_stream_relay relay;
    const char *text; /* the client's next piece; NULL: it ends */
    nart_notify more;
    int ended;
} it;

static nart_res client_main(nart_cx *cx, void *arg)
{
    nart_stream *s = arg;
    nart_waiter w = { 0 };
    size_t done = 0;
    char *line;

    for (;;) {
        CHECK_RES(nart_await(cx, nart_notify_await(cx, &it.more, &w)), 0);
        CHECK_RES(nart_await(cx, nart_stream_write_all(cx, s, it.text, 1, &done)), 1);
        if (*it.text == 'd')
            break;
    }
    CHECK_RES(nart_await(cx, nart_stream_shutdown(cx, s)), 0);
    CHECK_RES(nart_await(cx, nart_stream_read_line(cx, s, 0, &line)), 5);
    CHECK_STR(line, "reply");
    CHECK_RES(nart_await(cx, nart_stream_read_line(cx, s, 0, &line)), NART_EEOF);
    it.ended++;
    return nart_stream_close(s);
}

static nart_res server_main(nart_cx *cx, void *arg)
{
    nart_stream *s = arg;
    size_t done = 0;
    char *line;

    CHECK_RES(nart_await(cx, nart_stream_read_line(cx, s, 0, &line)),
              4); /* ended by the half close */
    CHECK_EQ(memcmp(line, "abcd", 4), 0);
    CHECK_RES(nart_await(cx, nart_stream_write_all(cx, s, "reply\n", 6, &done)), 6);
    CHECK_RES(nart_await(cx, nart_stream_shutdown(cx, s)), 0);
    it.ended++;
    return 0;
}

static nart_res do_both(nart_cx *cx, struct op *op)
{
    (void)op;
    return nart_stream_copy_both(cx, &it.a.s, &it.b.s, &it.relay);
}

static void client_sends(void *arg, int i)
{
    (void)arg;
    it.text = &"abcd"[i];
    nart_notify_one(&it.more);
}

static void connect_two(nart_stream_pair *p, char *mem, struct party *x, struct party *y)
{
    CHECK_RES(nart_stream_pair_init(p, mem, 8), 0);
    CHECK_RES(nart_stream_init_pair(&x->s, p, 0, x->buf, sizeof x->buf), 0);
    CHECK_RES(nart_stream_init_pair(&y->s, p, 1, y->buf, sizeof y->buf), 0);
}

TEST(a_relay_that_was_left_is_continued_and_passes_on_each_end)
{
    struct leaver f = { .op = { .call = do_both } };

    it.rt = new_rt();
    connect_two(&it.front, it.front_mem, &it.client, &it.a);
    connect_two(&it.back, it.back_mem, &it.b, &it.server);
    CHECK_RES(nart_rt_fiber_spawn(it.rt, client_main, &it.client.s, NULL, NULL), 0);
    CHECK_RES(nart_rt_fiber_spawn(it.rt, server_main, &it.server.s, NULL, NULL), 0);
    leave(it.rt, &f, client_sends, NULL);
    run_to_answer(it.rt, &f.op);
    CHECK_RES(f.op.res, 0);
    settle(it.rt);
    CHECK_EQ(it.ended, 2);
    CHECK_EQ(it.relay.there.copied, 4);
    CHECK_EQ(it.relay.back.copied, 6);
    nart_stream_relay_finish(&it.relay);
    nart_notify_close(&it.more);
    CHECK_RES(nart_stream_close(&it.a.s), 0);
    CHECK_RES(nart_stream_close(&it.b.s), 0);
    CHECK_RES(nart_stream_close(&it.server.s), 0);
    CHECK_RES(nart_rt_free(it.rt), 0);
}
