/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void usage(const char *arg, const char *what)
{
    fprintf(stderr, "%s: %s\n", arg, what);
    exit(2);
}

static const struct bench_row *find(const char *name, size_t len, const struct bench_row *rows,
                                    size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0)
            return &rows[i];
    return NULL;
}

static void run(const char *arg, const struct bench_row *rows, size_t count)
{
    const char *eq = strchr(arg, '=');
    if (!eq)
        usage(arg, "expected row=count");
    const struct bench_row *row = find(arg, (size_t)(eq - arg), rows, count);
    if (!row)
        usage(arg, "no such row");
    char *end;
    uint64_t n = strtoull(eq + 1, &end, 10);
    if (*end || n == 0)
        usage(arg, "not a count");
    bench_print(row->name, row->peer, row->task(n), row->unit);
    if (row->root) {
        char name[64];
        snprintf(name, sizeof name, "%s_root", row->name);
        bench_print(name, row->peer, row->root(n), row->unit);
    }
}

static cpu_set_t processors; /* available to the program */

int bench_main(int argc, char **argv, const struct bench_row *rows, size_t count)
{
    if (sched_getaffinity(0, sizeof processors, &processors))
        bench_fail("processors");
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") != 0)
            run(argv[i], rows, count);
        else
            for (size_t row = 0; row < count; row++)
                puts(rows[row].name);
    }
    return 0;
}

void bench_print(const char *row, const char *peer, double value, const char *unit)
{
    printf("{\"row\":\"%s\",\"peer\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", row, peer, value,
           unit);
    fflush(stdout);
}

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t bench_now(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t bench_thread_time(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t bench_resident_bytes(void)
{
    uint64_t pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*u %" SCNu64, &pages) != 1)
        bench_fail("/proc/self/statm");
    fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void bench_pin_to(int n)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &processors) && n-- == 0)
            CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set))
        bench_fail("this row needs two CPUs");
}

int bench_open_file(void)
{
    static FILE *file;
    static const char zeros[BENCH_FILE];

    if (!file) {
        file = tmpfile();
        if (!file || fwrite(zeros, sizeof zeros, 1, file) != 1 || fflush(file))
            bench_fail("a temporary file");
    }
    int fd = dup(fileno(file));
    if (fd < 0)
        bench_fail("dup");
    return fd;
}

void bench_fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}
