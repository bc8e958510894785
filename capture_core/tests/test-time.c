/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ft/extract.h"

static uint64_t parse(const char *text)
{
	struct ft_error error;
	uint64_t ns;

	if (ft_parse_time_ns(text, &ns, &error) != 0)
		fail_msg("%s", error.text);
	return ns;
}

static void a_time_is_utc_unless_it_names_a_zone(void **state)
{
	(void)state;
	assert_true(parse("2023-11-14T22:13:20") == 1700000000000000000u);
	assert_true(parse("2023-11-14T22:13:20Z") == 1700000000000000000u);
	assert_true(parse("2023-11-14 22:13:20Z") == 1700000000000000000u);
	assert_true(parse("2023-11-15T00:13:20+02:00") == 1700000000000000000u);
	assert_true(parse("2023-11-14T17:43:20-0430") == 1700000000000000000u);
	assert_true(parse("2023-11-14T22:13") == 1699999980000000000u);
	assert_true(parse("2023-11-14") == 1699920000000000000u);
	assert_true(parse("2024-02-29") == 1709164800000000000u);
}

static void fractions_are_exact_to_the_nanosecond(void **state)
{
	(void)state;
	assert_true(parse("2023-11-14T22:13:20.123456789Z") == 1700000000123456789u);
	assert_true(parse("2023-11-14T22:13:20.5") == 1700000000500000000u);
	assert_true(parse("2023-11-14T22:13:20.1234567899Z") == 1700000000123456789u);
}

static void seconds_since_1970_are_a_time(void **state)
{
	(void)state;
	assert_true(parse("0") == 0);
	assert_true(parse("1700000000") == 1700000000000000000u);
	assert_true(parse("1700000000.000000001") == 1700000000000000001u);
}

static void what_is_no_time_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"now",
		"-1",
		"12:00",
		"2023-11-14T",
		"2023-11-14T22",
		"2023-13-01",
		"2023-02-29",
		"2023-11-14T24:00",
		"2023-11-14T22:61",
		"2023-11-14T22:13:20.",
		"2023-11-14T22:13:20+2",
		"2023-11-14T22:13:20+02:00x",
		"2023-11-14T22:13:20 Z",
		"1969-12-31",
		"1970-01-01T00:00+01:00",
		"9999-01-01",
		"99999999999999999999",
		"1e9",
		"1700000000.",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct ft_error error;
		uint64_t ns;

		if (ft_parse_time_ns(texts[i], &ns, &error) != -EINVAL)
			fail_msg("'%s' is taken for a time", texts[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_time_is_utc_unless_it_names_a_zone),
		cmocka_unit_test(fractions_are_exact_to_the_nanosecond),
		cmocka_unit_test(seconds_since_1970_are_a_time),
		cmocka_unit_test(what_is_no_time_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
