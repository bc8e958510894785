/* SPDX-License-Identifier: Apache-2.0 */
/* Run by the receiver's thread, once a frame: in order, it is one bit set, a few nanoseconds. */
#include "ft/sequence.h"

#include <stdbool.h>
#include <string.h>

static uint64_t *word_of(struct ft_sequence *sequence, uint64_t number)
{
	return &sequence->seen[number % FT_SEQUENCE_WINDOW / 64];
}

static uint64_t bit_of(uint64_t number)
{
	return 1ull << number % 64;
}

/* Set the number's bit; returns whether it was set before. */
static bool test_and_set(struct ft_sequence *sequence, uint64_t number)
{
	uint64_t *word = word_of(sequence, number), bit = bit_of(number);
	bool was_set = (*word & bit) != 0;

	*word |= bit;
	return was_set;
}

/* Move the window up to `number`, which becomes the highest; the numbers skipped have not come. */
static void advance(struct ft_sequence *sequence, uint64_t next, uint64_t number)
{
	if (number - next >= FT_SEQUENCE_WINDOW) {
		memset(sequence->seen, 0, sizeof(sequence->seen));
	} else {
		for (uint64_t n = next; n <= number; n++)
			*word_of(sequence, n) &= ~bit_of(n);
	}
	ft_count_set(&sequence->next, number + 1);
}

enum ft_sequence_verdict ft_sequence_observe(struct ft_sequence *sequence, uint32_t number)
{
	uint64_t next = ft_count_read(&sequence->next);
	uint32_t behind = (uint32_t)next - number;

	if (behind == 0 || behind > FT_SEQUENCE_BEHIND) { /* the next one, or ahead of it */
		uint64_t extended = next + (uint32_t)-behind;

		advance(sequence, next, extended);
		test_and_set(sequence, extended);
		ft_count_add(&sequence->distinct, 1);
		return FT_SEQUENCE_FIRST;
	}
	if (behind > FT_SEQUENCE_WINDOW || behind > next) {
		ft_count_add(&sequence->too_late, 1); /* or before the first, which none sent */
		return FT_SEQUENCE_TOO_LATE;
	}
	if (test_and_set(sequence, next - behind)) {
		ft_count_add(&sequence->duplicate, 1);
		return FT_SEQUENCE_DUPLICATE;
	}
	ft_count_add(&sequence->distinct, 1);
	ft_count_add(&sequence->reordered, 1);
	return FT_SEQUENCE_FIRST;
}
