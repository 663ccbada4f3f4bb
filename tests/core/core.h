/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* core.h: shared by the tests of the core. */
#ifndef NART_TEST_CORE_H
#define NART_TEST_CORE_H

#include "runtime.h"
#include "test.h"

#include <nart/chan.h>
#include <nart/co.h>
#include <nart/driver.h>
#include <nart/rt.h>

#include <stdlib.h>
#include <string.h>

/* A local channel of uint64_t. */
static inline void new_chan(nart_rt *rt, size_t capacity, nart_tx *tx, nart_rx *rx)
{
    nart_chan_opts opts = {
        .size = sizeof opts, .kind = NART_CHAN_LOCAL, .elem = sizeof(uint64_t), .capacity = capacity
    };
    CHECK_RES(nart_chan_open(rt, &opts, tx, rx), 0);
}

/* Spawns a zeroed task and returns its frame, which does not move until `join` is released; fill it
 * in before the first poll. */
static inline void *spawn(nart_rt *rt, const nart_task_type *type, nart_join *join)
{
    nart_res err = 0;
    void *frame = nart_rt_spawn_begin(rt, type, &err);

    CHECK_RES(err, 0);
    CHECK_RES(nart_rt_spawn_commit(rt, frame, join), 0);
    return frame;
}

static inline nart_res cancel(nart_rt *rt, const nart_join *join)
{
    return nart_task_cancel(rt, nart_join_task(join));
}

static inline nart_res abort_task(nart_rt *rt, const nart_join *join)
{
    return nart_task_abort(rt, nart_join_task(join));
}

#endif
