/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dump.c: prints every task with its chain of awaits.
 *
 * A wait points at its body, and a body at the body that awaits it; so the chain is walked from the wait
 * upwards and printed from the task's root down. A task that waits in several places (a race) gets a
 * line for each. A task without waits sleeps, yields, or waits for a waker that it has handed out; its
 * leaf is the body that parked last.
 *
 * Chains deeper than MAX_DEPTH lose the part next to the root. */
#include "../core/runtime.h"
#include "../wait/short_name.h"

#include <inttypes.h>
#include <string.h>

#define MAX_DEPTH 32
#define MAX_WAITS 256

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void print_at(FILE *out, const nart_co *co)
{
    if ((co->at & NART__CO_LINE) == NART__CO_RUNNING)
        fprintf(out, "%s:running", base_name(co->site->file));
    else
        fprintf(out, "%s:%" PRIu32, base_name(co->site->file), co->at & NART__CO_LINE);
}

/* `read > frame  a.c:31 > b.c:12`, or nothing for a hand-written poll. */
static void print_chain(FILE *out, nart_co *leaf)
{
    const nart_co *chain[MAX_DEPTH];
    int n = 0;

    for (nart_co *co = nart__co_body(leaf); co && n < MAX_DEPTH; co = nart__co_body(co->up))
        if (co->site) /* the function of a fiber has none of its own */
            chain[n++] = co;
    for (int i = n; i-- > 0;)
        fprintf(out, "%s%s", chain[i]->site->func, i ? " > " : "  ");
    for (int i = n; i-- > 0;) {
        print_at(out, chain[i]);
        fputs(i ? " > " : "  ", out);
    }
}

static const char *state_of(const nart_rt *rt, const nart__task *t)
{
    if (t == rt->cx.self)
        return "running";
    if (t->state & NART__T_DONE)
        return "ended, held";
    return t->state & NART__T_READY ? "ready" : "parked";
}

static void print_head(FILE *out, const nart_rt *rt, const nart__task *t)
{
    fprintf(out, "%s#%" PRIu32 " %s%s%s", nart__short_name(t->type->name), t->slot, state_of(rt, t),
            t->state & NART__T_CANCELLED ? ", cancelled" : "",
            t->state & NART__T_BACKGROUND ? ", background" : "");
}

static void print_time(FILE *out, const nart_rt *rt, const char *of, int64_t at)
{
    int64_t left = at - nart__rt_now(rt);

    fprintf(out, left > 0 ? "  %s in %.1f s" : "  %s %.1f s ago", of,
            (double)(left > 0 ? left : -left) / 1e9);
}

static void print_tail(FILE *out, const nart_rt *rt, const nart__task *t)
{
    size_t used, size;

    if (t->wake_at != NART_NEVER)
        print_time(out, rt, "deadline", t->wake_at);
    if (rt->stack_used && rt->stack_used(t, &used, &size))
        fprintf(out, "  stack %.1f of %zu KiB", (double)used / 1024, size / 1024);
    fputc('\n', out);
}

static const char *leaf_name(const nart__task *t)
{
    if (t->state & NART__T_READY)
        return t->polls ? "yield" : "not polled yet";
    return t->wake_at != NART_NEVER || t->state & NART__T_ASLEEP ? "sleep" : "a waker";
}

/* Is w an open nursery whose owner is not in its join? */
static bool is_open_nursery(const nart__wait *w)
{
    return nart__is_nursery(w) && w->seen != w->task->polls;
}

static void print_wait(FILE *out, const nart_rt *rt, const nart__task *t, const nart__wait *w)
{
    print_head(out, rt, t);
    fputs(": ", out);
    print_chain(out, w->co);
    fprintf(out, is_open_nursery(w) ? "holds a %s" : "%s", w->ops->name);
    print_tail(out, rt, t);
}

/* The list begins with the newest wait, the output with the oldest; of many, the newest MAX_WAITS. */
static void print_waits(FILE *out, const nart_rt *rt, const nart__task *t)
{
    const nart__wait *shown[MAX_WAITS];
    int n = 0;

    for (const nart__wait *w = t->waits; w && n < MAX_WAITS; w = w->more)
        shown[n++] = w;
    if (n == MAX_WAITS && shown[n - 1]->more) {
        print_head(out, rt, t);
        fprintf(out, ": more than %d waits, of which the newest are\n", MAX_WAITS);
    }
    while (n > 0)
        print_wait(out, rt, t, shown[--n]);
}

/* Nothing but locks and nurseries that it holds: it sleeps, yields, runs or waits for a waker. */
static bool only_holds(const nart__task *t)
{
    const nart__wait *w = t->waits;

    while (w && (nart__is_held(w) || is_open_nursery(w)))
        w = w->more;
    return !w;
}

static void dump_task(FILE *out, const nart_rt *rt, const nart__task *t)
{
    if (t->state & NART__T_DONE) {
        print_head(out, rt, t);
        fprintf(out, ": %s\n", nart_err_name(t->res));
        return;
    }
    print_waits(out, rt, t);
    if (!only_holds(t))
        return;
    print_head(out, rt, t);
    if (t != rt->cx.self) { /* what that waited for is over */
        fputs(": ", out);
        print_chain(out, t->leaf);
        fputs(leaf_name(t), out);
    }
    print_tail(out, rt, t);
}

static void dump_watch(FILE *out, const nart_rt *rt, const nart_watch *w)
{
    if (w->fd < 0)
        fputs("watch: ", out);
    else
        fprintf(out, "watch of %d: ", w->fd);
    fputs(w->dirs == 0            ? "no direction"
          : w->dirs == NART_READ  ? "readable"
          : w->dirs == NART_WRITE ? "writable"
                                  : "readable, writable",
          out);
    if (w->alarm.next)
        print_time(out, rt, "alarm", w->alarm.at);
    fputc('\n', out);
}

void nart_rt_dump(nart_rt *rt, FILE *out)
{
    uint32_t slot = 0;

    fprintf(out, "%s: %" PRIu32 " tasks", rt->name, rt->live);
    if (rt->background > 0)
        fprintf(out, ", %" PRIu32 " in the background", rt->background);
    fputc('\n', out);
    for (const nart__task *t; (t = nart__rt_next(rt, &slot));)
        dump_task(out, rt, t);
    for (const nart_watch *w = rt->watches ? rt->watches->first : NULL; w; w = w->next)
        dump_watch(out, rt, w);
}
