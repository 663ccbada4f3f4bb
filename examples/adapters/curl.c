/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* curl URL: transfers of libcurl awaited in bodies and in fibers. URL/big has SIZE bytes; URL/slow has as many, of
 * which one part comes at once and the rest takes minutes. */
#include "check.h"
#include "nart_curl.h"

#include <string.h>

enum { TASKS = 8, SIZE = 4 << 20 };

static nart_rt *rt;
static nart_curl curl;
static const char *base;

static size_t count(const char *bytes, size_t size, size_t n, void *arg)
{
    (void)bytes;
    *(size_t *)arg += size * n;
    return size * n;
}

static CURL *get(const char *path, size_t *got)
{
    char url[256];
    CURL *easy = curl_easy_init();

    CHECK(easy != NULL);
    (void)snprintf(url, sizeof url, "%s/%s", base, path);
    *got = 0;
    CHECK(curl_easy_setopt(easy, CURLOPT_URL, url) == CURLE_OK);
    CHECK(curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, count) == CURLE_OK);
    CHECK(curl_easy_setopt(easy, CURLOPT_WRITEDATA, got) == CURLE_OK);
    return easy;
}

struct client {
    nart_co co;
    nart_curl_op op, other;
    CURL *easy, *second;
    size_t got, got_second;
};

static void client_drop(void *frame)
{
    struct client *c = frame;

    nart_curl_op_close(&c->op);
    nart_curl_op_close(&c->other);
    curl_easy_cleanup(c->easy);
    curl_easy_cleanup(c->second);
}

/* ---- many at the same time ---- */

static nart_res big_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    c->easy = get("big", &c->got);
    NART_AWAIT(r, nart_curl_perform(cx, &curl, &c->op, c->easy));
    CHECK_RES(r, 0);
    CHECK(c->op.result == CURLE_OK && c->got == SIZE);
    NART_END(0);
}

NART_TASK_TYPED(big, struct client, big_run, client_drop);

static nart_res big_fiber(nart_cx *cx, void *arg)
{
    nart_curl_op op = { 0 };
    size_t got;
    CURL *easy = get("big", &got);

    CHECK_RES(nart_await(cx, nart_curl_perform(cx, &curl, &op, easy)), 0);
    CHECK(op.result == CURLE_OK && got == SIZE);
    curl_easy_cleanup(easy);
    ++*(int *)arg;
    return 0;
}

/* ---- what an operation must stand ---- */

static nart_res hard_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res r = 0;
    int which = 0;
    long status = 0;

    NART_BEGIN(cx, &c->co);
    NART_AWAIT(r, nart_curl_perform(cx, &curl, &c->op, NULL));
    CHECK_RES(r, -EINVAL);
    NART_AWAIT(r, nart_curl_perform(cx, &(nart_curl){ 0 }, &c->op, NULL));
    CHECK_RES(r, -EBADF);
    c->easy = get("missing", &c->got);
    NART_AWAIT(r, nart_curl_perform(cx, &curl, &c->op, c->easy));
    CHECK_RES(r, 0);
    CHECK(curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK);
    CHECK(c->op.result == CURLE_OK && status == 404);
    curl_easy_cleanup(c->easy);

    /* a time of libcurl, and one of nart; after both the handle is used again */
    c->easy = get("slow", &c->got);
    CHECK(curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, 20L) == CURLE_OK);
    NART_AWAIT(r, nart_curl_perform(cx, &curl, &c->op, c->easy));
    CHECK_RES(r, 0);
    CHECK(c->op.result == CURLE_OPERATION_TIMEDOUT);
    CHECK(curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, 0L) == CURLE_OK);
    NART_AWAIT_FOR(r, 20 * NART_MS, nart_curl_perform(cx, &curl, &c->op, c->easy));
    CHECK_RES(r, -ETIMEDOUT);
    CHECK(c->op.curl == NULL && c->got < SIZE);

    /* it loses a race, goes on, and is closed */
    c->second = get("big", &c->got_second);
    NART_AWAIT_ANY(which, r, nart_curl_perform(cx, &curl, &c->op, c->easy),
                   nart_curl_perform(cx, &curl, &c->other, c->second));
    CHECK(which == 1 && c->op.curl != NULL);
    CHECK_RES(r, 0);
    CHECK(c->other.result == CURLE_OK && c->got_second == SIZE);
    nart_curl_op_close(&c->op);
    NART_END(0);
}

NART_TASK_TYPED(hard, struct client, hard_run, client_drop);

/* Is cancelled, or its runtime is freed. */
static nart_res slow_run(nart_cx *cx, void *frame)
{
    struct client *c = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &c->co);
    c->easy = get("slow", &c->got);
    NART_AWAIT(r, nart_curl_perform(cx, &curl, &c->op, c->easy));
    CHECK_RES(r, -ECANCELED);
    CHECK(c->op.curl == NULL);
    NART_END(0);
}

NART_TASK_TYPED(slow, struct client, slow_run, client_drop);

int main(int argc, char **argv)
{
    nart_res r = -1;
    int fibers = 0;

    CHECK(argc == 2);
    base = argv[1];
    CHECK(curl_global_init(CURL_GLOBAL_ALL) == CURLE_OK);
    CHECK_RES(nart_rt_new(NULL, &rt), 0);
    CHECK_RES(nart_curl_open(rt, &curl), 0);
    for (int i = 0; i < TASKS; i++) {
        CHECK_RES(big_rt_spawn(rt, NULL, NULL), 0);
        CHECK_RES(nart_rt_fiber_spawn(rt, big_fiber, &fibers, NULL, NULL), 0);
    }
    CHECK_RES(nart_rt_run(rt), 0); /* the connections that libcurl keeps do not hold it */
    CHECK(fibers == TASKS);
    CHECK_RES(hard_block_on(rt, NULL, &r), 0);
    CHECK_RES(r, 0);
    check_ends(rt, &slow_type);
    nart_curl_close(&curl);
    nart_curl_close(&curl);
    curl_global_cleanup();
    return 0;
}
