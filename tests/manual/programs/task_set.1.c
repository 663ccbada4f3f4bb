/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Twenty pages, at most eight in flight: each is fetched once. */
#include "example.h"

struct fetch {
    nart_timer timer;
    int page;
};

static int pages, fetched[21];

static bool next_page(struct fetch *next)
{
    next->page = ++pages;
    return pages <= 20;
}

static nart_res fetch_run(nart_cx *cx, void *frame)
{
    struct fetch *f = frame;
    nart_res r = nart_sleep(cx, &f->timer, (1 + f->page * 7 % 5) * NART_MS);

    if (r == 0)
        fetched[f->page]++;
    return r;
}

static const nart_task_type fetch_type = NART_TASK_TYPE(struct fetch, fetch_run, NULL);

/* DECLARATIONS */

static nart_res run(nart_cx *cx, void *frame)
{
    struct crawl *c = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    /* STATEMENTS */
    NART_END(r == -ECHILD && !c->more ? 0 : -EIO);
}

int main(void)
{
    int failed = example_run(example_rt(), run, sizeof(struct crawl), NULL);

    for (int i = 1; i <= 20; i++)
        failed |= fetched[i] != 1;
    return failed;
}
