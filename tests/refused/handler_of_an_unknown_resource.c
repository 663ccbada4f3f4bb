/* refused with nothing: nart__value_limit */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <nart/world.h>

#ifdef MENDED
NART_RESOURCE(limit, long);
#endif

static nart_res on_order(const long *limit, const long *size)
{
    return *size <= *limit;
}

NART_HANDLER(on_order, const long, SHARED(limit));
