/* refused with nothing: (overflow|AFTER_NART_BEGIN_AND_IN_NO_SWITCH) */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <nart/co.h>

struct nap {
    nart_co co;
    nart_timer timer;
    unsigned char kind;
};

nart_res nap_run(nart_cx *cx, void *frame);

nart_res nap_run(nart_cx *cx, void *frame)
{
    struct nap *n = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &n->co);
#ifdef MENDED
    if (n->kind == 1)
        NART_AWAIT(r, nart_sleep(cx, &n->timer, NART_MS));
#else
    switch (n->kind) {
    case 1:
        NART_AWAIT(r, nart_sleep(cx, &n->timer, NART_MS));
        break;
    }
#endif
    NART_END(r);
}
