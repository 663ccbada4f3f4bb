/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/access.h: an access to resources. */
#ifndef NART_DETAIL_ACCESS_H
#define NART_DETAIL_ACCESS_H

#include "../base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An access to resources: in progress, or made by a handler while it runs. */
typedef struct nart__access {
    struct nart__access *up; /* the enclosing access */
    uint32_t count;
    uint32_t exclusive; /* bit i: value[i] is written */
    void *value[8];     /* NART_HANDLER_PARAMS */
} nart__access;

#ifdef __cplusplus
}
#endif
#endif
