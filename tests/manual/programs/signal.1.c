/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "example.h"

static int reloads;

static void reload(void)
{
    reloads++;
}

/* DECLARATIONS */

int main(void)
{
    nart_rt *rt = example_rt();
    const struct reloader init = { 0 };
    nart_join join = { 0 };

    if (nart_rt_spawn(rt, &reloader_type, &init, &join) != 0 || nart_rt_poll(rt, 0) < 0 ||
        raise(SIGHUP) != 0 || nart_rt_poll(rt, 0) < 0)
        return 1;
    nart_join_release(&join);
    nart_rt_free(rt);
    return reloads != 1;
}
