/* SPDX-License-Identifier: Apache-2.0 */
/* Reports: one JSON object a run, written whole or not at all. */
#ifndef FT_REPORT_H
#define FT_REPORT_H

#include <jansson.h>

#include "ft/error.h"

/* Text of any origin as a string: where it is not UTF-8, '?' stands for what is not ASCII. */
json_t *ft_report_text(const char *text);

/* Check that a report can be written there, before anything starts. */
int ft_report_check(const char *path, struct ft_error *error);

/* Write `report` to a new file beside `path`, sync it, then rename it over `path`; "-": stdout. */
int ft_report_write(const char *path, const json_t *report, struct ft_error *error);

/*
 * `path` for clients, which run in other directories: absolute, as a JSON string. NULL gives null;
 * what is no path of a file ("-", "null:") stays as it is.
 */
json_t *ft_report_path(const char *path);

#endif
