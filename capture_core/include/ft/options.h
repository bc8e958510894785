/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines as tables: one row an option feeds getopt_long, --help and the man page. A row
 * names the field of the program's settings struct that it fills, or has a setter, which explains
 * what is wrong with a value.
 */
#ifndef FT_OPTIONS_H
#define FT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "ft/error.h"

struct ft_option {
	const char *group;     /* heading in --help, for example "Stopping" */
	const char *long_name; /* without dashes; NULL: short form only */
	char short_name;       /* 0: long form only */
	const char *argument;  /* what to call its value in --help; NULL: a flag */
	const char *help;
	int (*set)(void *settings, const char *value, struct ft_error *error);
	size_t field; /* without a setter: offset of a const char *, or of a flag's bool */
};

struct ft_program {
	const char *name;
	const char *summary;  /* one sentence */
	const char *synopsis; /* after the program's name */
	bool takes_operands;  /* words that are no options, by ft_options_parse_operands */
	const char *notes;    /* paragraphs after the options, or NULL */
	const char *examples; /* "command\n    what it does\n" */
	const struct ft_option *options;
	unsigned option_count;
};

enum ft_parsed {
	FT_PARSED_RUN = 0,  /* settings are filled in */
	FT_PARSED_DONE = 1, /* --help, --version or --man was answered on stdout */
};

/* FT_PARSED_*, or -EINVAL with the option named in `error`. */
int ft_options_parse(const struct ft_program *program, int argc, char **argv, void *settings,
		     struct ft_error *error);

/*
 * The same for a program that takes operands, before, between and after options: they are put at
 * argv[*first] and after.
 */
int ft_options_parse_operands(const struct ft_program *program, int argc, char **argv,
			      void *settings, int *first, struct ft_error *error);

#endif
