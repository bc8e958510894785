/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder.h"
#include "ft/options.h"

struct settings {
	const char *port;
	const char *report;
	int quiet;
};

static int set_port(void *settings, const char *value, struct ft_error *error)
{
	if (strcmp(value, "nowhere") == 0)
		return ft_fail(error, -ENODEV, "-i nowhere: no such port");
	((struct settings *)settings)->port = value;
	return 0;
}

static int set_report(void *settings, const char *value, struct ft_error *error)
{
	if (strcmp(value, "bad") == 0)
		return ft_fail(error, -EINVAL, "'bad' is not a name");
	((struct settings *)settings)->report = value;
	return 0;
}

static int set_quiet(void *settings, const char *value, struct ft_error *error)
{
	(void)error;
	assert_null(value);
	((struct settings *)settings)->quiet++;
	return 0;
}

static const struct ft_option options[] = {
	{"Ports", "interface", 'i', "PORT", "where frames come from", set_port},
	{"Output", "report", 0, "FILE", "write a report", set_report},
	{"Output", NULL, 'q', NULL, "say nothing", set_quiet},
	{"Output", "silent", 0, NULL, "say nothing either", set_quiet},
};

static const struct ft_program program = {
	.name = "ft-test",
	.summary = "tests options",
	.synopsis = "-i PORT [option...]",
	.notes = ".begins like a macro\n",
	.examples = "  ft-test -i eth0\n      an example\n",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
};

#define MAX_WORDS 8

static struct settings settings;
static struct ft_error error;

/* Parse blank-separated words, as if after the program's name. */
static int parse(const char *words)
{
	static char copy[256];
	char *argv[MAX_WORDS + 1] = {(char *)"ft-test"};
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", words);
	for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = word;
	settings = (struct settings){0};
	error.text[0] = '\0';
	return ft_options_parse(&program, argc, argv, &settings, &error);
}

/* Refused with exactly this line. */
static void check_refused(const char *words, const char *line)
{
	assert_int_equal(parse(words), -EINVAL);
	assert_string_equal(error.text, line);
}

static int parse_into(const char *words, const char *path)
{
	int standard, rc;

	fflush(stdout);
	standard = dup(STDOUT_FILENO);
	assert_non_null(freopen(path, "we", stdout));
	rc = parse(words);
	fflush(stdout);
	dup2(standard, STDOUT_FILENO);
	close(standard);
	clearerr(stdout);
	return rc;
}

static void assert_told(const char *path, const char *text)
{
	size_t bytes;
	char *all = (char *)read_whole(path, &bytes);

	if (strstr(all, text) == NULL)
		fail_msg("'%s' is not in:\n%s", text, all);
	free(all);
}

static void no_words_leave_the_settings_as_they_are(void **state)
{
	(void)state;
	assert_int_equal(parse(""), FT_PARSED_RUN);
	assert_null(settings.port);
}

static void short_and_long_forms_set_the_same(void **state)
{
	static const char *const forms[] = {"-i eth0", "-ieth0", "--interface eth0",
					    "--interface=eth0"};

	(void)state;
	for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		assert_int_equal(parse(forms[i]), FT_PARSED_RUN);
		assert_string_equal(settings.port, "eth0");
	}
}

static void options_of_one_form_only_are_known_by_it(void **state)
{
	(void)state;
	assert_int_equal(parse("--report r.json -q --silent"), FT_PARSED_RUN);
	assert_string_equal(settings.report, "r.json");
	assert_int_equal(settings.quiet, 2);
}

static void flags_can_be_joined_and_repeated(void **state)
{
	(void)state;
	assert_int_equal(parse("-qqi eth0 -q"), FT_PARSED_RUN);
	assert_int_equal(settings.quiet, 3);
	assert_string_equal(settings.port, "eth0");
}

static void a_value_may_look_like_an_option(void **state)
{
	(void)state;
	assert_int_equal(parse("-i -"), FT_PARSED_RUN);
	assert_string_equal(settings.port, "-");
	assert_int_equal(parse("--report --silent"), FT_PARSED_RUN);
	assert_string_equal(settings.report, "--silent");
}

static void a_missing_value_is_said_with_the_option_as_written(void **state)
{
	(void)state;
	check_refused("-i", "-i: needs a value; see ft-test --help");
	check_refused("-qi", "-i: needs a value; see ft-test --help");
	check_refused("--interface", "--interface: needs a value; see ft-test --help");
	check_refused("-q --report", "--report: needs a value; see ft-test --help");
}

static void an_unknown_option_is_said_as_written(void **state)
{
	(void)state;
	check_refused("-z", "-z: unknown option; see ft-test --help");
	check_refused("-qz", "-z: unknown option; see ft-test --help");
	check_refused("--bogus", "--bogus: unknown option; see ft-test --help");
	check_refused("-i eth0 --bogus=1", "--bogus=1: unknown option; see ft-test --help");
}

static void a_value_for_a_flag_is_refused(void **state)
{
	(void)state;
	check_refused("--silent=yes", "--silent=yes: takes no value; see ft-test --help");
}

