/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/thread.h: the identity of a thread, for checks in inlines. */
#ifndef NART_DETAIL_THREAD_H
#define NART_DETAIL_THREAD_H

#include "../base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The number of the calling thread; 0 before it first used a function that records its thread. */
NART_API extern __thread uintptr_t nart__thread_id;

#ifdef __cplusplus
}
#endif
#endif
