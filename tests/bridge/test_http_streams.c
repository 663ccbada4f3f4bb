/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Bodies in pieces, by channels of bytes, and the head of a response before its body. */
#include "peer.h"
#include "threads.h"

#include <nart/bytes.h>

#include <poll.h>

#define OK "HTTP/1.1 200 OK\r\n"

static int listener, fd;
static char url[64], head_text[4096];
static nart_tokio_op op, head;
static nart_bytes_tx tx, out;
static nart_bytes_rx rx, in;
static nart_http_opts opts;

static void open_channel(nart_bytes_tx *sender, nart_bytes_rx *receiver, size_t capacity)
{
    nart_bytes_opts o = NART_BYTES_OPTS_INIT;

    o.kind = NART_BYTES_SPSC;
    o.capacity = capacity;
    CHECK_RES(nart_bytes_open(loop, &o, sender, receiver), 0);
}

/* A loop, a bridge, a server; a request with the operation of its head. */
static void open_all(void)
{
    both_open();
    listener = peer_listen(url, sizeof url);
    opts = (nart_http_opts)NART_HTTP_OPTS_INIT;
    opts.url = url;
    opts.timeout_ns = NART_NEVER;
    opts.head = &head;
}

/* With the body of the response in the channel tx -> rx, which this thread reads. */
static void stream_response(size_t capacity)
{
    open_channel(&tx, &rx, capacity);
    CHECK_RES(nart_bytes_rx_bind(&rx, NULL), 0);
    opts.response_body = &tx;
}

/* With the body of the request from the channel out -> in. */
static void stream_request(size_t capacity)
{
    open_channel(&out, &in, capacity);
    opts.method = "PUT";
    opts.request_body = &in;
}

static void begin(void)
{
    CHECK_RES(nart_http_request(bridge, &opts, &op), 0);
}

static void serve(void)
{
    fd = accept(listener, NULL, NULL);
    CHECK(fd >= 0);
    peer_read_head(fd, head_text, sizeof head_text);
}

static void close_all(void)
{
    nart_tokio_op_close(&op);
    nart_tokio_op_close(&head);
    nart_bytes_tx_close(&tx);
    nart_bytes_tx_close(&out);
    nart_bytes_rx_close(&rx);
    nart_bytes_rx_close(&in);
    close(fd);
    close(listener);
    both_close(); /* before the next case of a table */
}

static void ends(nart_tokio_op *which, nart_res is, int64_t status)
{
    int64_t value = 0;

    CHECK_RES(wait_for_answer(which, &value), is);
    CHECK_EQ(value, status);
}

/* The messages of rx, together; to the end of the channel if `text` is NULL. */
static void receives(const char *text)
{
    nart_bytes_msg msg;

    while (text && *text) {
        CHECK_RES(nart_bytes_recv_blocking(&rx, &msg, NART_NEVER), 0);
        CHECK(msg.len > 0 && msg.len <= strlen(text));
        CHECK_EQ(memcmp(msg.ptr, text, msg.len), 0);
        text += msg.len;
        CHECK_RES(nart_bytes_release(&rx, &msg), 0);
    }
    if (!text)
        CHECK_RES(nart_bytes_recv_blocking(&rx, &msg, NART_NEVER), NART_ECLOSED);
}

/* ---- the body of a response ---- */

