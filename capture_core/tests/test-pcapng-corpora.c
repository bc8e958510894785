/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conformance files of the pcapng test generator: beside each lies a text that says which
 * blocks it holds, and each exists in both byte orders.
 */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder.h"
#include "ft/reader.h"
#include "ft/repair.h"
#include "ft/walk.h"

static unsigned files;

/* How many blocks of the packet types the text claims; -1: there is no text. */
static int claimed_packets(const char *path)
{
	char text_path[4096], line[4096];
	int packets = 0, count;
	char kind[8];
	FILE *text;

	snprintf(text_path, sizeof(text_path), "%.*s.txt", (int)strlen(path) - 7, path);
	text = fopen(text_path, "re");
	if (text == NULL)
		return -1;
	while (fgets(line, sizeof(line), text) != NULL)
		if (sscanf(line, " %7[A-Z]: %d", kind, &count) == 2 &&
		    (strcmp(kind, "EPB") == 0 || strcmp(kind, "SPB") == 0 ||
		     strcmp(kind, "PB") == 0))
			packets += count;
	fclose(text);
	return packets;
}

/* The frames are the same in the other byte order. */
static int read_both(const char *path, const char *other_path)
{
	struct ft_record record, other_record;
	struct ft_reader *reader, *other;
	struct ft_error error;
	int packets = 0, rc;

	if (ft_reader_open(path, NULL, &reader, &error) != 0 ||
	    ft_reader_open(other_path, NULL, &other, &error) != 0)
		fail_msg("%s", error.text);
	while ((rc = ft_reader_next(reader, &record, &error)) == 1) {
		assert_int_equal(ft_reader_next(other, &other_record, &error), 1);
		assert_true(record.stamp_ns == other_record.stamp_ns);
		assert_int_equal(record.interface, other_record.interface);
		assert_int_equal(record.length_bytes, other_record.length_bytes);
		assert_int_equal(record.captured_bytes, other_record.captured_bytes);
		assert_memory_equal(record.data, other_record.data, record.captured_bytes);
		packets++;
	}
	if (rc != 0)
		fail_msg("%s", error.text);
	assert_int_equal(ft_reader_next(other, &other_record, &error), 0);
	ft_reader_close(reader);
	ft_reader_close(other);
	return packets;
}

static void check_walk(const char *path, int packets)
{
	json_t *walked = ft_walk_file(path);

	assert_true(json_is_null(json_object_get(walked, "error")));
	assert_int_equal(json_integer_value(json_object_get(walked, "packets")), packets);
	json_decref(walked);
}

/* Whatever blocks it holds, a sound file needs no mending. */
static void check_repair(const char *path)
{
	struct ft_repair repair;
	struct ft_error error;
	char command[4200];

	snprintf(command, sizeof(command), "cp '%s' sound.pcapng", path);
	assert_int_equal(system(command), 0);
	if (ft_repair_file("sound.pcapng", &repair, &error) != 0)
		fail_msg("%s", error.text);
	assert_false(repair.changed);
	unlink("sound.pcapng");
}

static int visit(const char *path, const struct stat *status, int type, struct FTW *place)
{
	const char *order = strstr(path, "output_le");
	char other[4096];
	int claimed;

	(void)status;
	(void)place;
	if (type != FTW_F || order == NULL || strlen(path) < 8 ||
	    strcmp(path + strlen(path) - 7, ".pcapng") != 0)
		return 0;
	snprintf(other, sizeof(other), "%.*soutput_be%s", (int)(order - path), path,
		 order + strlen("output_le"));
	claimed = claimed_packets(path);
	if (claimed < 0)
		return 0;
	if (read_both(path, other) != claimed)
		fail_msg("%s: holds %d packets by its text", path, claimed);
	check_walk(path, claimed);
	check_repair(path);
	check_repair(other);
	files++;
	return 0;
}

static void every_conformance_file_reads_as_its_text_says_in_both_byte_orders(void **state)
{
	const char *corpora = getenv("FIELDTAP_CORPORA");
	char path[4096];

	(void)state;
	snprintf(path, sizeof(path), "%s/pcapng-test-generator",
		 corpora != NULL ? corpora : FT_CORPORA);
	if (access(path, R_OK) != 0) {
		print_message("%s is absent; set FIELDTAP_CORPORA\n", path);
		skip();
	}
	nftw(path, visit, 16, FTW_PHYS);
	print_message("%u files, each in two byte orders\n", files);
	assert_true(files > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_conformance_file_reads_as_its_text_says_in_both_byte_orders),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
