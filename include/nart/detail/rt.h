/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/rt.h: the functions that NART_TASK_TYPED() defines. */
#ifndef NART_DETAIL_RT_H
#define NART_DETAIL_RT_H

#include "../rt.h"

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroes *init after a successful call: its contents now belong to the task. */
static inline nart_res nart__moved(nart_res r, void *init, size_t size)
{
    if (r >= 0 && init)
        memset(init, 0, size);
    return r;
}

/* nart_block_on(); `*init` is zeroed once the task owns it, whatever the result. */
NART_API NART_MUST_USE nart_res nart__block_on_moved(nart_rt *rt, const nart_task_type *type,
                                                     void *init, nart_res *result);

/* Makes NART_MOVE() accept only the address of a frame of this type. */
#define NART__TASK_FRAME(fn, T)                                                                    \
    NART__UNUSED static inline T *fn(T *init_)                                                     \
    {                                                                                              \
        return init_;                                                                              \
    }
#define NART__TASK_SPAWN(fn, spawn, from, type, T)                                                 \
    NART__MACRO_FN fn(from from_, T *init_, nart_join *out_)                                       \
    {                                                                                              \
        return nart__moved(spawn(from_, &type, init_, out_), init_, sizeof(T));                    \
    }
#define NART__TASK_BLOCK_ON(fn, type, T)                                                           \
    NART__MACRO_FN fn(nart_rt *rt_, T *init_, nart_res *result_)                                   \
    {                                                                                              \
        return nart__block_on_moved(rt_, &type, init_, result_);                                   \
    }

#ifdef __cplusplus
}
#endif
#endif
