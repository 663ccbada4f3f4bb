/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* all.c: NART_ALL and NART_ALL_OK.
 *
 * 1. All arms are pending, and in each poll the pending ones are evaluated. An answer is kept in its arm.
 * 2. It ends when no arm is pending, or at the first error, which withdraws the waits of the pending ones.
 * 3. The next evaluation finds no arm pending, and begins with 1.
 *
 * So one that has lost a race, or was not evaluated to its end for another reason, continues. Once an arm
 * has ended, no wait refers to it. */
#include "wait.h"

void nart__all_restart(nart_arm *arms, uint32_t n)
{
    uint32_t pending = 0;

    for (uint32_t i = 0; i < n; i++)
        pending |= arms[i].co.at & NART__CO_LINE;
    if (pending)
        return;
    for (uint32_t i = 0; i < n; i++) {
        arms[i].res = NART_PENDING;
        arms[i].co.at = NART__CO_ARM | NART__CO_LINE;
        arms[i].co.decided +=
            NART__CO_LOW + 1; /* its sleeps restart; its races continue to count */
    }
}

nart_res nart__all_goes_on(nart_cx *cx, const nart__race *r)
{
    nart_res error = 0;

    nart__race_over(cx, r);
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->arms[i].res == NART_PENDING)
            return NART_PENDING;
        if (error == 0 && r->arms[i].res < 0)
            error = r->arms[i].res;
    }
    return error;
}

nart_res nart__all_failed(nart_cx *cx, const nart__race *r, nart_res res)
{
    nart__race_forget(cx, r);
    for (uint32_t i = 0; i < r->count; i++) {
        nart_co *co = &r->arms[i].co;
        if (!(co->at & NART__CO_LINE))
            continue;
        nart__withdraw_under(cx, co);
        nart__co_ended(cx, co);
        co->at = NART__CO_ARM;
    }
    return res;
}
