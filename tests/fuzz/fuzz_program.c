/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Runs arbitrary bytes as a program (program.c), guided by coverage. `test_fuzz_program programs
 * FILE` replays what it finds. */
#include "program.h"

#include "test.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* For the checks of the clock: libFuzzer writes its file when a program aborts, not when it
 * exits. */
void test_le(const char *file, int line, const char *a, const char *b, intmax_t x, intmax_t y)
{
    if (x <= y)
        return;
    fprintf(stderr, "%s:%d: %s <= %s\n", file, line, a, b);
    abort();
}

void test_res(const char *file, int line, const char *a, nart_res x, nart_res y)
{
    test_le(file, line, a, "the answer", x != y, 0);
}

void test_fail(const char *file, int line, const char *format, ...)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, format);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    program_run(data, size);
    return 0;
}
