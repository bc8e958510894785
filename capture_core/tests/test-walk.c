/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "chunked.h"
#include "folder.h"
#include "ft/walk.h"

static uint64_t chunk_offset[8];

static void make_capture(const char *path)
{
	struct chunked *c = chunked_begin(path, 9, false);

	for (unsigned i = 0; i < 4; i++) {
		chunk_offset[i] = c->offset;
		for (unsigned j = 0; j < 100; j++)
			chunked_put_udp(c, CHUNKED_BASE_NS + 1000 * i + j, 200, j, j);
		chunked_end(c, i % 2);
	}
	chunk_offset[4] = c->offset;
	chunked_finish(c);
}

static int64_t number(const json_t *walked, const char *name)
{
	const json_t *value = json_object_get(walked, name);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

static const char *gap(const json_t *walked, size_t index)
{
	return json_string_value(
		json_object_get(json_array_get(json_object_get(walked, "gaps"), index), "what"));
}

static void flip(const char *path, uint64_t offset)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
	close(fd);
}

static void a_whole_capture_is_told_with_its_last_statistics(void **state)
{
	const json_t *interface, *statistics, *chunks;
	json_t *walked;
	FILE *sum;
	char hash[65] = "";

	(void)state;
	make_capture("whole.pcapng");
	walked = ft_walk_file("whole.pcapng");
	assert_true(json_is_null(json_object_get(walked, "error")));
	assert_int_equal(number(walked, "packets"), 400);
	assert_int_equal(number(walked, "bytes"), 80000);
	assert_true(number(walked, "first_ns") == (int64_t)CHUNKED_BASE_NS);
	assert_true(number(walked, "last_ns") == (int64_t)CHUNKED_BASE_NS + 3099);
	assert_int_equal(number(walked, "late"), 0);
	assert_int_equal(number(walked, "link_type"), 1);
	assert_int_equal(number(walked, "gap_count"), 0);
	assert_string_equal(json_string_value(json_object_get(walked, "session")),
			    "09090909090909090909090909090909");
	chunks = json_object_get(walked, "chunks");
	assert_int_equal(number(chunks, "count"), 6);
	assert_int_equal(number(chunks, "intact"), 6);
	assert_int_equal(number(chunks, "first_sequence"), 0);
	assert_int_equal(number(chunks, "last_sequence"), 5);
	interface = json_array_get(json_object_get(walked, "interfaces"), 0);
	assert_string_equal(json_string_value(json_object_get(interface, "name")), "eth2:rx");
	statistics = json_object_get(interface, "statistics");
	assert_int_equal(number(statistics, "received"), 407);
	assert_int_equal(number(statistics, "os_drops"), 7);
	assert_int_equal(number(statistics, "delivered"), 400);
	sum = popen("sha256sum whole.pcapng", "re");
	assert_int_equal(fread(hash, 64, 1, sum), 1);
	pclose(sum);
	assert_string_equal(json_string_value(json_object_get(walked, "sha256")), hash);
	json_decref(walked);
}

static void one_changed_byte_is_told_with_its_chunk(void **state)
{
	json_t *walked;

	(void)state;
	make_capture("byte.pcapng");
	flip("byte.pcapng", chunk_offset[2] + 100);
	walked = ft_walk_file("byte.pcapng");
	assert_int_equal(number(walked, "gap_count"), 1);
	assert_string_equal(gap(walked, 0), "crc");
	assert_int_equal(number(walked, "packets"), 400);
	assert_int_equal(number(json_object_get(walked, "chunks"), "intact"), 5);
	json_decref(walked);
}

static void a_chunk_taken_out_breaks_the_sequence(void **state)
{
	json_t *walked;
	size_t bytes;
	uint8_t *all;

	(void)state;
	make_capture("source.pcapng");
	all = read_whole("source.pcapng", &bytes);
	put_bytes("less.pcapng", all, chunk_offset[1]);
	put_bytes("less.pcapng", all + chunk_offset[2], bytes - chunk_offset[2]);
	free(all);
	walked = ft_walk_file("less.pcapng");
	assert_int_equal(number(walked, "gap_count"), 1);
	assert_string_equal(gap(walked, 0), "sequence");
	assert_int_equal(number(walked, "packets"), 300);
	json_decref(walked);
}

