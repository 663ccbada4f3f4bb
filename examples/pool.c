/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pool.c: a thousand jobs, at most sixteen at a time; the first error cancels the rest. An argument names the job
 * that fails. */
#include <nart/nart.h>

#include <stdio.h>

struct fetch {
    nart_co co;
    nart_timer timer;
    int page;
    int64_t bytes; /* the result */
};

static int broken_page = -1;

/* Stands for a request that takes up to 4 ms. */
static nart_res fetch_run(nart_cx *cx, void *frame)
{
    struct fetch *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, nart_sleep(cx, &f->timer, (f->page * 7 % 5) * NART_MS));
    f->bytes = 100 + f->page;
    NART_END(r == 0 && f->page == broken_page ? -EIO : r);
}

static const nart_task_type fetch_type = NART_TASK_TYPE(struct fetch, fetch_run, NULL);

struct crawl {
    nart_co co;
    nart_pool pool;
    nart_task_set_node nodes[16];
    struct fetch next;
    int64_t bytes;
    nart_res r;
};

static void add_page(void *arg, void *frame, nart_res answer)
{
    struct crawl *c = arg;

    if (answer == 0)
        c->bytes += ((const struct fetch *)frame)->bytes;
}

static nart_res crawl_run(nart_cx *cx, void *frame)
{
    struct crawl *c = frame;

    NART_BEGIN(cx, &c->co);
    nart_pool_init(&c->pool, c->nodes, 16, NART_POOL_CANCEL_ON_ERROR);
    nart_pool_on_answer(&c->pool, add_page, c);
    for (c->r = 0; c->r == 0 && c->next.page < 1000; c->next.page++)
        NART_AWAIT(c->r, nart_pool_spawn(cx, &c->pool, &fetch_type, &c->next));
    NART_AWAIT(c->r, nart_pool_join(cx, &c->pool));
    printf("%llu pages have ended, %lld bytes, %s\n", (unsigned long long)c->pool.taken,
           (long long)c->bytes, nart_err_name(c->r));
    NART_END(c->r);
}

static void crawl_drop(void *frame)
{
    nart_pool_close(&((struct crawl *)frame)->pool);
}

static const nart_task_type crawl_type = NART_TASK_TYPE(struct crawl, crawl_run, crawl_drop);

int main(int argc, char **argv)
{
    nart_rt *rt;
    nart_res answer = 0;

    char more;

    if (argc > 1 && (sscanf(argv[1], "%9d%c", &broken_page, &more) != 1 || broken_page < 0)) {
        fputs("usage: pool [NUMBER of the job that fails]\n", stderr);
        return 2;
    }
    if (nart_rt_new(NULL, &rt) != 0)
        return 1;
    nart_res r = nart_block_on(rt, &crawl_type, NULL, &answer);
    nart_rt_free(rt);
    return r == 0 && answer == 0 ? 0 : 1;
}
