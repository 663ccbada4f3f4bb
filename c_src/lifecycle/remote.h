/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* remote.h: the checks of a nart_remote. */
#ifndef NART_LIFECYCLE_REMOTE_H
#define NART_LIFECYCLE_REMOTE_H

#include "../core/runtime.h"

#include <nart/remote.h>

/* 0, or why the runtime cannot be reached. It may be freed at any time afterwards. Any thread. */
static inline nart_res nart__remote_check(nart_remote remote)
{
    if (!remote.hub || nart__hub_incarnation(remote.hub) != remote.incarnation)
        return NART_ESTALE;
    if (nart__hub_is_forked(remote.hub))
        return NART_EFORK;
    return nart__hub_ended(remote.hub, remote.incarnation) ? NART_ESHUTDOWN : 0;
}

#endif
