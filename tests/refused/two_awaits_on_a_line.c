/* refused with nothing: label .?.?.?nart_one_await_per_source_line */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <nart/co.h>

struct nap {
    nart_co co;
    nart_timer timer;
};

nart_res nap_run(nart_cx *cx, void *frame);

nart_res nap_run(nart_cx *cx, void *frame)
{
    struct nap *n = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &n->co);
#ifdef MENDED
    NART_AWAIT(r, nart_sleep(cx, &n->timer, 1));
    NART_AWAIT(r, nart_sleep(cx, &n->timer, 2));
#else
    /* clang-format off */
    NART_AWAIT(r, nart_sleep(cx, &n->timer, 1)); NART_AWAIT(r, nart_sleep(cx, &n->timer, 2));
    /* clang-format on */
#endif
    NART_END(r);
}
