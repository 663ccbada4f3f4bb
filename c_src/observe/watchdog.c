/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* watchdog.c: lets other threads see the poll that runs.
 *
 * What it keeps true: a look costs the runtime's thread nothing, and never pairs a poll with the name of
 * another one.
 *
 * The algorithm. One word decides: the time at which the poll began. The name is stored before it and
 * loaded after it; if the word has not changed by then, the name is this poll's. A poll that ends resets
 * both, the name first: a thread that sees a later name also sees that the time has changed.
 *
 * Not handled: two polls that begin in the same nanosecond; their names may be confused. */
#include "observe.h"

#include "../base/atomic.h"

void nart__watchdog_note(nart_watchdog *dog, int64_t since, const char *name)
{
    /* Release: a thread that sees this name sees that the last poll has ended. */
    NART__STORE(&dog->name, name, NART__RELEASE);
    /* Release: a thread that sees this time sees this name, or a later one. */
    NART__STORE(&dog->since, since, NART__RELEASE);
}

nart_res nart_watchdog_look(const nart_watchdog *w, const char **name)
{
    if (!w)
        return -EINVAL;
    int64_t since = NART__LOAD(&w->since, NART__ACQUIRE);
    /* Acquire: the next load of `since` is not older than this name. */
    const char *of = NART__LOAD(&w->name, NART__ACQUIRE);

    if (name)
        *name = since && NART__LOAD(&w->since, NART__RELAXED) == since ? of : NULL;
    if (!since)
        return 0;
    int64_t now = nart__sys_now();
    return now > since ? now - since : 1;
}
