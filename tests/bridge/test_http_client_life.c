/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The lifetime of HTTP clients, and how many requests and connections they have: against a server that the
 * case plays itself. */
#include "peer.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/un.h>

#define OK "HTTP/1.1 200 OK\r\n"
#define FIVE OK "Content-Length: 5\r\n\r\nhello"

#define OPTIONS(...)                                                                               \
    &(const nart_http_client_opts)                                                                 \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* ---- a server by hand ---- */

static int listener = -1;
static char url[64];

static void listen_here(void)
{
    listener = peer_listen(url, sizeof url);
}

static nart_res begin(nart_http_client *client, const char *path, nart_tokio_op *op)
{
    nart_http_opts get = NART_HTTP_OPTS_INIT;
    char to[128];

    snprintf(to, sizeof to, "%s%s", url, path);
    get.url = to;
    get.client = client;
    return nart_http_request(bridge, &get, op);
}

/* Reads a request for this path. */
static void read_request(int fd, const char *path)
{
    char request[1024], start[64];

    peer_read_head(fd, request, sizeof request);
    snprintf(start, sizeof start, "GET %s HTTP/1.1\r\n", path);
    CHECK_EQ(memcmp(request, start, strlen(start)), 0);
}

static int take_request(const char *path)
{
    int fd = accept(listener, NULL, NULL);

    CHECK(fd >= 0);
    read_request(fd, path);
    return fd;
}

static void answer(int fd)
{
    peer_say(fd, FIVE);
}

/* For the next request the client makes another connection. */
static void answer_and_close(int fd)
{
    peer_say(fd, OK "Connection: close\r\nContent-Length: 5\r\n\r\nhello");
    close(fd);
}

static void end(nart_tokio_op *op)
{
    int64_t status = 0;

    CHECK_RES(wait_for_answer(op, &status), 0);
    CHECK_EQ(status, 200);
    CHECK_STR(nart_tokio_op_message(op, NULL), "hello");
    nart_tokio_op_close(op);
}

static const nart_http_client_opts plain = { 0 };

TEST_WITH(each_client_has_connections_of_its_own, both)
{
    nart_http_client *clients[3] = { peer_client(&plain), peer_client(&plain), NULL };
    nart_tokio_op op = { 0 };
    int fds[3];

    listen_here();
    for (int i = 0; i < 3; i++) {
        CHECK_RES(begin(clients[i], "/a", &op), 0);
        fds[i] = take_request("/a");
        answer(fds[i]);
        end(&op);
    }
    for (int i = 0; i < 3; i++) { /* and uses them again */
        CHECK_RES(begin(clients[i], "/b", &op), 0);
        read_request(fds[i], "/b");
        answer(fds[i]);
        end(&op);
        nart_http_client_free(clients[i]);
    }
    for (int i = 0; i < 2; i++) { /* and closes them when it is freed */
        char byte;
        CHECK_EQ(recv(fds[i], &byte, 1, 0), 0);
        close(fds[i]);
    }
    close(fds[2]);
    close(listener);
}

TEST_WITH(a_client_may_be_freed_before_its_requests_end, both)
{
    nart_http_client *client = peer_client(OPTIONS(.max_requests = 1));
    nart_tokio_op ops[2] = { 0 };

    listen_here();
    CHECK_RES(begin(client, "/a", &ops[0]), 0);
    CHECK_RES(begin(client, "/a", &ops[1]), 0);
    nart_http_client_free(client);
    for (int i = 0; i < 2; i++) /* in any order */
        answer_and_close(take_request("/a"));
    end(&ops[0]);
    end(&ops[1]);
    close(listener);
}

TEST(a_client_may_be_freed_after_its_bridge)
{
    nart_tokio_op op = { 0 };

    both_open();
    nart_http_client *used = peer_client(&plain), *unused = peer_client(&plain);
    listen_here();
    CHECK_RES(begin(used, "/a", &op), 0);
    int fd = take_request("/a");
    answer(fd);
    end(&op); /* the connection is idle now */
    both_close();
    nart_http_client_free(used);
    nart_http_client_free(unused);
    nart_http_client_free(NULL);
    close(fd);
    close(listener);
}

