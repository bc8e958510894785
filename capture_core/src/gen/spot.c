/* SPDX-License-Identifier: Apache-2.0 */
#include "gen/spot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct ft_spot ft_spot_at(const struct ft_spot *spot, const char *format, ...)
{
	struct ft_spot at = {.file = spot->file, .stream = spot->stream};
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(at.field, sizeof(at.field), format, arguments);
	va_end(arguments);
	return at;
}

int ft_spot_fail(const struct ft_spot *spot, struct ft_error *error, const char *format, ...)
{
	const char *field = spot->field, *comma = field[0] != '\0' ? ", " : "";
	char text[FT_ERROR_TEXT_BYTES];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (spot->stream != NULL)
		return ft_fail(error, -EINVAL, "%s: stream '%s'%s%s: %s", spot->file, spot->stream,
			       comma, field, text);
	if (field[0] != '\0')
		return ft_fail(error, -EINVAL, "%s: %s: %s", spot->file, field, text);
	return ft_fail(error, -EINVAL, "%s: %s", spot->file, text);
}

static int fail_key(const struct ft_spot *spot, const char *key, const char *const *names,
		    struct ft_error *error)
{
	struct ft_spot at =
		ft_spot_at(spot, "%s%s%.48s", spot->field, spot->field[0] != '\0' ? "." : "", key);
	char known[FT_ERROR_TEXT_BYTES / 2] = "";

	for (unsigned i = 0; names[i] != NULL; i++) {
		size_t used = strlen(known);

		snprintf(known + used, sizeof(known) - used, "%s%s", i == 0 ? "" : ", ", names[i]);
	}
	return ft_spot_fail(&at, error, "there is no such key; there are %s", known);
}

int ft_spot_check_keys(const struct ft_spot *spot, const json_t *object, const char *const *names,
		       struct ft_error *error)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		unsigned i = 0;

		while (names[i] != NULL && strcmp(names[i], key) != 0)
			i++;
		if (names[i] == NULL)
			return fail_key(spot, key, names, error);
	}
	return 0;
}

const char *ft_spot_type(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "a table";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a text";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	default:
		return "true or false";
	}
}

int ft_spot_read_number(const struct ft_spot *spot, const json_t *json, uint64_t min, uint64_t max,
			uint64_t *number, struct ft_error *error)
{
	json_int_t value = json_integer_value(json);

	if (!json_is_integer(json))
		return ft_spot_fail(
			spot, error,
			"%s where a whole number from %" PRIu64 " to %" PRIu64 " belongs",
			json_is_real(json) ? "a fraction" : ft_spot_type(json), min, max);
	if (value < 0 || (uint64_t)value < min || (uint64_t)value > max)
		return ft_spot_fail(spot, error,
				    "%" JSON_INTEGER_FORMAT " is not from %" PRIu64 " to %" PRIu64,
				    value, min, max);
	*number = (uint64_t)value;
	return 0;
}
