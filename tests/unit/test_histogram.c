/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The histogram of poll times: every value falls into its bucket, percentiles are correct. */
#include "runtime.h"
#include "test.h"

#include "observe/histogram.h"

static nart__histogram t;

static void check_alone(int64_t v)
{
    t = (nart__histogram){ 0 };
    nart__histogram_add(&t, v);
    nart__histogram_add(&t, INT64_MAX); /* so that the maximum does not clip the bound */
    int64_t bound = nart__histogram_percentile(&t, 50);
    CHECK_LE(v, bound);
    CHECK_LE(bound - v, v / 16);
}

TEST(a_bucket_is_never_too_small_nor_much_too_large)
{
    uint64_t x = 1;

    for (int64_t v = 0; v < 5000; v++)
        check_alone(v);
    for (int bit = 4; bit < 63; bit++) {
        check_alone((INT64_C(1) << bit) - 1);
        check_alone(INT64_C(1) << bit);
        check_alone((INT64_C(1) << bit) + 1);
    }
    for (int i = 0; i < 10000; i++)
        check_alone((int64_t)(random_next(&x) >> (1 + random_next(&x) % 62)));
    check_alone(INT64_MAX);
}

TEST(percentiles_of_a_hundred_values)
{
    CHECK_EQ(nart__histogram_percentile(&t, 50), 0);
    for (int64_t v = 1; v <= 100; v++)
        nart__histogram_add(&t, v <= 90 ? 10 : 10 * v);
    CHECK_EQ(nart__histogram_percentile(&t, 0), 10);
    CHECK_EQ(nart__histogram_percentile(&t, 50), 10);
    CHECK_EQ(nart__histogram_percentile(&t, 90), 10);
    CHECK_EQ(nart__histogram_percentile(&t, 91), 927); /* 910 is in the bucket 896 .. 927 */
    CHECK_EQ(nart__histogram_percentile(&t, 100), 1000);
    CHECK_EQ(t.longest, 1000);
    CHECK_EQ(t.count, 100);
}

TEST(a_histogram_of_powers_of_two_is_exact)
{
    for (int64_t v = 1; v <= 4096; v++)
        nart__histogram_add(&t, v);
    for (int bit = 1; bit <= 12; bit++)
        CHECK_EQ(nart__histogram_within(&t, (INT64_C(1) << bit) - 1), (1 << bit) - 1);
    CHECK_EQ(nart__histogram_within(&t, INT64_MAX), 4096);
    CHECK_EQ(nart__histogram_within(&t, 1000), 1023); /* 1000 is in the bucket 992 .. 1023 */
    CHECK_EQ(nart__histogram_within(&t, 0), 0);
    CHECK_EQ(nart__histogram_within(&t, INT64_MIN), 0);
}
