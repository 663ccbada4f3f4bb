/* refused with nothing: (nart_cx_.* undeclared|undeclared identifier .nart_cx_) */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A fiber has no NART_BEGIN, which declares what the awaits in capitals use. */
#include <nart/fiber.h>

nart_res nap(nart_cx *cx, void *arg);

nart_res nap(nart_cx *cx, void *arg)
{
    nart_timer timer = { 0 };
    nart_res r;

    (void)arg;
#ifdef MENDED
    r = nart_await(cx, nart_sleep(cx, &timer, NART_MS));
#else
    NART_AWAIT(r, nart_sleep(cx, &timer, NART_MS));
#endif
    return r;
}
