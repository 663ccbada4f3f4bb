/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* world_handlers.c: state in a world, and handlers that name what they use. */
#include <nart/nart.h>

#include <stdio.h>

// --8<-- [start:resources]
/* The state: one value of each type. */
struct limits {
    int high;
};

struct book {
    int last, quotes;
};

NART_RESOURCE(limits, struct limits);
NART_RESOURCE(book, struct book);
NART_RESOURCE_DEFINE(limits);
NART_RESOURCE_DEFINE(book);
// --8<-- [end:resources]

// --8<-- [start:handlers]
/* An event, and two functions for it. Their parameters are all that they can reach. */
struct quote {
    int price;
};

static nart_res keep(const struct limits *limits, struct book *book, const struct quote *quote)
{
    if (quote->price > limits->high)
        return -ERANGE;
    book->last = quote->price;
    book->quotes++;
    return 0;
}
NART_HANDLER(keep, const struct quote, SHARED(limits), EXCLUSIVE(book));

static nart_res show(const struct book *book, const struct quote *quote)
{
    printf("quote %d, last %d\n", quote->price, book->last);
    return 0;
}
NART_HANDLER(show, const struct quote, SHARED(book));
// --8<-- [end:handlers]

// --8<-- [start:task]
/* A task that receives quotes and calls the handlers. */
static nart_res feed(nart_cx *cx, void *arg)
{
    static const int prices[] = { 10, 12, 99 };
    nart_world *world = arg;
    nart_handler keeper = { 0 }, shower = { 0 };
    nart_timer timer = { 0 };
    nart_res r = nart_handler_init(&keeper, world, &keep_handler); /* looks up limits and book */

    if (r == 0)
        r = nart_handler_init(&shower, world, &show_handler);
    for (int i = 0; i < 3 && r == 0; i++) {
        struct quote quote = { .price = prices[i] };

        r = nart_await(cx, nart_sleep(cx, &timer, NART_MS)); /* where they would be received */
        if (r == 0 && keep_run(&keeper, &quote) == -ERANGE)
            printf("quote %d refused\n", quote.price);
        if (r == 0)
            r = show_run(&shower, &quote);
    }
    nart_handler_finish(&keeper);
    nart_handler_finish(&shower);
    return r;
}
// --8<-- [end:task]

// --8<-- [start:main]
/* Any other code accesses a value in a function, too. */
static nart_res total(const struct book *book, void *arg)
{
    (void)arg;
    return book->quotes;
}

int main(void)
{
    const struct limits limits = { .high = 50 };
    nart_world *world = NULL;
    nart_rt *rt = NULL;
    nart_res answer = 0, r = nart_world_new(NULL, &world);

    if (r == 0)
        r = limits_add(world, &limits, NULL);
    if (r == 0)
        r = book_add(world, NULL, NULL); /* zeros */
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = nart_fiber_block_on(rt, feed, world, NULL, &answer);
    if (r == 0)
        printf("%d quotes\n", (int)book_read(world, total, NULL));
    nart_rt_free(rt);
    nart_world_free(world);
    return r < 0 || answer < 0;
}
// --8<-- [end:main]
