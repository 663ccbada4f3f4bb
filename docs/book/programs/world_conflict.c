/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* world_conflict.c: an access that lasts across an await, which others then miss. */
#include <nart/nart.h>

#include <stdio.h>

struct book {
    int last;
};

NART_RESOURCE(book, struct book);
NART_RESOURCE_DEFINE(book);

struct task {
    nart_world *world;
    nart_cx *cx;
};

// --8<-- [start:program]
/* Wrong: it keeps the book while it waits. */
static nart_res update(struct book *book, void *arg)
{
    struct task *t = arg;
    nart_timer timer = { 0 };

    book->last = 1;
    return nart_await(t->cx, nart_sleep(t->cx, &timer, NART_MS));
}

static nart_res writer(nart_cx *cx, void *arg)
{
    struct task t = { .world = arg, .cx = cx };

    return book_write(t.world, update, &t);
}

static nart_res last(const struct book *book, void *arg)
{
    (void)arg;
    return book->last;
}

static nart_res reader(nart_cx *cx, void *arg)
{
    nart_timer timer = { 0 };
    nart_res r = book_read(arg, last, NULL);

    printf("while the writer waits: %s\n", nart_err_name(r));
    while (r == NART_ECONFLICT) {
        r = nart_await(cx, nart_sleep(cx, &timer, NART_MS));
        if (r == 0)
            r = book_read(arg, last, NULL);
    }
    printf("afterwards: %d\n", (int)r);
    return r < 0 ? r : 0;
}
// --8<-- [end:program]

int main(void)
{
    nart_world *world = NULL;
    nart_rt *rt = NULL;
    nart_res answer = 0, r = nart_world_new(NULL, &world);

    if (r == 0)
        r = book_add(world, NULL, NULL);
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, writer, world, NULL, NULL);
    if (r == 0)
        r = nart_fiber_block_on(rt, reader, world, NULL, &answer);
    nart_rt_free(rt);
    nart_world_free(world);
    return r < 0 || answer < 0;
}
