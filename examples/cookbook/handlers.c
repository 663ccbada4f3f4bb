/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* handlers.c: a task receives quotes, and handlers process them. The values that a handler uses are looked up once.
 *
 * What to look at
 *  - NART_HANDLER() names what a handler reads (SHARED) and what it writes (EXCLUSIVE). The function gets a pointer to
 *    each. A function with other parameters does not compile.
 *  - prepare(): nart_handler_init() looks up the resources. If one is missing, it answers -ENOENT here, before the
 *    first quote, and not in the loop.
 *  - receive(): keep_run() and warn_run() look up nothing: each makes an indirect call. Handlers must not await.
 * Usage: handlers [ADDRESS:PORT]. A quote is a datagram: a price in text. The datagram `end` ends the program. */
#include <nart/nart.h>

#include <stdio.h>
#include <string.h>

struct limits {
    long low, high;
};

struct book {
    long last;
    unsigned quotes, warnings;
};

NART_RESOURCE(limits, struct limits);
NART_RESOURCE(book, struct book);
NART_RESOURCE_DEFINE(limits);
NART_RESOURCE_DEFINE(book);

static nart_res keep(struct book *book, const long *price)
{
    book->last = *price;
    book->quotes++;
    return 0;
}
NART_HANDLER(keep, const long, EXCLUSIVE(book));

static nart_res warn(const struct limits *limits, struct book *book, const long *price)
{
    if (*price >= limits->low && *price <= limits->high)
        return 0;
    printf("%ld is not within %ld and %ld\n", *price, limits->low, limits->high);
    book->warnings++;
    return 0;
}
NART_HANDLER(warn, const long, SHARED(limits), EXCLUSIVE(book));

struct feed {
    nart_udp sock;
    nart_handler keep, warn;
};

static nart_res receive(nart_cx *cx, void *arg)
{
    struct feed *f = arg;
    char text[64];
    nart_res r = 0;

    while (r >= 0) {
        long price;

        r = nart_await(cx, nart_udp_recv(cx, &f->sock, text, sizeof text - 1, NULL));
        if (r == -EMSGSIZE) /* longer than any quote: the next one may be well-formed */
            r = 0;
        if (r < 0)
            break;
        text[r] = '\0';
        if (strcmp(text, "end") == 0)
            break;
        if (sscanf(text, "%ld", &price) != 1)
            continue;
        r = keep_run(&f->keep, &price);
        if (r == 0)
            r = warn_run(&f->warn, &price);
    }
    return r;
}

static nart_res prepare(nart_world *world, struct feed *f)
{
    static const struct limits limits = { .low = 90, .high = 110 };
    nart_res r = limits_add(world, &limits, NULL);

    if (r == 0)
        r = book_add(world, NULL, NULL);
    if (r == 0)
        r = nart_handler_init(&f->keep, world, &keep_handler);
    if (r == 0)
        r = nart_handler_init(&f->warn, world, &warn_handler);
    return r;
}

static nart_res print(const struct book *book, void *arg)
{
    (void)arg;
    printf("%u quotes, %u warnings, the last price is %ld\n", book->quotes, book->warnings,
           book->last);
    return 0;
}

static nart_res run(nart_rt *rt, struct feed *f, const char *address)
{
    char text[NART_ADDR_TEXT];
    nart_addr addr;
    nart_res answer = 0, r = nart_addr_parse(&addr, address);

    if (r == 0)
        r = nart_udp_open(rt, &addr, NULL, &f->sock);
    if (r == 0)
        r = nart_udp_local_addr(&f->sock, &addr);
    if (r < 0)
        return r;
    nart_addr_format(&addr, text, sizeof text);
    printf("listening at %s\n", text);
    fflush(stdout);
    r = nart_fiber_block_on(rt, receive, f, NULL, &answer);
    return r < 0 ? r : answer;
}

int main(int argc, char **argv)
{
    struct feed f = { .keep = { 0 } };
    nart_world *world = NULL;
    nart_rt *rt = NULL;
    nart_res r = nart_world_new(NULL, &world);

    if (r == 0)
        r = prepare(world, &f);
    if (r == 0)
        r = nart_rt_new(NULL, &rt);
    if (r == 0)
        r = run(rt, &f, argc > 1 ? argv[1] : "127.0.0.1:4000");
    if (r >= 0)
        r = book_read(world, print, NULL);
    if (r < 0)
        fprintf(stderr, "handlers: %s\n", nart_strerror(r));
    nart_udp_close(&f.sock);
    nart_handler_finish(&f.keep);
    nart_handler_finish(&f.warn);
    nart_rt_free(rt);
    nart_world_free(world);
    return r < 0;
}
