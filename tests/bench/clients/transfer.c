/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* transfer.c: libcurl's multi interface, by its two functions, the same for all loops. */
#include "clients.h"

#include <curl/curl.h>

enum { TRANSFERS = 64 };

static CURLM *multi;
static int left;

static void act(curl_socket_t fd, int events)
{
    int running, queued;

    (void)curl_multi_socket_action(multi, fd, events, &running);
    for (CURLMsg *m; (m = curl_multi_info_read(multi, &queued));) {
        if (m->msg == CURLMSG_DONE && m->data.result != CURLE_OK)
            clients_fail(curl_easy_strerror(m->data.result));
        if (--left == 0)
            loop_stop();
    }
}

static void on_io(int fd, int events, void *arg)
{
    (void)arg;
    act(fd, (events & CLIENTS_IN ? CURL_CSELECT_IN : 0) |
                (events & CLIENTS_OUT ? CURL_CSELECT_OUT : 0));
}

static void on_timer(void *arg)
{
    (void)arg;
    act(CURL_SOCKET_TIMEOUT, 0);
}

static int socket_changed(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
    struct loop_io *io = of_socket;

    (void)easy, (void)arg;
    if (what == CURL_POLL_REMOVE) {
        if (io)
            loop_io_free(io);
        return 0;
    }
    if (!io) {
        io = loop_io_new(fd, on_io, NULL);
        (void)curl_multi_assign(multi, fd, io);
    }
    loop_io_set(io,
                (what & CURL_POLL_IN ? CLIENTS_IN : 0) | (what & CURL_POLL_OUT ? CLIENTS_OUT : 0));
    return 0;
}

static int time_changed(CURLM *m, long ms, void *arg)
{
    (void)m;
    loop_timer(ms, on_timer, arg);
    return 0;
}

static size_t drop(char *data, size_t size, size_t n, void *arg)
{
    (void)data, (void)arg;
    return size * n;
}

void transfer(const char *url, int n)
{
    CURL *easy[TRANSFERS];

    if (n < 1 || n > TRANSFERS)
        clients_fail("too many");
    multi = curl_multi_init();
    (void)curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_changed);
    (void)curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, time_changed);
    left = n;
    struct clients_times begin;
    clients_begin(&begin);
    for (int i = 0; i < n; i++) {
        easy[i] = curl_easy_init();
        (void)curl_easy_setopt(easy[i], CURLOPT_URL, url);
        (void)curl_easy_setopt(easy[i], CURLOPT_WRITEFUNCTION, drop);
        (void)curl_easy_setopt(easy[i], CURLOPT_FAILONERROR, 1L);
        (void)curl_multi_add_handle(multi, easy[i]);
    }
    loop_run();
    clients_print(&begin, 1);
    for (int i = 0; i < n; i++) {
        (void)curl_multi_remove_handle(multi, easy[i]);
        curl_easy_cleanup(easy[i]);
    }
    (void)curl_multi_cleanup(multi);
}
