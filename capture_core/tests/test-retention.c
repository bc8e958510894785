/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "folder.h"
#include "ft/clock.h"
#include "store/retention.h"

#define FILES 6u

static void touch(const char *path)
{
	fclose(fopen(path, "we"));
}

/* f0 .. f5, each with its index, 1000 bytes and 10 packets by the record, closed a second apart. */
static void make_files(struct ft_retention *retention)
{
	ft_retention_init(retention);
	for (unsigned i = 0; i < FILES; i++) {
		char path[16], beside[24];
		struct ft_file_record record = {
			.packets = 10,
			.packet_bytes = 600,
			.size_bytes = 1000,
			.complete = true,
			.closed_ns = ft_clock_utc_ns() - (FILES - i) * FT_NS_PER_SECOND,
		};

		snprintf(path, sizeof(path), "f%u", i);
		snprintf(beside, sizeof(beside), "f%u.idx", i);
		touch(path);
		touch(beside);
		record.path = strdup(path);
		ft_retention_add(retention, &record);
	}
}

/* A word of which each letter is a file that is there. */
static const char *left(void)
{
	static char word[FILES + 1];
	unsigned length = 0;

	for (unsigned i = 0; i < FILES; i++) {
		char path[16], beside[24];

		snprintf(path, sizeof(path), "f%u", i);
		snprintf(beside, sizeof(beside), "f%u.idx", i);
		assert_int_equal(exists(path), exists(beside));
		if (exists(path))
			word[length++] = (char)('0' + i);
	}
	word[length] = '\0';
	return word;
}

static void the_oldest_go_first_and_the_growing_file_counts(void **state)
{
	struct ft_retention retention = {.max_files = 4};

	(void)state;
	make_files(&retention);
	assert_true(ft_retention_apply(&retention, "f", 1, 0));
	assert_string_equal(left(), "345");
	assert_int_equal(retention.expired.files, 3);
	assert_int_equal(retention.expired.packets, 30);
	assert_int_equal(retention.expired.packet_bytes, 1800);
	ft_retention_free(&retention);
}

static void at_the_end_no_file_more_goes(void **state)
{
	struct ft_retention retention = {.max_files = 4};

	(void)state;
	make_files(&retention);
	ft_retention_apply(&retention, "f", 0, 0);
	assert_string_equal(left(), "2345");
	ft_retention_free(&retention);
}

static void a_file_that_is_kept_stays_and_the_next_one_goes(void **state)
{
	struct ft_retention retention = {.max_files = 4};

	(void)state;
	make_files(&retention);
	touch("f0" FT_KEEP_SUFFIX);
	ft_retention_apply(&retention, "f", 0, 0);
	assert_string_equal(left(), "0345");
	remove("f0" FT_KEEP_SUFFIX);
	ft_retention_free(&retention);
}

static void bytes_and_age_are_limits_too(void **state)
{
	struct ft_retention by_bytes = {.max_bytes = 3500};
	struct ft_retention by_age = {.max_age_ns = 3 * FT_NS_PER_SECOND + FT_NS_PER_SECOND / 2};

	(void)state;
	make_files(&by_bytes);
	ft_retention_apply(&by_bytes, "f", 1, 1000);
	assert_string_equal(left(), "45");
	ft_retention_free(&by_bytes);
	make_files(&by_age);
	ft_retention_apply(&by_age, "f", 1, 0);
	assert_string_equal(left(), "345");
	ft_retention_free(&by_age);
}

static void with_too_little_free_space_everything_that_may_go_goes_and_that_is_told(void **state)
{
	struct ft_retention retention = {.free_bytes = UINT64_MAX};

	(void)state;
	make_files(&retention);
	touch("f2" FT_KEEP_SUFFIX);
	assert_false(ft_retention_apply(&retention, "f", 1, 0));
	assert_string_equal(left(), "2");
	remove("f2" FT_KEEP_SUFFIX);
	ft_retention_free(&retention);
}

static void without_limits_nothing_goes(void **state)
{
	struct ft_retention retention = {0};

	(void)state;
	make_files(&retention);
	assert_true(ft_retention_apply(&retention, "f", 1, 1ull << 40));
	assert_string_equal(left(), "012345");
	ft_retention_free(&retention);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_oldest_go_first_and_the_growing_file_counts),
		cmocka_unit_test(at_the_end_no_file_more_goes),
		cmocka_unit_test(a_file_that_is_kept_stays_and_the_next_one_goes),
		cmocka_unit_test(bytes_and_age_are_limits_too),
		cmocka_unit_test(
			with_too_little_free_space_everything_that_may_go_goes_and_that_is_told),
		cmocka_unit_test(without_limits_nothing_goes),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
