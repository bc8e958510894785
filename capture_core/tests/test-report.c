/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder.h"
#include "ft/report.h"

static struct ft_error error;

static int write_number(const char *path, int number)
{
	json_t *report = json_pack("{s:i}", "number", number);
	int rc = ft_report_write(path, report, &error);

	json_decref(report);
	return rc;
}

static unsigned count_files(void)
{
	DIR *folder = opendir(".");
	unsigned count = 0;

	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	return count - 2; /* . and .. */
}

static void a_report_is_one_json_object_and_a_newline(void **state)
{
	(void)state;
	assert_int_equal(write_number("r.json", 1), 0);
	assert_true(holds_text("r.json", "{\n  \"number\": 1\n}\n"));
}

static void a_report_replaces_the_one_before_whole_and_leaves_nothing_beside_it(void **state)
{
	struct stat before, after;
	int fd;

	(void)state;
	assert_int_equal(write_number("r.json", 1), 0);
	fd = open("r.json", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(fd, &before), 0);
	assert_int_equal(write_number("r.json", 2), 0);
	assert_true(holds_text("r.json", "{\n  \"number\": 2\n}\n"));
	/* A reader of the old report still has all of it. */
	assert_int_equal(fstat(fd, &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(after.st_nlink, 0);
	close(fd);
	assert_int_equal(count_files(), 1);
}

static void a_report_has_the_permissions_that_the_umask_leaves(void **state)
{
	mode_t mask = umask(027);
	struct stat status;

	(void)state;
	assert_int_equal(write_number("shared.json", 1), 0);
	umask(mask);
	assert_int_equal(stat("shared.json", &status), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
	remove("shared.json");
}

static void a_report_can_go_into_a_fifo(void **state)
{
	char got[64] = "";
	int fd;

	(void)state;
	assert_int_equal(mkfifo("fifo", 0600), 0);
	fd = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(write_number("fifo", 3), 0);
	assert_int_equal(read(fd, got, sizeof(got) - 1), 18);
	assert_string_equal(got, "{\n  \"number\": 3\n}\n");
	close(fd);
	remove("fifo");
}

static void a_report_that_does_not_fit_is_an_error_in_words(void **state)
{
	(void)state;
	assert_int_equal(write_number("/dev/full", 1), -ENOSPC);
	assert_string_equal(error.text, "--report /dev/full: No space left on device");
}

static void a_place_that_cannot_be_written_is_said_before_anything_runs(void **state)
{
	(void)state;
	assert_int_equal(ft_report_check("no/such/r.json", &error), -ENOENT);
	assert_string_equal(
		error.text,
		"--report no/such/r.json: cannot write in no/such: No such file or directory");
}

static void a_folder_or_nothing_is_no_name_for_a_report(void **state)
{
	char longest[8192];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(ft_report_check(".", &error), -EINVAL);
	assert_int_equal(ft_report_check("", &error), -EINVAL);
	assert_int_equal(ft_report_check(longest, &error), -EINVAL);
}

static void good_places_pass_the_check_and_stay_untouched(void **state)
{
	(void)state;
	assert_int_equal(ft_report_check("-", &error), 0);
	assert_int_equal(ft_report_check("new.json", &error), 0);
	assert_int_equal(ft_report_check("/dev/stderr", &error), 0);
	assert_false(exists("new.json"));
}

static void a_place_lost_meanwhile_leaves_no_temporary_file(void **state)
{
	(void)state;
	assert_int_equal(mkdir("taken.json", 0700), 0);
	assert_int_equal(mkdir("taken.json/full", 0700), 0);
	assert_true(write_number("taken.json", 1) < 0);
	assert_int_equal(rmdir("taken.json/full"), 0);
	assert_int_equal(rmdir("taken.json"), 0);
	assert_int_equal(count_files(), 1); /* r.json, of the tests before */
}

static void check_text(const char *text, const char *shown)
{
	json_t *string = ft_report_text(text);

	assert_string_equal(json_string_value(string), shown);
	json_decref(string);
}

static void a_name_in_any_encoding_is_told(void **state)
{
	(void)state;
	check_text("plain", "plain");
	check_text("Büro", "Büro");
	check_text("caf\xe9.pcapng", "caf?.pcapng");
	check_text("cut in the middle of \xc3", "cut in the middle of ?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_is_one_json_object_and_a_newline),
		cmocka_unit_test(
			a_report_replaces_the_one_before_whole_and_leaves_nothing_beside_it),
		cmocka_unit_test(a_report_has_the_permissions_that_the_umask_leaves),
		cmocka_unit_test(a_report_can_go_into_a_fifo),
		cmocka_unit_test(a_report_that_does_not_fit_is_an_error_in_words),
		cmocka_unit_test(a_place_that_cannot_be_written_is_said_before_anything_runs),
		cmocka_unit_test(a_folder_or_nothing_is_no_name_for_a_report),
		cmocka_unit_test(good_places_pass_the_check_and_stay_untouched),
		cmocka_unit_test(a_place_lost_meanwhile_leaves_no_temporary_file),
		cmocka_unit_test(a_name_in_any_encoding_is_told),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
