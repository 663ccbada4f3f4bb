/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

/* DECLARATIONS */

int main(void)
{
    nart_rt *rt = NULL;
    const struct lister init = { .co = { 0 } };
    const nart_task_type type = NART_TASK_TYPE(struct lister, lister_run, lister_drop);
    nart_res answer = -1;

    if (nart_rt_new(NULL, &rt) != 0)
        return 1;
    nart_res r = nart_block_on(rt, &type, &init, &answer);
    nart_rt_free(rt);
    return r != 0 || answer != 0;
}
