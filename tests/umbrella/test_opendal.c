/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* opendal, whose interface is async, with files and with a real redis: clients/src/store.rs. */
#include "umbrella.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static nart_tokio_op op;

static void check_store(const char *place)
{
    static uint8_t data[100000];
    struct store_info info;
    size_t len;

    memset(data, 'd', sizeof data);
    CHECK_RES(await(store_write(bridge, place, "a/b", data, sizeof data, &op), &op), 0);
    nart_tokio_op_close(&op);
    CHECK_RES(await(store_read(bridge, place, "a/b", &op), &op), 0);
    CHECK_EQ(memcmp(nart_tokio_op_message(&op, &len), data, sizeof data), 0);
    CHECK_EQ(len, sizeof data);
    nart_tokio_op_close(&op);
    CHECK_RES(await(store_info(bridge, place, "a/b", &op), &op), 0);
    CHECK_RES(store_info_read(&op, &info), 0);
    CHECK_EQ(info.size, sizeof data);
    CHECK(!info.is_folder);
    nart_tokio_op_close(&op);
    CHECK_RES(await(store_remove(bridge, place, "a/b", &op), &op), 0);
    nart_tokio_op_close(&op);
    CHECK_RES(await(store_read(bridge, place, "a/b", &op), &op), -ENOENT);
    check_message(&op, "NotFound");
}

TEST_WITH(files, both)
{
    char place[64];

    snprintf(place, sizeof place, "fs:%s", new_folder());
    check_store(place);
}

TEST_WITH(redis, both)
{
    static struct server redis;

    redis_start(&redis);
    check_store(redis.url);
}
