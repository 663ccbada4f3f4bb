/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* inotify.c: two tasks that watch a directory. inotify(7) is a descriptor like others: nart_fd_open()
 * makes it a handle, and one function over nart_fd_read() is an operation for bodies and fibers. Here one of each watches,
 * while a third task works in the directory with nart/file.h. */
#include <nart/nart.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define EVENTS (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE)

/* A watched directory, and events of it that were read. */
struct watcher {
    nart_fd fd;
    size_t at, len;
    _Alignas(struct inotify_event) char buf[4096]; /* more than one event of any name */
};

static nart_res watcher_open(nart_cx *cx, struct watcher *w, const char *dir)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (fd < 0)
        return -errno;
    nart_res r = inotify_add_watch(fd, dir, EVENTS) < 0 ? -errno : 0;
    if (r == 0)
        r = nart_fd_open_here(cx, fd, 0, &w->fd);
    if (r)
        close(fd);
    w->at = w->len = 0;
    return r;
}

/* An operation: answers 1 and the next event, which is valid until the next call; -EOVERFLOW events were lost, so look
 * at the directory itself; or an error of nart_fd_read(). Nothing is lost if the task leaves it. */
static nart_res watcher_next(nart_cx *cx, struct watcher *w, const struct inotify_event **event)
{
    if (w->at == w->len) {
        nart_res n = nart_fd_read(cx, &w->fd, w->buf, sizeof w->buf);
        if (n <= 0)
            return n;
        w->at = 0;
        w->len = (size_t)n;
    }
    const struct inotify_event *e = (const void *)(w->buf + w->at);
    w->at += sizeof *e + e->len;
    *event = e;
    return e->mask & IN_Q_OVERFLOW ? -EOVERFLOW : 1;
}

static void watcher_close(struct watcher *w)
{
    (void)nart_fd_close(&w->fd);
}

/* ---- what was seen ---- */

struct diary {
    char text[512];
    size_t len;
};

static const char *verb_of(uint32_t mask)
{
    if (mask & IN_CREATE)
        return "created";
    if (mask & IN_CLOSE_WRITE)
        return "written";
    if (mask & IN_MOVED_FROM)
        return "moved away";
    if (mask & IN_MOVED_TO)
        return "moved here";
    return "removed";
}

/* Writes an event down. Is it the last one? */
static bool diary_add(struct diary *d, const struct inotify_event *e)
{
    int n =
        snprintf(d->text + d->len, sizeof d->text - d->len, "%s %s\n", e->name, verb_of(e->mask));

    if (n > 0 && (size_t)n < sizeof d->text - d->len)
        d->len += (size_t)n;
    return e->mask & IN_DELETE && strcmp(e->name, "stop") == 0;
}

static const char expected[] = "draft created\n"
                               "draft written\n"
                               "draft moved away\n"
                               "letter moved here\n"
                               "letter removed\n"
                               "stop created\n"
                               "stop removed\n";

/* ---- the tasks ---- */

static char dir[] = "/tmp/nart-inotify-XXXXXX";
static nart_wait_group opening; /* of the two that watch */

struct observer {
    nart_co co;
    struct watcher *w; /* too large for a frame */
    const struct inotify_event *event;
    struct diary *diary;
};

static nart_res observer_run(nart_cx *cx, void *frame)
{
    struct observer *o = frame;
    nart_res r = 0;
    bool last = false;

    NART_BEGIN(cx, &o->co);
    r = watcher_open(cx, o->w, dir);
    (void)nart_wait_group_done(&opening);
    if (r)
        NART_RETURN(r);
    do {
        NART_AWAIT_FOR(r, 10 * NART_SEC, watcher_next(cx, o->w, &o->event));
        last = r <= 0 || diary_add(o->diary, o->event);
    } while (!last);
    NART_END(r < 0 ? r : 0);
}

static void observer_drop(void *frame)
{
    watcher_close(((struct observer *)frame)->w);
}

static const nart_task_type observer_type =
    NART_TASK_TYPE(struct observer, observer_run, observer_drop);

/* The same as a fiber. */
static nart_res observe(nart_cx *cx, void *arg)
{
    struct watcher w = { .at = 0 };
    const struct inotify_event *event = NULL;
    bool last = false;

    nart_res r = watcher_open(cx, &w, dir);
    (void)nart_wait_group_done(&opening);
    while (r >= 0 && !last) {
        r = nart_await_for(cx, 10 * NART_SEC, watcher_next(cx, &w, &event));
        last = r <= 0 || !event || diary_add(arg, event);
    }
    watcher_close(&w);
    return r < 0 ? r : 0;
}

/* Works in the directory: every step is an operation on the threads of a pool. */
static nart_res work(nart_cx *cx, void *arg)
{
    nart_waiter waiter = { 0 };
    nart_file_op op = { 0 };
    nart_file file = { 0 };

    (void)arg;
    nart_res r = nart_await(cx, nart_wait_group_await(cx, &opening, &waiter));
    if (r >= 0)
        r = nart_await(cx, nart_file_open(cx, &op, &file, "draft", O_WRONLY | O_CREAT, 0600));
    if (r == 0)
        r = nart_await(cx, nart_file_close(cx, &op, &file));
    if (r == 0)
        r = nart_await(cx, nart_path_rename(cx, &op, "draft", "letter"));
    if (r == 0)
        r = nart_await(cx, nart_path_remove(cx, &op, "letter", false));
    if (r == 0)
        r = nart_await(cx, nart_path_mkdir(cx, &op, "stop", 0700));
    if (r == 0)
        r = nart_await(cx, nart_path_remove(cx, &op, "stop", true));
    nart_file_finish(&file);
    nart_file_op_close(&op);
    return r;
}

/* The directory exists: 0 if both observers have seen what was done in it. */
static nart_res run(nart_rt *rt)
{
    static struct diary by_body, by_fiber;
    static struct watcher w;
    struct observer o = { .w = &w, .diary = &by_body };
    nart_res answer = 0;

    nart_res r = nart_wait_group_add(&opening, 2);
    if (r == 0)
        r = nart_rt_spawn(rt, &observer_type, &o, NULL);
    if (r == 0)
        r = nart_rt_fiber_spawn(rt, observe, &by_fiber, NULL, NULL);
    if (r == 0)
        r = nart_fiber_block_on(rt, work, NULL, NULL, &answer);
    if (r == 0 && answer == 0)
        r = nart_rt_run(rt); /* until the observers have ended */
    if (r || answer)
        return r ? r : answer;
    printf("%s", by_body.text);
    return strcmp(by_body.text, expected) == 0 && strcmp(by_fiber.text, expected) == 0 ? 0 : -EIO;
}

int main(void)
{
    nart_rt *rt;

    if (!mkdtemp(dir) || chdir(dir) != 0 || nart_rt_new(NULL, &rt) != 0)
        return 1;
    nart_res r = run(rt);
    nart_rt_free(rt);
    (void)nart_workers_shutdown(NULL, NART_NEVER);
    if (chdir("/") != 0 || rmdir(dir) != 0)
        return 1;
    if (r)
        fprintf(stderr, "inotify: %s\n", nart_err_name(r));
    return r == 0 ? 0 : 1;
}
