/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Compiled only: not every build has the bridge, and it would need a server. */
#include "example.h"

#include <nart/tokio.h>

struct frame {
    nart_co co;
    nart_tokio *tokio;
    nart_tokio_op op;
    nart_addr addr[8];
    nart_res n;
    nart_tcp sock;
};

extern const nart_poll_fn example_resolve;

/* DECLARATIONS */

static nart_res run(nart_cx *cx, void *frame)
{
    struct frame *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    /* STATEMENTS */
    nart_tokio_op_close(&f->op);
    nart_tcp_close(&f->sock);
    NART_END(r);
}

const nart_poll_fn example_resolve = run;
