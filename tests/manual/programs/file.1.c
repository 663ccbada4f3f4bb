/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

/* DECLARATIONS */

int main(void)
{
    int failed = example_run(example_rt(), print_run, sizeof(struct copier), NULL);

    return nart_workers_shutdown(NULL, NART_NEVER) != 0 || failed;
}
