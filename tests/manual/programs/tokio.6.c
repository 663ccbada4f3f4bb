/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Compiled only: not every build has the bridge, and it would need certificates. */
#define NART_HTTP 1
#include "example.h"

#include <nart/tokio.h>

nart_tls_config *example_config(void);

nart_tls_config *example_config(void)
{
    nart_tls_config *config = NULL;

    /* STATEMENTS */
    return config;
}
