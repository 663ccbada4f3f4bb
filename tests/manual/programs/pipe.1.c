/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The task copies from one pipe to another, which stand for standard input and output. */
#include "example.h"

#include <string.h>

/* DECLARATIONS */

int main(void)
{
    struct cat c = { .done = 0 };
    char back[8] = "";
    int from[2], to[2];

    if (pipe(from) != 0 || pipe(to) != 0 || write(from[1], "copied", 6) != 6 ||
        dup2(from[0], 0) != 0 || dup2(to[1], 1) != 1)
        return 1;
    close(from[1]);
    if (example_run(example_rt(), cat_run, sizeof c, &c))
        return 1;
    return read(to[0], back, sizeof back) != 6 || strcmp(back, "copied") != 0;
}
