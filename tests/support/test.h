/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The test harness. A test program is one file of cases:
 *
 *     #include "test.h"
 *
 *     TEST(a_stale_id_is_refused)
 *     {
 *         CHECK_RES(nart_task_cancel(rt, id), NART_ESTALE);
 *     }
 *
 * ctest runs every case in a process of its own, `program case`; nart_test() in CMake finds the
 * cases by their TEST( at the start of a line, so a case is written down once. `--list` names them.
 *
 * If a program has several files, two of them may have a case of the same name: `program file.case` runs
 * the one in test_file.c.
 *
 * A case passes when its body returns and the ledger is even: no block of test_alloc is live, no
 * descriptor and no thread is left that was not there before. A failed check prints file, line and
 * values, and ends the process with 1. SKIP ends it with 77 and its reason.
 */
#ifndef NART_TEST_H
#define NART_TEST_H

#include <nart/base.h>

#include <inttypes.h>

#define TEST(name)                                                                                 \
    static void test_body_##name(void);                                                            \
    TEST_CASE(name, #name)                                                                         \
    static void test_body_##name(void)

/* One body and a case of it for each of two to four kinds, `kind` in the body:
 *
 *     TEST_EACH(a_full_channel_refuses, LOCAL, SPSC, MPSC)
 *     {
 *         chan_open(&c, kind, 1);
 *         ...
 *     }
 *
 * The cases are a_full_channel_refuses.LOCAL and so on. On one line, for nart_test(). */
#define TEST_EACH(name, ...)                                                                       \
    static void test_each_##name(uint32_t kind);                                                   \
    TEST_EACH_OF(__VA_ARGS__, 4, 3, 2, 1)                                                          \
    (name, __VA_ARGS__) static void test_each_##name(uint32_t kind)

/* A case with a fixture: what fixture_open() makes before the body, and fixture_close() frees after it.
 *
 *     TEST_WITH(a_stale_id_is_refused, rt)
 *
 * On one line, for nart_test(). The fixture `rt` is in runtime.h. A task that is still there when the
 * fixture is freed must not use variables of the body, which has returned: such a case is a TEST that
 * calls the two functions itself. */
#define TEST_WITH(name, fixture)                                                                   \
    static void test_with_##name(void);                                                            \
    TEST(name)                                                                                     \
    {                                                                                              \
        fixture##_open();                                                                          \
        test_with_##name();                                                                        \
        fixture##_close();                                                                         \
    }                                                                                              \
    static void test_with_##name(void)

/* A variable of a type with two functions, type_open(&name, ...) and type_finish(&name): opened here, and
 * finished where its block ends, as the last of what stands there.
 *
 *     OPEN(chan, c, SPSC, 4);
 */
#define OPEN(type, name, ...)                                                                      \
    __attribute__((cleanup(type##_finish))) struct type name;                                      \
    type##_open(&name, __VA_ARGS__)

#define CHECK(cond) ((cond) ? (void)0 : test_fail(__FILE__, __LINE__, "%s", #cond))

/* Integers of any type up to 64 bits. */
#define CHECK_EQ(a, b) test_eq(__FILE__, __LINE__, #a, #b, (intmax_t)(a), (intmax_t)(b))
#define CHECK_NE(a, b) test_ne(__FILE__, __LINE__, #a, #b, (intmax_t)(a), (intmax_t)(b))
#define CHECK_LE(a, b) test_le(__FILE__, __LINE__, #a, #b, (intmax_t)(a), (intmax_t)(b))

/* Answers, printed by name. */
#define CHECK_RES(r, expected) test_res(__FILE__, __LINE__, #r, (r), (expected))

#define CHECK_STR(a, b) test_str(__FILE__, __LINE__, #a, (a), (b))

/* fn(arg), run in a child process, must end in abort() and have printed `text`. */
#define CHECK_DIES(fn, arg, text) test_dies(__FILE__, __LINE__, #fn, (fn), (arg), (text))

#define SKIP(...) test_skip(__VA_ARGS__)

/* A counting allocator for the runtimes of a test. Callable from any thread. */
extern const nart_alloc test_alloc;

/* Live blocks of test_alloc. */
long test_alloc_live(void);

/* Makes the `nth` allocation from now on fail (1: the next), and all later ones if `forever`. 0
 * stops that. */
void test_alloc_fail(long nth, bool forever);

/* Runs at the end of the case, before the ledger is checked, in reverse order of registration. */
void test_at_end(void (*fn)(void));

/* Sanitizers that a case may need to know: defined when AddressSanitizer or ThreadSanitizer is
 * active. */
#if defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TEST_SANITIZED 1
#endif
#elif defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define TEST_SANITIZED 1
#endif

/* The id of ThreadSanitizer's own thread; 0: it is not active. */
int test_sanitizer_thread(void);

bool test_under_valgrind(void);

/* How often a stress test repeats its step, given `n` for a long run (NART_TEST_LONG in the
 * environment). At least once.
 *
 *                       long    otherwise
 *     plain             n       n / 10
 *     with a sanitizer  n / 10  n / 20
 *     under valgrind    n / 100 n / 200
 *
 * The models check every interleaving; stress tests cover what the models leave out. */
uint64_t test_repeat(uint64_t n);

/* The argument after the case's name, for a case that accepts one; NULL: none. */
const char *test_argument(void);

/* The directory of the program's source file, which holds the golden outputs. */
#define TEST_SOURCE_DIR NART_TEST_SOURCE_DIR

/* ---- implementation of the macros ---- */

#define TEST_CASE(id, name)                                                                        \
    static struct test_case test_case_##id = { name, __FILE__, test_body_##id, NULL };             \
    __attribute__((constructor)) static void test_add_##id(void)                                   \
    {                                                                                              \
        test_add(&test_case_##id);                                                                 \
    }

#define TEST_EACH_OF(a, b, c, d, n, ...) TEST_EACH_##n
#define TEST_EACH_1(name, kind)                                                                    \
    static void test_body_##name##_##kind(void)                                                    \
    {                                                                                              \
        test_each_##name(kind);                                                                    \
    }                                                                                              \
    TEST_CASE(name##_##kind, #name "." #kind)
#define TEST_EACH_2(name, kind, other) TEST_EACH_1(name, kind) TEST_EACH_1(name, other)
#define TEST_EACH_3(name, kind, ...) TEST_EACH_1(name, kind) TEST_EACH_2(name, __VA_ARGS__)
#define TEST_EACH_4(name, kind, ...) TEST_EACH_1(name, kind) TEST_EACH_3(name, __VA_ARGS__)

struct test_case {
    const char *name, *file;
    void (*body)(void);
    struct test_case *next;
};

void test_add(struct test_case *c);
NART__NORETURN __attribute__((format(printf, 3, 4))) void test_fail(const char *file, int line,
                                                                    const char *format, ...);
NART__NORETURN __attribute__((format(printf, 1, 2))) void test_skip(const char *format, ...);
void test_eq(const char *file, int line, const char *a, const char *b, intmax_t x, intmax_t y);
void test_ne(const char *file, int line, const char *a, const char *b, intmax_t x, intmax_t y);
void test_le(const char *file, int line, const char *a, const char *b, intmax_t x, intmax_t y);
void test_res(const char *file, int line, const char *a, nart_res x, nart_res y);
void test_str(const char *file, int line, const char *a, const char *x, const char *y);
void test_dies(const char *file, int line, const char *name, void (*fn)(void *), void *arg,
               const char *text);

#endif
