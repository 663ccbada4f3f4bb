/* refused with nothing: NART_ANY and NART_ALL take 2 to 8 */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <nart/co.h>

struct naps {
    nart_co co;
    nart_timer t[9];
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
    NART_AWAIT_ANY(n->which, r, NAP(0), NAP(1), NAP(2), NAP(3), NAP(4), NAP(5), NAP(6), NAP(7));
#else
    NART_AWAIT_ANY(n->which, r, NAP(0), NAP(1), NAP(2), NAP(3), NAP(4), NAP(5), NAP(6), NAP(7),
                   NAP(8));
#endif
    NART_END(r);
}
