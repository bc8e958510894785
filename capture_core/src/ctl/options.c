/* SPDX-License-Identifier: Apache-2.0 */
#include "ft/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_OPTIONS 64

/* getopt_long values of options without a short form: beyond any character. */
#define LONG_ONLY 256
#define HELP	  (LONG_ONLY + MAX_OPTIONS)
#define VERSION	  (HELP + 1)
#define MAN	  (HELP + 2)

struct parser {
	struct option long_options[MAX_OPTIONS + 4];
	char short_options[2 * MAX_OPTIONS + 3];
};

static void build_parser(const struct ft_program *program, struct parser *parser)
{
	const struct option common[] = {
		{"help", no_argument, NULL, HELP},
		{"version", no_argument, NULL, VERSION},
		{"man", no_argument, NULL, MAN},
		{NULL, 0, NULL, 0},
	};
	struct option *next = parser->long_options;
	char *shorts = parser->short_options;

	if (!program->takes_operands)
		*shorts++ = '+'; /* stop at the first word that is no option */
	*shorts++ = ':';	 /* tell a missing value from an unknown option, print nothing */
	for (unsigned i = 0; i < program->option_count && i < MAX_OPTIONS; i++) {
		const struct ft_option *row = &program->options[i];
		int value = row->short_name != 0 ? row->short_name : LONG_ONLY + (int)i;

		if (row->long_name != NULL)
			*next++ = (struct option){row->long_name,
						  row->argument != NULL ? required_argument
									: no_argument,
						  NULL, value};
		if (row->short_name == 0)
			continue;
		*shorts++ = row->short_name;
		if (row->argument != NULL)
			*shorts++ = ':';
	}
	*shorts = '\0';
	memcpy(next, common, sizeof(common));
}

static const struct ft_option *find_row(const struct ft_program *program, int value)
{
	for (unsigned i = 0; i < program->option_count; i++) {
		const struct ft_option *row = &program->options[i];

		if (row->short_name != 0 ? row->short_name == value : LONG_ONLY + (int)i == value)
			return row;
	}
	return NULL;
}

/* "-i" or "--report", as --help shows it. */
static void spell(const struct ft_option *row, char *text, size_t bytes)
{
	if (row->long_name == NULL)
		snprintf(text, bytes, "-%c", row->short_name);
	else if (row->short_name == 0)
		snprintf(text, bytes, "--%s", row->long_name);
	else
		snprintf(text, bytes, "-%c, --%s", row->short_name, row->long_name);
}

static void print_help(const struct ft_program *program)
{
	const char *group = NULL;

	printf("%s: %s\n\nUsage: %s %s\n", program->name, program->summary, program->name,
	       program->synopsis);
	for (unsigned i = 0; i < program->option_count; i++) {
		const struct ft_option *row = &program->options[i];
		char name[64], left[96];

		if (group == NULL || strcmp(group, row->group) != 0)
			printf("\n%s:\n", row->group);
		group = row->group;
		spell(row, name, sizeof(name));
		snprintf(left, sizeof(left), "%s%s%s", name, row->argument != NULL ? " " : "",
			 row->argument != NULL ? row->argument : "");
		if (strlen(left) > 24)
			printf("  %s\n  %-24s  %s\n", left, "", row->help);
		else
			printf("  %-24s  %s\n", left, row->help);
	}
	printf("\nAbout:\n  %-24s  %s\n  %-24s  %s\n  %-24s  %s\n", "--help", "this text",
	       "--version", "the program's version", "--man", "the manual page, as roff");
	if (program->notes != NULL)
		printf("\n%s", program->notes);
	printf("\nExamples:\n%s", program->examples);
}

/* Text for roff: a line must not begin with a control character. */
static void print_roff(const char *text)
{
	int start = 1;

	for (; *text != '\0'; text++) {
		if (start && (*text == '.' || *text == '\''))
			fputs("\\&", stdout);
		if (*text == '\\' || *text == '-')
			putchar('\\');
		putchar(*text);
		start = *text == '\n';
	}
}

