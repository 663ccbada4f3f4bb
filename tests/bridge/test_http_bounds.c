/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How many HTTP requests run, how many wait, and how many connections are kept: against a server that
 * answers when the case says so. */
#include "bridge.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MANY = 20 };

/* ---- the server ---- */

static int listener = -1, conns[64], n_conns;
static char url[64];

static void open_server(void)
{
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", listen_locally(listener, 64));
}

static void close_server(void)
{
    while (n_conns > 0)
        close(conns[--n_conns]);
    close(listener);
}

static void take_connection(void)
{
    CHECK(n_conns < (int)(sizeof conns / sizeof *conns));
    conns[n_conns] = accept(listener, NULL, NULL);
    CHECK(conns[n_conns++] >= 0);
}

/* Reads one request of each of n connections, among them new ones, and marks them in `asked`. */
static void read_requests(int n, bool *asked)
{
    while (n > 0) {
        struct pollfd fds[65] = { { .fd = listener, .events = POLLIN } };
        for (int i = 0; i < n_conns; i++)
            fds[i + 1] = (struct pollfd){ .fd = conns[i], .events = POLLIN };
        int known = n_conns;
        CHECK(poll(fds, (nfds_t)known + 1, -1) > 0);
        if (fds[0].revents)
            take_connection();
        for (int i = 0; i < known; i++) {
            char request[1024];
            if (!fds[i + 1].revents || asked[i])
                continue;
            ssize_t got = recv(conns[i], request, sizeof request, 0);
            if (got <= 0) { /* the client has closed it: poll() ignores it from now on */
                close(conns[i]);
                conns[i] = -1;
                continue;
            }
            CHECK(got > 4 && memcmp(request + got - 4, "\r\n\r\n", 4) == 0);
            asked[i] = true;
            n--;
        }
    }
}

static void answer(const bool *asked)
{
    static const char text[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

    for (int i = 0; i < n_conns; i++)
        if (asked[i])
            CHECK_EQ(send(conns[i], text, sizeof text - 1, 0), sizeof text - 1);
}

/* ---- requests ---- */

static nart_res begin(nart_tokio_op *op)
{
    nart_http_opts get = NART_HTTP_OPTS_INIT;

    get.url = url;
    return nart_http_request(bridge, &get, op);
}

static void end(nart_tokio_op *op)
{
    int64_t status = 0;

    CHECK_RES(wait_for_answer(op, &status), 0);
    CHECK_EQ(status, 200);
    nart_tokio_op_close(op);
}

TEST(requests_beyond_the_bound_wait)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    nart_tokio_op ops[6] = { 0 };
    bool asked[64] = { false };

    opts.max_http = 2;
    opts.queue_cap = 3;
    open_server();
    both_open_with(&opts);
    for (int i = 0; i < 2; i++)
        CHECK_RES(begin(&ops[i]), 0);
    read_requests(2, asked); /* these two run */
    for (int i = 2; i < 5; i++)
        CHECK_RES(begin(&ops[i]), 0);
    CHECK_RES(begin(&ops[5]), -EAGAIN);
    nart_tokio_op_close(&ops[2]); /* one that waits */
    answer(asked);
    end(&ops[0]);
    end(&ops[1]);
    memset(asked, 0, sizeof asked);
    read_requests(2, asked);
    CHECK_RES(begin(&ops[2]), 0); /* there is room again */
    answer(asked);
    end(&ops[3]);
    end(&ops[4]);
    memset(asked, 0, sizeof asked);
    read_requests(1, asked);
    answer(asked);
    end(&ops[2]);
    both_close();
    close_server();
}

/* Each worker drops connections while others poll the requests on them: that is not their error. */
TEST(requests_that_run_end_with_the_shutdown)
{
    enum { AT_ONCE = 48 };
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;

    opts.workers = 4;
    open_server();
    CHECK_EQ(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    for (int round = 0; round < 100; round++) {
        nart_tokio_op ops[AT_ONCE] = { 0 };
        both_open_with(&opts);
        for (int i = 0; i < AT_ONCE; i++)
            CHECK_RES(begin(&ops[i]), 0);
        random_pause(5000000); /* they are looked up, connect, or wait */
        CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
        for (int i = 0; i < AT_ONCE; i++) {
            CHECK_RES(nart_tokio_op_try(&ops[i], NULL), NART_ESHUTDOWN);
            CHECK_EQ(nart_tokio_op_status(&ops[i]), NART_TOKIO_STATUS_SHUTDOWN);
            nart_tokio_op_close(&ops[i]);
        }
        CHECK_EQ(report().shutdown, AT_ONCE);
        both_close();
        for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;)
            close(fd);
    }
    close_server();
}

