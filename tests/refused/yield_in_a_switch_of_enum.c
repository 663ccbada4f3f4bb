/* refused with nothing: (overflow|AFTER_NART_BEGIN_AND_IN_NO_SWITCH) */
/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include <nart/co.h>

struct turn {
    nart_co co;
    enum kind { ONCE, TWICE } kind;
};

nart_res turn_run(nart_cx *cx, void *frame);

nart_res turn_run(nart_cx *cx, void *frame)
{
    struct turn *t = frame;

    NART_BEGIN(cx, &t->co);
#ifdef MENDED
    if (t->kind == TWICE)
        NART_YIELD();
#else
    switch (t->kind) {
    case ONCE:
        break;
    case TWICE:
        NART_YIELD();
        break;
    }
#endif
    NART_END(0);
}
