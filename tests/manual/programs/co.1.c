/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

/* DECLARATIONS */

int main(void)
{
    return example_run(example_rt(), greet_run, sizeof(struct greet), NULL);
}
