/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Compiled only: not every build has the bridge, and it would need a server. */
#define NART_HTTP 1
#include "example.h"

#include <nart/tokio.h>

struct fetch {
    nart_tokio_op op;
};

extern void example_print(struct fetch *f);

/* DECLARATIONS */

void example_print(struct fetch *f)
{
    /* STATEMENTS */
}
