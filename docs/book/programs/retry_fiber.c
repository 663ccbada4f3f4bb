/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* retry_fiber.c: a function that awaits, in a fiber. */
#include <nart/nart.h>

#include <errno.h>
#include <stdio.h>

/* Succeeds the third time. */
static nart_res attempt(int number)
{
    return number < 3 ? -ECONNREFUSED : 0;
}

// --8<-- [start:form]
/* By hand, to show a loop that awaits: nart_backoff of nart/time.h does this, with jitter and a deadline. */
static nart_res with_retries(nart_cx *cx, int max, int *used)
{
    nart_timer pause = { 0 };
    int64_t wait = NART_MS;
    nart_res r = attempt(1);

    *used = 1;
    while (r < 0 && *used < max) {
        r = nart_await(cx, nart_sleep(cx, &pause, wait));
        if (r < 0)
            return r;
        wait *= 2;
        *used += 1;
        r = attempt(*used);
    }
    return r;
}

static nart_res job(nart_cx *cx, void *arg)
{
    int used = 0;
    nart_res r = with_retries(cx, 5, &used);

    printf("%s: %d attempts\n", (const char *)arg, used);
    return r;
}
// --8<-- [end:form]

int main(void)
{
    char name[] = "a fiber";
    nart_rt *rt = NULL;
    nart_res answer = 0;
    nart_res r = nart_rt_new(NULL, &rt);

    // --8<-- [start:start]
    if (r == 0)
        r = nart_fiber_block_on(rt, job, name, NULL, &answer);
    // --8<-- [end:start]
    nart_rt_free(rt);
    return r < 0 || answer < 0;
}
