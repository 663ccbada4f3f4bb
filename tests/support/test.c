/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The test harness: see test.h. */
#include "test.h"

#include <nart/rt.h>

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { FAILED = 1, SKIPPED = 77, AT_END_MAX = 16 };

static struct test_case *first, **last = &first;

void test_add(struct test_case *c)
{
    *last = c;
    last = &c->next;
}

bool test_under_valgrind(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded && strstr(preloaded, "vgpreload");
}

uint64_t test_repeat(uint64_t n)
{
    bool whole = getenv("NART_TEST_LONG") != NULL;
#ifdef TEST_SANITIZED
    uint64_t part = whole ? 10 : 20;
#else
    uint64_t part = test_under_valgrind() ? whole ? 100 : 200 : whole ? 1 : 10;
#endif
    return n > part ? n / part : 1;
}

static const char *argument;

const char *test_argument(void)
{
    return argument;
}

/* ---- checks ---- */

NART__NORETURN static void finish(int code, const char *format, va_list args)
{
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    fflush(NULL);
    _exit(code);
}

void test_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: failed: ", file, line);
    finish(FAILED, format, args);
}

void test_skip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("skipped: ", stderr);
    finish(SKIPPED, format, args);
}

#define FAIL_NUMBERS(op)                                                                           \
    test_fail(file, line, "%s " op " %s: %" PRIdMAX " and %" PRIdMAX, a, b, x, y)

void test_eq(const char *file, int line, const char *a, const char *b, intmax_t x, intmax_t y)
{
    if (x != y)
        FAIL_NUMBERS("==");
}

void test_ne(const char *file, int line, const char *a, const char *b, intmax_t x, intmax_t y)
{
    if (x == y)
        FAIL_NUMBERS("!=");
}

void test_le(const char *file, int line, const char *a, const char *b, intmax_t x, intmax_t y)
{
    if (x > y)
        FAIL_NUMBERS("<=");
}

void test_res(const char *file, int line, const char *a, nart_res x, nart_res y)
{
    if (x != y)
        test_fail(file, line, "%s is %" PRId64 " (%s), not %" PRId64 " (%s)", a, x,
                  nart_err_name(x), y, nart_err_name(y));
}

void test_str(const char *file, int line, const char *a, const char *x, const char *y)
{
    if (strcmp(x, y) != 0)
        test_fail(file, line, "%s is\n%s\nnot\n%s", a, x, y);
}

void test_dies(const char *file, int line, const char *name, void (*fn)(void *), void *arg,
               const char *text)
{
    int out[2];
    if (pipe(out) < 0)
        test_fail(file, line, "no pipe");
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], STDERR_FILENO);
        close(out[0]);
        close(out[1]);
        fn(arg);
        _exit(0);
    }
    if (child < 0)
        test_fail(file, line, "no child process");
    close(out[1]);

    static char said[16384];
    size_t n = 0;
    for (ssize_t got; n < sizeof said - 1; n += (size_t)got)
        if ((got = read(out[0], said + n, sizeof said - 1 - n)) <= 0)
            break;
    said[n] = '\0';
    close(out[0]);
    int status = 0;
    if (waitpid(child, &status, 0) != child)
        test_fail(file, line, "the child process is lost");
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
        test_fail(file, line, "%s did not abort (status %#x); it said:\n%s", name, (unsigned)status,
                  said);
    if (!strstr(said, text))
        test_fail(file, line, "%s did not say \"%s\" but:\n%s", name, text, said);
}

/* ---- the counting allocator ---- */

/* The header directly before each block. */
struct block {
    size_t size, align;
};

static long live, fail_after;
static bool fail_forever;

void test_alloc_fail(long nth, bool forever)
{
    fail_forever = forever;
    __atomic_store_n(&fail_after, nth, __ATOMIC_SEQ_CST);
}

long test_alloc_live(void)
{
    return __atomic_load_n(&live, __ATOMIC_SEQ_CST);
}

/* Offset of the block in the memory from malloc. */
static size_t lead(size_t align)
{
    return (sizeof(struct block) + align - 1) / align * align;
}

static bool must_fail(void)
{
    if (__atomic_load_n(&fail_after, __ATOMIC_SEQ_CST) == 0)
        return false;
    long left = __atomic_sub_fetch(&fail_after, 1, __ATOMIC_SEQ_CST);
    if (left == 0 && fail_forever)
        __atomic_store_n(&fail_after, 1, __ATOMIC_SEQ_CST);
    return left == 0;
}

static void *counted_alloc(void *arg, size_t size, size_t align)
{
    (void)arg;
    if (must_fail())
        return NULL;
    if (align < sizeof(void *))
        align = sizeof(void *);
    void *raw = NULL;
    if (size > SIZE_MAX - lead(align) || posix_memalign(&raw, align, lead(align) + size) != 0)
        return NULL;
    char *p = (char *)raw + lead(align);
    struct block b = { size, align };
    memcpy(p - sizeof b, &b, sizeof b);
    memset(p, 0xAA, size);
    __atomic_add_fetch(&live, 1, __ATOMIC_SEQ_CST);
    return p;
}

