/* SPDX-License-Identifier: Apache-2.0 */
#include "gen/sizes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ft/generate.h"
#include "gen/value.h"

#define MAX_MIX	   32u
#define MAX_WEIGHT 1000u /* of all sizes of a mix together */

const uint32_t ft_generate_imix[FT_GENERATE_IMIX_FRAMES] = {64,	 594, 64,  594, 64, 64,
							    594, 64,  594, 64,	64, 1518};

struct share {
	uint32_t bytes;
	unsigned weight;
	unsigned placed;
};

static int make_room(struct ft_sizes *sizes, unsigned count, struct ft_error *error)
{
	sizes->bytes = calloc(count, sizeof(*sizes->bytes));
	if (sizes->bytes == NULL)
		return ft_fail(error, -ENOMEM, "frame sizes: out of memory");
	sizes->count = count;
	return 0;
}

static int check_size(const struct ft_spot *spot, uint64_t bytes, struct ft_error *error)
{
	if (bytes < FT_GENERATE_MIN_SIZE || bytes > FT_GENERATE_MAX_SIZE)
		return ft_spot_fail(spot, error, "%llu is not from %u to %u bytes, FCS included",
				    (unsigned long long)bytes, FT_GENERATE_MIN_SIZE,
				    FT_GENERATE_MAX_SIZE);
	return 0;
}

/*
 * Spread the sizes over a round: the k-th frame of one of weight w has its place at (k + 1/2) / w
 * of it; where two have the same, the one listed first goes first.
 */
static void spread(struct share *shares, unsigned share_count, struct ft_sizes *sizes)
{
	for (unsigned at = 0; at < sizes->count; at++) {
		struct share *next = NULL;

		for (unsigned i = 0; i < share_count; i++) {
			struct share *share = &shares[i];

			if (share->placed == share->weight)
				continue;
			if (next == NULL || (2 * share->placed + 1) * next->weight <
						    (2 * next->placed + 1) * share->weight)
				next = share;
		}
		next->placed++;
		sizes->bytes[at] = next->bytes;
	}
}

static int read_share(const json_t *json, const struct ft_spot *spot, struct share *share,
		      struct ft_error *error)
{
	uint64_t bytes, weight;
	int rc;

	if (json_array_size(json) != 2)
		return ft_spot_fail(spot, error, "each entry of mix is [SIZE, WEIGHT]");
	rc = ft_spot_read_number(spot, json_array_get(json, 0), FT_GENERATE_MIN_SIZE,
				 FT_GENERATE_MAX_SIZE, &bytes, error);
	if (rc == 0)
		rc = ft_spot_read_number(spot, json_array_get(json, 1), 1, MAX_WEIGHT, &weight,
					 error);
	if (rc == 0)
		*share = (struct share){.bytes = (uint32_t)bytes, .weight = (unsigned)weight};
	return rc;
}

static int read_mix(const json_t *json, const struct ft_spot *spot, struct ft_sizes *sizes,
		    struct ft_error *error)
{
	static const char *const keys[] = {"mix", NULL};
	const json_t *mix = json_object_get(json, "mix");
	size_t count = json_array_size(mix);
	struct share shares[MAX_MIX];
	unsigned weight = 0;
	int rc = ft_spot_check_keys(spot, json, keys, error);

	if (rc == 0 && (count == 0 || count > MAX_MIX))
		rc = ft_spot_fail(spot, error, "mix is a list of 1 to %u [SIZE, WEIGHT]", MAX_MIX);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = read_share(json_array_get(mix, i), spot, &shares[i], error);
		if (rc == 0)
			weight += shares[i].weight;
	}
	if (rc == 0 && weight > MAX_WEIGHT)
		rc = ft_spot_fail(spot, error, "the weights add up to %u; keep them to %u", weight,
				  MAX_WEIGHT);
	if (rc == 0)
		rc = make_room(sizes, weight, error);
	if (rc == 0)
		spread(shares, (unsigned)count, sizes);
	return rc;
}

static int expand(const struct ft_value *value, const struct ft_spot *spot, struct ft_sizes *sizes,
		  struct ft_error *error)
{
	unsigned count = value->kind == FT_VALUE_CONSTANT ? 1 : (unsigned)value->count;
	uint64_t step = value->kind == FT_VALUE_RANDOM ? 1 : value->step, bytes = value->first;
	int rc = make_room(sizes, count, error);

	sizes->random = value->kind == FT_VALUE_RANDOM;
	for (unsigned i = 0; rc == 0 && i < count; i++, bytes += step) {
		if (value->kind == FT_VALUE_LIST)
			bytes = value->list[i];
		rc = check_size(spot, bytes, error);
		sizes->bytes[i] = (uint32_t)bytes;
	}
	return rc;
}

int ft_sizes_read(const json_t *json, const struct ft_spot *spot, struct ft_sizes *sizes,
		  struct ft_error *error)
{
	static const struct ft_field size = {"size", FT_NOTATION_NUMBER, 0, 17};
	struct ft_value value;
	int rc;

	*sizes = (struct ft_sizes){0};
	if (json_is_string(json) && strcmp(json_string_value(json), "imix") == 0)
		return ft_sizes_list(ft_generate_imix, FT_GENERATE_IMIX_FRAMES, sizes, error);
	if (json_is_string(json))
		return ft_spot_fail(spot, error, "'%.32s' is not a number of bytes or \"imix\"",
				    json_string_value(json));
	if (json_object_get(json, "mix") != NULL)
		return read_mix(json, spot, sizes, error);
	rc = ft_value_read(json, &size, spot, &value, error);
	if (rc == 0)
		rc = expand(&value, spot, sizes, error);
	ft_value_free(&value);
	return rc;
}

int ft_sizes_list(const uint32_t *bytes, unsigned count, struct ft_sizes *sizes,
		  struct ft_error *error)
{
	int rc = make_room(sizes, count, error);

	if (rc == 0)
		memcpy(sizes->bytes, bytes, count * sizeof(*bytes));
	return rc;
}

void ft_sizes_free(struct ft_sizes *sizes)
{
	free(sizes->bytes);
	*sizes = (struct ft_sizes){0};
}
