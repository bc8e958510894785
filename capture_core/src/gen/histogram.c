/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/histogram.h"

#include <arpa/inet.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <zlib.h>

/* AbstractHistogram.java of HdrHistogram 2.1: the words of a version 2 encoding. */
#define COOKIE		  0x1c849313u
#define COMPRESSED_COOKIE 0x1c849314u
#define LONGEST_COUNT	  9u /* a ZigZag LEB128 number of 64 bits, as that version bounds it */

struct header {
	uint32_t cookie;
	uint32_t payload_bytes;
	uint32_t normalizing_index_offset;
	uint32_t significant_digits;
	uint64_t lowest;
	uint64_t highest;
	double conversion_ratio;
};

_Static_assert(sizeof(struct header) == 40, "the words of the header lie close together");

uint64_t ft_histogram_lowest(unsigned slot)
{
	unsigned doubling = slot >> FT_HISTOGRAM_HALF_BITS;

	if (doubling > 0)
		doubling--;
	return (uint64_t)(slot - (doubling << FT_HISTOGRAM_HALF_BITS)) << doubling;
}

uint64_t ft_histogram_highest(unsigned slot)
{
	return ft_histogram_lowest(slot + 1) - 1;
}

/* The slots that can hold anything, so that the others are not touched. */
static unsigned first_slot(const struct ft_histogram *histogram)
{
	return ft_histogram_slot(ft_count_read(&histogram->min));
}

static unsigned end_slot(const struct ft_histogram *histogram)
{
	return ft_histogram_slot(ft_count_read(&histogram->max)) + 1;
}

uint64_t ft_histogram_quantile(const struct ft_histogram *histogram, double share)
{
	uint64_t samples = ft_count_read(&histogram->samples), seen = 0;
	uint64_t max = ft_count_read(&histogram->max);
	double exact = share * (double)samples;
	uint64_t wanted = (uint64_t)exact;

	if (samples == 0)
		return 0;
	if (wanted == 0 || (double)wanted < exact)
		wanted++;
	for (unsigned slot = first_slot(histogram); slot < end_slot(histogram); slot++) {
		seen += ft_count_read(&histogram->slots[slot]);
		if (seen >= wanted)
			return ft_histogram_highest(slot) < max ? ft_histogram_highest(slot) : max;
	}
	return max; /* where frames came while this was counted */
}

double ft_histogram_mean(const struct ft_histogram *histogram)
{
	double sum = 0;
	uint64_t samples = 0;

	if (ft_count_read(&histogram->samples) == 0)
		return 0;
	for (unsigned slot = first_slot(histogram); slot < end_slot(histogram); slot++) {
		uint64_t count = ft_count_read(&histogram->slots[slot]);
		double lowest = (double)ft_histogram_lowest(slot);

		samples += count;
		sum += (double)count * (lowest + (double)ft_histogram_highest(slot)) / 2;
	}
	return samples > 0 ? sum / (double)samples : 0;
}

/* A signed number in as few bytes as hold it, seven bits in each, the lowest first. */
static uint8_t *put_number(uint8_t *at, int64_t value)
{
	uint64_t left = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);

	for (unsigned i = 1; left > 0x7f && i < LONGEST_COUNT; i++, left >>= 7)
		*at++ = (uint8_t)(left | 0x80);
	*at++ = (uint8_t)left;
	return at;
}

/* Counts from slot 0 to the last one that is not zero; a negative number is so many zeros. */
static uint8_t *put_counts(const struct ft_histogram *histogram, uint8_t *at)
{
	unsigned end = ft_count_read(&histogram->samples) > 0 ? end_slot(histogram) : 0;
	int64_t zeros = end > 0 ? first_slot(histogram) : 0;

	for (unsigned slot = (unsigned)zeros; slot < end; slot++) {
		uint64_t count = ft_count_read(&histogram->slots[slot]);

		if (count == 0) {
			zeros++;
			continue;
		}
		if (zeros > 0)
			at = put_number(at, -zeros);
		zeros = 0;
		at = put_number(at, (int64_t)count);
	}
	return at;
}

static double be_double(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	bits = htobe64(bits);
	memcpy(&value, &bits, sizeof(bits));
	return value;
}

/* Uncompressed; returns its length. */
static size_t put_histogram(const struct ft_histogram *histogram, uint8_t *at)
{
	uint8_t *end = put_counts(histogram, at + sizeof(struct header));
	size_t bytes = (size_t)(end - at);
	const struct header header = {
		.cookie = htonl(COOKIE),
		.payload_bytes = htonl((uint32_t)(bytes - sizeof(header))),
		.significant_digits = htonl(FT_HISTOGRAM_DIGITS),
		.lowest = htobe64(1),
		.highest = htobe64(FT_HISTOGRAM_HIGHEST),
		.conversion_ratio = be_double(1.0),
	};

	memcpy(at, &header, sizeof(header));
	return bytes;
}

static char *to_base64(const uint8_t *data, size_t bytes)
{
	char *text = malloc((bytes + 2) / 3 * 4 + 1);

	if (text != NULL)
		EVP_EncodeBlock((unsigned char *)text, data, (int)bytes);
	return text;
}

static char *compress_and_encode(const uint8_t *plain, size_t plain_bytes)
{
	uLongf deflated_bytes = compressBound(plain_bytes);
	uint32_t words[2] = {htonl(COMPRESSED_COOKIE)};
	uint8_t *packed = malloc(sizeof(words) + deflated_bytes);
	char *text = NULL;

	if (packed == NULL)
		return NULL;
	if (compress2(packed + sizeof(words), &deflated_bytes, plain, plain_bytes,
		      Z_BEST_COMPRESSION) == Z_OK) {
		words[1] = htonl((uint32_t)deflated_bytes);
		memcpy(packed, words, sizeof(words));
		text = to_base64(packed, sizeof(words) + deflated_bytes);
	}
	free(packed);
	return text;
}

char *ft_histogram_encode(const struct ft_histogram *histogram)
{
	uint8_t *plain = malloc(sizeof(struct header) + FT_HISTOGRAM_SLOTS * LONGEST_COUNT);
	char *text;

	if (plain == NULL)
		return NULL;
	text = compress_and_encode(plain, put_histogram(histogram, plain));
	free(plain);
	return text;
}
