/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Everything that a task can wait in, and a wait for each: for tests that must cover all of
 * them. */
#ifndef NART_TEST_WAITS_H
#define NART_TEST_WAITS_H

#include "test.h"

#include <nart/broadcast.h>
#include <nart/bytes.h>
#include <nart/cancel.h>
#include <nart/chan.h>
#include <nart/co.h>
#include <nart/oneshot.h>
#include <nart/remote.h>
#include <nart/rt.h>
#include <nart/shutdown.h>
#include <nart/signal.h>
#include <nart/stream.h>
#include <nart/task_set.h>

enum { CHANNELS = 3, BYTES = 2, ONESHOTS = 2, LOCKS = 2, POOLS = 2, PAIRS = 2, WAITS_MOST = 32 };

/* Outside of any frame. `full`: senders wait. */
static struct all {
    nart_tx tx[CHANNELS];
    nart_rx rx[CHANNELS];
    nart_tx full_tx[CHANNELS];
    nart_rx full_rx[CHANNELS];
    nart_bytes_tx btx[BYTES], full_btx[BYTES];
    nart_bytes_rx brx[BYTES], full_brx[BYTES];
    nart_oneshot_tx otx[ONESHOTS];
    nart_oneshot_rx orx[ONESHOTS];
    nart_watch_tx wtx;
    nart_watch_rx wrx;
    nart_broadcast_tx ctx;
    nart_broadcast_rx crx;
    nart_notify notify, never;
    nart_semaphore semaphore;
    nart_wait_group group;
    nart_rwlock lock[LOCKS]; /* held by tasks, until `unlock` is notified */
    nart_notify unlock[LOCKS];
    nart_token token, child;
    nart_join join;
    nart_signal signal;
    nart_task_set set;
    nart_task_set_node node;
    nart_remote_join remote_join;
    nart_pool pool[POOLS]; /* of one job each */
    nart_task_set_node job[POOLS];
    nart_notify job_done[POOLS + 1]; /* the last one: of the remote task */
    nart_stream_pair pair[PAIRS];    /* [1] is full once its waiter has begun */
    nart_stream end[PAIRS], peer[PAIRS];
    char ring[PAIRS][2];
    bool filled;
    size_t written;
    nart_waiter waiters[WAITS_MOST];
    nart_rt *rt;
    uint64_t value;
    char text[64];
} all;

/* ---- the waits, and how to complete them: the i-th of their kind ----
 * Serving completes once what such a task waits for, from outside of polls; false if it cannot. */

static inline nart_res wait_chan_recv(nart_cx *cx, int i, nart_waiter *w)
{
    (void)w;
    return nart_recv(cx, &all.rx[i], &all.value);
}

static inline bool serve_chan_recv(int i)
{
    return nart_try_send(&all.tx[i], &all.value) == 0;
}

static inline nart_res wait_chan_send(nart_cx *cx, int i, nart_waiter *w)
{
    (void)w;
    return nart_send(cx, &all.full_tx[i], &all.value);
}

static inline bool serve_chan_send(int i)
{
    return nart_try_recv(&all.full_rx[i], &all.value) == 0;
}

static inline nart_res wait_bytes_recv(nart_cx *cx, int i, nart_waiter *w)
{
    nart_bytes_msg msg;
    (void)w;
    nart_res r = nart_bytes_recv(cx, &all.brx[i], &msg);
    return r ? r : nart_bytes_release(&all.brx[i], &msg);
}

static inline bool serve_bytes_recv(int i)
{
    return nart_bytes_try_send(&all.btx[i], all.text, 1) == 0;
}

static inline nart_res wait_bytes_send(nart_cx *cx, int i, nart_waiter *w)
{
    (void)w;
    return nart_bytes_send(cx, &all.full_btx[i], all.text, sizeof all.text);
}

static inline bool serve_bytes_send(int i)
{
    nart_bytes_msg msg;
    return nart_bytes_try_recv(&all.full_brx[i], &msg) == 0 &&
           nart_bytes_release(&all.full_brx[i], &msg) == 0;
}

static inline nart_res wait_oneshot(nart_cx *cx, int i, nart_waiter *w)
{
    (void)w;
    return nart_oneshot_recv(cx, &all.orx[i], &all.value);
}

