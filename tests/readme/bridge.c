/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* bridge.c: the README's task that makes a request, and the code that the README omits. */
#include <nart/nart.h>
#include <nart/tokio.h>

#include <stdio.h>

#include README_BLOCK

NART_TASK_TYPED(fetch, struct fetch, fetch_run, NULL);

int main(int argc, char **argv)
{
    nart_rt *rt = NULL;
    nart_tokio *tokio = NULL;
    nart_res answer = 0, r = nart_rt_new(NULL, &rt);

    if (r == 0)
        r = nart_tokio_new(NULL, &tokio);
    if (r == 0)
        r = fetch_block_on(rt, &(struct fetch){ .tokio = tokio, .url = argv[argc - 1] }, &answer);
    nart_rt_free(rt);
    nart_tokio_free(tokio);
    return r == 0 && answer == 0 ? 0 : 1;
}
