/* refused with nart::strict: (jump-misses-init|conditional-uninitialized) */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <nart/co.h>

struct nap {
    nart_co co;
    nart_timer timer;
    int times;
};

nart_res nap_run(nart_cx *cx, void *frame);

nart_res nap_run(nart_cx *cx, void *frame)
{
    struct nap *n = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &n->co);
#ifdef MENDED
    for (n->times = 0; n->times < 3; n->times++)
#else
    for (int times = 0; times < 3; times++)
#endif
        NART_AWAIT(r, nart_sleep(cx, &n->timer, NART_MS));
    NART_END(r);
}
