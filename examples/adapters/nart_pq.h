/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart_pq.h: libpq in a nart loop. Copy nart_pq.h and nart_pq.c into your project.
 *
 *     NART_AWAIT(r, nart_pq_connect(cx, &f->pq, "dbname=shop")); // r = nart_await(...) in a fiber
 *     if (r == 0)
 *         NART_AWAIT(r, nart_pq_query(cx, &f->pq, "select * from item where id = $1", 1, f->values));
 *     if (r == 0 && PQresultStatus(f->pq.result) == PGRES_TUPLES_OK)
 *         ...
 *
 * One task at a time uses a connection, and has one operation under way, as in libpq.
 * Operations answer, beside those listed, -ECANCELED and -ETIMEDOUT, NART_EDRIVER under another driver than the loop,
 * and the errors of nart_watch_set(). -ECONNRESET: the connection is lost, and closed; pq.message says why.
 * Thread: all functions are called on the runtime's own. */
#ifndef NART_PQ_H
#define NART_PQ_H

#include <nart/nart.h>

#include <libpq-fe.h>

/* A connection. Must stay where it is until it is closed. Zeroed = closed. */
typedef struct nart_pq {
    PGconn *conn;      /* NULL: closed */
    PGresult *result;  /* of the last query; freed by the next one, and by nart_pq_close() */
    char message[128]; /* of the last -ECONNRESET */
    int state;
    nart_rt *rt;
    nart_watch watch;
    nart_notify event;
    nart_waiter waiter;
} nart_pq;

/* Connects. 0; -ECONNRESET; -EINVAL it is open; -ENOMEM. After any other answer than 0 it is closed. One that lost a
 * race continues when it is called again. */
NART_MUST_USE nart_res nart_pq_connect(nart_cx *cx, nart_pq *pq, const char *conninfo);

/* Sends a query with n parameters (text; NULL is null) and waits for its last result. 0 and pq->result, which may be
 * an error of the server; -EBADF it is closed; -ECONNRESET. After -ECANCELED and -ETIMEDOUT the server may have
 * executed the query: the next query waits for its end, and drops its results. */
NART_MUST_USE nart_res nart_pq_query(nart_cx *cx, nart_pq *pq, const char *query, int n,
                                     const char *const values[]);

/* Waits for a notification: of a connection that has queried LISTEN. 0 and *out, which PQfreemem() frees; -EBADF;
 * -ECONNRESET. Nothing is lost if it is cancelled. */
NART_MUST_USE nart_res nart_pq_notification(nart_cx *cx, nart_pq *pq, PGnotify **out);

/* Closes; without a wait. Accepts NULL and a closed one, also after its runtime was freed. */
void nart_pq_close(nart_pq *pq);

#endif
