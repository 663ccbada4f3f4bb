/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart/detail/bcast.h: a receiver of a watch or a broadcast. */
#ifndef NART_DETAIL_BCAST_H
#define NART_DETAIL_BCAST_H

#include "wait.h"

#ifdef __cplusplus
extern "C" {
#endif

struct nart__bcast;

typedef struct nart__bcast_rx {
    nart__wait wait;
    struct nart__bcast *bcast;
    uint64_t pos; /* values read or lost so far */
} nart__bcast_rx;

#ifdef __cplusplus
}
#endif
#endif