static void print_man(const struct ft_program *program)
{
	const char *group = NULL;

	printf(".TH \"%s\" 1 \"\" \"Fieldtap " FT_VERSION "\"\n.SH NAME\n", program->name);
	print_roff(program->name);
	printf(" \\- ");
	print_roff(program->summary);
	printf("\n.SH SYNOPSIS\n.B %s\n", program->name);
	print_roff(program->synopsis);
	printf("\n.SH OPTIONS\n");
	for (unsigned i = 0; i < program->option_count; i++) {
		const struct ft_option *row = &program->options[i];
		char name[64];

		if (group == NULL || strcmp(group, row->group) != 0)
			printf(".SS %s\n", row->group);
		group = row->group;
		spell(row, name, sizeof(name));
		printf(".TP\n.B ");
		print_roff(name);
		printf(" %s\n", row->argument != NULL ? row->argument : "");
		print_roff(row->help);
		printf("\n");
	}
	if (program->notes != NULL) {
		printf(".SH NOTES\n.nf\n");
		print_roff(program->notes);
		printf(".fi\n");
	}
	printf(".SH EXAMPLES\n.nf\n");
	print_roff(program->examples);
	printf(".fi\n");
}

static int refuse(const struct ft_program *program, int value, const char *word,
		  struct ft_error *error)
{
	bool is_long = strncmp(word, "--", 2) == 0;
	const char *what = value == ':'		    ? "needs a value"
			   : is_long && optopt != 0 ? "takes no value"
						    : "unknown option";

	if (!is_long && isprint(optopt))
		return ft_fail(error, -EINVAL, "-%c: %s; see %s --help", optopt, what,
			       program->name);
	return ft_fail(error, -EINVAL, "%s: %s; see %s --help", word, what, program->name);
}

/* Put the option before what its setter says of the value, unless the setter named it. */
static int blame(const struct ft_option *row, int rc, struct ft_error *error)
{
	struct ft_error said = *error;

	if (said.text[0] == '-')
		return rc;
	if (row->long_name != NULL)
		return ft_fail(error, rc, "--%s: %.400s", row->long_name, said.text);
	return ft_fail(error, rc, "-%c: %.400s", row->short_name, said.text);
}

static int apply(const struct ft_option *row, void *settings, const char *value,
		 struct ft_error *error)
{
	void *field = (char *)settings + row->field;

	if (row->set != NULL)
		return row->set(settings, value, error);
	if (row->argument != NULL)
		*(const char **)field = value;
	else
		*(bool *)field = true;
	return 0;
}

int ft_options_parse_operands(const struct ft_program *program, int argc, char **argv,
			      void *settings, int *first, struct ft_error *error)
{
	struct parser parser;
	int value, rc;

	build_parser(program, &parser);
	optind = 0; /* afresh, and not within the word where an earlier parse ended */
	while (1) {
		const char *word = argv[optind > 0 ? optind : 1];
		const struct ft_option *row;

		value = getopt_long(argc, argv, parser.short_options, parser.long_options, NULL);
		if (value == -1)
			break;
		/* Operands that stood before it have been moved behind it. */
		if (program->takes_operands && argv[optind - 1][0] == '-')
			word = argv[optind - 1];
		if (value == '?' || value == ':')
			return refuse(program, value, word, error);
		if (value == HELP)
			print_help(program);
		else if (value == VERSION)
			printf("%s " FT_VERSION "\n", program->name);
		else if (value == MAN)
			print_man(program);
		if (value >= HELP)
			return fflush(stdout) == 0
				       ? FT_PARSED_DONE
				       : ft_fail(error, -errno, "stdout: %s", strerror(errno));
		row = find_row(program, value);
		rc = apply(row, settings, optarg, error);
		if (rc != 0)
			return blame(row, rc, error);
	}
	*first = optind;
	if (optind < argc && !program->takes_operands)
		return ft_fail(error, -EINVAL, "%s: not an option; see %s --help", argv[optind],
			       program->name);
	return FT_PARSED_RUN;
}

int ft_options_parse(const struct ft_program *program, int argc, char **argv, void *settings,
		     struct ft_error *error)
{
	int first;

	return ft_options_parse_operands(program, argc, argv, settings, &first, error);
}
