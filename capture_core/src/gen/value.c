/* SPDX-License-Identifier: Apache-2.0 */
#include "gen/value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct scalar {
	uint64_t high, low;
};

/* How a field is written, for errors; NULL: as a number. */
static const char *example_of(enum ft_notation notation)
{
	switch (notation) {
	case FT_NOTATION_SWITCH:
		return "true or false";
	case FT_NOTATION_TCP_FLAGS:
		return "letters of FSRPAUEC, as in \"SA\"";
	case FT_NOTATION_MAC:
		return "an address as in \"02:00:00:00:00:01\"";
	case FT_NOTATION_IPV4:
		return "an address as in \"198.18.0.1\"";
	case FT_NOTATION_IPV6:
		return "an address as in \"2001:2::1\"";
	default:
		return NULL;
	}
}

static bool parse_mac(const char *text, struct scalar *scalar)
{
	for (unsigned i = 0; i < 6; i++, text += 3) {
		char digits[3] = {text[0], text[0] != '\0' ? text[1] : '\0'};

		if (!isxdigit((unsigned char)digits[0]) || !isxdigit((unsigned char)digits[1]) ||
		    text[2] != (i < 5 ? ':' : '\0'))
			return false;
		scalar->low = scalar->low << 8 | strtoul(digits, NULL, 16);
	}
	return true;
}

static bool parse_ip(int family, const char *text, struct scalar *scalar)
{
	uint8_t bytes[16];
	unsigned count = family == AF_INET ? 4 : 16;

	if (inet_pton(family, text, bytes) != 1)
		return false;
	for (unsigned i = 0; i < count; i++) {
		scalar->high = scalar->high << 8 | scalar->low >> 56;
		scalar->low = scalar->low << 8 | bytes[i];
	}
	return true;
}

static bool parse_tcp_flags(const char *text, struct scalar *scalar)
{
	static const char letters[] = "FSRPAUEC";

	for (; *text != '\0'; text++) {
		const char *letter = strchr(letters, *text);

		if (letter == NULL)
			return false;
		scalar->low |= 1u << (letter - letters);
	}
	return true;
}

static bool parse_text(enum ft_notation notation, const char *text, struct scalar *scalar)
{
	*scalar = (struct scalar){0};
	switch (notation) {
	case FT_NOTATION_TCP_FLAGS:
		return parse_tcp_flags(text, scalar);
	case FT_NOTATION_MAC:
		return parse_mac(text, scalar);
	case FT_NOTATION_IPV4:
		return parse_ip(AF_INET, text, scalar);
	case FT_NOTATION_IPV6:
		return parse_ip(AF_INET6, text, scalar);
	default:
		return false;
	}
}

static int read_scalar(const json_t *json, const struct ft_field *field, const struct ft_spot *spot,
		       struct scalar *scalar, struct ft_error *error)
{
	const char *text = json_string_value(json);

	if (field->notation == FT_NOTATION_NUMBER ||
	    (field->notation == FT_NOTATION_TCP_FLAGS && json_is_number(json))) {
		*scalar = (struct scalar){0};
		return ft_spot_read_number(spot, json, 0, (1ull << field->bits) - 1, &scalar->low,
					   error);
	}
	if (field->notation == FT_NOTATION_SWITCH && json_is_boolean(json)) {
		*scalar = (struct scalar){.low = json_is_true(json)};
		return 0;
	}
	if (text == NULL)
		return ft_spot_fail(spot, error, "%s where %s belongs", ft_spot_type(json),
				    example_of(field->notation));
	if (!parse_text(field->notation, text, scalar))
		return ft_spot_fail(spot, error, "'%.64s' is not %s", text,
				    example_of(field->notation));
	return 0;
}

static int read_list(const json_t *json, const struct ft_field *field, const struct ft_spot *spot,
		     struct ft_value *value, struct ft_error *error)
{
	size_t count = json_array_size(json);

	if (count == 0 || count > FT_VALUE_MAX_LIST)
		return ft_spot_fail(spot, error, "a list of %zu values; give 1 to %u", count,
				    FT_VALUE_MAX_LIST);
	value->list = calloc(count, sizeof(*value->list));
	if (value->list == NULL)
		return ft_fail(error, -ENOMEM, "%s: out of memory", spot->file);
	value->kind = FT_VALUE_LIST;
	value->count = count;
	for (size_t i = 0; i < count; i++) {
		struct scalar scalar;
		int rc = read_scalar(json_array_get(json, i), field, spot, &scalar, error);

		if (rc != 0)
			return rc;
		if (i > 0 && scalar.high != value->high)
			return ft_spot_fail(spot, error,
					    "addresses that differ in their first 64 bits; make a "
					    "stream for each network");
		value->high = scalar.high;
		value->list[i] = scalar.low;
	}
	return 0;
}

/* "ADDRESS/LENGTH": its first and last address. */
static int read_prefix(const char *text, const struct ft_field *field, const struct ft_spot *spot,
		       struct scalar *first, struct scalar *last, struct ft_error *error)
{
	unsigned width = field->bits > 64 ? 64 : field->bits, least = field->bits - width;
	const char *slash = strchr(text, '/');
	char address[64], *end;
	unsigned long length;
	uint64_t hosts;

