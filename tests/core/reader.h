/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* reader.h: a task that owns a channel end: it receives one value and returns it. */
#ifndef NART_TEST_READER_H
#define NART_TEST_READER_H

#include "core.h"

struct reader {
    nart_co co;
    nart_rx rx;
    uint64_t value;
    nart_res r;
};

static uint64_t reader_got; /* the last value received */
static int reader_drops;

static nart_res reader_run(nart_cx *cx, void *frame)
{
    struct reader *f = frame;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(f->r, nart_recv(cx, &f->rx, &f->value));
    if (f->r == 0)
        reader_got = f->value;
    NART_END(f->r == 0 ? (nart_res)f->value : f->r);
}

static void reader_drop(void *frame)
{
    reader_drops++;
    nart_rx_close(&((struct reader *)frame)->rx);
}

NART_TASK_TYPED(reader, struct reader, reader_run, reader_drop);

#endif
