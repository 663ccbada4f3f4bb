/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Compiled only: not every build has the bridge, and it would need a server. */
#define NART_HTTP 1
#include "example.h"

#include <nart/tokio.h>

struct frame {
    nart_co co;
    nart_tokio *tokio;
    nart_tokio_op op;
    nart_bytes_rx rx;
    nart_bytes_msg msg;
    int64_t status;
};

extern const nart_poll_fn example_stream;

/* DECLARATIONS */

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_bytes_tx tx = { 0 };
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    nart_tokio_op_close(&f->op);
    NART_END(r);
}

const nart_poll_fn example_stream = run;
