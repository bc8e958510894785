/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ft/units.h"

static struct ft_error error;

static void numbers_are_taken_whole_and_within_their_range(void **state)
{
	static const char *const bad[] = {"",	"-1",	"+1",  " 1",  "1 ",
					  "1k", "0x10", "101", "1.5", "18446744073709551616"};
	uint64_t value;

	(void)state;
	assert_int_equal(ft_parse_number("100", 1, 100, &value, &error), 0);
	assert_int_equal(value, 100);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ft_parse_number(bad[i], 0, 100, &value, &error), -EINVAL);
}

static void sizes_know_powers_of_1000_from_powers_of_1024(void **state)
{
	uint64_t bytes;

	(void)state;
	assert_int_equal(ft_parse_size_bytes("4096", &bytes, &error), 0);
	assert_int_equal(bytes, 4096);
	assert_int_equal(ft_parse_size_bytes("64KiB", &bytes, &error), 0);
	assert_int_equal(bytes, 65536);
	assert_int_equal(ft_parse_size_bytes("64kB", &bytes, &error), 0);
	assert_int_equal(bytes, 64000);
	assert_int_equal(ft_parse_size_bytes("1.5GiB", &bytes, &error), 0);
	assert_int_equal(bytes, 3ull << 29);
	assert_int_equal(ft_parse_size_bytes("0", &bytes, &error), -EINVAL);
	assert_int_equal(ft_parse_size_bytes("1KB", &bytes, &error), -EINVAL);
	assert_int_equal(ft_parse_size_bytes("nan", &bytes, &error), -EINVAL);
}

static void durations_are_seconds_above_zero(void **state)
{
	uint64_t ns;

	(void)state;
	assert_int_equal(ft_parse_duration_ns("0.5", &ns, &error), 0);
	assert_int_equal(ns, 500000000);
	assert_int_equal(ft_parse_duration_ns("1.5s", &ns, &error), 0);
	assert_int_equal(ns, 1500000000);
	assert_int_equal(ft_parse_duration_ns("1m", &ns, &error), 0);
	assert_int_equal(ns, 60000000000);
	assert_int_equal(ft_parse_duration_ns("2h", &ns, &error), 0);
	assert_int_equal(ns, 7200000000000);
	assert_int_equal(ft_parse_duration_ns("0", &ns, &error), -EINVAL);
	assert_int_equal(ft_parse_duration_ns("1d", &ns, &error), -EINVAL);
	assert_int_equal(ft_parse_duration_ns("-1", &ns, &error), -EINVAL);
	assert_int_equal(ft_parse_duration_ns("inf", &ns, &error), -EINVAL);
}

static void rates_keep_their_unit(void **state)
{
	static const struct {
		const char *text;
		enum ft_rate_unit unit;
		double value;
	} good[] = {
		{"max", FT_RATE_MAX, 0},
		{"10kpps", FT_RATE_PPS, 1e4},
		{"1.5Gbps", FT_RATE_BPS, 1.5e9},
		{"500MbpsL1", FT_RATE_BPS_L1, 5e8},
		{"40%", FT_RATE_PERCENT, 40},
		{"0.5pps", FT_RATE_PPS, 0.5},
		{"14.88Mpps", FT_RATE_PPS, 14.88e6},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct ft_rate rate;

		assert_int_equal(ft_parse_rate(good[i].text, &rate, &error), 0);
		assert_int_equal(rate.unit, good[i].unit);
		assert_float_equal(rate.value, good[i].value, 1e-6);
	}
}

static void a_bad_rate_is_quoted_with_what_would_be_right(void **state)
{
	static const char *const bad[] = {"10",	    "0pps", "-1pps", "101%",
					  "1e5pps", "pps",  "Max",   ""};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ft_rate rate;

		assert_int_equal(ft_parse_rate(bad[i], &rate, &error), -EINVAL);
		assert_non_null(strstr(error.text, bad[i]));
		assert_non_null(strstr(error.text, "Mpps"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_taken_whole_and_within_their_range),
		cmocka_unit_test(sizes_know_powers_of_1000_from_powers_of_1024),
		cmocka_unit_test(durations_are_seconds_above_zero),
		cmocka_unit_test(rates_keep_their_unit),
		cmocka_unit_test(a_bad_rate_is_quoted_with_what_would_be_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
