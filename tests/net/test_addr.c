/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Addresses as text. */
#include "net_test.h"

#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/resource.h>

static void there_and_back(const char *text, const char *expected)
{
    char buf[NART_ADDR_TEXT];
    nart_addr a;

    CHECK_RES(nart_addr_parse(&a, text), 0);
    CHECK_RES(nart_addr_format(&a, buf, sizeof buf), (nart_res)strlen(expected));
    CHECK_STR(buf, expected);
}

TEST(what_is_read_is_written)
{
    there_and_back("127.0.0.1:80", "127.0.0.1:80");
    there_and_back("0.0.0.0:0", "0.0.0.0:0");
    there_and_back("255.255.255.255:65535", "255.255.255.255:65535");
    there_and_back("[::1]:80", "[::1]:80");
    there_and_back("[::]:0", "[::]:0");
    there_and_back("[fe80::1%7]:443", "[fe80::1%7]:443");
    there_and_back("[2001:0db8:0000::0001]:00080", "[2001:db8::1]:80");
    there_and_back("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%4294967295]:65535",
                   "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
}

TEST(what_is_no_address_is_refused)
{
    /* clang-format off */
    static const char *const bad[] = {
        "", ":", "80", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:80x",
        "127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1: 1", "127.0.0.1:65536", "127.0.0.1:000080",
        "127.0.0.1:99999999999999999999", "127.0.0:80", "127.0.0.1.1:80", "256.0.0.1:80",
        " 127.0.0.1:80", "localhost:80", "::1:80", "[::1]", "[::1]80", "[::1]:", "[::1:80", "[]:80",
        "[::1]:80 ", "[127.0.0.1]:80", "[::1%]:80", "[::1%4294967296]:80",
        "[::g%lo]:80", "[::1%lo]:x", "[::1%lo:80", "[::g]:80", "[:::1]:80",
        "[1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111]:80",
        "1111111111111111111111111111111111111111:80",
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        nart_addr a;
        memset(&a, 0xFF, sizeof a);
        if (nart_addr_parse(&a, bad[i]) != -EINVAL)
            test_fail(__FILE__, __LINE__, "\"%s\" was taken for an address", bad[i]);
        CHECK_EQ(a.len, 0);
        CHECK_EQ(a.storage.ss_family, 0);
    }
    nart_addr a;
    CHECK_RES(nart_addr_parse(&a, NULL), -EINVAL);
    CHECK_RES(nart_addr_parse(NULL, "127.0.0.1:80"), -EINVAL);
}

TEST(a_scope_may_be_the_name_of_an_interface)
{
    char expected[NART_ADDR_TEXT];
    nart_addr a;

    snprintf(expected, sizeof expected, "[fe80::1%%%u]:80", if_nametoindex("lo"));
    there_and_back("[fe80::1%lo]:80", expected);
    static const char *const none[] = { "x", "1x", "-1", "lo ", "eth0.a_name_that_is_too_long" };
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        memset(&a, 0xFF, sizeof a);
        snprintf(expected, sizeof expected, "[fe80::1%%%s]:80", none[i]);
        CHECK_RES(nart_addr_parse(&a, expected), -ENODEV);
        CHECK_EQ(a.len, 0);
    }
    struct rlimit before;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, before.rlim_max }), 0);
    CHECK_RES(nart_addr_parse(&a, "[fe80::1%lo]:80"), -EMFILE);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(text_that_does_not_fit_is_refused)
{
    char buf[16] = "unchanged";
    nart_addr a;

    CHECK_RES(nart_addr_parse(&a, "127.0.0.1:80"), 0);
    CHECK_RES(nart_addr_format(&a, buf, 13), 12);
    CHECK_STR(buf, "127.0.0.1:80");
    CHECK_RES(nart_addr_format(&a, buf, 12), -ENOSPC);
    CHECK_STR(buf, "");
    CHECK_RES(nart_addr_format(&a, NULL, 0), -ENOSPC);
    a = (nart_addr){ .len = 0 };
    CHECK_RES(nart_addr_format(&a, buf, sizeof buf), -EAFNOSUPPORT);
}

TEST(the_port)
{
    nart_addr a;

    CHECK_RES(nart_addr_parse(&a, "127.0.0.1:8080"), 0);
    CHECK_EQ(nart_addr_port(&a), 8080);
    CHECK_RES(nart_addr_parse(&a, "[::1]:8081"), 0);
    CHECK_EQ(nart_addr_port(&a), 8081);
    CHECK_EQ(nart_addr_port(&(nart_addr){ .len = 0 }), 0);
}

TEST(sockets_refuse_what_is_no_address)
{
    nart_rt *rt = new_rt();
    nart_tcp_listener l;
    nart_udp u;
    nart_addr a = localhost(), unix_address = { .storage.ss_family = AF_UNIX, .len = 16 };

    CHECK_RES(nart_tcp_listen(rt, NULL, NULL, &l), -EINVAL);
    CHECK_RES(nart_tcp_listen(rt, &(nart_addr){ .len = 0 }, NULL, &l), -EINVAL);
    CHECK_RES(nart_tcp_listen(rt, &unix_address, NULL, &l), -EAFNOSUPPORT);
    CHECK_RES(nart_udp_open(rt, &unix_address, NULL, &u), -EAFNOSUPPORT);
    a.len--;
    CHECK_RES(nart_tcp_listen(rt, &a, NULL, &l), -EINVAL);
    a.len = sizeof a.storage + 1;
    CHECK_RES(nart_udp_open(rt, &a, NULL, &u), -EINVAL);
    CHECK_RES(nart_tcp_listener_close(&l), 0);
    CHECK_RES(nart_udp_close(&u), 0);
    CHECK_RES(nart_rt_free(rt), 0);
}
