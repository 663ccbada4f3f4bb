/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/cancel.h: the inline function of cancel.h. */
#ifndef NART_DETAIL_CANCEL_H
#define NART_DETAIL_CANCEL_H

#include "../cancel.h"
#include "atomic.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline bool nart_token_is_cancelled(const nart_token *t)
{
    /* the state is the first member, and cancelled its lowest bit */
    const NART__ATOMIC(uint32_t) *state = (const NART__ATOMIC(uint32_t) *)(const void *)t->node;
    return state && NART__LOAD(state, NART__ACQUIRE) & 1;
}

#ifdef __cplusplus
}
#endif
#endif
