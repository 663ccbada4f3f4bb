/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart_pq.c: each operation lets libpq do what it can, and then waits until the watch has been called. While it
 * connects, libpq may replace its socket: so the watch is started again before each wait. */
#include "nart_pq.h"

#include <stdio.h>

/* RUNS: a query is awaited. ABANDONED: one whose task does not await it any more; DRAINS: its end is awaited by the
 * next query. LISTENS: a notification is awaited. */
enum { CLOSED, CONNECTS, IDLE, RUNS, ABANDONED, DRAINS, LISTENS };

/* The operation waits for the next event only: what it does not read stays ready. */
static void on_event(nart_watch *w, uint32_t events, void *arg)
{
    nart_pq *pq = arg;

    (void)events;
    nart_watch_stop(w);
    nart_notify_one(&pq->event);
}

/* Calls back when one of these directions is ready. */
static nart_res arm(nart_pq *pq, uint32_t dirs)
{
    nart_res r = nart_watch_start(pq->rt, &pq->watch, PQsocket(pq->conn), on_event, pq);
    return r ? r : nart_watch_set(&pq->watch, dirs, NART_NEVER);
}

static nart_res lost(nart_pq *pq)
{
    (void)snprintf(pq->message, sizeof pq->message, "%s", PQerrorMessage(pq->conn));
    nart_pq_close(pq);
    return -ECONNRESET;
}

void nart_pq_close(nart_pq *pq)
{
    if (!pq || !pq->conn)
        return;
    nart_watch_stop(&pq->watch);
    PQclear(pq->result);
    PQfinish(pq->conn);
    pq->result = NULL;
    pq->conn = NULL;
    pq->state = CLOSED;
    nart_notify_close(&pq->event);
}

/* ---- connecting ---- */

static nart_res begin_connect(nart_cx *cx, nart_pq *pq, const char *conninfo)
{
    nart_res r = nart_op_enter(cx);
    if (r)
        return r;
    *pq = (nart_pq){ .rt = nart_cx_rt(cx) };
    pq->conn = PQconnectStart(conninfo);
    if (!pq->conn)
        return -ENOMEM;
    pq->state = CONNECTS;
    if (PQstatus(pq->conn) == CONNECTION_BAD)
        return lost(pq);
    return arm(pq, NART_WRITE);
}

/* 0: connected; 1: the watch is armed for the next step. */
static nart_res step(nart_pq *pq)
{
    switch (PQconnectPoll(pq->conn)) {
    case PGRES_POLLING_OK:
        pq->state = IDLE;
        return PQsetnonblocking(pq->conn, 1) == 0 ? 0 : lost(pq);
    case PGRES_POLLING_READING:
        return arm(pq, NART_READ) ? lost(pq) : 1;
    case PGRES_POLLING_WRITING:
        return arm(pq, NART_WRITE) ? lost(pq) : 1;
    default:
        return lost(pq);
    }
}

nart_res nart_pq_connect(nart_cx *cx, nart_pq *pq, const char *conninfo)
{
    nart_res r = pq->state == CLOSED ? begin_connect(cx, pq, conninfo) : 0;

    if (r == 0 && pq->state != CONNECTS)
        return -EINVAL;
    while (r == 0) {
        r = nart_notify_await(cx, &pq->event, &pq->waiter);
        if (r == 0 && (r = step(pq)) == 0)
            return 0;
        r = r == 1 ? 0 : r;
    }
    if (r != NART_PENDING)
        nart_pq_close(pq);
    return r;
}

/* ---- queries ---- */

/* Reads results until the query has ended (1), or arms the watch (0). */
static nart_res read_results(nart_pq *pq)
{
    int unsent = PQflush(pq->conn);

    if (unsent < 0 || !PQconsumeInput(pq->conn))
        return lost(pq);
    while (!PQisBusy(pq->conn)) {
        PGresult *result = PQgetResult(pq->conn);
        if (!result)
            return PQstatus(pq->conn) == CONNECTION_BAD ? lost(pq) : 1;
        PQclear(pq->result);
        pq->result = result;
    }
    return arm(pq, NART_READ | (unsent ? NART_WRITE : 0u));
}

/* One step towards the end of this call's query: 1 at its end, 0 to wait. */
static nart_res work(nart_pq *pq, const char *query, int n, const char *const values[])
{
    if (pq->state == DRAINS) {
        nart_res r = read_results(pq);
        if (r != 1)
            return r;
        pq->state = IDLE;
    }
    if (pq->state == IDLE) {
        PQclear(pq->result);
        pq->result = NULL;
        if (!PQsendQueryParams(pq->conn, query, n, NULL, values, NULL, NULL, 0))
            return lost(pq);
        pq->state = RUNS;
    }
    return read_results(pq);
}

/* An operation that waits already ends its wait first; a cancelled task begins nothing. */
static nart_res enter(nart_cx *cx, nart_pq *pq, bool waits)
{
    return waits ? nart_notify_await(cx, &pq->event, &pq->waiter) : nart_op_enter(cx);
}

nart_res nart_pq_query(nart_cx *cx, nart_pq *pq, const char *query, int n,
                       const char *const values[])
{
    if (!pq->conn || pq->state == CONNECTS)
        return -EBADF;
    bool begun = pq->state == RUNS || pq->state == DRAINS;
    nart_res r = enter(cx, pq, begun);
    if (r == 0 && !begun)
        pq->state = pq->state == ABANDONED ? DRAINS : IDLE;
    while (r == 0 && (r = work(pq, query, n, values)) == 0)
        r = nart_notify_await(cx, &pq->event, &pq->waiter);
    if (r == NART_PENDING)
        return r;
    if (pq->state == RUNS || pq->state == DRAINS)
        pq->state = r == 1 ? IDLE : ABANDONED;
    return r == 1 ? 0 : r;
}

nart_res nart_pq_notification(nart_cx *cx, nart_pq *pq, PGnotify **out)
{
    if (!pq->conn || pq->state == CONNECTS)
        return -EBADF;
    nart_res r = enter(cx, pq, pq->state == LISTENS);
    while (r == 0) {
        if (!PQconsumeInput(pq->conn))
            return lost(pq);
        *out = PQnotifies(pq->conn);
        if (*out)
            break;
        r = arm(pq, NART_READ);
        if (r)
            break;
        if (pq->state == IDLE)
            pq->state = LISTENS;
        r = nart_notify_await(cx, &pq->event, &pq->waiter);
    }
    if (r != NART_PENDING && pq->state == LISTENS)
        pq->state = IDLE;
    return r;
}
