/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ft/clock.h"
#include "gen/tempo.h"

#define DAY_NS	 (86400 * FT_NS_PER_SECOND)
#define START_NS (5 * DAY_NS)

static struct ft_tempo tempo;

static ft_fine_time at_ns(uint64_t ns)
{
	return (ft_fine_time)ns << FT_FINE_SHIFT;
}

static void at_its_own_speed_a_schedule_is_the_clock(void **state)
{
	(void)state;
	ft_tempo_begin(&tempo, 1, START_NS);
	assert_int_equal(ft_tempo_ns(&tempo, at_ns(DAY_NS + 1)), START_NS + DAY_NS + 1);
	assert_true(ft_tempo_at(&tempo, START_NS + 17) == at_ns(17));
}

static void a_day_at_another_speed_is_exact_to_the_nanosecond(void **state)
{
	(void)state;
	ft_tempo_begin(&tempo, 3, START_NS);
	assert_int_equal(ft_tempo_ns(&tempo, at_ns(3 * DAY_NS)), START_NS + DAY_NS);
	assert_int_equal(ft_fine_ns(ft_tempo_at(&tempo, START_NS + DAY_NS)), 3 * DAY_NS);
	ft_tempo_begin(&tempo, 0.5, START_NS);
	assert_int_equal(ft_tempo_ns(&tempo, at_ns(DAY_NS)), START_NS + 2 * DAY_NS);
}

static void what_is_too_far_away_never_comes(void **state)
{
	(void)state;
	ft_tempo_begin(&tempo, 1, START_NS);
	assert_true(ft_tempo_ns(&tempo, (ft_fine_time)1 << 117) == FT_TEMPO_NEVER);
	ft_tempo_begin(&tempo, 1e-9, START_NS);
	assert_true(ft_tempo_ns(&tempo, at_ns(100 * DAY_NS)) == FT_TEMPO_NEVER);
	/* What was late before a change to next to nothing is late by no more than there was. */
	ft_tempo_change(&tempo, 1, false, START_NS + DAY_NS);
	ft_tempo_change(&tempo, 1e-9, false, START_NS + 2 * DAY_NS);
	assert_true(ft_tempo_ns(&tempo, 0) == 0);
}

static void a_change_goes_on_where_the_schedule_was(void **state)
{
	(void)state;
	ft_tempo_begin(&tempo, 1, START_NS);
	ft_tempo_change(&tempo, 2, false, START_NS + 100);
	assert_true(ft_tempo_at(&tempo, START_NS + 100) == at_ns(100));
	assert_int_equal(ft_tempo_ns(&tempo, at_ns(300)), START_NS + 200);
	ft_tempo_change(&tempo, 1, false, START_NS + 200);
	assert_int_equal(ft_tempo_ns(&tempo, at_ns(350)), START_NS + 250);
	/* What is late stays late. */
	assert_true(ft_tempo_ns(&tempo, at_ns(100)) < START_NS + 200);
}

static void in_a_pause_nothing_comes_and_no_time_passes(void **state)
{
	(void)state;
	ft_tempo_begin(&tempo, 1, START_NS);
	ft_tempo_change(&tempo, 1, true, START_NS + 100);
	assert_true(ft_tempo_ns(&tempo, 0) == FT_TEMPO_NEVER);
	assert_true(ft_tempo_ns(&tempo, at_ns(101)) == FT_TEMPO_NEVER);
	assert_true(ft_tempo_at(&tempo, START_NS + DAY_NS) == at_ns(100));
	ft_tempo_change(&tempo, 1, false, START_NS + DAY_NS);
	assert_int_equal(ft_tempo_ns(&tempo, at_ns(101)), START_NS + DAY_NS + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_its_own_speed_a_schedule_is_the_clock),
		cmocka_unit_test(a_day_at_another_speed_is_exact_to_the_nanosecond),
		cmocka_unit_test(what_is_too_far_away_never_comes),
		cmocka_unit_test(a_change_goes_on_where_the_schedule_was),
		cmocka_unit_test(in_a_pause_nothing_comes_and_no_time_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
