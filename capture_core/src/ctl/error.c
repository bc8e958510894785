/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int ft_fail(struct ft_error *error, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return code;
}

int ft_exit_code(int code)
{
	return code == -EINVAL || code == -ENODEV || code == -EEXIST ? 2 : 1;
}
