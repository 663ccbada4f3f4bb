/* refused with nothing: NART_ALL takes an array of nart_arm, with one */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <nart/co.h>

struct naps {
    nart_co co;
    nart_timer t[9];
    nart_arm all[3];
    int which;
};

#define NAP(i) nart_sleep(cx, &n->t[i], NART_MS)

nart_res naps_run(nart_cx *cx, void *frame);

nart_res naps_run(nart_cx *cx, void *frame)
{
    struct naps *n = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &n->co);
#ifdef MENDED
    NART_AWAIT_ALL_OK(r, n->all, NAP(0), NAP(1), NAP(2));
#else
    NART_AWAIT_ALL_OK(r, n->all, NAP(0), NAP(1));
#endif
    NART_END(r);
}