static inline bool serve_oneshot(int i)
{
    return nart_oneshot_send(&all.otx[i], &all.value) == 0;
}

static inline nart_res wait_watch(nart_cx *cx, int i, nart_waiter *w)
{
    (void)i, (void)w;
    return nart_watch_changed(cx, &all.wrx, &all.value);
}

static inline bool serve_watch(int i)
{
    (void)i;
    return nart_watch_send(&all.wtx, &all.value) >= 0;
}

static inline nart_res wait_broadcast(nart_cx *cx, int i, nart_waiter *w)
{
    (void)i, (void)w;
    return nart_broadcast_recv(cx, &all.crx, &all.value, NULL);
}

static inline bool serve_broadcast(int i)
{
    (void)i;
    return nart_broadcast_send(&all.ctx, &all.value) >= 0;
}

static inline nart_res wait_notify(nart_cx *cx, int i, nart_waiter *w)
{
    (void)i;
    return nart_notify_await(cx, &all.notify, w);
}

static inline bool serve_notify(int i)
{
    (void)i;
    nart_notify_one(&all.notify);
    return true;
}

static inline nart_res wait_semaphore(nart_cx *cx, int i, nart_waiter *w)
{
    (void)i;
    return nart_semaphore_acquire(cx, &all.semaphore, w, 1);
}

static inline bool serve_semaphore(int i)
{
    (void)i;
    return nart_semaphore_release(&all.semaphore, 1) == 0;
}

static inline nart_res wait_group(nart_cx *cx, int i, nart_waiter *w)
{
    (void)i;
    return nart_wait_group_await(cx, &all.group, w);
}

/* A later waiter waits again. */
static inline bool serve_group(int i)
{
    (void)i;
    return nart_wait_group_done(&all.group) == 0 && nart_wait_group_add(&all.group, 1) == 0;
}

/* The waiter of a lock is its first member. */
static inline nart_res wait_lock(nart_cx *cx, int i, nart_waiter *w)
{
    nart_lock *l = (nart_lock *)(void *)w;
    nart_res r = i ? nart_rwlock_read(cx, &all.lock[i], l) : nart_rwlock_write(cx, &all.lock[i], l);

    if (r == 0)
        CHECK_RES(nart_lock_release(l), 0);
    return r;
}

/* A later waiter waits again: see lock_keeper_run(). */
static inline bool serve_lock(int i)
{
    nart_notify_one(&all.unlock[i]);
    return true;
}

static inline nart_res wait_token(nart_cx *cx, int i, nart_waiter *w)
{
    return nart_token_await(cx, i ? &all.child : &all.token, w);
}

static inline bool serve_token(int i)
{
    nart_token_cancel(i ? &all.child : &all.token);
    return true;
}

static inline nart_res wait_shutdown(nart_cx *cx, int i, nart_waiter *w)
{
    (void)i;
    return nart_shutdown_await(cx, w);
}

static inline bool serve_shutdown(int i)
{
    (void)i;
    return nart_rt_shutdown(all.rt) == 0;
}

static inline nart_res wait_join(nart_cx *cx, int i, nart_waiter *w)
{
    (void)i, (void)w;
    return nart_join_await(cx, &all.join, NULL);
}

static inline bool serve_join(int i)
{
    (void)i;
    return nart_task_cancel(all.rt, nart_join_task(&all.join)) == 0;
}

static inline nart_res wait_set(nart_cx *cx, int i, nart_waiter *w)
{
    (void)i, (void)w;
    return nart_task_set_next(cx, &all.set, NULL);
}

static inline bool serve_set(int i)
{
    (void)i;
    return nart_task_set_cancel(&all.set) == 0;
}

static inline nart_res wait_signal(nart_cx *cx, int i, nart_waiter *w)
{
    (void)i, (void)w;
    nart_res r = nart_signal_recv(cx, &all.signal);
    return r > 0 ? 0 : r;
}

static inline bool serve_signal(int i)
{
    (void)i;
    return all.signal.watch && raise(SIGUSR2) == 0; /* else its default action */
}

/* A task that another one joins, until it is notified. */
struct job {
    nart_waiter waiter;
    int i;
};

static inline nart_res job_poll(nart_cx *cx, void *frame)
{
    struct job *f = frame;
    return nart_notify_await(cx, &all.job_done[f->i], &f->waiter);
}

