/* refused with nart::strict: incompatible.pointer.type */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <nart/world.h>

NART_RESOURCE(limit, long);

static nart_res on_order(const long *limit, const long *size)
{
    return *size <= *limit;
}

NART_HANDLER(on_order, const long, SHARED(limit));

nart_res order(nart_handler *h);

nart_res order(nart_handler *h)
{
#ifdef MENDED
    long size = 5;
#else
    int size = 5;
#endif
    return on_order_run(h, &size);
}
