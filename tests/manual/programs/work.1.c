/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

#include <netdb.h>
#include <string.h>

/* DECLARATIONS */

int main(void)
{
    int failed = example_run(example_rt(), conn_run, sizeof(struct conn), NULL);

    return nart_workers_shutdown(NULL, NART_NEVER) != 0 || failed;
}
