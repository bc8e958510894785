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
static void advance(struct ft_sequence *sequence, uint64_t number)
{
	if (number - sequence->next >= FT_SEQUENCE_WINDOW) {
		memset(sequence->seen, 0, sizeof(sequence->seen));
	} else {
		for (uint64_t n = sequence->next; n <= number; n++)
			*word_of(sequence, n) &= ~bit_of(n);
	}
	sequence->next = number + 1;
}

void ft_sequence_observe(struct ft_sequence *sequence, uint32_t number)
{
	/* The 64-bit number nearest to the next one expected. */
	int64_t ahead = (int32_t)(number - (uint32_t)sequence->next);
	uint64_t extended = sequence->next + (uint64_t)ahead;
	uint64_t behind = ahead < 0 ? (uint64_t)-ahead : 0;

	if (behind == 0) {
		advance(sequence, extended);
		test_and_set(sequence, extended);
		sequence->distinct++;
	} else if (behind > FT_SEQUENCE_WINDOW || behind > sequence->next) {
		sequence->too_late++; /* or from before the first, which nobody has sent */
	} else if (test_and_set(sequence, extended)) {
		sequence->duplicate++;
	} else {
		sequence->distinct++;
		sequence->reordered++;
	}
}
