/* refused with nothing: (overflow|AFTER_NART_BEGIN_AND_IN_NO_SWITCH) */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <nart/co.h>

struct nap {
    nart_co co;
    nart_timer timer, other;
    long long kind;
    int which;
};

nart_res nap_run(nart_cx *cx, void *frame);

nart_res nap_run(nart_cx *cx, void *frame)
{
    struct nap *n = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &n->co);
#ifdef MENDED
    if (n->kind == 1)
        NART_AWAIT_ANY(n->which, r, nart_sleep(cx, &n->timer, 1), nart_sleep(cx, &n->other, 2));
#else
    switch (n->kind) { /* the widest type */
    case 1:
        NART_AWAIT_ANY(n->which, r, nart_sleep(cx, &n->timer, 1), nart_sleep(cx, &n->other, 2));
        break;
    default:
        break;
    }
#endif
    NART_END(r);
}
