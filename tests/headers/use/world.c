/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The macros of nart/world.h in typical positions, in C and in C++. */
#include <nart/nart.h>

typedef struct book book; /* stays incomplete here */
struct none {
    char nothing;
};
typedef int quad[4];

NART_RESOURCE(book, book);
NART_RESOURCE(none, struct none);
NART_RESOURCE(quad, quad);

NART_RESOURCE_DEFINE(none);
NART_RESOURCE_DEFINE(quad);

static nart_res on_nothing(void *event)
{
    return event != NULL;
}
static nart_res on_one(const quad *q, int *event)
{
    return *event = (*q)[0];
}
static nart_res on_three(book *b, const quad *q, const struct none *none, const int *event)
{
    return b && none ? (*q)[*event] : 0;
}
static nart_res on_eight(const quad *a, const quad *b, const quad *c, const quad *d, const quad *e,
                         const quad *f, const quad *g, const quad *h, const void *event)
{
    return a == b && c == d && e == f && g == h && event;
}

NART_HANDLER(on_nothing, void);
NART_HANDLER(on_one, int, SHARED(quad));
NART_HANDLER(on_three, const int, EXCLUSIVE(book), SHARED(quad), SHARED(none));
NART_HANDLER(on_eight, const void, SHARED(quad), SHARED(quad), SHARED(quad), SHARED(quad),
             SHARED(quad), SHARED(quad), SHARED(quad), SHARED(quad));

static nart_res first(const quad *q, void *arg)
{
    return *(int *)arg = (*q)[0];
}
static nart_res clear(quad *q, void *arg)
{
    (*q)[0] = 0;
    return arg == NULL;
}

nart_res use_of_world(nart_world *w, nart_handler *h);

nart_res use_of_world(nart_world *w, nart_handler *h)
{
    const quad init = { 1, 2, 3, 4 };
    int n = 0;
    nart_res r = quad_add(w, &init, NULL);

    if (r == 0)
        r = quad_read(w, first, &n);
    if (r >= 0)
        r = quad_write(w, clear, NULL);
    if (r >= 0)
        r = nart_handler_init(h, w, &on_three_handler);
    if (r >= 0)
        r = on_three_run(h, &n);
    if (r >= 0)
        r = on_one_run(h, &n);
    if (r >= 0)
        r = on_eight_run(h, NULL);
    if (r >= 0)
        r = on_nothing_run(h, NULL);
    return r;
}
