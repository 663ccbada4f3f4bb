/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

struct request {
    int number;
};

struct connection {
    nart_co co;
    struct request request;
};

/* DECLARATIONS */

static nart_res serve(nart_cx *cx, struct connection *c)
{
    log_line(cx, "begins");
    return nart_local_get(cx, &request_key) == &c->request ? 0 : -EIO;
}

static nart_res run(nart_cx *cx, void *frame)
{
    struct connection *c = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    /* STATEMENTS */
    if (nart_local_get(cx, &request_key))
        r = -EIO;
    NART_END(r);
}

int main(void)
{
    struct connection c = { .request.number = 1 };
    return example_run(example_rt(), run, sizeof c, &c);
}