static const nart_task_type job_type = NART_TASK_TYPE(struct job, job_poll, NULL);

static inline bool serve_job(int i)
{
    nart_notify_one(&all.job_done[i]);
    return true;
}

static inline nart_res wait_remote_join(nart_cx *cx, int i, nart_waiter *w)
{
    (void)i, (void)w;
    return nart_remote_join_await(cx, &all.remote_join, NULL);
}

/* The first call fills the pool. */
static inline nart_res wait_pool(nart_cx *cx, int i, nart_waiter *w)
{
    const struct job init = { .i = i };
    nart_res r = 0;
    (void)w;

    if (nart_pool_len(&all.pool[i]) == 0)
        r = nart_pool_spawn(cx, &all.pool[i], &job_type, &init);
    if (r)
        return r;
    return i ? nart_pool_join(cx, &all.pool[i])
             : nart_pool_spawn(cx, &all.pool[i], &job_type, &init);
}

static inline nart_res wait_stream_read(nart_cx *cx, int i, nart_waiter *w)
{
    char c;
    (void)w;
    nart_res r = nart_stream_read(cx, &all.end[i], &c, 1);
    return r > 0 ? 0 : r;
}

static inline nart_res wait_stream_write(nart_cx *cx, int i, nart_waiter *w)
{
    nart_res r = 1;
    (void)w;

    if (!all.filled)
        r = nart_stream_write_all(cx, &all.end[i], "x", 1, &all.written);
    all.filled = r == 1;
    if (r == 1)
        r = nart_stream_write_all(cx, &all.end[i], "x", 1, &all.written);
    return r > 0 ? 0 : r;
}

/* A stream is used within polls only: a task reads or writes one byte at the peer's end. */
struct peer {
    int i;
    size_t done;
    char c;
};

static inline nart_res peer_poll(nart_cx *cx, void *frame)
{
    struct peer *f = frame;
    nart_stream *s = &all.peer[f->i];
    return f->i ? nart_stream_read(cx, s, &f->c, 1)
                : nart_stream_write_all(cx, s, &f->c, 1, &f->done);
}

static const nart_task_type peer_type = NART_TASK_TYPE(struct peer, peer_poll, NULL);

static inline bool serve_stream(int i)
{
    return nart_rt_spawn(all.rt, &peer_type, &(struct peer){ .i = i }, NULL) == 0;
}

static const struct a_wait {
    const char *name;
    nart_res (*wait)(nart_cx *cx, int i, nart_waiter *w);
    bool (*serve)(int i);
    int i;
    bool outside; /* another thread may complete it, by sending or receiving */
    bool moves;   /* tasks that move between threads may use it */
} waits[] = {
    { "local recv", wait_chan_recv, serve_chan_recv, 0, false, false },
    { "spsc recv", wait_chan_recv, serve_chan_recv, 1, true, true },
    { "mpsc recv", wait_chan_recv, serve_chan_recv, 2, true, true },
    { "local send", wait_chan_send, serve_chan_send, 0, false, false },
    { "spsc send", wait_chan_send, serve_chan_send, 1, true, true },
    { "mpsc send", wait_chan_send, serve_chan_send, 2, true, true },
    { "spsc bytes recv", wait_bytes_recv, serve_bytes_recv, 0, true, true },
    { "mpsc bytes recv", wait_bytes_recv, serve_bytes_recv, 1, true, true },
    { "spsc bytes send", wait_bytes_send, serve_bytes_send, 0, true, true },
    { "mpsc bytes send", wait_bytes_send, serve_bytes_send, 1, true, true },
    { "oneshot", wait_oneshot, serve_oneshot, 0, true, true },
    { "linked oneshot", wait_oneshot, serve_oneshot, 1, false, false },
    { "watch", wait_watch, serve_watch, 0, false, false },
    { "broadcast", wait_broadcast, serve_broadcast, 0, false, false },
    { "notify", wait_notify, serve_notify, 0, false, false },
    { "semaphore", wait_semaphore, serve_semaphore, 0, false, false },
    { "wait group", wait_group, serve_group, 0, false, false },
    { "lock", wait_lock, serve_lock, 0, false, false },
    { "read lock", wait_lock, serve_lock, 1, false, false },
    { "token", wait_token, serve_token, 0, false, false },
    { "child token", wait_token, serve_token, 1, false, false },
    { "shutdown", wait_shutdown, serve_shutdown, 0, false, false },
    { "join", wait_join, serve_join, 0, false, false },
    { "task set", wait_set, serve_set, 0, false, false },
    { "signal", wait_signal, serve_signal, 0, true, true },
    { "remote join", wait_remote_join, serve_job, POOLS, true, false },
    { "pool", wait_pool, serve_job, 0, false, false },
    { "end of a pool", wait_pool, serve_job, 1, false, false },
    { "stream read", wait_stream_read, serve_stream, 0, false, false },
    { "stream write", wait_stream_write, serve_stream, 1, false, false },
};