/* While it waits for others, a request's time passes, and it can be cancelled. */
TEST(a_request_that_waits_ends_in_time)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    nart_http_opts get = NART_HTTP_OPTS_INIT;
    nart_tokio_op first = { 0 }, second = { 0 };
    bool asked[64] = { false };

    opts.max_http = 1;
    open_server();
    both_open_with(&opts);
    CHECK_RES(begin(&first), 0);
    read_requests(1, asked);
    get.url = url;
    get.timeout_ns = 1;
    CHECK_RES(nart_http_request(bridge, &get, &second), 0);
    CHECK_RES(wait_for_answer(&second, NULL), NART_EHTTP_TIMEOUT);
    nart_tokio_op_close(&second);
    get.timeout_ns = 20 * NART_MS;
    CHECK_RES(nart_http_request(bridge, &get, &second), 0);
    CHECK_RES(wait_for_answer(&second, NULL), NART_EHTTP_TIMEOUT);
    nart_tokio_op_close(&second);
    CHECK_RES(begin(&second), 0);
    nart_tokio_op_cancel(&second);
    CHECK_RES(wait_for_answer(&second, NULL), NART_EABORTED);
    nart_tokio_op_close(&second);
    answer(asked);
    end(&first);
    CHECK_EQ(n_conns, 1); /* the others were not sent */
    CHECK_EQ(poll(&(struct pollfd){ .fd = listener, .events = POLLIN }, 1, 0), 0);
    both_close();
    close_server();
}

/* Of the 20 connections at most 16 are kept, so the second 20 requests need new ones. */
TEST(idle_connections_are_bounded)
{
    nart_tokio_op ops[MANY] = { 0 };

    open_server();
    both_open();
    for (int round = 0; round < 2; round++) {
        bool asked[64] = { false };
        for (int i = 0; i < MANY; i++)
            CHECK_RES(begin(&ops[i]), 0);
        read_requests(MANY, asked);
        answer(asked);
        for (int i = 0; i < MANY; i++)
            end(&ops[i]);
    }
    CHECK_LE(MANY + 4, n_conns);
    both_close();
    close_server();
}

/* ---- without certificates ---- */

TEST(http_needs_no_certificates)
{
    nart_http_opts get = NART_HTTP_OPTS_INIT;
    nart_tokio_op op = { 0 };
    bool asked[64] = { false };

    CHECK_EQ(setenv("SSL_CERT_FILE", "/nonexistent", 1), 0);
    CHECK_EQ(setenv("SSL_CERT_DIR", "/nonexistent", 1), 0);
    open_server();
    both_open();
    CHECK_RES(begin(&op), 0);
    read_requests(1, asked);
    answer(asked);
    end(&op);
    get.url = "https://127.0.0.1:1/";
    CHECK_RES(nart_http_request(bridge, &get, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), NART_EHTTP_TLS);
    CHECK(*nart_tokio_op_message(&op, NULL) != '\0');
    nart_tokio_op_close(&op);
    both_close();
    close_server();
}

/* They are read on a blocking thread. */
TEST(https_fails_if_no_thread_can_be_started)
{
    nart_http_opts get = NART_HTTP_OPTS_INIT;
    nart_tokio_op op = { 0 };

    both_open();
    get.url = "https://127.0.0.1:1/";
    allow_threads(0);
    CHECK_RES(nart_http_request(bridge, &get, &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), -EAGAIN);
    nart_tokio_op_close(&op);
    allow_threads(INT64_MAX);
    CHECK_RES(nart_http_request(bridge, &get, &op), 0);
    nart_res r = wait_for_answer(&op, NULL);
    CHECK(r == NART_EHTTP_CONNECT || r == NART_EHTTP_TLS); /* the latter without certificates */
    nart_tokio_op_close(&op);
    both_close();
}
