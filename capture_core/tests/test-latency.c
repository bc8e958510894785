/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ft/latency.h"

#define NOW_NS	     1795576470509215882ull
#define WRAP_NS	     (1ull << 48)
#define LOW_48(time) ((time) & (WRAP_NS - 1))

static void a_frame_is_under_way_for_as_long_whenever_it_is_sent(void **state)
{
	static const int64_t ways_ns[] = {0, 1, 2000, 3600000000000, -1, -2000};

	(void)state;
	for (unsigned i = 0; i < sizeof(ways_ns) / sizeof(ways_ns[0]); i++) {
		/* All around the moment at which 48 bits begin anew, and far from it. */
		uint64_t wrap_ns = NOW_NS / WRAP_NS * WRAP_NS;
		uint64_t sent_ns[] = {NOW_NS,	   wrap_ns - 1,	   wrap_ns,
				      wrap_ns + 1, wrap_ns - 1000, wrap_ns + 5 * WRAP_NS - 1};

		for (unsigned j = 0; j < sizeof(sent_ns) / sizeof(sent_ns[0]); j++)
			assert_int_equal(ft_latency_between(LOW_48(sent_ns[j]),
							    sent_ns[j] + (uint64_t)ways_ns[i]),
					 ways_ns[i]);
	}
}

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static void it_is_described_with_jitter_and_variation(void **state)
{
	struct ft_latency *latency = calloc(1, sizeof(*latency));
	json_t *object;

	(void)state;
	assert_non_null(latency);
	ft_latency_record(latency, 100, FT_LATENCY_NONE);
	ft_latency_record(latency, 130, 100);
	ft_latency_record(latency, 120, 130);
	object = ft_latency_describe(latency, "two clocks");
	assert_true(number(object, "samples") == 3);
	assert_true(number(object, "min") == 100);
	assert_true(number(object, "p50") == 120);
	assert_true(number(object, "max") == 130);
	assert_true(number(object, "jitter_ns") == 20);
	assert_true(number(object, "pdv_ns") == 30);
	assert_string_equal(json_string_value(json_object_get(object, "source")), "two clocks");
	json_decref(object);
	free(latency);
}

static void negative_ones_are_counted_and_in_no_other_figure(void **state)
{
	struct ft_latency *latency = calloc(1, sizeof(*latency));
	json_t *object;

	(void)state;
	assert_non_null(latency);
	ft_latency_record(latency, -5, FT_LATENCY_NONE);
	object = ft_latency_describe(latency, "");
	assert_true(json_is_null(object));
	json_decref(object);
	ft_latency_record(latency, 7, FT_LATENCY_NONE);
	object = ft_latency_describe(latency, "");
	assert_true(number(object, "negative") == 1);
	assert_true(number(object, "samples") == 1);
	assert_true(number(object, "min") == 7);
	assert_true(json_is_null(json_object_get(object, "jitter_ns")));
	json_decref(object);
	free(latency);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_is_under_way_for_as_long_whenever_it_is_sent),
		cmocka_unit_test(it_is_described_with_jitter_and_variation),
		cmocka_unit_test(negative_ones_are_counted_and_in_no_other_figure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