enum { WAITS = sizeof waits / sizeof *waits };
_Static_assert((int)WAITS <= (int)WAITS_MOST, "each has a waiter");

/* The waiter of such a task, if it has one. */
static inline nart_waiter *waiter_of(const struct a_wait *wait)
{
    return &all.waiters[wait - waits];
}

/* A task that waits once. */
struct waiter {
    nart_co co;
    const struct a_wait *wait;
};

static int waiting;
static nart_res answered; /* the last one */

static inline nart_res waiter_run(nart_cx *cx, void *frame)
{
    struct waiter *f = frame;

    NART_BEGIN(cx, &f->co);
    waiting++;
    NART_AWAIT(answered, f->wait->wait(cx, f->wait->i, waiter_of(f->wait)));
    waiting--;
    NART_END(answered);
}

static const nart_task_type waiter_type =
    NART_TASK_TYPE_FLAGS(struct waiter, waiter_run, NULL, NART_TASK_SEND);

/* A task that others join: waits itself, for nothing. */
static inline nart_res for_ever(nart_cx *cx, void *frame)
{
    nart_waiter *w = frame;
    return nart_notify_await(cx, &all.never, w);
}

static const nart_task_type for_ever_type = NART_TASK_TYPE(nart_waiter, for_ever, NULL);

/* A task that holds a lock, and passes it on when it is notified. */
struct lock_keeper {
    nart_co co;
    nart_lock lock;
    nart_waiter waiter;
    int i;
    nart_res r;
};

static inline nart_res lock_keeper_run(nart_cx *cx, void *frame)
{
    struct lock_keeper *f = frame;

    NART_BEGIN(cx, &f->co);
    do {
        NART_AWAIT(f->r, nart_rwlock_write(cx, &all.lock[f->i], &f->lock));
        if (f->r < 0)
            break;
        NART_AWAIT(f->r, nart_notify_await(cx, &all.unlock[f->i], &f->waiter));
        CHECK_RES(nart_lock_release(&f->lock), 0);
    } while (f->r == 0);
    NART_END(f->r);
}

static const nart_task_type lock_keeper_type =
    NART_TASK_TYPE(struct lock_keeper, lock_keeper_run, NULL);

/* ---- opening and closing ---- */

static inline void open_channels(nart_rt *rt)
{
    for (uint32_t i = 0; i < CHANNELS; i++) {
        const nart_chan_opts o = {
            .size = sizeof o, .kind = NART_CHAN_LOCAL + i, .elem = 8, .capacity = 1
        };
        CHECK_RES(nart_chan_open(rt, &o, &all.tx[i], &all.rx[i]), 0);
        CHECK_RES(nart_chan_open(rt, &o, &all.full_tx[i], &all.full_rx[i]), 0);
        CHECK_RES(nart_try_send(&all.full_tx[i], &all.value), 0);
    }
    for (uint32_t i = 0; i < BYTES; i++) {
        const nart_bytes_opts o = { .size = sizeof o,
                                    .kind = NART_BYTES_SPSC + i,
                                    .capacity = sizeof all.text };
        CHECK_RES(nart_bytes_open(rt, &o, &all.btx[i], &all.brx[i]), 0);
        CHECK_RES(nart_bytes_open(rt, &o, &all.full_btx[i], &all.full_brx[i]), 0);
        CHECK_RES(nart_bytes_try_send(&all.full_btx[i], all.text, sizeof all.text), 0);
    }
}

