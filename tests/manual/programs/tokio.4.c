/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Compiled only: not every build has the bridge. */
#include "example.h"

#include <nart/tokio.h>

extern FILE *(*const example)(void);

static FILE *sorted(void)
{
    /* STATEMENTS */
    return pipe;
}

FILE *(*const example)(void) = sorted;