/* The one that was submitted last, of another client, is sent before the second. */
TEST_WITH(requests_beyond_the_bound_of_a_client_wait, both)
{
    nart_http_client *client = peer_client(OPTIONS(.max_requests = 1));
    nart_tokio_op ops[3] = { 0 };

    listen_here();
    CHECK_RES(begin(client, "/a", &ops[0]), 0);
    int a = take_request("/a");
    CHECK_RES(begin(client, "/b", &ops[1]), 0);
    CHECK_RES(begin(NULL, "/c", &ops[2]), 0);
    int c = take_request("/c");
    answer(c);
    end(&ops[2]);
    CHECK_EQ(poll(&(struct pollfd){ .fd = listener, .events = POLLIN }, 1, 0), 0);
    answer_and_close(a);
    end(&ops[0]);
    answer_and_close(take_request("/b"));
    end(&ops[1]);
    nart_http_client_free(client);
    close(c);
    close(listener);
}

/* Requests that wait for their client do not occupy the bridge. */
TEST(the_bound_of_a_client_is_not_that_of_the_bridge)
{
    nart_tokio_opts opts = NART_TOKIO_OPTS_INIT;
    nart_tokio_op ops[4] = { 0 };

    opts.max_http = 2;
    both_open_with(&opts);
    nart_http_client *client = peer_client(OPTIONS(.max_requests = 1));
    listen_here();
    for (int i = 0; i < 3; i++)
        CHECK_RES(begin(client, "/a", &ops[i]), 0);
    int a = take_request("/a");
    CHECK_RES(begin(NULL, "/b", &ops[3]), 0);
    answer_and_close(take_request("/b"));
    end(&ops[3]);
    answer_and_close(a);
    answer_and_close(take_request("/a"));
    answer_and_close(take_request("/a"));
    for (int i = 0; i < 3; i++)
        end(&ops[i]);
    nart_http_client_free(client);
    close(listener);
}

TEST_WITH(idle_connections_of_a_client_are_bounded, both)
{
    nart_http_client *client = peer_client(OPTIONS(.max_idle = 1));
    nart_tokio_op ops[2] = { 0 };
    struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
    char byte;

    listen_here();
    for (int i = 0; i < 2; i++) {
        CHECK_RES(begin(client, "/a", &ops[i]), 0);
        fds[i].fd = take_request("/a");
    }
    for (int i = 0; i < 2; i++) {
        answer(fds[i].fd);
        end(&ops[i]);
    }
    CHECK_EQ(poll(fds, 2, -1), 1); /* one is closed */
    int closed = fds[0].revents ? 0 : 1;
    CHECK_EQ(recv(fds[closed].fd, &byte, 1, 0), 0);
    CHECK_RES(begin(client, "/b", &ops[0]), 0); /* and the other one is used again */
    read_request(fds[!closed].fd, "/b");
    answer(fds[!closed].fd);
    end(&ops[0]);
    nart_http_client_free(client);
    close(fds[0].fd);
    close(fds[1].fd);
    close(listener);
}

TEST_WITH(idle_connections_of_a_client_end_in_time, both)
{
    nart_http_client *client = peer_client(OPTIONS(.idle_ns = 1));
    nart_tokio_op op = { 0 };
    char byte;

    listen_here();
    CHECK_RES(begin(client, "/a", &op), 0);
    int fd = take_request("/a");
    answer(fd);
    end(&op);
    CHECK_RES(begin(client, "/b", &op), 0);
    int next = take_request("/b");
    CHECK_EQ(recv(fd, &byte, 1, 0), 0);
    answer(next);
    end(&op);
    nart_http_client_free(client);
    close(fd);
    close(next);
    close(listener);
}

TEST_WITH(requests_by_a_unix_socket, both)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    char dir[] = "/tmp/nart-test-XXXXXX";
    nart_tokio_op op = { 0 };

    CHECK(mkdtemp(dir) != NULL);
    snprintf(at.sun_path, sizeof at.sun_path, "%s/socket", dir);
    nart_http_client *client = peer_client(OPTIONS(.unix_path = at.sun_path));
    snprintf(url, sizeof url, "http://name.invalid");
    CHECK_RES(begin(client, "/a", &op), 0); /* nobody listens */
    CHECK_RES(wait_for_answer(&op, NULL), NART_EHTTP_CONNECT);
    nart_tokio_op_close(&op);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    CHECK_EQ(listen(listener, 4), 0);
    CHECK_RES(begin(client, "/a", &op), 0);
    int fd = take_request("/a");
    answer(fd);
    end(&op);
    nart_http_client_free(client);
    close(fd);
    close(listener);
    unlink(at.sun_path);
    rmdir(dir);
}

