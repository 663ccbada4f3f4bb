/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A thousand pages, at most sixteen in flight: each is fetched and kept once. */
#include "example.h"

struct fetch {
    nart_co co;
    nart_timer timer;
    nart_res r;
    int page;
};

static int running, most, kept[1000];

static void keep_page(void *arg, void *frame, nart_res answer)
{
    const struct fetch *f = frame;

    (void)arg;
    kept[f->page] += answer == 0;
}

static nart_res fetch_run(nart_cx *cx, void *frame)
{
    struct fetch *f = frame;

    NART_BEGIN(cx, &f->co);
    most = ++running > most ? running : most;
    NART_AWAIT(f->r, nart_sleep(cx, &f->timer, (1 + f->page * 7 % 5) * NART_MS));
    running--;
    NART_END(f->r);
}

static const nart_task_type fetch_type = NART_TASK_TYPE(struct fetch, fetch_run, NULL);

/* DECLARATIONS */

static nart_res run(nart_cx *cx, void *frame)
{
    struct crawl *c = frame;

    NART_BEGIN(cx, &c->co);
    /* STATEMENTS */
    NART_END(c->r);
}

int main(void)
{
    int failed = example_run(example_rt(), run, sizeof(struct crawl), NULL) || most != 16;

    for (int i = 0; i < 1000; i++)
        failed |= kept[i] != 1;
    return failed;
}
