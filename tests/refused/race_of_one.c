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
    NART_AWAIT_FOR(r, NART_SEC, NART_ANY_FAIR(n->which, NAP(0), NAP(1)));
#else
    NART_AWAIT_FOR(r, NART_SEC, NART_ANY_FAIR(n->which, NAP(0)));
#endif
    NART_END(r);
}
