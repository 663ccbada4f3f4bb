/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Compiled only: not every build has the bridge. */
#define NART_HTTP 1
#include "example.h"

#include <nart/tokio.h>

/* DECLARATIONS */

nart_http_client *example_client(nart_tokio *tokio);

nart_http_client *example_client(nart_tokio *tokio)
{
    nart_http_client *client = NULL;

    /* STATEMENTS */
    return client;
}
