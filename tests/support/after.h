/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* after.h: an operation that depends on nothing, also for C++. */
#ifndef NART_TEST_AFTER_H
#define NART_TEST_AFTER_H

#include <nart/co.h>

/* Parks `n` times and then answers 5. */
static inline nart_res after(nart_cx *cx, int *n)
{
    nart_res r = nart_op_enter(cx);

    if (r)
        return r;
    if ((*n)-- > 0) {
        nart_wake_self(cx);
        return nart_op_park(cx);
    }
    *n = 0;
    return 5;
}

#endif