/* ---- HTTP/2 ---- */

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

TEST_WITH(http2_without_being_asked, both)
{
    nart_http_client *client = peer_client(OPTIONS(.http2 = NART_HTTP2_ONLY));
    char got[sizeof preface - 1];
    nart_tokio_op op = { 0 };

    listen_here();
    CHECK_RES(begin(client, "/a", &op), 0);
    int fd = accept(listener, NULL, NULL);
    CHECK_EQ(recv(fd, got, sizeof got, MSG_WAITALL), sizeof got);
    CHECK_EQ(memcmp(got, preface, sizeof got), 0);
    answer(fd); /* of HTTP/1.1 */
    CHECK_RES(wait_for_answer(&op, NULL), NART_EHTTP_PROTOCOL);
    CHECK(*nart_tokio_op_message(&op, NULL) != '\0');
    nart_tokio_op_close(&op);
    nart_http_client_free(client);
    close(fd);
    close(listener);
}

TEST_WITH(http_is_http1_unless_it_must_be_http2, both)
{
    nart_http_client *client = peer_client(OPTIONS(.http2 = NART_HTTP2_ALPN));
    nart_tokio_op op = { 0 };

    listen_here();
    CHECK_RES(begin(client, "/a", &op), 0);
    int fd = take_request("/a");
    answer(fd);
    end(&op);
    nart_http_client_free(client);
    close(fd);
    close(listener);
}

/* ---- the end of the bridge, and other bridges ---- */

TEST_WITH(a_client_of_another_bridge_is_refused, both)
{
    nart_tokio *other = NULL;
    nart_http_client *client = NULL;
    nart_tokio_op op = { 0 };

    CHECK_RES(nart_tokio_new(NULL, &other), 0);
    CHECK_RES(nart_http_client_new(other, NULL, &client), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:1");
    CHECK_RES(begin(client, "/", &op), -EINVAL);
    CHECK(op.op == NULL);
    CHECK_EQ(report().submitted, 0);
    nart_http_client_free(client);
    CHECK_RES(nart_tokio_shutdown(other, 30 * NART_SEC, NULL), 0);
    nart_tokio_free(other);
}

TEST_WITH(after_a_shutdown_clients_are_refused, both)
{
    nart_http_client *client = peer_client(&plain), *late = NULL;
    nart_tokio_op ops[2] = { 0 };

    listen_here();
    CHECK_RES(begin(client, "/a", &ops[0]), 0);
    int fd = take_request("/a");
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    CHECK_RES(nart_tokio_op_try(&ops[0], NULL), NART_ESHUTDOWN);
    CHECK_RES(begin(client, "/b", &ops[1]), NART_ESHUTDOWN);
    char why[64] = "before";
    nart_http_client_opts client_opts = NART_HTTP_CLIENT_OPTS_INIT;
    client_opts.error = why;
    client_opts.error_len = sizeof why;
    CHECK_RES(nart_http_client_new(bridge, &client_opts, &late), NART_ESHUTDOWN);
    CHECK_STR(why, "the bridge is shut down");
    CHECK(late == NULL);
    nart_tokio_op_close(&ops[0]);
    nart_http_client_free(client);
    close(fd);
    close(listener);
}

TEST_WITH(a_forked_child_has_no_clients, both)
{
    nart_http_client *client = peer_client(&plain), *other = NULL;
    nart_tokio_op op = { 0 };

    snprintf(url, sizeof url, "http://127.0.0.1:1");
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_RES(begin(client, "/", &op), NART_EFORK);
        CHECK_RES(nart_http_client_new(bridge, NULL, &other), NART_EFORK);
        nart_http_client_free(client);
        nart_tokio_free(bridge);
        end_leaking_child();
    }
    check_child(child);
    CHECK_RES(begin(client, "/", &op), 0);
    CHECK_RES(wait_for_answer(&op, NULL), NART_EHTTP_CONNECT);
    nart_tokio_op_close(&op);
    nart_http_client_free(client);
}
