/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Mistakes that c_src/cmake/nart_lint.py must find. The line with a mistake has a comment:
 * `lost:` and the names of variables, `switch` or `break`. Nothing may be found in other lines. */
#include <nart/nart.h>

struct frame {
    nart_co co, inner;
    nart_arm all[2];
    nart_timer timer;
    nart_tcp sock;
    int i, n, kind;
    char buf[8];
};

int use(int value);
int fill(int *value);
nart_res read_some(nart_cx *cx, char *buf, size_t len);
nart_res fine(nart_cx *cx, struct frame *f);
nart_res loops(nart_cx *cx, struct frame *f);
nart_res lost(nart_cx *cx, struct frame *f);
nart_res lost_in_parts(nart_cx *cx, struct frame *f);
nart_res lost_on_a_path(nart_cx *cx, struct frame *f);
nart_res lost_in_a_race(nart_cx *cx, struct frame *f);
nart_res lost_in_several(nart_cx *cx, struct frame *f);
nart_res misplaced(nart_cx *cx, struct frame *f);

nart_res fine(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;
    int which = 0, n = 0, same = f->n;
    static int kept;
    char buf[8];
    struct frame *g = f;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT(r, nart_sleep(cx, &f->timer, NART_MS)); /* set by it, read after it */
    if (r < 0)
        NART_RETURN(r);
    NART_AWAIT(r, nart_sleep(cx, &g->timer, same)); /* equals its initial value */
    n = use(f->n);
    f->n = n + (int)sizeof n;
    NART_YIELD();
    n = 3; /* set before it is read */
    (void)n;
    kept++; /* one for all tasks, but it keeps its value */
    NART_AWAIT_ANY(which, r, nart_sleep(cx, &f->timer, 1), nart_sleep(cx, &g->timer, 2));
    if (which == 1)
        r = 0;
    f->n = use(kept);
    fill(&n);
    NART_YIELD();
    fill(&n); /* passing the address counts as setting it */
    f->n = n;
    NART_AWAIT_FOR(r, NART_MS, NART_ANY(which, read_some(cx, buf, sizeof buf), fine(cx, f)));
    f->i = which + buf[0];
    for (int k = 0; k < 3; k++) /* no await inside */
        f->n += k;
    NART_AWAIT_UNTIL(r, f->n, nart_sleep(cx, &f->timer, 1));
    NART_END(r);
}

nart_res loops(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;
    int n = 0;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < 3; f->i++) {
        n = 0;
        while (n < 10)
            n++;
        do {
            f->n = n;
            NART_AWAIT(r, nart_sleep(cx, &f->timer, NART_MS)); /* lost: n */
            if (r == -ETIMEDOUT)
                continue;
            if (r < 0)
                goto out;
            n = f->n;
        } while (f->n < 0);
        switch (f->kind) {
        case 1:
            f->n = 1;
            break;
        default:
            f->n = n = 2;
        }
        if (f->n == n)
            break;
    }
out:
    f->n = 0;
    NART_END(r);
}

nart_res lost(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;
    int total = 0, last = 0, *at = &f->n;

    NART_BEGIN(cx, &f->co);
    total++;
    NART_AWAIT(r, nart_sleep(cx, &f->timer, 1)); /* lost: total */
    total += 2;
    NART_YIELD(); /* lost: total */
    f->n = total;
    at = &f->i;
    NART_AWAIT_FOR(r, NART_MS, nart_sleep(cx, &f->timer, 1)); /* lost: at */
    *at = 3;
    for (f->i = 0; f->i < 3; f->i++) {
        NART_AWAIT(r, nart_sleep(cx, &f->timer, 1)); /* lost: last */
        f->n += last;
        last = f->i;
    }
    last = f->n;
    NART_AWAIT(r, nart_sleep(cx, &f->timer, last)); /* lost: last */
    NART_END(r);
}

nart_res lost_in_parts(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;
    nart_addr addr = { .len = 0 };
    int pair[2] = { 0, 0 };

    NART_BEGIN(cx, &f->co);
    addr.len = 3;
    NART_AWAIT(r, nart_tcp_connect(cx, &f->sock, &addr)); /* whatever gets its address may set it */
    addr.len = 4;
    pair[f->i] = 1;
    NART_AWAIT(r, nart_sleep(cx, &f->timer, 1)); /* lost: addr pair */
    f->n = (int)addr.len;
    pair[1] = 3;
    NART_STOP(r, fine(cx, f)); /* lost: pair */
    f->n += pair[1];
    NART_END(r);
}

nart_res lost_on_a_path(nart_cx *cx, struct frame *f)
{
    nart_res r = 0, first = 0;
    bool open = false;

    NART_BEGIN(cx, &f->co);
    if (f->n > 3) {
        open = true;
        NART_AWAIT(first, nart_sleep(cx, &f->timer, 1)); /* lost: open */
    }
    if (f->n > 4)
        NART_AWAIT(r, nart_sleep(cx, &f->timer, 1)); /* lost: first */
    NART_END(open ? first : r);
}

nart_res lost_in_a_race(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;
    int which = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY(which, r, nart_sleep(cx, &f->timer, 1), fine(cx, f));
    NART_AWAIT(r, nart_sleep(cx, &f->timer, 1)); /* lost: which */
    if (which == 1)
        NART_STOP(r, fine(cx, f));
    NART_END(r);
}

nart_res lost_in_several(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;
    int which = 0, other = 0, n = 0;

    NART_BEGIN(cx, &f->co);
    NART_AWAIT_ANY_FAIR(which, r, nart_sleep(cx, &f->timer, 1), fine(cx, f));
    n = 3;
    NART_AWAIT_ALL(r, f->all, fine(cx, f), loops(cx, f)); /* lost: n which */
    NART_AWAIT_FOR(r, NART_MS, NART_ANY_BIASED(other, fine(cx, f), loops(cx, f)));
    f->n = f->all[0].res < 0 ? other : n;
    NART_AWAIT_ALL_OK(r, f->all, fine(cx, f), loops(cx, f));
    if (which == 1)
        NART_STOP(r, fine(cx, f));
    NART_END(r);
}

nart_res misplaced(nart_cx *cx, struct frame *f)
{
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    if (f->n)
        break; /* break */
#ifdef __SIZEOF_INT128__
    switch ((nart__point)(unsigned)f->kind) {
    case 1:
        NART_AWAIT(r, nart_sleep(cx, &f->timer, 1)); /* switch */
        break;
    default:
        break;
    }
#endif
    NART_END(r);
}
