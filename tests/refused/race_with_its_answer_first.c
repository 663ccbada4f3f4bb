/* refused with nothing: the answer r must be a nart_res */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* In a fiber the answer is on the left of the race; a body names the index of the arm first. */
#include <nart/co.h>

struct naps {
    nart_co co;
    nart_timer t[2];
};

#define NAP(i) nart_sleep(cx, &n->t[i], NART_MS)

nart_res naps_run(nart_cx *cx, void *frame);

nart_res naps_run(nart_cx *cx, void *frame)
{
    struct naps *n = frame;
    int which = 0;
    nart_res r = 0;

    NART_BEGIN(cx, &n->co);
#ifdef MENDED
    NART_AWAIT_ANY(which, r, NAP(0), NAP(1));
#else
    NART_AWAIT_ANY(r, which, NAP(0), NAP(1));
#endif
    NART_END(r + which);
}
