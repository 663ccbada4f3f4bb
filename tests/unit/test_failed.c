/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Errors of a connection, from each system call that gets one: which of them stay in the handle, and wake
 * the task that waits. */
#include "faults.h"

#include "../net/net_test.h"

#include <nart/stream.h>
#include <nart/unix.h>

#include <signal.h>

FIXTURE_RT();

/* Waits to receive, while the other direction fails. */
struct waiting {
    nart_tcp *s;
    nart_res *got;
    bool message; /* by recvmsg */
};

static nart_res waiting_run(nart_cx *cx, void *frame)
{
    const struct waiting *f = frame;
    char buf[8];

    *f->got = f->message ? nart_unix_recv(cx, (nart_unix *)(void *)f->s, buf, sizeof buf)
                         : nart_tcp_recv(cx, f->s, buf, sizeof buf);
    return *f->got;
}

TYPE(waiting, waiting_run);

static nart_res receive_now(nart_tcp *s, bool message)
{
    nart_res got;
    return run(rt, &waiting_type, &(struct waiting){ s, &got, message });
}

/* Each errno of the system call `how` of a connection: does it stay, and wake a task that waits to receive? */
enum { BY_SEND, BY_TRY_SEND, BY_ERROR, BY_RECV, HOWS };

static void error_of(nart_tcp *s, bool message, int how, int error, bool stays)
{
    nart_res got = NART_PENDING, r;
    nart_join join;
    char buf[8];

    failing = 0;
    spawn(rt, &waiting_type, &(struct waiting){ s, &got, message }, &join);
    settle(rt);
    CHECK_RES(got, NART_PENDING);
    fail_with(error);
    if (how == BY_SEND)
        r = send_now(rt, s, "x");
    else if (how == BY_TRY_SEND)
        r = nart_tcp_try_send(s, "x", 1);
    else if (how == BY_ERROR)
        r = nart_tcp_error(s);
    else
        r = nart_tcp_try_recv(s, buf, sizeof buf);
    CHECK_RES(r, error);
    settle(rt);
    CHECK_RES(got, stays ? error : NART_PENDING);
    CHECK_RES(nart_tcp_error(s), stays ? error : 0);
    if (!stays)
        CHECK_RES(nart_task_cancel(rt, nart_join_task(&join)), 0);
    finish(rt, &join);
    if (!stays)
        return;
    CHECK_RES(receive_now(s, message), error);
    CHECK_RES(send_now(rt, s, "x"), error);
    fail_with(-ENOMEM); /* the first one stays */
    CHECK_RES(receive_now(s, message), error);
    CHECK_RES(nart_tcp_try_recv(s, buf, sizeof buf), error);
    CHECK_RES(nart_tcp_try_send(s, "x", 1), error);
}

TEST_WITH(an_error_of_a_connection_stays_and_wakes_who_waits, rt)
{
    static const struct {
        int error;
        bool stays;
    } all[] = {
        { -ECONNRESET, true }, { -ECONNABORTED, true }, { -ECONNREFUSED, true },
        { -ETIMEDOUT, true },  { -EHOSTDOWN, true },    { -EHOSTUNREACH, true },
        { -ENETDOWN, true },   { -ENETRESET, true },    { -ENETUNREACH, true },
        { -EPIPE, false },     { -ENOMEM, false },      { -ENOBUFS, false },
        { -EMSGSIZE, false },  { -EINVAL, false },      { -EPERM, false },
        { -EIO, false },
    };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (int how = 0; how < HOWS; how++)
            for (int kind = 0; kind < 3; kind++) {
                nart_unix a, b;
                nart_tcp s;
                int peer = -1;
                failing = 0;
                if (kind == 0)
                    peer = tcp_pair(rt, &s);
                else
                    CHECK_RES(nart_unix_pair(rt, kind == 2 ? NART_UNIX_SEQPACKET : 0, &a, &b), 0);
                error_of(kind ? &a.conn : &s, kind > 0, how, all[i].error, all[i].stays);
                failing = 0;
                if (peer >= 0)
                    close(peer);
                CHECK_RES(kind ? nart_unix_close(&a) : nart_tcp_close(&s), 0);
                if (kind)
                    CHECK_RES(nart_unix_close(&b), 0);
            }
}

/* ---- splicing ---- */

/* So far; which of them fails. */
static int splices, splice_fails;

/* The call before which this is called fails if it is that splice. */
static void look_for_splice(const char *name)
{
    if (strcmp(name, "splice") == 0 && ++splices == splice_fails)
        fail_with(-ECONNRESET);
}

struct copying {
    nart_stream from, to;
    nart_stream_copier copier;
};

static nart_res copying_run(nart_cx *cx, void *frame)
{
    struct copying *f = *(struct copying **)frame;
    return nart_stream_copy(cx, &f->from, &f->to, &f->copier);
}

static const nart_task_type copying_type = NART_TASK_TYPE(struct copying *, copying_run, NULL);

/* The first splice is from one connection, the second to the other one. */
TEST_WITH(a_splice_that_fails_ends_its_connection, rt)
{
    static const char text[] = "0123456789abcdef0123456789abcdef";

    failing = 0;
    look = look_for_splice;
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR); /* else nothing is spliced */
    for (splice_fails = 1; splice_fails <= 2; splice_fails++) {
        static struct copying f;
        struct copying *frame = &f;
        nart_tcp in, out;
        char mem[16], buf[64];
        int source = tcp_pair(rt, &in), sink = tcp_pair(rt, &out);
        f = (struct copying){ .copier = { .copied = 0 } };
        CHECK_RES(nart_stream_init_tcp(&f.from, &in, mem, sizeof mem), 0);
        CHECK_RES(nart_stream_init_tcp(&f.to, &out, NULL, 0), 0);
        raw_send(source, text);
        wait_for((int)nart_tcp_fd(&in), POLLIN);
        splices = 0;
        CHECK_RES(run(rt, &copying_type, &frame), -ECONNRESET);
        CHECK_EQ(splices, splice_fails);
        CHECK_RES(nart_tcp_error(&in), splice_fails == 1 ? -ECONNRESET : 0);
        CHECK_RES(nart_tcp_error(&out), splice_fails == 2 ? -ECONNRESET : 0);
        CHECK_RES(run(rt, &copying_type, &frame), -ECONNRESET);
        CHECK_RES(nart_tcp_try_recv(&in, buf, sizeof buf),
                  splice_fails == 1 ? -ECONNRESET : -EAGAIN);
        nart_stream_copier_finish(&f.copier);
        CHECK_RES(nart_stream_close(&f.from), 0);
        CHECK_RES(nart_stream_close(&f.to), 0);
        close(source);
        close(sink);
    }
    look = NULL;
}
