/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The loop as a guest of a current_thread tokio. Rust drives it and measures; the tasks are of C. */
#include "nart_bridge.h"

#include <nart/chan.h>

/* From futures/src/guest.rs. */
double bench_guest_spawn(const nart_task_type *type, uint64_t n);
double bench_guest_pingpong(void (*spawn)(nart_rt *rt, nart_rx *rx, nart_tx *tx), uint64_t n);

/* ---- tasks that Rust spawns and awaits -------------------------------------------------------- */

static nart_res answer_run(nart_cx *cx, void *frame)
{
    (void)cx;
    return *(int64_t *)frame;
}

double guest_spawn(uint64_t n)
{
    static const nart_task_type type = NART_TASK_TYPE(int64_t, answer_run, NULL);

    return bench_guest_spawn(&type, n);
}

/* ---- a task that answers Rust through channels ------------------------------------------------ */

NART_CHAN_TYPED(u64, uint64_t);

struct echo {
    nart_co co;
    nart_rx rx;
    nart_tx tx;
    uint64_t value;
};

static nart_res echo_run(nart_cx *cx, void *frame)
{
    struct echo *e = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &e->co);
    while (r == 0) {
        NART_AWAIT(r, u64_recv(cx, &e->rx, &e->value));
        if (r == 0)
            NART_AWAIT(r, u64_send(cx, &e->tx, e->value));
    }
    NART_END(r);
}

static void echo_drop(void *frame)
{
    struct echo *e = frame;

    nart_rx_close(&e->rx);
    nart_tx_close(&e->tx);
}

static void spawn_echo(nart_rt *rt, nart_rx *rx, nart_tx *tx)
{
    static const nart_task_type type = NART_TASK_TYPE(struct echo, echo_run, echo_drop);
    struct echo init = { 0 };

    bench_must(nart_rx_bind(rx, rt), "bind");
    nart_rx_move(&init.rx, rx);
    nart_tx_move(&init.tx, tx);
    bench_must(nart_rt_spawn(rt, &type, &init, NULL), "spawn");
}

double guest_pingpong(uint64_t n)
{
    return bench_guest_pingpong(spawn_echo, n);
}
