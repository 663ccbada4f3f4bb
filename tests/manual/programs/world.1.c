/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

struct limits {
    int high;
};

struct book {
    int last;
};

struct quote {
    int price;
};

NART_RESOURCE(limits, struct limits);
NART_RESOURCE_DEFINE(limits);

/* DECLARATIONS */

static nart_res last(const struct book *book, void *arg)
{
    (void)arg;
    return book->last;
}

int main(void)
{
    nart_world *world = NULL;
    nart_handler h = { 0 };
    struct quote quote = { 8 };
    nart_res r = nart_world_new(NULL, &world);

    if (r != 0 || limits_add(world, &(struct limits){ 9 }, NULL) != 0 ||
        book_add(world, NULL, NULL) != 0)
        return 1;
    /* STATEMENTS */
    if (r == 0 && book_read(world, last, NULL) != 8)
        r = -EIO;
    nart_handler_finish(&h);
    nart_world_free(world);
    return r != 0;
}
