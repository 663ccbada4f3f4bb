/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sys_call.h: how the wrappers of system calls answer. */
#ifndef NART_SYS_CALL_H
#define NART_SYS_CALL_H

#include "sys.h"

#include <errno.h>

/* Repeats a call until it is not interrupted; its answer or -errno. */
#define RETRY(type, r, call)                                                                       \
    type r;                                                                                        \
    do                                                                                             \
        r = (call);                                                                                \
    while (r < 0 && errno == EINTR);                                                               \
    return r < 0 ? (type)-errno : r

#define ONCE(call) return (call) < 0 ? -errno : 0

#endif
