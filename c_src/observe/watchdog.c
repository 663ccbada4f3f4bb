/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* watchdog.c: what other threads see of the poll that runs.
 *
 * What it keeps true: a look costs the runtime's thread nothing, and never gives a poll the name of
 * another one.
 *
 * The algorithm. One word decides, when the poll began. The name is stored before it and loaded after
 * it; if the word is then still the same, it is this poll's name. A poll that ends takes both back, the
 * name first: who sees a later name sees that the time is not this poll's any more.
 *
 * Not handled: two polls that begin in the same nanosecond; their names may be taken for each other's. */
#include "observe.h"

#include "../base/atomic.h"

void nart__watchdog_note(nart_watchdog *dog, int64_t since, const char *name)
{
    /* Release: who sees this name sees that the last poll has ended. */
    NART__STORE(&dog->name, name, NART__RELEASE);
    /* Release: who sees this time sees this name, or a later one. */
    NART__STORE(&dog->since, since, NART__RELEASE);
}

nart_res nart_watchdog_look(const nart_watchdog *w, const char **name)
{
    if (!w)
        return -EINVAL;
    int64_t since = NART__LOAD(&w->since, NART__ACQUIRE);
    /* Acquire: the next look at `since` is not older than this name. */
    const char *of = NART__LOAD(&w->name, NART__ACQUIRE);

    if (name)
        *name = since && NART__LOAD(&w->since, NART__RELAXED) == since ? of : NULL;
    if (!since)
        return 0;
    int64_t now = nart__sys_now();
    return now > since ? now - since : 1;
}