TEST(the_head_comes_before_the_body)
{
    size_t n = 0;

    open_all();
    stream_response(64);
    begin();
    CHECK(nart_bytes_tx_is_closed(&tx)); /* taken over */
    serve();
    peer_say(fd, OK "X-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
    ends(&head, 0, 200);
    CHECK_EQ(nart_http_status(&head), 200);
    CHECK_STR(nart_http_header_find(&head, "x-a", 0)->value, "1");
    CHECK(strncmp(nart_http_url(&head, NULL), url, strlen(url)) == 0);
    peer_say(fd, "3\r\nhel\r\n");
    receives("hel");
    CHECK_RES(nart_tokio_op_try(&op, NULL), NART_PENDING);
    peer_say(fd, "2\r\nlo\r\n0\r\n\r\n");
    receives("lo");
    receives(NULL);
    ends(&op, 0, 200);
    CHECK_STR(nart_tokio_op_message(&op, &n), "");
    CHECK_EQ(n, 0);
    CHECK_STR(nart_http_header_find(&op, "x-a", 0)->value, "1"); /* both have it */
    close_all();
}

TEST(an_empty_body)
{
    open_all();
    stream_response(64);
    begin();
    serve();
    peer_say(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    receives(NULL);
    ends(&op, 0, 204);
    ends(&head, 0, 204);
    close_all();
}

TEST(an_error_in_the_body_is_not_its_end)
{
    open_all();
    stream_response(64);
    begin();
    serve();
    peer_say(fd, OK "Content-Length: 5\r\n\r\nhel");
    receives("hel");
    shutdown(fd, SHUT_WR);
    receives(NULL);
    ends(&head, 0, 200);
    ends(&op, NART_EHTTP_BODY, 0);
    CHECK(*nart_tokio_op_message(&op, NULL) != '\0');
    close_all();
}

TEST(no_head)
{
    open_all();
    stream_response(64);
    begin();
    serve();
    shutdown(fd, SHUT_WR);
    receives(NULL);
    ends(&op, NART_EHTTP_CLOSED, 0);
    ends(&head, NART_EHTTP_CLOSED, 0);
    CHECK_STR(nart_tokio_op_message(&head, NULL), nart_tokio_op_message(&op, NULL));
    CHECK_EQ(nart_http_status(&head), 0);
    close_all();
}

enum { LARGE = 1 << 20 };

static void *send_large(void *arg)
{
    static char body[LARGE];

    (void)arg;
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (char)(i * 7 % 251);
    serve();
    peer_say(fd, OK "Content-Length: 1048576\r\n\r\n");
    for (size_t n = 0; n < sizeof body;) {
        ssize_t sent = send(fd, body + n, sizeof body - n, MSG_NOSIGNAL);
        CHECK(sent > 0);
        n += (size_t)sent;
    }
    return NULL;
}

/* More than max_body is without a channel, and much more than fits into the channel. */
TEST(a_body_larger_than_the_channel)
{
    nart_bytes_msg msg;
    size_t n = 0;

    open_all();
    stream_response(256);
    begin();
    pthread_t server = thread_start(send_large, NULL);
    while (nart_bytes_recv_blocking(&rx, &msg, NART_NEVER) == 0) {
        CHECK_LE(msg.len, 256);
        for (size_t i = 0; i < msg.len; i++, n++)
            CHECK_EQ(((const char *)msg.ptr)[i], (char)(n * 7 % 251));
        CHECK_RES(nart_bytes_release(&rx, &msg), 0);
    }
    CHECK_EQ(n, LARGE);
    thread_join(server);
    ends(&op, 0, 200);
    close_all();
}

TEST(a_body_above_the_limit)
{
    open_all();
    stream_response(64);
    opts.max_body = 4;
    begin();
    serve();
    peer_say(fd, OK "Transfer-Encoding: chunked\r\n\r\n4\r\nhell\r\n");
    receives("hell");
    peer_say(fd, "1\r\no\r\n");
    receives(NULL);
    ends(&op, NART_EHTTP_BODY_LIMIT, 0);
    close_all();
}

TEST(a_body_that_is_decoded)
{
    static const char hello[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xcb\x48\xcd\xc9\xc9\x07"
                                "\x00\x86\xa6\x10\x36\x05\x00\x00\x00";

    open_all();
    opts.client = peer_client(&(nart_http_client_opts){ .decode = NART_HTTP_DECODE_GZIP });
    stream_response(64);
    begin();
    serve();
    peer_say(fd, OK "Content-Encoding: gzip\r\nContent-Length: 25\r\n\r\n");
    CHECK_EQ(send(fd, hello, 25, MSG_NOSIGNAL), 25);
    receives("hello");
    receives(NULL);
    ends(&op, 0, 200);
    nart_http_client_free(opts.client);
    close_all();
}

TEST(the_receiver_is_closed)
{
    open_all();
    stream_response(64);
    begin();
    serve();
    peer_say(fd, OK "Content-Length: 5\r\n\r\nhel");
    receives("hel");
    nart_bytes_rx_close(&rx);
    peer_say(fd, "lo");
    ends(&op, NART_ECLOSED, 0);
    CHECK_STR(nart_tokio_op_message(&op, NULL), "the receiver of response_body is closed");
    close_all();
}

/* ---- the body of a request ---- */

static void sends(const char *text)
{
    CHECK_RES(nart_bytes_send_blocking(&out, text, strlen(text), NART_NEVER), 0);
}

/* Not at once: hyper drops the body by itself. */
static void sender_is_closed(void)
{
    nart_res r = 0;

    while (r == 0)
        r = nart_bytes_send_blocking(&out, "a", 1, NART_NEVER);
    CHECK_RES(r, NART_ECLOSED);
}

TEST(a_body_of_unknown_length)
{
    open_all();
    stream_request(64);
    begin();
    serve();
    CHECK(strstr(head_text, "\r\ntransfer-encoding: chunked\r\n") != NULL);
    sends("hel");
    peer_expect(fd, "3\r\nhel\r\n");
    sends(""); /* not an end */
    sends("lo");
    peer_expect(fd, "2\r\nlo\r\n");
    nart_bytes_tx_close(&out);
    peer_expect(fd, "0\r\n\r\n");
    peer_say(fd, OK "Content-Length: 2\r\n\r\nhi");
    ends(&op, 0, 200);
    CHECK_STR(nart_tokio_op_message(&op, NULL), "hi");
    close_all();
}

TEST(a_body_of_known_length)
{
    open_all();
    stream_request(64);
    opts.body_len = 5;
    begin();
    serve();
    CHECK(strstr(head_text, "\r\ncontent-length: 5\r\n") != NULL);
    CHECK(strstr(head_text, "transfer-encoding") == NULL);
    sends("hel");
    peer_expect(fd, "hel");
    sends("lo, and more"); /* which is not sent */
    peer_expect(fd, "lo");
    peer_say(fd, OK "Content-Length: 2\r\n\r\nhi");
    ends(&op, 0, 200);
    close_all();
}

TEST(a_body_shorter_than_its_length)
{
    open_all();
    stream_request(64);
    opts.body_len = 5;
    begin();
    serve();
    sends("hel");
    nart_bytes_tx_close(&out);
    ends(&op, -EINVAL, 0);
    CHECK_STR(
        nart_tokio_op_message(&op, NULL),
        "the sender of request_body closed after 3 of the 5 bytes of body_len: send them all, or "
        "set body_len to 0 if the length is not known before");
    ends(&head, -EINVAL, 0);
    close_all();
}

/* The connection cannot be used again, and nobody receives the rest. It would be kept for ever. */
TEST(a_response_before_the_body_is_sent)
{
    open_all();
    opts.client = peer_client(&(nart_http_client_opts){ .idle_ns = NART_NEVER });
    stream_request(64);
    begin();
    nart_http_client_free(opts.client);
    serve();
    peer_say(fd, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
    ends(&op, 0, 413);
    CHECK_STR(nart_tokio_op_message(&op, NULL), "hello");
    sender_is_closed();
    close_all();
}

TEST(a_redirected_body_is_not_sent_again)
{
    open_all();
    stream_request(64);
    begin();
    serve();
    nart_bytes_tx_close(&out);
    peer_say(fd, "HTTP/1.1 307 There\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n");
    ends(&op, 0, 307);
    CHECK_STR(nart_http_header_find(&op, "location", 0)->value, "/b");
    close_all();
}

TEST(a_body_of_unknown_length_needs_a_method_that_has_one)
{
    static const char *const methods[] = { NULL, "GET", "HEAD", "TRACE" };

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        open_all();
        stream_request(64);
        opts.method = methods[i];
        begin();
        ends(&op, -EINVAL, 0);
        CHECK(*nart_tokio_op_message(&op, NULL) != '\0');
        ends(&head, -EINVAL, 0);
        sender_is_closed();
        fd = -1;
        close_all();
    }
}

/* ---- both, by tasks ---- */

struct echo {
    nart_co co;
    nart_tokio_op op;
    nart_bytes_rx rx;
    nart_bytes_msg msg;
    int64_t status;
    size_t n;
};

struct feed {
    nart_co co;
    nart_bytes_tx tx;
    nart_bytes_buf buf;
    int i;
};

enum { PIECES = 1000, PIECE = 100 };

static nart_res feed_run(nart_cx *cx, void *frame)
{
    struct feed *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (f->i = 0; f->i < PIECES; f->i++) {
        NART_AWAIT(r, nart_bytes_claim(cx, &f->tx, PIECE, &f->buf));
        CHECK_RES(r, 0);
        memset(f->buf.ptr, 'a' + f->i % 26, PIECE);
        CHECK_RES(nart_bytes_commit(&f->tx, &f->buf), 0);
    }
    nart_bytes_tx_close(&f->tx);
    NART_END(0);
}

static nart_res echo_run(nart_cx *cx, void *frame)
{
    struct echo *f = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &f->co);
    for (;;) {
        NART_AWAIT(r, nart_bytes_recv(cx, &f->rx, &f->msg));
        if (r != 0)
            break;
        for (size_t i = 0; i < f->msg.len; i++, f->n++)
            CHECK_EQ(((const char *)f->msg.ptr)[i], (char)('a' + f->n / PIECE % 26));
        CHECK_RES(nart_bytes_release(&f->rx, &f->msg), 0);
    }
    CHECK_RES(r, NART_ECLOSED);
    NART_AWAIT(r, nart_tokio_op_await(cx, &f->op, &f->status));
    CHECK_RES(r, 0);
    CHECK_EQ(f->status, 200);
    CHECK_EQ(f->n, PIECES * PIECE);
    nart_tokio_op_close(&f->op);
    nart_bytes_rx_close(&f->rx);
    NART_END(0);
}

static const nart_task_type feed_type = NART_TASK_TYPE(struct feed, feed_run, NULL);
static const nart_task_type echo_type = NART_TASK_TYPE(struct echo, echo_run, NULL);

/* Sends back what it receives, until the end of the chunks. */
static void *echo_server(void *arg)
{
    char buf[4096], tail[7] = "";

    (void)arg;
    serve();
    peer_say(fd, OK "Transfer-Encoding: chunked\r\n\r\n");
    do {
        ssize_t n = recv(fd, buf, sizeof buf, 0);
        CHECK(n > 0);
        CHECK_EQ(send(fd, buf, (size_t)n, MSG_NOSIGNAL), n);
        for (ssize_t i = 0; i < n; i++) {
            memmove(tail, tail + 1, 6);
            tail[6] = buf[i];
        }
    } while (memcmp(tail, "\r\n0\r\n\r\n", 7) != 0);
    return NULL;
}

TEST(tasks_send_and_receive_at_the_same_time)
{
    static struct echo echo;
    static struct feed feed;

    open_all();
    open_channel(&tx, &echo.rx, 256);
    open_channel(&feed.tx, &in, 256);
    opts.method = "POST";
    opts.request_body = &in;
    opts.response_body = &tx;
    opts.head = NULL;
    CHECK_RES(nart_http_request(bridge, &opts, &echo.op), 0);
    pthread_t server = thread_start(echo_server, NULL);
    CHECK_RES(nart_rt_spawn(loop, &feed_type, &feed, NULL), 0);
    CHECK_RES(run(&echo_type, &echo), 0);
    thread_join(server);
    close_all();
}

/* ---- the operation of the head alone ---- */

TEST(the_head_of_a_body_that_is_collected)
{
    open_all();
    begin();
    serve();
    peer_say(fd, OK "Content-Length: 5\r\n\r\n");
    ends(&head, 0, 200);
    CHECK_RES(nart_tokio_op_try(&op, NULL), NART_PENDING);
    nart_tokio_op_close(&head);
    peer_say(fd, "hello");
    ends(&op, 0, 200);
    CHECK_STR(nart_tokio_op_message(&op, NULL), "hello");
    close_all();
}

TEST(the_head_may_be_closed_first_or_last)
{
    open_all();
    begin();
    nart_tokio_op_close(&head); /* the request runs on */
    serve();
    peer_say(fd, OK "Connection: close\r\nContent-Length: 5\r\n\r\nhello");
    ends(&op, 0, 200);
    nart_tokio_op_close(&op);
    close(fd);
    begin();
    serve();
    peer_say(fd, OK "Content-Length: 5\r\n\r\nhello");
    ends(&op, 0, 200);
    nart_tokio_op_close(&op);
    ends(&head, 0, 200);
    CHECK_EQ(nart_http_status(&head), 200);
    close_all();
}

TEST(cancelling_the_head_does_nothing)
{
    open_all();
    begin();
    serve();
    nart_tokio_op_cancel(&head);
    CHECK_RES(nart_tokio_op_try(&head, NULL), NART_PENDING);
    peer_say(fd, OK "Content-Length: 5\r\n\r\nhello");
    ends(&head, 0, 200);
    ends(&op, 0, 200);
    close_all();
}

/* ---- ends ---- */

static void begin_both(void)
{
    open_all();
    stream_response(64);
    stream_request(64);
    begin();
    serve();
}

static void both_channels_are_closed(void)
{
    receives(NULL);
    sender_is_closed();
}

TEST(a_cancel_ends_the_head_and_the_channels)
{
    begin_both();
    nart_tokio_op_cancel(&op);
    ends(&op, NART_EABORTED, 0);
    ends(&head, NART_EABORTED, 0);
    both_channels_are_closed();
    close_all();
}

TEST(a_shutdown_ends_the_head_and_the_channels)
{
    begin_both();
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    ends(&op, NART_ESHUTDOWN, 0);
    ends(&head, NART_ESHUTDOWN, 0);
    both_channels_are_closed();
    nart_tokio_report r = report();
    CHECK_EQ(r.submitted, 2); /* the head is an operation, too */
    CHECK_EQ(r.shutdown, 2);
    close_all();
}

/* Without a shutdown: in the background. */
TEST(freeing_the_bridge_ends_the_head_and_the_channels)
{
    begin_both();
    nart_tokio_free(bridge);
    bridge = NULL;
    ends(&op, NART_ESHUTDOWN, 0);
    ends(&head, NART_ESHUTDOWN, 0);
    both_channels_are_closed();
    close_all();
}

TEST(a_timeout_ends_the_head_and_the_channels)
{
    open_all();
    stream_response(64);
    stream_request(64);
    opts.timeout_ns = NART_MS;
    begin();
    ends(&op, NART_EHTTP_TIMEOUT, 0);
    ends(&head, NART_EHTTP_TIMEOUT, 0);
    CHECK_STR(nart_tokio_op_message(&head, NULL), nart_tokio_op_message(&op, NULL));
    both_channels_are_closed();
    fd = -1;
    close_all();
}

/* In the queue, while no worker can take them. */
TEST(requests_that_are_queued_at_a_shutdown)
{
    nart_tokio_op worker = { 0 };

    open_all();
    occupy_worker(&worker);
    stream_response(64);
    stream_request(64);
    begin();
    CHECK_RES(nart_tokio_shutdown(bridge, 0, NULL), -ETIMEDOUT); /* the worker is occupied */
    ends(&op, NART_ESHUTDOWN, 0);
    ends(&head, NART_ESHUTDOWN, 0);
    both_channels_are_closed();
    let_worker_go();
    nart_tokio_op_close(&worker);
    fd = -1;
    close_all();
}

/* ---- bad calls ---- */

/* The ends remain the caller's: they still work. */
static void refused(nart_res is)
{
    nart_bytes_msg msg;

    head.op = &head; /* is overwritten */
    CHECK_RES(nart_http_request(bridge, &opts, &op), is);
    CHECK(op.op == NULL && head.op == NULL);
    CHECK_RES(nart_bytes_send_blocking(&tx, "a", 1, 0), 0);
    receives("a");
    CHECK_RES(nart_bytes_send_blocking(&out, "b", 1, 0), 0);
    CHECK_RES(nart_bytes_try_recv(&in, &msg), 0);
    CHECK_RES(nart_bytes_release(&in, &msg), 0);
}

TEST(a_refused_request_returns_the_ends)
{
    nart_tokio_opts few = NART_TOKIO_OPTS_INIT;
    nart_tokio_op worker = { 0 }, first = { 0 };
    nart_http_opts get = NART_HTTP_OPTS_INIT;
    nart_bytes_msg msg;

    few.queue_cap = 1;
    both_open_with(&few);
    opts = (nart_http_opts)NART_HTTP_OPTS_INIT;
    opts.url = "http://127.0.0.1:1/";
    opts.head = &head;
    stream_response(64);
    stream_request(64);
    opts.redirects = 77;
    refused(-EINVAL);
    opts.redirects = 0;
    opts.body = "a"; /* and a channel */
    refused(-EINVAL);
    opts.body = NULL;

    CHECK_RES(nart_bytes_send_blocking(&out, "b", 1, 0), 0);
    CHECK_RES(nart_bytes_try_recv(&in, &msg), 0);
    CHECK_RES(nart_http_request(bridge, &opts, &op), -EBUSY); /* it holds a message */
    CHECK_RES(nart_bytes_release(&in, &msg), 0);
    nart_bytes_buf claim;
    CHECK_RES(nart_bytes_try_claim(&tx, 1, &claim), 0);
    CHECK_RES(nart_http_request(bridge, &opts, &op), -EBUSY); /* it has a claim */
    CHECK_RES(nart_bytes_abort(&tx, &claim), 0);

    occupy_worker(&worker);
    get.url = opts.url;
    CHECK_RES(nart_http_request(bridge, &get, &first), 0);
    refused(-EAGAIN);
    nart_tokio_op_close(&first);
    release_worker(&worker);

    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    refused(NART_ESHUTDOWN);
    nart_bytes_rx_close(&in);
    CHECK_RES(nart_http_request(bridge, &opts, &op), NART_ECLOSED);
    opts.request_body = NULL;
    nart_bytes_rx_close(&rx);
    CHECK_RES(nart_http_request(bridge, &opts, &op), NART_ECLOSED); /* nobody would read it */
    nart_bytes_tx_close(&tx);
    CHECK_RES(nart_http_request(bridge, &opts, &op), NART_ECLOSED);
    fd = listener = -1;
    close_all();
}

TEST(a_forked_child_keeps_its_ends)
{
    open_all();
    stream_response(64);
    stream_request(64);
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_RES(nart_http_request(bridge, &opts, &op), NART_EFORK);
        CHECK(!nart_bytes_tx_is_closed(&tx));
        end_leaking_child();
    }
    check_child(child);
    fd = -1;
    close_all();
}