	if (slash == NULL || slash - text >= (ptrdiff_t)sizeof(address) ||
	    !isdigit((unsigned char)slash[1]))
		return ft_spot_fail(spot, error, "'%.64s' is not a prefix as in \"ADDRESS/24\"",
				    text);
	snprintf(address, sizeof(address), "%.*s", (int)(slash - text), text);
	length = strtoul(slash + 1, &end, 10);
	if (!parse_text(field->notation, address, first))
		return ft_spot_fail(spot, error, "'%s' is not %s", address,
				    example_of(field->notation));
	if (*end != '\0' || length < least || length > field->bits)
		return ft_spot_fail(spot, error,
				    "'%.64s': the length of the prefix must be %u to %u", text,
				    least, field->bits);
	hosts = length == least ? UINT64_MAX >> (64 - width) : (1ull << (field->bits - length)) - 1;
	if ((first->low & hosts) != 0)
		return ft_spot_fail(spot, error,
				    "'%.64s' has bits set behind the prefix; clear them", text);
	*last = (struct scalar){.high = first->high, .low = first->low | hosts};
	return 0;
}

/* The bounds of `count` or `random`: [FIRST, LAST], or a prefix. */
static int read_bounds(const json_t *json, const struct ft_field *field, const struct ft_spot *spot,
		       struct scalar *first, struct scalar *last, struct ft_error *error)
{
	bool address = field->notation >= FT_NOTATION_MAC;
	int rc;

	if (address && json_is_string(json))
		return read_prefix(json_string_value(json), field, spot, first, last, error);
	if (json_array_size(json) != 2)
		return ft_spot_fail(spot, error, "give a range as [FIRST, LAST]%s",
				    address ? " or as a prefix \"ADDRESS/LENGTH\"" : "");
	rc = read_scalar(json_array_get(json, 0), field, spot, first, error);
	if (rc == 0)
		rc = read_scalar(json_array_get(json, 1), field, spot, last, error);
	if (rc == 0 && first->high != last->high)
		rc = ft_spot_fail(spot, error, "both ends must agree in their first 64 bits");
	return rc;
}

static int read_count(const json_t *json, const struct ft_field *field, const struct ft_spot *spot,
		      struct ft_value *value, struct ft_error *error)
{
	static const char *const keys[] = {"count", "step", NULL};
	const json_t *step = json_object_get(json, "step");
	struct ft_spot step_spot = ft_spot_at(spot, "%s.step", spot->field);
	struct scalar first, last;
	uint64_t distance, by = 1;
	int rc = ft_spot_check_keys(spot, json, keys, error);

	if (rc == 0)
		rc = read_bounds(json_object_get(json, "count"), field, spot, &first, &last, error);
	if (rc == 0 && step != NULL)
		rc = ft_spot_read_number(&step_spot, step, 1, INT64_MAX, &by, error);
	if (rc != 0)
		return rc;
	distance = first.low < last.low ? last.low - first.low : first.low - last.low;
	*value = (struct ft_value){
		.kind = FT_VALUE_COUNT,
		.high = first.high,
		.first = first.low,
		.step = first.low < last.low ? by : -by,
		.count = distance / by + 1,
	};
	return 0;
}

static int read_random(const json_t *json, const struct ft_field *field, const struct ft_spot *spot,
		       struct ft_value *value, struct ft_error *error)
{
	static const char *const keys[] = {"random", NULL};
	struct scalar least, most;
	int rc = ft_spot_check_keys(spot, json, keys, error);

	if (rc == 0)
		rc = read_bounds(json_object_get(json, "random"), field, spot, &least, &most,
				 error);
	if (rc == 0 && least.low > most.low)
		rc = ft_spot_fail(spot, error, "the least comes first in [LEAST, MOST]");
	if (rc != 0)
		return rc;
	*value = (struct ft_value){
		.kind = FT_VALUE_RANDOM,
		.high = least.high,
		.first = least.low,
		.count = most.low - least.low + 1,
	};
	return 0;
}

int ft_value_read(const json_t *json, const struct ft_field *field, const struct ft_spot *spot,
		  struct ft_value *value, struct ft_error *error)
{
	struct scalar scalar;
	int rc;

	*value = (struct ft_value){0};
	if (json_is_array(json))
		return read_list(json, field, spot, value, error);
	if (json_object_get(json, "count") != NULL)
		return read_count(json, field, spot, value, error);
	if (json_object_get(json, "random") != NULL)
		return read_random(json, field, spot, value, error);
	if (json_is_object(json))
		return ft_spot_fail(spot, error,
				    "a table must hold count = [FIRST, LAST] or random = [LEAST, "
				    "MOST]");
	rc = read_scalar(json, field, spot, &scalar, error);
	if (rc == 0)
		*value = (struct ft_value){.high = scalar.high, .first = scalar.low};
	return rc;
}

void ft_value_free(struct ft_value *value)
{
	free(value->list);
	*value = (struct ft_value){0};
}
