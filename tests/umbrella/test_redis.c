/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client of redis, with a real server: clients/src/kv.rs. */
#include "umbrella.h"

#include <errno.h>
#include <string.h>

static struct server redis;
static nart_tokio_op op;

static void set(const char *key, const char *value)
{
    const uint8_t *bytes = (const uint8_t *)value;

    CHECK_RES(await(kv_set(bridge, redis.url, key, bytes, strlen(value), &op), &op), 0);
    nart_tokio_op_close(&op);
}

static void check_get(const char *key, const char *value)
{
    CHECK_RES(await(kv_get(bridge, redis.url, key, &op), &op), 0);
    CHECK_EQ(strcmp(nart_tokio_op_message(&op, NULL), value), 0);
    nart_tokio_op_close(&op);
}

TEST_WITH(values_are_set_and_got, both)
{
    redis_start(&redis);
    set("a", "one");
    set("b", "");
    check_get("a", "one");
    check_get("b", "");
    CHECK_RES(await(kv_get(bridge, redis.url, "c", &op), &op), -ENOENT);
    check_message(&op, "there is no key c");

    const uint8_t bytes[] = { 0, 255, 0 };
    CHECK_RES(await(kv_set(bridge, redis.url, "c", bytes, sizeof bytes, &op), &op), 0);
    nart_tokio_op_close(&op);
    CHECK_RES(await(kv_get(bridge, redis.url, "c", &op), &op), 0);
    size_t len;
    CHECK_EQ(memcmp(nart_tokio_op_message(&op, &len), bytes, sizeof bytes), 0);
    CHECK_EQ(len, sizeof bytes);
    nart_tokio_op_close(&op);
}

TEST_WITH(a_wait_is_cancelled, both)
{
    redis_start(&redis);
    CHECK_RES(await_for(kv_pop(bridge, redis.url, "list", 3600000, &op), &op, 1), -ETIMEDOUT);
    CHECK_EQ(nart_tokio_op_status(&op), NART_TOKIO_STATUS_RUNNING);
    nart_tokio_op_cancel(&op);
    CHECK_RES(await(0, &op), NART_EABORTED);
    nart_tokio_op_close(&op);
}

TEST_WITH(a_wait_ends_by_its_own_time, both)
{
    redis_start(&redis);
    CHECK_RES(await(kv_pop(bridge, redis.url, "list", 1, &op), &op), -ETIMEDOUT);
    CHECK_EQ(nart_tokio_op_status(&op), NART_TOKIO_STATUS_ERROR);
    check_message(&op, "deadline has elapsed");
}

TEST_WITH(a_shutdown_ends_a_wait, both)
{
    redis_start(&redis);
    CHECK_RES(kv_pop(bridge, redis.url, "list", 3600000, &op), 0);
    CHECK_RES(nart_tokio_shutdown(bridge, 30 * NART_SEC, NULL), 0);
    CHECK_RES(await(0, &op), NART_ESHUTDOWN);
    nart_tokio_op_close(&op);
    CHECK_RES(kv_get(bridge, redis.url, "a", &op), NART_ESHUTDOWN);
}

TEST_WITH(a_panic_ends_its_operation_only, both)
{
    int64_t value = 0;

    redis_start(&redis);
    set("a", "1x");
    CHECK_RES(await(kv_number(bridge, redis.url, "a", &op), &op), NART_EPANIC);
    check_message(&op, "the value is a number");
    set("a", "42");
    CHECK_RES(await(kv_number(bridge, redis.url, "a", &op), &op), 0);
    CHECK_RES(nart_tokio_op_try(&op, &value), 0);
    CHECK_EQ(value, 42);
    nart_tokio_op_close(&op);
}

TEST_WITH(a_server_that_was_killed_is_found_again, both)
{
    redis_start(&redis);
    set("a", "one");
    server_kill(&redis);
    CHECK(await(kv_get(bridge, redis.url, "a", &op), &op) < 0);
    CHECK_EQ(nart_tokio_op_status(&op), NART_TOKIO_STATUS_ERROR);
    nart_tokio_op_close(&op);
    redis_start(&redis);
    set("a", "two");
    check_get("a", "two");
}

TEST_WITH(arguments_are_copied_before_the_call_returns, both)
{
    char key[] = "key", value[] = "value";

    redis_start(&redis);
    CHECK_RES(kv_set(bridge, redis.url, key, (uint8_t *)value, 5, &op), 0);
    memset(key, 'x', 3);
    memset(value, 'x', 5);
    CHECK_RES(await(0, &op), 0);
    nart_tokio_op_close(&op);
    check_get("key", "value");
    CHECK_RES(kv_get(bridge, redis.url, NULL, &op), -EINVAL);
    CHECK_RES(kv_get(bridge, redis.url, "\xff", &op), -EILSEQ);
    CHECK_RES(kv_get(NULL, redis.url, "a", &op), -EINVAL);
}
