/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A client of PostgreSQL, with a real server: clients/src/database.rs. */
#include "umbrella.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static struct server postgres;
static nart_tokio_op op;
static const char sleeps[] = "SELECT pg_sleep(3600)";

static void run_sql(const char *sql)
{
    CHECK_RES(await(database_run(bridge, postgres.url, sql, &op), &op), 0);
    nart_tokio_op_close(&op);
}

static struct account account(int32_t number)
{
    struct account a;

    CHECK_RES(await(database_account(bridge, postgres.url, number, &op), &op), 0);
    CHECK_RES(database_account_read(&op, &a), 0);
    nart_tokio_op_close(&op);
    return a;
}

static void open_accounts(void)
{
    postgres_start(&postgres);
    run_sql("CREATE TABLE accounts (number int PRIMARY KEY, owner text, balance float8);"
            "INSERT INTO accounts VALUES (1, 'ada', 0.5), (2, 'a name of twenty byte', 0)");
}

TEST_WITH(rows_are_structs, both)
{
    open_accounts();
    struct account a = account(1);
    CHECK_EQ(a.number, 1);
    CHECK_EQ(strcmp((const char *)a.owner, "ada"), 0);
    CHECK(a.balance == 0.5);
    CHECK_RES(await(database_account(bridge, postgres.url, 3, &op), &op), -ENOENT);
    CHECK_RES(database_account_read(&op, &a), -ENOENT);
    check_message(&op, "there is no account 3");
}

TEST_WITH(errors_have_texts_and_a_panic_ends_one_operation, both)
{
    open_accounts();
    CHECK_RES(await(database_run(bridge, postgres.url, "SELECT * FROM nothing", &op), &op), -EIO);
    check_message(&op, "relation \"nothing\" does not exist");
    CHECK_RES(await(database_account(bridge, postgres.url, 2, &op), &op), NART_EPANIC);
    check_message(&op, "out of range");
    CHECK_EQ(account(1).number, 1);
}

TEST_WITH(a_statement_is_cancelled_on_the_server, both)
{
    open_accounts();
    CHECK_RES(database_run(bridge, postgres.url, sleeps, &op), 0);
    server_wait(&postgres, sleeps); /* it logs the statements that it runs */
    CHECK_RES(await_for(0, &op, 1), -ETIMEDOUT);
    nart_tokio_op_cancel(&op);
    CHECK_RES(await(0, &op), NART_EABORTED);
    nart_tokio_op_close(&op);
    CHECK_EQ(account(1).number, 1); /* on the same connection, after what was cancelled */
}

TEST_WITH(a_server_that_was_killed_is_found_again, both)
{
    open_accounts();
    run_sql("INSERT INTO accounts VALUES (3, 'server', pg_backend_pid())");
    pid_t server = (pid_t)account(3).balance;
    CHECK_RES(database_run(bridge, postgres.url, sleeps, &op), 0);
    server_wait(&postgres, sleeps);
    CHECK_EQ(kill(server, SIGKILL), 0);
    CHECK(await(0, &op) < 0);
    CHECK_EQ(nart_tokio_op_status(&op), NART_TOKIO_STATUS_ERROR);
    check_message(&op, "connection closed");
    server_wait(&postgres, "ready to accept connections"); /* which ends all and starts again */
    CHECK_EQ(account(1).number, 1);
}
