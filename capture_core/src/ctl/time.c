/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "ft/clock.h"
#include "ft/extract.h"

#define FRACTION_DIGITS 9

/* Take exactly `digits` digits. */
static bool take_digits(const char **at, int digits, int *value)
{
	*value = 0;
	for (int i = 0; i < digits; i++, ++*at) {
		if (!isdigit((unsigned char)**at))
			return false;
		*value = *value * 10 + (**at - '0');
	}
	return true;
}

static bool take(const char **at, char what)
{
	if (**at != what)
		return false;
	++*at;
	return true;
}

/* ".25" and the like, or nothing; digits beyond nanoseconds are read and left out. */
static bool take_fraction_ns(const char **at, uint64_t *ns)
{
	int digits = 0;

	*ns = 0;
	if (!take(at, '.'))
		return true;
	for (; isdigit((unsigned char)**at); ++*at)
		if (digits++ < FRACTION_DIGITS)
			*ns = *ns * 10 + (uint64_t)(**at - '0');
	for (int i = digits; i < FRACTION_DIGITS; i++)
		*ns *= 10;
	return digits > 0;
}

/* "Z", "+02:00", "-0530", or nothing for UTC: how far local time is ahead of it. */
static bool take_zone(const char **at, int *ahead_s)
{
	int hours, minutes, sign = **at == '-' ? -1 : 1;

	*ahead_s = 0;
	if (take(at, 'Z') || **at == '\0')
		return true;
	if (!take(at, '+') && !take(at, '-'))
		return false;
	if (!take_digits(at, 2, &hours))
		return false;
	take(at, ':');
	if (!take_digits(at, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ahead_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

/* "2026-11-24", "2026-11-24T10:11", "2026-11-24 10:11:12". */
static bool take_date(const char **at, struct tm *date)
{
	if (!take_digits(at, 4, &date->tm_year) || !take(at, '-') ||
	    !take_digits(at, 2, &date->tm_mon) || !take(at, '-') ||
	    !take_digits(at, 2, &date->tm_mday))
		return false;
	if (!take(at, 'T') && !take(at, ' '))
		return **at == '\0';
	if (!take_digits(at, 2, &date->tm_hour) || !take(at, ':') ||
	    !take_digits(at, 2, &date->tm_min))
		return false;
	return !take(at, ':') || take_digits(at, 2, &date->tm_sec);
}

static bool is_date(const struct tm *given)
{
	struct tm date = *given;

	date.tm_year -= 1900;
	date.tm_mon -= 1;
	if (given->tm_year < 1970 || timegm(&date) < 0)
		return false;
	/* timegm carries the 31st of June over into July; a leap second into the next minute. */
	return date.tm_mon + 1 == given->tm_mon && (date.tm_mday == given->tm_mday) &&
	       given->tm_hour < 24 && given->tm_min < 60 && given->tm_sec < 60;
}

static bool parse_iso(const char *text, uint64_t *ns)
{
	struct tm date = {0};
	uint64_t fraction_ns;
	int ahead_s;
	time_t seconds;

	if (!take_date(&text, &date) || !is_date(&date) || !take_fraction_ns(&text, &fraction_ns) ||
	    !take_zone(&text, &ahead_s) || *text != '\0')
		return false;
	date.tm_year -= 1900;
	date.tm_mon -= 1;
	seconds = timegm(&date) - ahead_s;
	*ns = (uint64_t)seconds * FT_NS_PER_SECOND + fraction_ns;
	return seconds >= 0 && (uint64_t)seconds < UINT64_MAX / FT_NS_PER_SECOND;
}

static bool parse_seconds(const char *text, uint64_t *ns)
{
	uint64_t seconds = 0, fraction_ns;

	if (!isdigit((unsigned char)*text))
		return false;
	for (; isdigit((unsigned char)*text); text++) {
		seconds = seconds * 10 + (uint64_t)(*text - '0');
		if (seconds >= UINT64_MAX / FT_NS_PER_SECOND)
			return false;
	}
	if (!take_fraction_ns(&text, &fraction_ns) || *text != '\0')
		return false;
	*ns = seconds * FT_NS_PER_SECOND + fraction_ns;
	return true;
}

int ft_parse_time_ns(const char *text, uint64_t *ns, struct ft_error *error)
{
	if (parse_seconds(text, ns) || parse_iso(text, ns))
		return 0;
	return ft_fail(
		error, -EINVAL,
		"'%s': must be a time such as 2026-11-24T10:11:12.5Z, with +02:00 for another "
		"zone, or seconds since 1970",
		text);
}