static void a_frame_taken_out_leaves_a_chunk_whose_mark_does_not_fit(void **state)
{
	json_t *walked;
	size_t bytes;
	uint8_t *all;

	(void)state;
	make_capture("source2.pcapng");
	all = read_whole("source2.pcapng", &bytes);
	put_bytes("frame.pcapng", all, chunk_offset[1]);
	put_bytes("frame.pcapng", all + chunk_offset[1] + ft_epb_bytes(200),
		  bytes - chunk_offset[1] - ft_epb_bytes(200));
	free(all);
	walked = ft_walk_file("frame.pcapng");
	assert_true(number(walked, "gap_count") > 0);
	assert_string_equal(gap(walked, 0), "unmarked");
	assert_int_equal(number(walked, "packets"), 399);
	json_decref(walked);
}

static void a_chunk_of_another_run_is_told(void **state)
{
	json_t *walked;
	size_t bytes;
	uint8_t *all;
	struct chunked *c = chunked_begin("foreign.pcapng", 77, false);

	(void)state;
	chunked_finish(c);
	make_capture("own.pcapng");
	all = read_whole("own.pcapng", &bytes);
	put_bytes("foreign.pcapng", all + chunk_offset[1], bytes - chunk_offset[1]);
	free(all);
	walked = ft_walk_file("foreign.pcapng");
	assert_string_equal(gap(walked, 0), "session");
	json_decref(walked);
}

static void a_torn_chunk_is_told_and_the_walk_goes_on_behind_it(void **state)
{
	uint8_t zeros[4096] = {0};
	json_t *walked;
	int fd;

	(void)state;
	make_capture("torn.pcapng");
	fd = open("torn.pcapng", O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, zeros, 4096, (off_t)chunk_offset[1]), 4096);
	close(fd);
	walked = ft_walk_file("torn.pcapng");
	assert_string_equal(gap(walked, 0), "structure");
	assert_string_equal(gap(walked, 1), "sequence");
	assert_int_equal(number(walked, "packets"), 300);
	json_decref(walked);
}

static void an_end_within_a_block_is_told(void **state)
{
	json_t *walked;

	(void)state;
	make_capture("cut.pcapng");
	assert_int_equal(truncate("cut.pcapng", (off_t)(chunk_offset[2] + 1000)), 0);
	walked = ft_walk_file("cut.pcapng");
	assert_string_equal(gap(walked, 0), "unmarked");
	assert_string_equal(gap(walked, 1), "cut");
	json_decref(walked);
}

static void frames_out_of_order_are_late_but_not_so_within_their_source(void **state)
{
	struct chunked *c = chunked_begin("late.pcapng", 9, false);
	json_t *walked;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned j = 0; j < 10; j++)
			chunked_put_udp(c, CHUNKED_BASE_NS + 2 * j + 1 - i, 100, j, j);
		chunked_end(c, i);
	}
	chunked_finish(c);
	walked = ft_walk_file("late.pcapng");
	assert_int_equal(number(walked, "late"), 10);
	assert_int_equal(number(walked, "late_in_source"), 0);
	json_decref(walked);
}

static void others_captures_are_walked_too(void **state)
{
	json_t *walked;

	(void)state;
	make_capture("mine.pcapng");
	if (system("editcap -F pcap mine.pcapng other.pcap 2>/dev/null") != 0)
		skip();
	walked = ft_walk_file("other.pcap");
	assert_string_equal(json_string_value(json_object_get(walked, "format")), "pcap");
	assert_int_equal(number(walked, "packets"), 400);
	assert_true(json_is_null(json_object_get(walked, "session")));
	json_decref(walked);
}

static void a_file_that_is_not_there_is_told_as_an_error(void **state)
{
	json_t *walked = ft_walk_file("nowhere.pcapng");

	(void)state;
	assert_true(json_is_string(json_object_get(walked, "error")));
	json_decref(walked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_capture_is_told_with_its_last_statistics),
		cmocka_unit_test(one_changed_byte_is_told_with_its_chunk),
		cmocka_unit_test(a_chunk_taken_out_breaks_the_sequence),
		cmocka_unit_test(a_frame_taken_out_leaves_a_chunk_whose_mark_does_not_fit),
		cmocka_unit_test(a_chunk_of_another_run_is_told),
		cmocka_unit_test(a_torn_chunk_is_told_and_the_walk_goes_on_behind_it),
		cmocka_unit_test(an_end_within_a_block_is_told),
		cmocka_unit_test(frames_out_of_order_are_late_but_not_so_within_their_source),
		cmocka_unit_test(others_captures_are_walked_too),
		cmocka_unit_test(a_file_that_is_not_there_is_told_as_an_error),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
