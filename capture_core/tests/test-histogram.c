/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <zlib.h>

#include "ft/histogram.h"

#define HEADER_BYTES 40u

/* The same numbers every time (a linear congruential generator of Knuth's). */
static uint64_t draw(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 20;
}

static struct ft_histogram *empty(void)
{
	struct ft_histogram *histogram = calloc(1, sizeof(*histogram));

	assert_non_null(histogram);
	return histogram;
}

static void slots_follow_each_other_without_gap_up_to_100_seconds(void **state)
{
	unsigned slot = 0;

	(void)state;
	assert_int_equal(ft_histogram_lowest(0), 0);
	for (; ft_histogram_lowest(slot) <= FT_HISTOGRAM_HIGHEST; slot++) {
		assert_int_equal(ft_histogram_slot(ft_histogram_lowest(slot)), slot);
		assert_int_equal(ft_histogram_slot(ft_histogram_highest(slot)), slot);
		assert_int_equal(ft_histogram_highest(slot) + 1, ft_histogram_lowest(slot + 1));
	}
	assert_true(slot < FT_HISTOGRAM_SLOTS);
}

static void a_slot_is_no_wider_than_a_thousandth_of_what_it_holds(void **state)
{
	(void)state;
	for (unsigned slot = 0; slot < FT_HISTOGRAM_SLOTS - 1; slot++) {
		uint64_t lowest = ft_histogram_lowest(slot);

		assert_true((ft_histogram_highest(slot) - lowest) * 1000 <= lowest);
	}
}

static int compare(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* Against the sorted values themselves. */
static void a_quantile_is_the_value_of_that_rank_to_three_digits(void **state)
{
	enum { COUNT = 5000 };
	static const double shares[] = {0.001, 0.5, 0.9, 0.99, 0.999, 1.0};
	static uint64_t values[COUNT];
	struct ft_histogram *histogram = empty();
	uint64_t seed = 1;

	(void)state;
	for (unsigned i = 0; i < COUNT; i++) {
		values[i] = draw(&seed) % FT_HISTOGRAM_HIGHEST >> draw(&seed) % 30;
		ft_histogram_record(histogram, values[i]);
	}
	qsort(values, COUNT, sizeof(values[0]), compare);
	for (unsigned i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		uint64_t exact = values[(unsigned)(shares[i] * COUNT + 0.999) - 1];
		uint64_t found = ft_histogram_quantile(histogram, shares[i]);

		assert_true(found >= exact && found <= exact + exact / 1000);
	}
	assert_int_equal(histogram->min, values[0]);
	assert_int_equal(histogram->max, values[COUNT - 1]);
	assert_int_equal(ft_histogram_quantile(histogram, 1), values[COUNT - 1]);
	free(histogram);
}

static void the_mean_is_that_of_the_values_to_three_digits(void **state)
{
	struct ft_histogram *histogram = empty();
	uint64_t seed = 2;
	double sum = 0, mean;

	(void)state;
	assert_true(ft_histogram_mean(histogram) == 0);
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t value = draw(&seed) % 1000000000;

		sum += (double)value;
		ft_histogram_record(histogram, value);
	}
	mean = ft_histogram_mean(histogram);
	assert_true(mean > 0.999 * sum / 1000 && mean < 1.001 * sum / 1000);
	free(histogram);
}

static void what_is_too_long_is_counted_by_itself(void **state)
{
	struct ft_histogram *histogram = empty();

	(void)state;
	assert_int_equal(ft_histogram_quantile(histogram, 0.5), 0);
	ft_histogram_record(histogram, FT_HISTOGRAM_HIGHEST + 1);
	ft_histogram_record(histogram, UINT64_MAX);
	assert_int_equal(histogram->beyond, 2);
	assert_int_equal(histogram->samples, 0);
	ft_histogram_record(histogram, FT_HISTOGRAM_HIGHEST);
	assert_int_equal(histogram->samples, 1);
	assert_int_equal(histogram->max, FT_HISTOGRAM_HIGHEST);
	free(histogram);
}

static uint32_t be32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The payload of an encoded histogram, inflated into `plain`; returns how long it is. */
static size_t unpack(const char *text, uint8_t *plain, size_t room)
{
	size_t length = strlen(text);
	uint8_t *packed = malloc(length);
	uLongf bytes = room;

	assert_non_null(packed);
	assert_true(EVP_DecodeBlock(packed, (const unsigned char *)text, (int)length) > 8);
	assert_int_equal(be32(packed), 0x1c849314);
	assert_int_equal(uncompress(plain, &bytes, packed + 8, be32(packed + 4)), Z_OK);
	free(packed);
	assert_int_equal(be32(plain), 0x1c849313);
	assert_int_equal(be32(plain + 4), bytes - HEADER_BYTES);
	assert_int_equal(be32(plain + 12), FT_HISTOGRAM_DIGITS);
	return bytes;
}

static int64_t take_number(const uint8_t **at)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = *(*at)++;
		/* The ninth byte has eight bits of the number. */
		value |= (uint64_t)(shift == 56 ? byte : byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80 && shift < 63);
	return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static void every_count_is_written_and_read_back(void **state)
{
	static const uint64_t counts[] = {1, 63, 64, 8191, 8192, 1ull << 31, 1ull << 40, INT64_MAX};
	enum { STEP = 3000, KINDS = sizeof(counts) / sizeof(counts[0]) };
	uint8_t plain[HEADER_BYTES + 9 * 2 * KINDS];
	const uint8_t *at = plain + HEADER_BYTES, *end;
	struct ft_histogram *histogram = empty();
	char *text;

	(void)state;
	for (unsigned i = 0; i < KINDS; i++) {
		ft_histogram_record(histogram, ft_histogram_lowest(STEP * i + 7));
		ft_count_set(&histogram->slots[STEP * i + 7], counts[i]);
	}
	text = ft_histogram_encode(histogram);
	assert_non_null(text);
	end = plain + unpack(text, plain, sizeof(plain));
	for (unsigned i = 0; i < KINDS; i++) {
		assert_int_equal(take_number(&at), i == 0 ? -7 : -(STEP - 1));
		assert_int_equal(take_number(&at), counts[i]);
	}
	assert_ptr_equal(at, end);
	free(text);
	free(histogram);
}

static void an_empty_one_is_written_too(void **state)
{
	struct ft_histogram *histogram = empty();
	uint8_t plain[HEADER_BYTES + 9];
	char *text = ft_histogram_encode(histogram);

	(void)state;
	assert_non_null(text);
	assert_int_equal(unpack(text, plain, sizeof(plain)), HEADER_BYTES);
	free(text);
	free(histogram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_follow_each_other_without_gap_up_to_100_seconds),
		cmocka_unit_test(a_slot_is_no_wider_than_a_thousandth_of_what_it_holds),
		cmocka_unit_test(a_quantile_is_the_value_of_that_rank_to_three_digits),
		cmocka_unit_test(the_mean_is_that_of_the_values_to_three_digits),
		cmocka_unit_test(what_is_too_long_is_counted_by_itself),
		cmocka_unit_test(every_count_is_written_and_read_back),
		cmocka_unit_test(an_empty_one_is_written_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
