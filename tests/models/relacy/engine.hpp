/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* model.h under relacy. A program is one C++ file:
 *
 *     #include "relacy/engine.hpp"
 *     #include "core/hub.c"          the unmodified C files
 *     #include "scenarios/hub.c"
 *
 * `program scenario` exits with 0 if the scenario holds, else with 1 and relacy's report. */
#ifndef MODEL_RELACY_ENGINE_HPP
#define MODEL_RELACY_ENGINE_HPP

#include "model.h"

#include "base/lock.h"

#include <limits>

enum { MODEL_MEMORY = 65536 };

alignas(NART__LINE) static unsigned char model_block[MODEL_MEMORY];
static size_t model_used;

void *model_memory(size_t bytes)
{
    void *p = model_block + model_used;
    model_used += (bytes + NART__LINE - 1) / NART__LINE * NART__LINE;
    RL_VERIFY(model_used <= MODEL_MEMORY);
    memset(p, 0, bytes);
    return p;
}

template <typename T> T *model_construct()
{
    void *p = model_memory(sizeof(T));
    return ::new (p) T();
}

template <typename T> void model_destroy(T *p)
{
    p->~T();
}

void model_check(bool ok, const char *file, int line, const char *text)
{
    if (!ok)
        fprintf(stdout, "%s:%d: %s\n", file, line, text);
    RL_ASSERT(ok);
}

void nart__relax(void)
{
    rl::yield(1, $);
}

void nart__lock_enter(nart__lock *l)
{
    while (NART__EXCHANGE(l, 1u, NART__ACQUIRE))
        nart__relax();
}

void nart__lock_leave(nart__lock *l)
{
    NART__STORE(l, 0u, NART__RELEASE);
}

unsigned model_self(void)
{
    return rl::thread_index();
}

/* ---- eventfds: relacy events, recreated for each execution ---- */

static rl::generic_event *model_events[MODEL_EVENTS];

int nart__sys_eventfd_write(int fd)
{
    model_events[fd]->set($);
    return 0;
}

void model_wait(int fd)
{
    (void)model_events[fd]->wait(false, false, $);
}

/* ---- running ---- */

/* One instance, since each one compiles all of relacy; threads that a scenario does not use end at once. */
enum { MODEL_THREADS = 3 };

static const model_scenario *model_running;

struct model_suite : rl::test_suite<model_suite, MODEL_THREADS> {
    rl::generic_event events[MODEL_EVENTS];

    void before()
    {
        model_used = 0;
        for (int i = 0; i < MODEL_EVENTS; i++) {
            events[i].init(false, false, $);
            model_events[i] = &events[i];
        }
        model_running->before();
    }
    void thread(unsigned i)
    {
        if (i < model_running->threads)
            model_running->thread(i);
    }
    void after()
    {
        model_running->after();
        for (int i = 0; i < MODEL_EVENTS; i++)
            events[i].deinit($);
    }
};

static bool model_run(const model_scenario *m, int bound)
{
    std::ostringstream progress;
    rl::test_params params;
    params.progress_stream = &progress;
    params.search_type = bound == MODEL_EVERY ? rl::sched_full : rl::sched_bound;
    params.context_bound = (unsigned)bound;
    params.iteration_count = std::numeric_limits<rl::iteration_t>::max();
    params.execution_depth_limit = 20000;
    model_running = m;
    if (!rl::simulate<model_suite>(params))
        return false;
    printf("relacy %s: holds; %llu schedules (", m->name,
           (unsigned long long)params.stop_iteration);
    if (bound == MODEL_EVERY)
        puts("all)");
    else
        printf("all with %d switches of threads)\n", bound);
    return true;
}

static int model_main(int argc, char **argv)
{
    const char *name = argc >= 2 ? argv[1] : "";
    bool list = strcmp(name, "--list") == 0;

    for (const model_scenario *m = model_scenarios; m->name; m++) {
        if (list && m->threads <= MODEL_THREADS)
            puts(m->name);
        else if (strcmp(name, m->name) == 0)
            return model_run(m, argc > 2 ? atoi(argv[2]) : m->relacy) ? 0 : 1;
    }
    return list ? 0 : 2;
}

#endif
