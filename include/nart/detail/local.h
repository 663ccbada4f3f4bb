/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/local.h: the inline functions and the await of local.h. */
#ifndef NART_DETAIL_LOCAL_H
#define NART_DETAIL_LOCAL_H

#include "../local.h"

#ifdef __cplusplus
extern "C" {
#endif

static inline void nart_local_enter(nart_cx *cx, nart_local *l, const nart_local_key *key,
                                    void *value)
{
    l->up = cx->locals;
    l->key = key;
    l->value = value;
    cx->locals = l;
}

static inline void nart_local_leave(nart_cx *cx, const nart_local *l)
{
    cx->locals = l->up;
}

static inline void *nart_local_get(const nart_cx *cx, const nart_local_key *key)
{
    for (const nart_local *l = cx->locals; l; l = l->up)
        if (l->key == key)
            return l->value;
    return NULL;
}

#define NART__AWAIT_LOCAL(dst, key, value, ...)                                                    \
    do {                                                                                           \
        NART__LABEL(__LINE__)                                                                      \
        {                                                                                          \
            nart_local nart_l_;                                                                    \
            nart_local_enter(nart_cx_, &nart_l_, (key), (value));                                  \
            nart_res nart_r_ = (__VA_ARGS__);                                                      \
            nart_local_leave(nart_cx_, &nart_l_);                                                  \
            if (nart_r_ == NART_PENDING)                                                           \
                NART__PARK;                                                                        \
            (dst) = nart_r_;                                                                       \
        }                                                                                          \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