static inline void open_jobs(nart_rt *rt)
{
    const struct job init = { .i = POOLS };

    CHECK_RES(nart_remote_spawn_join(nart_rt_remote(rt), &job_type, &init, &all.remote_join), 0);
    for (int i = 0; i < POOLS; i++)
        nart_pool_init(&all.pool[i], &all.job[i], 1, 0);
}

static inline void open_pairs(void)
{
    for (int i = 0; i < PAIRS; i++) {
        nart_stream_pair *p = &all.pair[i];
        CHECK_RES(nart_stream_pair_init(p, all.ring[i], sizeof all.ring[i]), 0);
        CHECK_RES(nart_stream_init_pair(&all.end[i], p, 0, NULL, 0), 0);
        CHECK_RES(nart_stream_init_pair(&all.peer[i], p, 1, NULL, 0), 0);
    }
}

static inline void open_all(nart_rt *rt)
{
    nart_join j = { .hub = NULL };

    all = (struct all){ .rt = rt };
    waiting = 0;
    open_channels(rt);
    CHECK_RES(nart_oneshot_open(rt, 8, NULL, &all.otx[0], &all.orx[0]), 0);
    CHECK_RES(nart_oneshot_link(&all.value, 8, NULL, &all.otx[1], &all.orx[1]), 0);
    CHECK_RES(nart_watch_open(rt, 8, &all.value, &all.wtx, &all.wrx), 0);
    CHECK_RES(nart_broadcast_open(rt, 8, 1, &all.ctx, &all.crx), 0);
    nart_semaphore_init(&all.semaphore, 0);
    CHECK_RES(nart_wait_group_add(&all.group, 1), 0);
    for (int i = 0; i < LOCKS; i++)
        CHECK_RES(nart_rt_spawn(rt, &lock_keeper_type, &(struct lock_keeper){ .i = i }, NULL), 0);
    CHECK_RES(nart_token_new(rt, &all.token), 0);
    CHECK_RES(nart_token_child(&all.token, &all.child), 0);
    CHECK_RES(nart_rt_spawn(rt, &for_ever_type, NULL, &all.join), 0);
    CHECK_RES(nart_signal_open(SIGUSR2, &all.signal), 0);
    nart_task_set_init(&all.set, &all.node, 1);
    CHECK_RES(nart_rt_spawn(rt, &for_ever_type, NULL, &j), 0);
    CHECK_LE(0, nart_task_set_add(&all.set, &j));
    open_jobs(rt);
    open_pairs();
}

static inline void close_channels(void)
{
    for (int i = 0; i < CHANNELS; i++) {
        nart_tx_close(&all.full_tx[i]);
        nart_rx_close(&all.full_rx[i]);
        nart_rx_close(&all.rx[i]);
        nart_tx_close(&all.tx[i]);
    }
    for (int i = 0; i < BYTES; i++) {
        nart_bytes_tx_close(&all.full_btx[i]);
        nart_bytes_rx_close(&all.full_brx[i]);
        nart_bytes_rx_close(&all.brx[i]);
        nart_bytes_tx_close(&all.btx[i]);
    }
}

static inline void close_all(void)
{
    close_channels();
    for (int i = 0; i < ONESHOTS; i++) {
        nart_oneshot_rx_close(&all.orx[i]);
        nart_oneshot_tx_close(&all.otx[i]);
    }
    nart_watch_rx_close(&all.wrx);
    nart_watch_tx_close(&all.wtx);
    nart_broadcast_tx_close(&all.ctx);
    nart_broadcast_rx_close(&all.crx);
    nart_notify_close(&all.notify);
    nart_semaphore_close(&all.semaphore);
    nart_wait_group_close(&all.group);
    for (int i = 0; i < LOCKS; i++) {
        nart_rwlock_close(&all.lock[i]);
        nart_notify_close(&all.unlock[i]);
    }
    nart_token_cancel(&all.token);
    nart_token_release(&all.child);
    nart_token_release(&all.token);
    nart_join_release(&all.join);
    nart_task_set_close(&all.set);
    nart_signal_close(&all.signal);
    nart_remote_join_release(&all.remote_join);
    for (int i = 0; i < POOLS; i++)
        nart_pool_close(&all.pool[i]);
    for (int i = 0; i < PAIRS; i++) {
        CHECK_RES(nart_stream_close(&all.end[i]), 0);
        CHECK_RES(nart_stream_close(&all.peer[i]), 0);
    }
}

#endif
