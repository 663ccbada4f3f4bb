/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A task moves into a set. */
#include "example.h"

struct conn {
    int id;
};

static int last;

static nart_res conn_run(nart_cx *cx, void *frame)
{
    struct conn *c = frame;

    (void)cx;
    last = c->id;
    return 0;
}

NART_TASK_TYPED(conn, struct conn, conn_run, NULL);

struct serve {
    nart_co co;
    nart_task_set conns;
    nart_task_set_node nodes[4];
};

/* DECLARATIONS */

static nart_res serve_one(nart_cx *cx, struct serve *f)
{
    nart_res r;

    /* STATEMENTS */
    return c.id == 0 ? r : -EIO; /* the task owns it */
}

static nart_res run(nart_cx *cx, void *frame)
{
    struct serve *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    nart_task_set_init(&f->conns, f->nodes, 4);
    r = serve_one(cx, f);
    if (r >= 0)
        NART_AWAIT(r, nart_task_set_wait_all(cx, &f->conns));
    nart_task_set_close(&f->conns);
    NART_END(r);
}

int main(void)
{
    return example_run(example_rt(), run, sizeof(struct serve), NULL) || last != 2;
}
