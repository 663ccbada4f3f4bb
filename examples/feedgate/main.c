/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* main.c: feedgate, a market-data gateway on real traffic.
 *
 *   feedgate --server PROGRAM [--seconds 10] [--rate 200000] [--subscribers 4] [--trace FILE]
 *
 * Starts a generator that sends sequenced UDP datagrams, a price server that fails at times, and a
 * process of subscribers; keeps order books of the feed, serves the tops to the subscribers, fetches
 * prices and writes snapshots meanwhile; and reports the latencies. The exit status is 0 when every check
 * of the report holds. PROGRAM prints its port first and ends when its standard input closes.
 * FILE gets a trace of the end of the run, for the viewer at ui.perfetto.dev. */
#include "feedgate.h"

#include <getopt.h>
#include <limits.h>
#include <unistd.h>

#define RATE_MOST 10000000
#define DAY 86400

static int usage(void)
{
    fputs("usage: feedgate --server PROGRAM [--seconds N] [--rate N] [--subscribers N] "
          "[--trace FILE]\n",
          stderr);
    return 2;
}

static bool number(const char *text, int64_t most, int64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && !*end && *out >= 1 && *out <= most;
}

static int gateway(int argc, char **argv)
{
    static const struct option known[] = {
        { "server", required_argument, NULL, 's' }, { "seconds", required_argument, NULL, 't' },
        { "rate", required_argument, NULL, 'r' },   { "subscribers", required_argument, NULL, 'n' },
        { "trace", required_argument, NULL, 'f' },  { NULL, 0, NULL, 0 }
    };
    struct options o = { .seconds = 10, .rate = 200000, .subscribers = 4 };
    char self[PATH_MAX];
    int64_t n = 0;
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 's')
            o.server = optarg;
        else if (c == 't' && number(optarg, DAY, &n))
            o.seconds = n;
        else if (c == 'r' && number(optarg, RATE_MOST, &n))
            o.rate = (uint64_t)n;
        else if (c == 'n' && number(optarg, GATE_SUBSCRIBERS, &n))
            o.subscribers = (int)n;
        else if (c == 'f')
            o.trace = optarg;
        else
            return usage();
    }
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (!o.server || optind != argc || len < 0)
        return usage();
    self[len] = '\0';
    return gateway_main(&o, self);
}

int main(int argc, char **argv)
{
    static char out[BUFSIZ];
    int64_t rate, seconds, window, count;

    setvbuf(stdout, out, _IOLBF, sizeof out); /* so that printing allocates nothing */
    if (argc == 6 && strcmp(argv[1], "generate") == 0 && number(argv[3], RATE_MOST, &rate) &&
        number(argv[4], DAY, &seconds) && number(argv[5], INT32_MAX, &window))
        return generator_main(argv[2], (uint64_t)rate, seconds * NART_SEC, (uint64_t)window);
    if (argc == 4 && strcmp(argv[1], "subscribe") == 0 && number(argv[3], GATE_SUBSCRIBERS, &count))
        return subscriber_main(argv[2], (int)count);
    return gateway(argc, argv);
}
