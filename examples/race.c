/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* race.c: the first of several operations wins, and the losers lose nothing: a value stays in its
 * channel, and a body keeps its position or is made to unwind. */
#include <nart/nart.h>

#include <inttypes.h>
#include <stdio.h>

NART_CHAN_TYPED(number, uint64_t);

struct producer {
    nart_co co;
    nart_tx tx;
    nart_timer timer;
    uint64_t i;
};

/* A number every 3 ms. */
static nart_res producer_run(nart_cx *cx, void *frame)
{
    struct producer *p = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &p->co);
    for (p->i = 1; p->i <= 5 && r == 0; p->i++) {
        NART_AWAIT(r, nart_sleep(cx, &p->timer, 3 * NART_MS));
        if (r == 0)
            NART_AWAIT(r, number_send(cx, &p->tx, p->i));
    }
    NART_END(r);
}

static void producer_drop(void *frame)
{
    struct producer *p = frame;
    nart_tx_close(&p->tx);
}

static const nart_task_type producer_type =
    NART_TASK_TYPE(struct producer, producer_run, producer_drop);

struct consumer {
    nart_co co;
    nart_rx rx;
    nart_timer tick;
    uint64_t value, sum;
    int ticks, which;
};

/* Numbers as they arrive, and a tick after each 2 ms without one. */
static nart_res consumer_run(nart_cx *cx, void *frame)
{
    struct consumer *c = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    for (;;) {
        NART_AWAIT_ANY(c->which, r, number_recv(cx, &c->rx, &c->value),
                       nart_sleep(cx, &c->tick, 2 * NART_MS));
        if (r < 0)
            break;
        if (c->which == 0) {
            printf("number %" PRIu64 "\n", c->value);
            c->sum += c->value;
        } else {
            puts("tick");
            c->ticks++;
        }
    }
    NART_END(r == NART_ECLOSED && c->sum == 15 && c->ticks > 0 ? 0 : 1);
}

static void consumer_drop(void *frame)
{
    struct consumer *c = frame;
    nart_rx_close(&c->rx);
}

static const nart_task_type consumer_type =
    NART_TASK_TYPE(struct consumer, consumer_run, consumer_drop);

int main(void)
{
    nart_rt *rt;
    struct producer p = { 0 };
    struct consumer c = { 0 };
    nart_res answer = 1;
    nart_res r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = number_open(rt, NART_CHAN_LOCAL, 4, &p.tx, &c.rx);
    if (r == 0)
        r = nart_rt_spawn(rt, &producer_type, &p, NULL); /* the ends pass to the tasks */
    if (r == 0)
        r = nart_block_on(rt, &consumer_type, &c, &answer);
    if (r < 0) {
        fprintf(stderr, "race: %s\n", nart_strerror(r));
        return 1;
    }
    nart_rt_free(rt);
    return (int)answer;
}
