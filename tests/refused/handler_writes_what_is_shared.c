/* refused with nothing: the function takes other types than its NART_HANDLER names */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <nart/world.h>

NART_RESOURCE(limit, long);

#ifdef MENDED
static nart_res on_order(const long *limit, const long *size)
#else
static nart_res on_order(long *limit, const long *size)
#endif
{
    return *size <= *limit;
}

NART_HANDLER(on_order, const long, SHARED(limit));
