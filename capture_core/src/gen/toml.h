/* SPDX-License-Identifier: Apache-2.0 */
/* TOML 1.0 as JSON values: there is no C library for it in Debian 12, so toml++ reads it. */
#ifndef FT_GEN_TOML_H
#define FT_GEN_TOML_H

#include <stddef.h>

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "ft/error.h"

/*
 * Parse `bytes` of text, which are not trusted, into an object of its own. `name` is what the text
 * is called in errors. -EINVAL with line and column; dates and times are refused.
 */
int ft_toml_parse(const char *text, size_t bytes, const char *name, json_t **root,
		  struct ft_error *error);

#ifdef __cplusplus
}
#endif

#endif
