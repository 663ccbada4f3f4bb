/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "umbrella.h"

#include <errno.h>
#include <ftw.h>
#include <grp.h>
#include <nart/co.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

nart_rt *loop;
nart_tokio *bridge;

void both_open(void)
{
    static const nart_rt_opts opts = { .size = sizeof opts, .alloc = &test_alloc };

    CHECK_RES(nart_rt_new(&opts, &loop), 0);
    CHECK_RES(nart_tokio_new(NULL, &bridge), 0);
}

void both_close(void)
{
    nart_tokio_report n = NART_TOKIO_REPORT_INIT;

    nart_res r = nart_tokio_shutdown(bridge, 30 * NART_SEC, &n);
    CHECK(r == 0 || r == -EALREADY);
    CHECK_RES(nart_tokio_report_get(bridge, &n), 0);
    CHECK_EQ(n.leaked_tasks + n.leaked_threads, 0);
    nart_tokio_free(bridge);
    CHECK_RES(nart_rt_free(loop), 0);
}

/* ---- awaiting ---- */

struct waits {
    nart_co co;
    nart_tokio_op *op;
    int64_t ns;
};

static nart_res waits_run(nart_cx *cx, void *frame)
{
    struct waits *w = frame;
    nart_res r = 0;

    NART_BEGIN(cx, &w->co);
    if (w->ns > 0)
        NART_AWAIT_FOR(r, w->ns, nart_tokio_op_await(cx, w->op, NULL));
    else
        NART_AWAIT(r, nart_tokio_op_await(cx, w->op, NULL));
    NART_END(r);
}
NART_TASK_TYPED(waits, struct waits, waits_run, NULL);

nart_res await_for(nart_res begun, nart_tokio_op *op, int64_t ns)
{
    nart_res result = 0;

    CHECK_RES(begun, 0);
    CHECK_RES(waits_block_on(loop, &(struct waits){ .op = op, .ns = ns }, &result), 0);
    return result;
}

nart_res await(nart_res begun, nart_tokio_op *op)
{
    return await_for(begun, op, 0);
}

void check_message(nart_tokio_op *op, const char *text)
{
    const char *message = nart_tokio_op_message(op, NULL);

    if (!strstr(message, text))
        test_fail(__FILE__, __LINE__, "\"%s\" is not in \"%s\"", text, message);
    nart_tokio_op_close(op);
}

/* ---- folders ---- */

static char folder[] = "/tmp/nart-XXXXXX"; /* short: paths of Unix sockets are */
static bool folder_made;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void remove_folder(void)
{
    CHECK_EQ(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

const char *new_folder(void)
{
    if (!folder_made) {
        CHECK(mkdtemp(folder));
        folder_made = true;
        test_at_end(remove_folder);
    }
    return folder;
}

/* ---- servers ---- */

static struct server *running;

static void end_server(void)
{
    if (running)
        server_kill(running);
}

/* The user that PostgreSQL runs as, if this is root, which it refuses. */
static const struct passwd *postgres_user(void)
{
    const struct passwd *user = geteuid() == 0 ? getpwnam("postgres") : NULL;

    CHECK(geteuid() != 0 || user);
    return user;
}

/* Starts a program. Its output can be read from `said`. */
static pid_t start(const char *const *argv, const struct passwd *user, int *said)
{
    int ends[2];

    CHECK_EQ(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        if (user && (setgroups(0, NULL) || setgid(user->pw_gid) || setuid(user->pw_uid)))
            _exit(126);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    CHECK(child > 0);
    close(ends[1]);
    *said = ends[0];
    return child;
}

void server_wait(struct server *s, const char *text)
{
    char line[4096];
    size_t n = 0;

    for (;;) {
        CHECK(n < sizeof line - 1);
        ssize_t got = read(s->said, line + n, 1);
        if (got <= 0)
            test_fail(__FILE__, __LINE__, "the server ended: %.*s", (int)n, line);
        if (line[n++] != '\n')
            continue;
        line[n] = '\0';
        if (strstr(line, text))
            return;
        n = 0;
    }
}

static void server_start(struct server *s, const char *const *argv, const struct passwd *user,
                         const char *ready)
{
    s->pid = start(argv, user, &s->said);
    running = s;
    server_wait(s, ready);
}

void server_kill(struct server *s)
{
    int status;

    CHECK_EQ(kill(s->pid, SIGKILL), 0);
    CHECK_EQ(waitpid(s->pid, &status, 0), s->pid);
    char rest[4096];
    while (read(s->said, rest, sizeof rest) > 0) /* until its children have ended, too */
        continue;
    CHECK_EQ(close(s->said), 0);
    running = NULL;
}

static void server_make(struct server *s)
{
    if (s->folder[0])
        return;
    snprintf(s->folder, sizeof s->folder, "%s", new_folder());
    test_at_end(end_server);
}

void redis_start(struct server *s)
{
    server_make(s);
    char socket[64];
    snprintf(socket, sizeof socket, "%s/redis", s->folder);
    snprintf(s->url, sizeof s->url, "redis+unix://localhost%s", socket);
    const char *const argv[] = {
        NART_TEST_REDIS, "--port", "0", "--unixsocket", socket, "--dir",
        s->folder,       "--save", "",  NULL,
    };
    server_start(s, argv, NULL, "ready to accept connections");
}

void postgres_start(struct server *s)
{
    const struct passwd *user = postgres_user();
    char data[64];

    server_make(s);
    if (user)
        CHECK_EQ(chown(s->folder, user->pw_uid, user->pw_gid), 0);
    snprintf(data, sizeof data, "%s/data", s->folder);
    snprintf(s->url, sizeof s->url, "host=%s user=tester dbname=postgres", s->folder);

    const char *const make[] = {
        NART_TEST_INITDB, "-D",        data,         "-A", "trust", "-U",
        "tester",         "--no-sync", "--locale=C", "-E", "UTF8",  NULL,
    };
    int status, said;
    pid_t child = start(make, user, &said);
    char rest[4096];
    while (read(said, rest, sizeof rest) > 0)
        continue;
    CHECK_EQ(close(said), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);

    const char *const argv[] = {
        NART_TEST_POSTGRES,  "-D", data,        "-k", s->folder,           "-c",
        "listen_addresses=", "-c", "fsync=off", "-c", "log_statement=all", NULL,
    };
    server_start(s, argv, user, "ready to accept connections");
}