static void counted_free(void *arg, void *p, size_t size, size_t align)
{
    (void)arg;
    if (!p)
        return;
    if (align < sizeof(void *))
        align = sizeof(void *);
    struct block b;
    memcpy(&b, (char *)p - sizeof b, sizeof b);
    if (b.size != size || b.align != align)
        test_fail(__FILE__, __LINE__, "a block of %zu bytes, align %zu, is freed as %zu, %zu",
                  b.size, b.align, size, align);
    memset(p, 0x55, size);
    __atomic_sub_fetch(&live, 1, __ATOMIC_SEQ_CST);
    free((char *)p - lead(align));
}

const nart_alloc test_alloc = { counted_alloc, counted_free, NULL };

/* ---- the ledger ---- */

static void (*at_end[AT_END_MAX])(void);
static int at_end_count;

void test_at_end(void (*fn)(void))
{
    CHECK(at_end_count < AT_END_MAX);
    at_end[at_end_count++] = fn;
}

static int entries(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;
    if (!dir)
        test_fail(__FILE__, __LINE__, "cannot read %s", path);
    for (const struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

#if defined __SANITIZE_THREAD__
#define TSAN 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif

static int sanitizer_thread;

int test_sanitizer_thread(void)
{
    return sanitizer_thread;
}

#ifdef TSAN
static void *nothing(void *arg)
{
    return arg;
}

/* The sanitizer starts a background thread with the program's first thread: start one before the
 * ledger counts. */
static void begin_sanitizer(void)
{
    pthread_t t;
    if (pthread_create(&t, NULL, nothing, NULL) != 0)
        test_fail(__FILE__, __LINE__, "no thread");
    pthread_join(t, NULL);
    while (entries("/proc/self/task") > 2)
        sched_yield();

    DIR *dir = opendir("/proc/self/task");
    if (!dir)
        test_fail(__FILE__, __LINE__, "cannot read the threads");
    for (const struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.' && atoi(e->d_name) != getpid())
            sanitizer_thread = atoi(e->d_name);
    closedir(dir);
}
#else
static void begin_sanitizer(void)
{
}
#endif

/* A joined thread may still be exiting in the kernel, so this waits for the count to fall. The
 * bound turns a hang into a message. */
static void check_threads(int before)
{
    time_t give_up = time(NULL) + (test_under_valgrind() ? 60 : 10);
    for (int now; (now = entries("/proc/self/task")) > before; sched_yield())
        if (time(NULL) > give_up)
            test_fail(__FILE__, __LINE__, "%d threads are left", now - before);
}

static void run(const struct test_case *c)
{
    begin_sanitizer();
    int threads = entries("/proc/self/task");
    int descriptors = entries("/proc/self/fd");

    c->body();
    while (at_end_count > 0)
        at_end[--at_end_count]();
    check_threads(threads);
    nart_lib_trim();
    if (test_alloc_live() != 0)
        test_fail(__FILE__, __LINE__, "%ld blocks are live at the end of %s", test_alloc_live(),
                  c->name);
    if (entries("/proc/self/fd") != descriptors)
        test_fail(__FILE__, __LINE__, "%d descriptors were open before %s, %d after", descriptors,
                  c->name, entries("/proc/self/fd"));
}

/* Is the case in the file test_<name, of `length` bytes>.c? */
static bool is_in(const struct test_case *c, const char *name, size_t length)
{
    const char *base = strrchr(c->file, '/');
    base = base ? base + 1 : c->file;
    return strncmp(base, "test_", 5) == 0 && strncmp(base + 5, name, length) == 0 &&
           strcmp(base + 5 + length, ".c") == 0;
}

/* `wanted` is a case, or a file's name without test_ and .c, a dot, and a case. */
static bool is_named(const struct test_case *c, const char *wanted)
{
    const char *dot = strchr(wanted, '.');

    if (strcmp(c->name, wanted) == 0)
        return true;
    return dot && strcmp(c->name, dot + 1) == 0 && is_in(c, wanted, (size_t)(dot - wanted));
}

static int run_in_child(const struct test_case *c)
{
    int status = 0;

    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        run(c);
        exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        test_fail(__FILE__, __LINE__, "no child process for %s", c->name);
    return WIFEXITED(status) ? WEXITSTATUS(status) : FAILED;
}

/* Each case of a file in a process of its own. */
static int run_file(const char *name)
{
    unsigned passed = 0, skipped = 0, failed = 0;

    for (const struct test_case *c = first; c; c = c->next) {
        if (!is_in(c, name, strlen(name)))
            continue;
        fprintf(stderr, "%s.%s\n", name, c->name);
        int code = run_in_child(c);
        passed += code == 0;
        skipped += code == SKIPPED;
        failed += code != 0 && code != SKIPPED;
        if (code != 0 && code != SKIPPED)
            fprintf(stderr, "%s.%s failed with %d\n", name, c->name, code);
    }
    fprintf(stderr, "%u passed, %u skipped, %u failed\n", passed, skipped, failed);
    return failed || passed + skipped == 0 ? FAILED : passed ? 0 : SKIPPED;
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: %s --list | --file file | case | file.case [argument]\n", argv[0]);
        return FAILED;
    }
    argument = argv[2];
    if (strcmp(argv[1], "--file") == 0 && argument)
        return run_file(argument);
    bool list = strcmp(argv[1], "--list") == 0;
    for (const struct test_case *c = first; c; c = c->next) {
        if (list) {
            puts(c->name);
        } else if (is_named(c, argv[1])) {
            run(c);
            return 0;
        }
    }
    if (list)
        return 0;
    fprintf(stderr, "%s has no case \"%s\"\n", argv[0], argv[1]);
    return FAILED;
}
