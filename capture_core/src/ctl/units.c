/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *name;
	double factor;
};

/* The factor of `name` in `units`, which ends with a NULL name; 0 when it is not there. */
static double factor_of(const struct unit *units, const char *name)
{
	for (; units->name != NULL; units++)
		if (strcmp(units->name, name) == 0)
			return units->factor;
	return 0;
}

/*
 * A plain decimal number, as in "12" or "0.5": no sign, exponent, infinity or blank. `rest` is what
 * follows it.
 */
static int parse_decimal(const char *text, double *value, const char **rest)
{
	size_t length = strspn(text, "0123456789.");
	char *end;

	if (length == 0 || length > 32 || !isdigit((unsigned char)text[0]))
		return -EINVAL;
	*value = strtod(text, &end);
	*rest = text + length;
	return end == *rest ? 0 : -EINVAL; /* "1.2.3", "1e5" end elsewhere */
}

int ft_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value,
		    struct ft_error *error)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || *value < min ||
	    *value > max)
		return ft_fail(error, -EINVAL, "'%s' is not a number from %llu to %llu", text,
			       (unsigned long long)min, (unsigned long long)max);
	return 0;
}

int ft_parse_size_bytes(const char *text, uint64_t *bytes, struct ft_error *error)
{
	static const struct unit units[] = {
		{"", 1},
		{"B", 1},
		{"k", 1e3},
		{"kB", 1e3},
		{"M", 1e6},
		{"MB", 1e6},
		{"G", 1e9},
		{"GB", 1e9},
		{"KiB", 1024.0},
		{"MiB", 1048576.0},
		{"GiB", 1073741824.0},
		{NULL, 0},
	};
	const char *name;
	double value = 0, factor = 0;

	if (parse_decimal(text, &value, &name) == 0)
		factor = factor_of(units, name);
	value *= factor;
	if (!(value >= 1) || value > 1e18)
		return ft_fail(error, -EINVAL,
			       "'%s' is not a size: a number with B, kB, MB, GB, KiB, MiB or GiB",
			       text);
	*bytes = (uint64_t)llround(value);
	return 0;
}

int ft_parse_duration_ns(const char *text, uint64_t *ns, struct ft_error *error)
{
	static const struct unit units[] = {
		{"", 1e9},   {"s", 1e9},    {"ms", 1e6}, {"us", 1e3},
		{"m", 60e9}, {"h", 3600e9}, {NULL, 0},
	};
	const char *name;
	double value = 0, factor = 0;

	if (parse_decimal(text, &value, &name) == 0)
		factor = factor_of(units, name);
	value *= factor;
	if (!(value >= 1) || value > 9e18)
		return ft_fail(error, -EINVAL,
			       "'%s' is not a duration: a number above 0, of seconds or with us, "
			       "ms, s, m, h",
			       text);
	*ns = (uint64_t)llround(value);
	return 0;
}

int ft_parse_rate(const char *text, struct ft_rate *rate, struct ft_error *error)
{
	static const struct unit pps[] = {
		{"pps", 1},
		{"kpps", 1e3},
		{"Mpps", 1e6},
		{NULL, 0},
	};
	static const struct unit bps[] = {
		{"bps", 1}, {"kbps", 1e3}, {"Mbps", 1e6}, {"Gbps", 1e9}, {NULL, 0},
	};
	static const struct unit bps_l1[] = {
		{"bpsL1", 1}, {"kbpsL1", 1e3}, {"MbpsL1", 1e6}, {"GbpsL1", 1e9}, {NULL, 0},
	};
	static const struct unit percent[] = {{"%", 1}, {NULL, 0}};
	static const struct {
		enum ft_rate_unit unit;
		const struct unit *names;
	} kinds[] = {{FT_RATE_PPS, pps},
		     {FT_RATE_BPS, bps},
		     {FT_RATE_BPS_L1, bps_l1},
		     {FT_RATE_PERCENT, percent}};
	const char *name;
	double value;

	if (strcmp(text, "max") == 0) {
		*rate = (struct ft_rate){.unit = FT_RATE_MAX};
		return 0;
	}
	for (unsigned i = 0; parse_decimal(text, &value, &name) == 0 && i < 4; i++) {
		double factor = factor_of(kinds[i].names, name);

		if (factor == 0 || !(value > 0))
			continue;
		if (kinds[i].unit == FT_RATE_PERCENT && value > 100)
			break;
		*rate = (struct ft_rate){.unit = kinds[i].unit, .value = value * factor};
		return 0;
	}
	return ft_fail(error, -EINVAL,
		       "'%s' is not a rate: max, or a number above 0 with pps, kpps, Mpps, bps, "
		       "kbps, Mbps, Gbps, the same with L1, or %% up to 100",
		       text);
}
