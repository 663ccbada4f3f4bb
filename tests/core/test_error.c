/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every error has a name and a one-line text. */
#include "core.h"

#include <string.h>

static void check_total(nart_res r)
{
    const char *name = nart_err_name(r), *text = nart_strerror(r);

    CHECK(name && *name && !strpbrk(name, " \n"));
    CHECK(text && *text && !strchr(text, '\n'));
}

TEST(every_answer_has_a_name_and_a_line)
{
    for (nart_res r = -9000; r < 10; r++)
        check_total(r);
    check_total(NART_PENDING);
    check_total(INT64_MIN);
    check_total(INT64_MAX);
    check_total((nart_res)INT32_MIN - 1);
    CHECK_STR(nart_err_name(7), "ok");
    CHECK_STR(nart_err_name(-9000), "unknown");
}

static const struct {
    nart_res code;
    const char *name, *text;
} own[] = {
#define OWN(name, code, text) { NART_##name, "NART_" #name, text },
    NART_ERRORS(OWN)
#undef OWN
};

TEST(an_error_of_its_own_is_named_and_explained)
{
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        CHECK_LE(-8191, own[i].code);
        CHECK_LE(own[i].code, -4096);
        CHECK_STR(nart_err_name(own[i].code), own[i].name);
        CHECK_STR(nart_strerror(own[i].code), own[i].text);
        for (size_t k = 0; k < i; k++)
            CHECK_NE(own[i].code, own[k].code);
    }
}

/* A blocking function may return any of them. */
TEST(every_errno_that_the_system_knows_has_a_name)
{
    char none[64];

    for (int e = 1; e < 4096; e++) {
        snprintf(none, sizeof none, "Unknown error %d", e);
        if (strcmp(strerror(e), none) != 0 && strcmp(strerror(e), "No error information") != 0)
            CHECK(strcmp(nart_err_name(-e), "unknown") != 0);
    }
}

/* The text names the exhausted resource and the option that raises its limit. */
TEST(a_limit_of_the_runtime_names_its_option)
{
    CHECK(strstr(nart_strerror(NART_ESLOTS), "nart_rt_opts.slots"));
    CHECK(strstr(nart_strerror(NART_EFDS), "nart_rt_opts.max_io"));
    CHECK(strstr(nart_strerror(NART_EFRAME), "_boxed"));
}

TEST(an_errno_has_its_own_name)
{
    CHECK_STR(nart_err_name(-ECHILD), "ECHILD");
    CHECK_STR(nart_err_name(-ECANCELED), "ECANCELED");
    CHECK_STR(nart_err_name(-ETIMEDOUT), "ETIMEDOUT");
    CHECK_STR(nart_err_name(-EPROTOTYPE), "EPROTOTYPE");
    CHECK_STR(nart_err_name(-EDESTADDRREQ), "EDESTADDRREQ");
    CHECK_STR(nart_err_name(-ECHILD), "ECHILD");
    CHECK_STR(nart_strerror(-ENOENT), strerror(ENOENT));
}
