/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ft/clock.h"
#include "ft/pacing.h"

#define GBIT 1000000000ull

static struct ft_error error;

static struct ft_pace pace_of(enum ft_rate_unit unit, double value, uint64_t speed_bps)
{
	const struct ft_rate rate = {.unit = unit, .value = value};
	struct ft_pace pace;

	assert_int_equal(ft_pace_set(&pace, &rate, speed_bps, &error), 0);
	return pace;
}

/* When frame number `frames` of `bytes` bytes without FCS is due. */
static uint64_t due_ns(const struct ft_pace *pace, uint64_t frames, uint32_t bytes)
{
	return ft_fine_ns(ft_pace_cost(pace, bytes) * frames);
}

static void top_speed_makes_every_frame_due_at_once(void **state)
{
	struct ft_pace pace = pace_of(FT_RATE_MAX, 0, 0);

	(void)state;
	assert_int_equal(due_ns(&pace, UINT32_MAX, 1514), 0);
}

static void a_day_of_line_rate_drifts_by_less_than_a_microsecond(void **state)
{
	struct ft_pace pace = pace_of(FT_RATE_PPS, 14880952, 0);
	uint64_t day = 86400ull * 14880952, due = due_ns(&pace, day, 60);

	(void)state;
	assert_in_range(due, 86400 * FT_NS_PER_SECOND - 1000, 86400 * FT_NS_PER_SECOND + 1000);
}

static void the_slowest_rates_fit(void **state)
{
	struct ft_pace pace = pace_of(FT_RATE_PPS, 0.001, 0);

	(void)state;
	assert_in_range(due_ns(&pace, 3, 60), 3000 * FT_NS_PER_SECOND - 1,
			3000 * FT_NS_PER_SECOND + 1);
	pace = pace_of(FT_RATE_BPS, 1e-30, 0);
	assert_true(ft_pace_cost(&pace, 65553) > (ft_fine_time)86400 * FT_NS_PER_SECOND
							 << FT_FINE_SHIFT);
}

static void bits_a_second_count_the_fcs(void **state)
{
	struct ft_pace pace = pace_of(FT_RATE_BPS, 512e6, 0);

	(void)state;
	assert_int_equal(due_ns(&pace, 1000000, 60), FT_NS_PER_SECOND);
}

static void layer_1_counts_preamble_and_gap(void **state)
{
	struct ft_pace pace = pace_of(FT_RATE_BPS_L1, 10e9, 0);

	(void)state; /* 67.2 ns a frame: reference figure of 10GbE and 64 bytes */
	assert_in_range(due_ns(&pace, 10000000, 60), 672000000 - 10, 672000000 + 10);
}

static void a_percentage_is_of_layer_1_at_link_speed(void **state)
{
	struct ft_pace whole = pace_of(FT_RATE_BPS_L1, 4e9, 0);
	struct ft_pace part = pace_of(FT_RATE_PERCENT, 40, 10 * GBIT);

	(void)state;
	assert_memory_equal(&whole, &part, sizeof(whole));
}

static void a_percentage_of_an_unknown_speed_is_refused(void **state)
{
	const struct ft_rate rate = {.unit = FT_RATE_PERCENT, .value = 40};
	struct ft_pace pace;

	(void)state;
	assert_int_equal(ft_pace_set(&pace, &rate, 0, &error), -EINVAL);
	assert_non_null(strstr(error.text, "40%"));
}

static void frames_a_second_come_back_from_their_cost(void **state)
{
	struct ft_pace pace = pace_of(FT_RATE_PPS, 1e6, 0);

	(void)state;
	assert_float_equal(ft_pace_pps(ft_pace_cost(&pace, 60)), 1e6, 1e-3);
	assert_float_equal(ft_pace_pps(0), 0, 0);
}

static void waiting_ends_when_due_or_told_to_look(void **state)
{
	atomic_bool stop = false, changed = false;
	uint64_t due = ft_clock_monotonic_ns() + 100000;

	(void)state;
	assert_true(ft_pace_wait(due, &stop, &changed) >= due);
	assert_true(ft_pace_wait(0, &stop, &changed) >= due);
	changed = true;
	assert_true(ft_pace_wait(UINT64_MAX, &stop, &changed) < UINT64_MAX);
	changed = false;
	stop = true;
	assert_true(ft_pace_wait(UINT64_MAX, &stop, &changed) < UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(top_speed_makes_every_frame_due_at_once),
		cmocka_unit_test(a_day_of_line_rate_drifts_by_less_than_a_microsecond),
		cmocka_unit_test(the_slowest_rates_fit),
		cmocka_unit_test(bits_a_second_count_the_fcs),
		cmocka_unit_test(layer_1_counts_preamble_and_gap),
		cmocka_unit_test(a_percentage_is_of_layer_1_at_link_speed),
		cmocka_unit_test(a_percentage_of_an_unknown_speed_is_refused),
		cmocka_unit_test(frames_a_second_come_back_from_their_cost),
		cmocka_unit_test(waiting_ends_when_due_or_told_to_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
