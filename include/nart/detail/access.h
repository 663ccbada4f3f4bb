/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/access.h: a use of resources. */
#ifndef NART_DETAIL_ACCESS_H
#define NART_DETAIL_ACCESS_H

#include "../base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A use of resources that is going on, or the one that a handler makes. */
typedef struct nart__access {
    struct nart__access *up; /* the use around it */
    uint32_t count;
    uint32_t exclusive; /* bit i: value[i] is written */
    void *value[8];     /* NART_HANDLER_PARAMS */
} nart__access;

#ifdef __cplusplus
}
#endif
#endif
