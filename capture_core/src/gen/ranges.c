/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/ranges.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ft/units.h"

static int parse_one(char *text, uint64_t *first, uint64_t *last, struct ft_error *error)
{
	char *dash = strchr(text, '-');
	int rc = 0;

	*first = 1;
	*last = UINT64_MAX;
	if (dash == NULL) {
		rc = ft_parse_number(text, 1, UINT64_MAX, first, error);
		*last = *first;
		return rc;
	}
	*dash++ = '\0';
	if (text[0] != '\0')
		rc = ft_parse_number(text, 1, UINT64_MAX, first, error);
	if (rc == 0 && dash[0] != '\0')
		rc = ft_parse_number(dash, *first, UINT64_MAX, last, error);
	if (text[0] == '\0' && dash[0] == '\0')
		rc = ft_fail(error, -EINVAL, "'-' is not a range: A-B, A- or -B");
	return rc;
}

int ft_ranges_parse(const char *text, struct ft_ranges *ranges, struct ft_error *error)
{
	char list[4096], *rest = list, *one;
	int rc = 0;

	ranges->count = 0;
	if (snprintf(list, sizeof(list), "%s", text) >= (int)sizeof(list))
		return ft_fail(error, -EINVAL, "at most %zu characters", sizeof(list) - 1);
	while (rc == 0 && (one = strsep(&rest, ",")) != NULL) {
		if (ranges->count == FT_RANGES_MAX)
			return ft_fail(error, -EINVAL, "at most %u ranges", FT_RANGES_MAX);
		rc = parse_one(one, &ranges->range[ranges->count].first,
			       &ranges->range[ranges->count].last, error);
		ranges->count++;
	}
	return rc;
}

bool ft_ranges_hold(const struct ft_ranges *ranges, uint64_t number)
{
	for (unsigned i = 0; i < ranges->count; i++)
		if (number >= ranges->range[i].first && number <= ranges->range[i].last)
			return true;
	return false;
}

uint64_t ft_ranges_last(const struct ft_ranges *ranges)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < ranges->count; i++)
		if (ranges->range[i].last > last)
			last = ranges->range[i].last;
	return last;
}
