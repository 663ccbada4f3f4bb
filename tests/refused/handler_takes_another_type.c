/* refused with nothing: the function takes other types than its NART_HANDLER names */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <nart/world.h>

struct book {
    long orders;
};

NART_RESOURCE(limit, long);
NART_RESOURCE(book, struct book);

static nart_res on_order(const long *limit, struct book *book, const long *size)
{
    book->orders += *size <= *limit;
    return 0;
}

#ifdef MENDED
NART_HANDLER(on_order, const long, SHARED(limit), EXCLUSIVE(book));
#else
NART_HANDLER(on_order, const long, EXCLUSIVE(book), SHARED(limit)); /* swapped */
#endif