static void a_word_that_is_no_option_is_refused_wherever_it_stands(void **state)
{
	(void)state;
	check_refused("eth0", "eth0: not an option; see ft-test --help");
	check_refused("-i eth0 extra", "extra: not an option; see ft-test --help");
	check_refused("extra -i eth0", "extra: not an option; see ft-test --help");
	check_refused("extra --bogus", "extra: not an option; see ft-test --help");
	check_refused("-- -q", "-q: not an option; see ft-test --help");
}

static void what_a_setter_refuses_is_handed_on(void **state)
{
	(void)state;
	assert_int_equal(parse("-i nowhere"), -ENODEV);
	assert_string_equal(error.text, "-i nowhere: no such port");
}

static void a_setter_need_not_name_its_option(void **state)
{
	(void)state;
	check_refused("--report bad", "--report: 'bad' is not a name");
}

static void help_shows_every_option_under_its_heading(void **state)
{
	(void)state;
	assert_int_equal(parse_into("--help", "help"), FT_PARSED_DONE);
	assert_told("help", "ft-test: tests options\n");
	assert_told("help", "\nUsage: ft-test -i PORT [option...]\n");
	assert_told("help", "\nPorts:\n  -i, --interface PORT      where frames come from\n");
	assert_told("help", "\nOutput:\n  --report FILE             write a report\n"
			    "  -q                        say nothing\n"
			    "  --silent                  say nothing either\n");
	assert_told("help", "\nExamples:\n  ft-test -i eth0\n");
}

static void version_is_one_line_with_the_programs_name(void **state)
{
	(void)state;
	assert_int_equal(parse_into("--version", "version"), FT_PARSED_DONE);
	assert_true(holds_text("version", "ft-test " FT_VERSION "\n"));
}

static void the_manual_page_is_roff_in_which_no_text_becomes_a_macro(void **state)
{
	(void)state;
	assert_int_equal(parse_into("--man", "man"), FT_PARSED_DONE);
	assert_told("man", ".TH \"ft-test\" 1");
	assert_told("man", ".SH NAME\nft\\-test \\- tests options\n");
	assert_told("man", ".TP\n.B \\-i, \\-\\-interface PORT\nwhere frames come from\n");
	assert_told("man", "\n\\&.begins like a macro\n");
}

static void operands_may_stand_before_between_and_after_options(void **state)
{
	char *argv[] = {(char *)"ft-test", (char *)"one",    (char *)"-i",
			(char *)"eth0",	   (char *)"two",    (char *)"-q",
			(char *)"--",	   (char *)"-three", NULL};
	struct ft_program taking = program;
	int first;

	(void)state;
	taking.takes_operands = true;
	settings = (struct settings){0};
	assert_int_equal(ft_options_parse_operands(&taking, 8, argv, &settings, &first, &error),
			 FT_PARSED_RUN);
	assert_int_equal(first, 5);
	assert_string_equal(argv[5], "one");
	assert_string_equal(argv[6], "two");
	assert_string_equal(argv[7], "-three");
	assert_string_equal(settings.port, "eth0");
	assert_int_equal(settings.quiet, 1);
}

static void an_unknown_option_among_operands_is_said_as_written(void **state)
{
	char *argv[] = {(char *)"ft-test", (char *)"one", (char *)"two", (char *)"--bogus", NULL};
	struct ft_program taking = program;
	int first;

	(void)state;
	taking.takes_operands = true;
	assert_int_equal(ft_options_parse_operands(&taking, 4, argv, &settings, &first, &error),
			 -EINVAL);
	assert_string_equal(error.text, "--bogus: unknown option; see ft-test --help");
}

static void help_is_answered_before_later_words_are_judged(void **state)
{
	(void)state;
	assert_int_equal(parse_into("-q --help --bogus", "help"), FT_PARSED_DONE);
}

static void help_that_cannot_be_written_is_an_error_in_words(void **state)
{
	(void)state;
	assert_int_equal(parse_into("--help", "/dev/full"), -ENOSPC);
	assert_string_equal(error.text, "stdout: No space left on device");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_words_leave_the_settings_as_they_are),
		cmocka_unit_test(short_and_long_forms_set_the_same),
		cmocka_unit_test(options_of_one_form_only_are_known_by_it),
		cmocka_unit_test(flags_can_be_joined_and_repeated),
		cmocka_unit_test(a_value_may_look_like_an_option),
		cmocka_unit_test(a_missing_value_is_said_with_the_option_as_written),
		cmocka_unit_test(an_unknown_option_is_said_as_written),
		cmocka_unit_test(a_value_for_a_flag_is_refused),
		cmocka_unit_test(a_word_that_is_no_option_is_refused_wherever_it_stands),
		cmocka_unit_test(what_a_setter_refuses_is_handed_on),
		cmocka_unit_test(a_setter_need_not_name_its_option),
		cmocka_unit_test(help_shows_every_option_under_its_heading),
		cmocka_unit_test(version_is_one_line_with_the_programs_name),
		cmocka_unit_test(the_manual_page_is_roff_in_which_no_text_becomes_a_macro),
		cmocka_unit_test(operands_may_stand_before_between_and_after_options),
		cmocka_unit_test(an_unknown_option_among_operands_is_said_as_written),
		cmocka_unit_test(help_is_answered_before_later_words_are_judged),
		cmocka_unit_test(help_that_cannot_be_written_is_an_error_in_words),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
