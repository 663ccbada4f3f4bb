/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* cold.c: the cold path: reference prices by HTTP, and snapshots of the books written by the blocking
 * pool. Both are operations of tokio that tasks of the loop await; neither blocks it. */
#include "gate.h"

#include <unistd.h>

#define FETCH_TIMEOUT (150 * NART_MS)
#define FETCH_MOST 65536 /* bytes of an answer */
#define FETCH_EVERY (20 * NART_MS)
#define FETCH_REFUSED 4 /* of each 12 requests one is; between these lie three of every fault */
#define FETCH_LIMIT 300 /* for a server that answers nothing */
#define SAVE_EVERY (200 * NART_MS)

/* ---- reference prices ---- */

static enum outcome outcome_of_fetch(nart_res r, int64_t status)
{
    if (r == 0)
        return status == 200 ? OUTCOME_OK : OUTCOME_STATUS;
    return r == NART_EHTTP_TIMEOUT ? OUTCOME_TIMEOUT : OUTCOME_BROKEN;
}

static nart_res fetch_begin(struct fetcher *f)
{
    struct gate *g = f->g;
    nart_http_opts get = NART_HTTP_OPTS_INIT;

    snprintf(f->url, sizeof f->url, "%s/price/%u", g->base_url,
             (unsigned)(g->fetched.submitted % FEED_INSTRUMENTS));
    get.url = f->url;
    get.timeout_ns = FETCH_TIMEOUT;
    get.max_body = FETCH_MOST;
    return nart_http_request(g->tokio, &get, &f->op);
}

/* To the end of the messages, and until each fault was met: requests that time out on a busy machine
 * may not have reached the server, so they do not count. */
static bool fetch_more(const struct gate *g)
{
    if (!g->closing)
        return true;
    return !g->cut_short && g->fetched.outcomes[OUTCOME_STATUS] < FETCH_REFUSED &&
           g->fetched.submitted < FETCH_LIMIT;
}

static nart_res fetcher_run(nart_cx *cx, void *frame)
{
    struct fetcher *f = frame;
    struct gate *g = f->g;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    while (fetch_more(g) && r >= 0) {
        r = fetch_begin(f);
        if (r < 0)
            break;
        g->fetched.submitted++;
        NART_AWAIT(r, nart_tokio_op_await(cx, &f->op, &f->status));
        if (r == -ECANCELED)
            break;
        g->fetched.outcomes[outcome_of_fetch(r, f->status)]++;
        nart_tokio_op_close(&f->op);
        NART_AWAIT(r, nart_sleep(cx, &f->timer, FETCH_EVERY));
    }
    NART_END(r);
}

static void fetcher_drop(void *frame)
{
    struct fetcher *f = frame;
    nart_tokio_op_close(&f->op);
}

const nart_task_type fetcher_type = NART_TASK_TYPE(struct fetcher, fetcher_run, fetcher_drop);

/* ---- snapshots ---- */

/* On a thread of the blocking pool. */
static nart_res write_snapshot(void *arg, const nart_tokio_stop *stop)
{
    struct gate *g = arg;
    const char *p = (const char *)&g->snapshot;
    size_t left = sizeof g->snapshot;
    int fd = fileno(g->snapshot_file);

    if (lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    while (left > 0 && !nart_tokio_stopped(stop)) {
        ssize_t n = write(fd, p, left);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            p += n;
            left -= (size_t)n;
        }
    }
    if (left > 0)
        return -ECANCELED;
    return fsync(fd) < 0 ? -errno : 0;
}

static nart_res saver_run(nart_cx *cx, void *frame)
{
    struct saver *s = frame;
    struct gate *g = s->g;
    nart_res r = 0;

    NART_BEGIN(cx, &s->co);
    while (!g->closing && r >= 0) {
        g->snapshot = g->book;
        r = nart_tokio_blocking(g->tokio, "snapshot", write_snapshot, g, NULL, &s->op);
        if (r < 0)
            break;
        g->saved.submitted++;
        NART_AWAIT(r, nart_tokio_op_await(cx, &s->op, NULL));
        if (r == -ECANCELED)
            break;
        g->saved.outcomes[r == 0 ? OUTCOME_OK : OUTCOME_BROKEN]++;
        nart_tokio_op_close(&s->op);
        NART_AWAIT(r, nart_sleep(cx, &s->timer, SAVE_EVERY));
    }
    NART_END(r);
}

static void saver_drop(void *frame)
{
    struct saver *s = frame;
    nart_tokio_op_close(&s->op);
}

const nart_task_type saver_type = NART_TASK_TYPE(struct saver, saver_run, saver_drop);
