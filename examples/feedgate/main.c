/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* main.c: feedgate, a market-data gateway on real traffic.
 *
 *   feedgate --server PROGRAM [--seconds 10] [--rate 200000] [--subscribers 4]
 *
 * Starts an exchange that sends sequenced UDP datagrams, a price server that is slow, answers 500,
 * resets and stalls, and a process of subscribers; keeps order books of the feed, serves the tops to
 * the subscribers, fetches prices and writes snapshots meanwhile; and tells what it cost. The exit
 * status is 0 when every check of the report holds. */
#include "feedgate.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static int usage(void)
{
    fputs("usage: feedgate --server PROGRAM [--seconds N] [--rate N] [--subscribers N]\n", stderr);
    return 2;
}

static bool number(const char *text, long least, long most, long *out)
{
    char *end;
    errno = 0;
    *out = strtol(text, &end, 10);
    return errno == 0 && *text && !*end && *out >= least && *out <= most;
}

static int gateway(int argc, char **argv)
{
    static const struct option known[] = { { "server", required_argument, NULL, 's' },
                                           { "seconds", required_argument, NULL, 't' },
                                           { "rate", required_argument, NULL, 'r' },
                                           { "subscribers", required_argument, NULL, 'n' },
                                           { NULL, 0, NULL, 0 } };
    struct options o = { .seconds = 10, .rate = 200000, .subscribers = 4 };
    long n = 0;
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 's')
            o.server = optarg;
        else if (c == 't' && number(optarg, 1, 86400, &n))
            o.seconds = (int)n;
        else if (c == 'r' && number(optarg, 1, 10000000, &n))
            o.rate = (uint64_t)n;
        else if (c == 'n' && number(optarg, 1, GATE_SUBSCRIBERS, &n))
            o.subscribers = (int)n;
        else
            return usage();
    }
    return o.server && optind == argc ? gateway_main(&o, "/proc/self/exe") : usage();
}

int main(int argc, char **argv)
{
    long rate, seconds, count;

    if (argc == 5 && strcmp(argv[1], "generate") == 0 && number(argv[3], 1, 10000000, &rate) &&
        number(argv[4], 1, 86400, &seconds))
        return generator_main(argv[2], (uint64_t)rate, seconds * NART_SEC);
    if (argc == 4 && strcmp(argv[1], "subscribe") == 0 &&
        number(argv[3], 1, GATE_SUBSCRIBERS, &count))
        return subscriber_main(argv[2], (int)count);
    return gateway(argc, argv);
}
