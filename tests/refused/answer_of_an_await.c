/* refused with nart::strict: (ignoring return value|unused result) */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* An await is an expression whose value is the answer of the operation: it must be used, as that of the operation. */
#include <nart/fiber.h>

nart_res waits(nart_cx *cx, nart_timer *t);

nart_res waits(nart_cx *cx, nart_timer *t)
{
#ifdef MENDED
    return nart_await(cx, nart_sleep(cx, t, NART_SEC));
#else
    nart_await(cx, nart_sleep(cx, t, NART_SEC));
    return 0;
#endif
}
