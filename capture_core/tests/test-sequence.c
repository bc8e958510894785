/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ft/sequence.h"

/* As a run that has come so far, all frames received. */
static struct ft_sequence *after(uint64_t frames)
{
	struct ft_sequence *sequence = calloc(1, sizeof(*sequence));

	assert_non_null(sequence);
	ft_count_set(&sequence->next, frames);
	ft_count_set(&sequence->distinct, frames);
	if (frames > 0)
		memset(sequence->seen, 0xff, sizeof(sequence->seen));
	return sequence;
}

static void observe_all(struct ft_sequence *sequence, const uint32_t *numbers, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		ft_sequence_observe(sequence, numbers[i]);
}

static void assert_counts(const struct ft_sequence *sequence, uint64_t distinct, uint64_t duplicate,
			  uint64_t reordered, uint64_t too_late)
{
	assert_int_equal(sequence->distinct, distinct);
	assert_int_equal(sequence->duplicate, duplicate);
	assert_int_equal(sequence->reordered, reordered);
	assert_int_equal(sequence->too_late, too_late);
}

static void frames_in_order_are_distinct_and_nothing_else(void **state)
{
	struct ft_sequence *sequence = after(0);

	(void)state;
	for (uint32_t n = 0; n < 3 * FT_SEQUENCE_WINDOW; n++)
		ft_sequence_observe(sequence, n);
	assert_counts(sequence, 3ull * FT_SEQUENCE_WINDOW, 0, 0, 0);
	free(sequence);
}

static void a_gap_is_missing_until_its_frames_come_late(void **state)
{
	static const uint32_t numbers[] = {0, 1, 5, 3, 2};
	struct ft_sequence *sequence = after(0);

	(void)state;
	observe_all(sequence, numbers, 5);
	assert_counts(sequence, 5, 0, 2, 0);
	assert_int_equal(sequence->next - sequence->distinct, 1); /* 4 */
	free(sequence);
}

static void a_copy_is_a_duplicate_whether_it_comes_at_once_or_late(void **state)
{
	static const uint32_t numbers[] = {0, 0, 1, 2, 3, 1, 1, 3};
	struct ft_sequence *sequence = after(0);

	(void)state;
	observe_all(sequence, numbers, 8);
	assert_counts(sequence, 4, 4, 0, 0);
	free(sequence);
}

static void what_falls_out_of_the_window_is_neither_frame_nor_copy(void **state)
{
	struct ft_sequence *sequence = after(0);

	(void)state;
	ft_sequence_observe(sequence, 0);
	ft_sequence_observe(sequence, FT_SEQUENCE_WINDOW); /* window: 1 .. FT_SEQUENCE_WINDOW */
	ft_sequence_observe(sequence, 1);
	assert_counts(sequence, 3, 0, 1, 0);
	ft_sequence_observe(sequence, 0);
	assert_counts(sequence, 3, 0, 1, 1);
	free(sequence);
}

static void a_leap_over_the_whole_window_forgets_it(void **state)
{
	struct ft_sequence *sequence = after(0);

	(void)state;
	for (uint32_t n = 0; n < 100; n++)
		ft_sequence_observe(sequence, n);
	ft_sequence_observe(sequence, 5 * FT_SEQUENCE_WINDOW + 50);
	ft_sequence_observe(sequence, 5 * FT_SEQUENCE_WINDOW + 49);
	ft_sequence_observe(sequence, 5 * FT_SEQUENCE_WINDOW);
	assert_counts(sequence, 103, 0, 2, 0);
	free(sequence);
}

static void numbers_go_on_where_32_bits_end(void **state)
{
	struct ft_sequence *sequence = after((1ull << 32) - 2);

	(void)state;
	ft_sequence_observe(sequence, UINT32_MAX - 1);
	ft_sequence_observe(sequence, 1); /* 2^32 + 1 */
	ft_sequence_observe(sequence, UINT32_MAX);
	ft_sequence_observe(sequence, 0);
	ft_sequence_observe(sequence, UINT32_MAX);
	assert_int_equal(sequence->next, (1ull << 32) + 2);
	assert_counts(sequence, (1ull << 32) + 2, 1, 2, 0);
	free(sequence);
}

static void every_further_turn_of_32_bits_is_counted(void **state)
{
	struct ft_sequence *sequence = after(0);

	(void)state;
	for (uint64_t n = 0; n <= 5ull << 32; n += 1u << 27)
		assert_int_equal(ft_sequence_observe(sequence, (uint32_t)n), FT_SEQUENCE_FIRST);
	assert_int_equal(sequence->next, (5ull << 32) + 1);
	assert_counts(sequence, (5u << 5) + 1, 0, 0, 0);
	free(sequence);
}

/* Three minutes at line rate of the smallest frame: more numbers than half of 32 bits. */
static void a_long_outage_is_told_from_a_step_back(void **state)
{
	uint64_t outage = 3 * 60 * 14880952ull;
	struct ft_sequence *sequence = after(1000);

	(void)state;
	assert_true(outage > 1ull << 31);
	ft_sequence_observe(sequence, (uint32_t)(1000 + outage));
	assert_int_equal(sequence->next, 1001 + outage);
	assert_counts(sequence, 1001, 0, 0, 0);
	free(sequence);
}

static void a_number_from_before_the_first_is_not_a_frame(void **state)
{
	struct ft_sequence *sequence = after(0);

	(void)state;
	ft_sequence_observe(sequence, UINT32_MAX);
	assert_counts(sequence, 0, 0, 0, 1);
	free(sequence);
}

/* Against a plain list of what has come, for random loss, copies and delay. */
static void random_order_agrees_with_a_plain_list(void **state)
{
	enum { FRAMES = 20000, DELAY = 500 };
	struct ft_sequence *sequence = after(0);
	uint8_t *came = calloc(FRAMES, 1);
	uint64_t distinct = 0, duplicate = 0, reordered = 0, highest = 0;

	(void)state;
	assert_non_null(came);
	srand(1); /* the same order every time */
	for (unsigned step = 0; step < 3 * FRAMES; step++) {
		uint64_t n = step / 3 + (unsigned)rand() % DELAY;

		if (n >= FRAMES)
			continue;
		ft_sequence_observe(sequence, (uint32_t)n);
		duplicate += came[n];
		distinct += !came[n];
		reordered += !came[n] && n < highest;
		highest = n > highest ? n : highest;
		came[n] = 1;
	}
	assert_counts(sequence, distinct, duplicate, reordered, 0);
	free(came);
	free(sequence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_in_order_are_distinct_and_nothing_else),
		cmocka_unit_test(a_gap_is_missing_until_its_frames_come_late),
		cmocka_unit_test(a_copy_is_a_duplicate_whether_it_comes_at_once_or_late),
		cmocka_unit_test(what_falls_out_of_the_window_is_neither_frame_nor_copy),
		cmocka_unit_test(a_leap_over_the_whole_window_forgets_it),
		cmocka_unit_test(numbers_go_on_where_32_bits_end),
		cmocka_unit_test(every_further_turn_of_32_bits_is_counted),
		cmocka_unit_test(a_long_outage_is_told_from_a_step_back),
		cmocka_unit_test(a_number_from_before_the_first_is_not_a_frame),
		cmocka_unit_test(random_order_agrees_with_a_plain_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
