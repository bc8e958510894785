/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: functions return 0 or a negative errno; the sentence for the user is set once, at the
 * place that knows the cause: what went wrong, with which option, device or file, and what to do.
 */
#ifndef FT_ERROR_H
#define FT_ERROR_H

#define FT_ERROR_TEXT_BYTES 512

struct ft_error {
	char text[FT_ERROR_TEXT_BYTES];
};

/* Set the sentence (no newline, cut at FT_ERROR_TEXT_BYTES) and return `code`, a negative errno. */
int ft_fail(struct ft_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * The exit code of the command contract for a negative errno met before or at opening: 2 for what
 * is wrong with the command itself (-EINVAL, -ENODEV, -EEXIST), 1 for everything that the machine
 * refuses.
 */
int ft_exit_code(int code);

#endif
