/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* nart_curl.c: libcurl says by two functions for which sockets and until when it waits. Each socket gets a watch, the
 * time is the alarm of another one. */
#include "nart_curl.h"

#include <stdlib.h>

typedef struct nart_curl_socket {
    nart_watch watch;
    nart_curl *curl;
    struct nart_curl_socket *next, **prev;
    curl_socket_t fd;
} nart_curl_socket;

/* Notifies the tasks whose transfers have ended. */
static void take_ended(nart_curl *c)
{
    int left;

    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left));) {
        nart_curl_op *op = NULL;
        CURLcode result = m->data.result;
        CURL *easy = m->easy_handle;
        if (m->msg != CURLMSG_DONE ||
            curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&op) != CURLE_OK || !op)
            continue;
        (void)curl_multi_remove_handle(c->multi, easy); /* `m` ends here */
        op->result = result;
        op->done = true;
        op->curl = NULL;
        nart_notify_one(&op->ended);
    }
}

static void act(nart_curl *c, curl_socket_t fd, int events)
{
    int running;

    (void)curl_multi_socket_action(c->multi, fd, events, &running);
    take_ended(c);
}

static void on_timer(nart_watch *w, uint32_t events, void *arg)
{
    (void)w;
    (void)events;
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void on_socket(nart_watch *w, uint32_t events, void *arg)
{
    const nart_curl_socket *s = arg;

    (void)w;
    act(s->curl, s->fd,
        (events & NART_READ ? CURL_CSELECT_IN : 0) | (events & NART_WRITE ? CURL_CSELECT_OUT : 0) |
            (events & NART_ERROR ? CURL_CSELECT_ERR : 0));
}

/* ---- functions that libcurl calls ---- */

static void forget(nart_curl_socket *s)
{
    nart_watch_stop(&s->watch);
    *s->prev = s->next;
    if (s->next)
        s->next->prev = s->prev;
    free(s);
}

static nart_curl_socket *new_socket(nart_curl *c, curl_socket_t fd)
{
    nart_curl_socket *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    if (nart_watch_start(c->rt, &s->watch, fd, on_socket, s) != 0 ||
        curl_multi_assign(c->multi, fd, s) != CURLM_OK) {
        nart_watch_stop(&s->watch);
        free(s);
        return NULL;
    }
    s->curl = c;
    s->fd = fd;
    s->next = c->sockets;
    s->prev = &c->sockets;
    if (s->next)
        s->next->prev = &s->next;
    c->sockets = s;
    return s;
}

/* -1: all transfers end with an error. */
static int socket_changed(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
    nart_curl_socket *s = of_socket;
    uint32_t dirs =
        (what & CURL_POLL_IN ? NART_READ : 0u) | (what & CURL_POLL_OUT ? NART_WRITE : 0u);

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (s)
            forget(s);
        return 0;
    }
    if (!s && !(s = new_socket(arg, fd)))
        return -1;
    return nart_watch_set(&s->watch, dirs, NART_NEVER) ? -1 : 0;
}

static int time_changed(CURLM *multi, long ms, void *arg)
{
    nart_curl *c = arg;
    int64_t at = ms < 0 ? NART_NEVER : nart_time_add(nart_rt_now(c->rt), ms * NART_MS);

    (void)multi;
    return nart_watch_set(&c->timer, 0, at) ? -1 : 0;
}

/* ---- for users ---- */

nart_res nart_curl_open(nart_rt *rt, nart_curl *out)
{
    *out = (nart_curl){ .rt = rt };
    nart_res r = nart_watch_start(rt, &out->timer, -1, on_timer, out);
    if (r)
        return r;
    out->multi = curl_multi_init();
    if (!out->multi) {
        nart_watch_stop(&out->timer);
        return -ENOMEM;
    }
    (void)curl_multi_setopt(out->multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
    (void)curl_multi_setopt(out->multi, CURLMOPT_SOCKETDATA, out);
    (void)curl_multi_setopt(out->multi, CURLMOPT_TIMERFUNCTION, time_changed);
    (void)curl_multi_setopt(out->multi, CURLMOPT_TIMERDATA, out);
    return 0;
}

void nart_curl_close(nart_curl *c)
{
    if (!c || !c->multi)
        return;
    nart_watch_stop(&c->timer);
    (void)curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, NULL);
    (void)curl_multi_cleanup(c->multi); /* calls for the sockets of connections that it kept */
    for (nart_curl_socket *s = c->sockets, *next; s; s = next) {
        next = s->next;
        forget(s);
    }
    *c = (nart_curl){ 0 };
}

static nart_res begin(nart_curl *c, nart_curl_op *op, CURL *easy)
{
    if (!c->multi)
        return -EBADF;
    if (!easy || curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)op) != CURLE_OK)
        return -EINVAL;
    *op = (nart_curl_op){ .curl = c, .easy = easy };
    CURLMcode code = curl_multi_add_handle(c->multi, easy); /* sets the timer */
    if (code == CURLM_OK)
        return 0;
    op->curl = NULL;
    return code == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

nart_res nart_curl_perform(nart_cx *cx, nart_curl *c, nart_curl_op *op, CURL *easy)
{
    if (!op->curl && !op->done) {
        nart_res r = nart_op_enter(cx); /* a cancelled task begins nothing */
        if (r == 0)
            r = begin(c, op, easy);
        if (r)
            return r;
    }
    nart_res r = nart_notify_await(cx, &op->ended, &op->waiter);
    if (r == NART_PENDING || r == -EBUSY)
        return r;
    nart_curl_op_close(op);
    return r;
}

void nart_curl_op_close(nart_curl_op *op)
{
    if (op->curl)
        (void)curl_multi_remove_handle(op->curl->multi, op->easy);
    op->curl = NULL;
    op->done = false;
}
