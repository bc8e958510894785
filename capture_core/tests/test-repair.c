/* SPDX-License-Identifier: Apache-2.0 */
/* Captures damaged as crashes and power cuts do it, mended, and read by others. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/file.h>

#include <cmocka.h>

#include "chunked.h"
#include "folder.h"
#include "ft/reader.h"
#include "ft/repair.h"
#include "ft/walk.h"

#define CHUNKS	    6u
#define FRAMES	    400u /* a chunk */
#define FRAME_BYTES 600u

static uint64_t chunk_offset[CHUNKS + 3];

/* Frame `number` is on its own: its bytes can be made again. */
static void make_capture(const char *path)
{
	struct chunked *c = chunked_begin(path, 9, false);

	chunk_offset[0] = 0;
	for (unsigned i = 0; i < CHUNKS; i++) {
		chunk_offset[i + 1] = c->offset;
		for (unsigned j = 0; j < FRAMES; j++) {
			uint32_t number = i * FRAMES + j;

			chunked_put_udp(c, CHUNKED_BASE_NS + number, FRAME_BYTES, number % 50,
					number);
		}
		chunked_end(c, 0);
	}
	chunk_offset[CHUNKS + 1] = c->offset;
	chunk_offset[CHUNKS + 2] = chunked_finish(c);
}

static void write_at(const char *path, uint64_t offset, const void *bytes, size_t count)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, count, (off_t)offset), count);
	close(fd);
}

static void zero_at(const char *path, uint64_t offset, size_t count)
{
	uint8_t *zeros = calloc(1, count);

	write_at(path, offset, zeros, count);
	free(zeros);
}

/* Every frame is one that was put in, whole, in its order. Sets seen[number]. */
static unsigned check_frames(const char *path, bool *seen)
{
	struct ft_reader *reader;
	struct ft_record record;
	struct ft_error error;
	uint8_t frame[FRAME_BYTES];
	unsigned count = 0;
	int64_t last = -1;
	int rc;

	memset(seen, 0, CHUNKS * FRAMES);
	assert_int_equal(ft_reader_open(path, NULL, &reader, &error), 0);
	while ((rc = ft_reader_next(reader, &record, &error)) == 1) {
		uint32_t number;

		assert_int_equal(record.captured_bytes, FRAME_BYTES);
		memcpy(&number, record.data + 42, sizeof(number));
		assert_true(number < CHUNKS * FRAMES && (int64_t)number > last);
		chunked_make_frame(frame, FRAME_BYTES, number % 50, number);
		assert_memory_equal(record.data, frame, FRAME_BYTES);
		assert_true(record.stamp_ns == CHUNKED_BASE_NS + number);
		seen[number] = true;
		last = number;
		count++;
	}
	if (rc != 0)
		fail_msg("%s", error.text);
	ft_reader_close(reader);
	return count;
}

/* tshark and tcpdump read the file to its end and have nothing to say about it. */
static void others_read_it_silently(const char *path)
{
	char command[600];

	if (system("command -v tcpdump >/dev/null && command -v tshark >/dev/null") != 0)
		return;
	snprintf(command, sizeof(command),
		 "tcpdump -nr %s 2>tcpdump.txt >/dev/null && "
		 "test -z \"$(grep -v '^reading from' tcpdump.txt)\"",
		 path);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command),
		 "tshark -n -r %s 2>tshark.txt >/dev/null && "
		 "test -z \"$(grep -v '^Running as' tshark.txt)\"",
		 path);
	assert_int_equal(system(command), 0);
}

static void mend(const char *path, struct ft_repair *repair)
{
	struct ft_error error;
	size_t bytes, again;
	uint8_t *before, *after;

	if (ft_repair_file(path, repair, &error) != 0)
		fail_msg("%s", error.text);
	if (repair->path[0] == '\0')
		return;
	/* A second run changes nothing. */
	before = read_whole(repair->path, &bytes);
	assert_int_equal(bytes, repair->size_bytes);
	{
		struct ft_repair second;

		assert_int_equal(ft_repair_file(repair->path, &second, &error), 0);
		assert_false(second.changed);
		assert_string_equal(second.torn, "");
		assert_string_equal(second.path, repair->path);
	}
	after = read_whole(repair->path, &again);
	assert_int_equal(bytes, again);
	assert_memory_equal(before, after, bytes);
	free(before);
	free(after);
}

static void a_whole_capture_is_only_given_its_name(void **state)
{
	bool seen[CHUNKS * FRAMES];
	struct ft_repair repair;

	(void)state;
	make_capture("whole.pcapng.partial");
	mend("whole.pcapng.partial", &repair);
	assert_string_equal(repair.path, "whole.pcapng");
	assert_false(repair.changed);
	assert_false(exists("whole.pcapng.torn"));
	assert_false(exists("whole.pcapng.partial"));
	assert_int_equal(check_frames("whole.pcapng", seen), CHUNKS * FRAMES);
	others_read_it_silently("whole.pcapng");
}

static void reserved_space_at_the_end_is_cut_off_and_not_kept(void **state)
{
	bool seen[CHUNKS * FRAMES];
	struct ft_repair repair;

	(void)state;
	make_capture("zeros.pcapng.partial");
	assert_int_equal(truncate("zeros.pcapng.partial", 64 << 20), 0);
	mend("zeros.pcapng.partial", &repair);
	assert_true(repair.changed);
	assert_string_equal(repair.torn, "");
	assert_true(repair.size_bytes == chunk_offset[CHUNKS + 2]);
	assert_false(exists("zeros.pcapng.torn"));
	assert_int_equal(check_frames("zeros.pcapng", seen), CHUNKS * FRAMES);
	others_read_it_silently("zeros.pcapng");
}

static void a_chunk_cut_short_keeps_its_whole_frames_and_the_rest_is_torn(void **state)
{
	uint64_t cut = 0;
	bool seen[CHUNKS * FRAMES];
	struct ft_repair repair;
	size_t torn_bytes;

	(void)state;
	make_capture("cut.pcapng.partial");
	cut = chunk_offset[3] + 20 * ft_epb_bytes(FRAME_BYTES) + 100;
	assert_int_equal(truncate("cut.pcapng.partial", (off_t)cut), 0);
	assert_int_equal(truncate("cut.pcapng.partial", 8 << 20), 0); /* reserved space */
	mend("cut.pcapng.partial", &repair);
	assert_string_equal(repair.torn, "cut.pcapng.torn");
	free(read_whole("cut.pcapng.torn", &torn_bytes));
	assert_int_equal(torn_bytes, 100);
	assert_int_equal(check_frames("cut.pcapng", seen), 2 * FRAMES + 20);
	others_read_it_silently("cut.pcapng");
}

static void a_chunk_that_never_reached_the_disk_becomes_filler(void **state)
{
	bool seen[CHUNKS * FRAMES];
	struct ft_repair repair;

	(void)state;
	make_capture("hole.pcapng.partial");
	zero_at("hole.pcapng.partial", chunk_offset[2], chunk_offset[3] - chunk_offset[2]);
	mend("hole.pcapng.partial", &repair);
	assert_string_equal(repair.torn, "");
	assert_true(repair.filled_bytes == chunk_offset[3] - chunk_offset[2]);
	assert_true(repair.size_bytes == chunk_offset[CHUNKS + 2]);
	assert_int_equal(check_frames("hole.pcapng", seen), (CHUNKS - 1) * FRAMES);
	assert_false(seen[FRAMES]);
	assert_true(seen[FRAMES - 1] && seen[2 * FRAMES]);
	others_read_it_silently("hole.pcapng");
}

static void a_hole_of_many_megabytes_is_filled_too(void **state)
{
	struct chunked *c = chunked_begin("wide.pcapng.partial", 9, false);
	struct ft_repair repair;
	uint64_t from = 0, to = 0;
	uint32_t number = 0;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		if (i == 1)
			from = c->offset;
		if (i == 4)
			to = c->offset;
		while (c->used < (4u << 20) - 20000)
			chunked_put_udp(c, CHUNKED_BASE_NS, 9000, 1, number++);
		chunked_end(c, 0);
	}
	chunked_finish(c);
	zero_at("wide.pcapng.partial", from, to - from);
	mend("wide.pcapng.partial", &repair);
	assert_true(repair.filled_bytes == to - from);
	others_read_it_silently("wide.pcapng");
}

static void a_torn_chunk_between_intact_ones_is_kept_beside_the_file(void **state)
{
	bool seen[CHUNKS * FRAMES];
	struct ft_repair repair;
	size_t torn_bytes;

	(void)state;
	make_capture("torn.pcapng.partial");
	zero_at("torn.pcapng.partial", chunk_offset[2] + 40960, 4096);
	mend("torn.pcapng.partial", &repair);
	assert_string_equal(repair.torn, "torn.pcapng.torn");
	free(read_whole("torn.pcapng.torn", &torn_bytes));
	assert_true(torn_bytes == repair.filled_bytes);
	check_frames("torn.pcapng", seen);
	assert_true(seen[FRAMES] && seen[FRAMES + 60]);
	assert_false(seen[FRAMES + 70] || seen[2 * FRAMES - 1]);
	assert_true(seen[2 * FRAMES]);
	others_read_it_silently("torn.pcapng");
}

static void a_sector_of_zeros_within_a_frame_is_not_taken_for_the_frame(void **state)
{
	struct chunked *c = chunked_begin("jumbo.pcapng.partial", 9, false);
	struct ft_reader *reader;
	struct ft_record record;
	struct ft_repair repair;
	struct ft_error error;
	uint64_t start = c->offset;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		chunked_put_udp(c, CHUNKED_BASE_NS, 9000, 1, i);
	chunked_end(c, 0);
	chunked_finish(c);
	/* The page in the middle of the third frame; its header and its end are there. */
	zero_at("jumbo.pcapng.partial", (start + 2 * ft_epb_bytes(9000) + 4095) / 4096 * 4096,
		4096);
	assert_int_equal(truncate("jumbo.pcapng.partial", (off_t)(start + 6 * ft_epb_bytes(9000))),
			 0);
	mend("jumbo.pcapng.partial", &repair);
	assert_int_equal(ft_reader_open("jumbo.pcapng", NULL, &reader, &error), 0);
	assert_int_equal(ft_reader_next(reader, &record, &error), 1);
	assert_int_equal(ft_reader_next(reader, &record, &error), 1);
	assert_int_equal(ft_reader_next(reader, &record, &error), 0);
	ft_reader_close(reader);
}

static void what_a_stream_wrote_is_mended_too(void **state)
{
	struct chunked *c = chunked_begin_aligned("stream.pcapng", 9, false, 4);
	uint64_t offset[4];
	struct ft_repair repair;
	json_t *walked;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		offset[i] = c->offset;
		for (unsigned j = 0; j < 50; j++)
			chunked_put_udp(c, CHUNKED_BASE_NS, 101, 1, j);
		chunked_end(c, 0);
	}
	chunked_finish(c);
	zero_at("stream.pcapng", offset[1] + ft_epb_bytes(101) * 10 + 3, 40);
	mend("stream.pcapng", &repair);
	assert_true(repair.filled_bytes > 0 && repair.cut_bytes == 0);
	walked = ft_walk_file("stream.pcapng");
	assert_in_range(json_integer_value(json_object_get(walked, "packets")), 160, 199);
	json_decref(walked);
	others_read_it_silently("stream.pcapng");
}

static void a_file_that_a_running_capture_holds_is_refused(void **state)
{
	struct ft_repair repair;
	struct ft_error error;
	int fd;

	(void)state;
	make_capture("busy.pcapng.partial");
	fd = open("busy.pcapng.partial", O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(ft_repair_file("busy.pcapng.partial", &repair, &error), -EBUSY);
	assert_true(exists("busy.pcapng.partial"));
	close(fd);
}

static void nothing_is_overwritten(void **state)
{
	struct ft_repair repair;

	(void)state;
	make_capture("name.pcapng.partial");
	assert_int_equal(truncate("name.pcapng.partial", (off_t)chunk_offset[2] + 1000), 0);
	put_text("name.pcapng", "mine");
	put_text("name.pcapng.torn", "mine too");
	mend("name.pcapng.partial", &repair);
	assert_string_equal(repair.path, "name.pcapng.1");
	assert_string_equal(repair.torn, "name.pcapng.torn.1");
	assert_true(holds_text("name.pcapng", "mine"));
	assert_true(holds_text("name.pcapng.torn", "mine too"));
}

static void a_file_that_holds_nothing_goes(void **state)
{
	struct ft_repair repair;

	(void)state;
	put_text("none.pcapng.partial", "");
	assert_int_equal(truncate("none.pcapng.partial", 1 << 20), 0);
	mend("none.pcapng.partial", &repair);
	assert_string_equal(repair.path, "");
	assert_false(exists("none.pcapng.partial"));
	assert_false(exists("none.pcapng.torn"));
	put_text("junk.pcapng.partial", "no capture, but somebody's");
	mend("junk.pcapng.partial", &repair);
	assert_false(exists("junk.pcapng.partial"));
	assert_true(holds_text("junk.pcapng.torn", "no capture, but somebody's"));
}

static void what_is_no_capture_is_not_touched(void **state)
{
	struct ft_repair repair;
	struct ft_error error;

	(void)state;
	put_text("letter.txt", "Dear reader,");
	assert_int_equal(ft_repair_file("letter.txt", &repair, &error), -EBADMSG);
	assert_true(holds_text("letter.txt", "Dear reader,"));
}

/* The capture as editcap writes it, cut within its last packet. */
static void cut_foreign(const char *format, const char *path)
{
	char command[300];
	struct ft_repair repair;
	struct stat status;
	bool seen[CHUNKS * FRAMES];

	unlink("foreign.source");
	make_capture("foreign.source");
	snprintf(command, sizeof(command), "editcap -F %s foreign.source %s 2>/dev/null", format,
		 path);
	if (system(command) != 0) {
		print_message("editcap is not installed (wireshark-common)\n");
		skip();
	}
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(truncate(path, status.st_size - 700), 0);
	mend(path, &repair);
	assert_true(repair.changed);
	assert_in_range(check_frames(path, seen), CHUNKS * FRAMES - 2, CHUNKS * FRAMES - 1);
	others_read_it_silently(path);
}

static void others_captures_are_cut_after_their_last_whole_frame(void **state)
{
	(void)state;
	cut_foreign("pcapng", "foreign.pcapng");
	cut_foreign("nsecpcap", "foreign.pcap");
}

static void reserved_space_is_no_record_of_a_pcap_file(void **state)
{
	struct ft_repair repair;
	struct stat status;

	(void)state;
	make_capture("space.source");
	if (system("editcap -F nsecpcap space.source space.pcap.partial 2>/dev/null") != 0)
		skip();
	assert_int_equal(stat("space.pcap.partial", &status), 0);
	assert_int_equal(truncate("space.pcap.partial", 16 << 20), 0);
	mend("space.pcap.partial", &repair);
	assert_true(repair.size_bytes == (uint64_t)status.st_size);
	assert_string_equal(repair.torn, "");
}

static size_t count_gaps(const char *path, const char *what)
{
	json_t *walked = ft_walk_file(path), *gap;
	size_t index, count = 0;

	assert_true(json_is_null(json_object_get(walked, "error")));
	json_array_foreach(json_object_get(walked, "gaps"), index, gap) count +=
		strcmp(json_string_value(json_object_get(gap, "what")), what) == 0;
	json_decref(walked);
	return count;
}

/* Pages that never reached the disk, wherever, and an end wherever. */
static void after_any_power_cut_intact_chunks_are_whole_and_nothing_is_invented(void **state)
{
	bool seen[CHUNKS * FRAMES];

	(void)state;
	srandom(4711);
	for (unsigned round = 0; round < 40; round++) {
		bool hurt[CHUNKS + 2] = {false};
		uint64_t end = chunk_offset[CHUNKS + 2], pages;
		struct ft_repair repair;
		char path[40];

		snprintf(path, sizeof(path), "power%u.pcapng.partial", round);
		make_capture(path);
		end = chunk_offset[CHUNKS + 2];
		if (round % 3 != 0)
			end = chunk_offset[1] + (uint64_t)random() % (end - chunk_offset[1]);
		assert_int_equal(truncate(path, (off_t)end), 0);
		pages = 1 + (uint64_t)random() % 4;
		for (unsigned i = 0; round % 2 == 0 && i < pages; i++) {
			uint64_t page =
				chunk_offset[1] / 4096 +
				(uint64_t)random() % (end / 4096 - chunk_offset[1] / 4096 + 1);
			size_t bytes = 4096;

			if (page * 4096 >= end)
				continue;
			if (page * 4096 + bytes > end)
				bytes = (size_t)(end - page * 4096);
			zero_at(path, page * 4096, bytes);
			for (unsigned j = 0; j < CHUNKS + 2; j++)
				hurt[j] |= page * 4096 >= chunk_offset[j] &&
					   page * 4096 < chunk_offset[j + 1];
		}
		assert_int_equal(truncate(path, (off_t)(end + (uint64_t)random() % 100000)), 0);
		mend(path, &repair);
		check_frames(repair.path, seen);
		for (unsigned i = 1; i <= CHUNKS; i++)
			for (unsigned j = 0; j < FRAMES; j++)
				if (!hurt[i] && chunk_offset[i + 1] <= end)
					assert_true(seen[(i - 1) * FRAMES + j]);
		assert_int_equal(count_gaps(repair.path, "structure"), 0);
		assert_int_equal(count_gaps(repair.path, "cut"), 0);
		if (round % 20 == 0)
			others_read_it_silently(repair.path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_whole_capture_is_only_given_its_name),
		cmocka_unit_test(reserved_space_at_the_end_is_cut_off_and_not_kept),
		cmocka_unit_test(a_chunk_cut_short_keeps_its_whole_frames_and_the_rest_is_torn),
		cmocka_unit_test(a_chunk_that_never_reached_the_disk_becomes_filler),
		cmocka_unit_test(a_hole_of_many_megabytes_is_filled_too),
		cmocka_unit_test(a_torn_chunk_between_intact_ones_is_kept_beside_the_file),
		cmocka_unit_test(a_sector_of_zeros_within_a_frame_is_not_taken_for_the_frame),
		cmocka_unit_test(what_a_stream_wrote_is_mended_too),
		cmocka_unit_test(a_file_that_a_running_capture_holds_is_refused),
		cmocka_unit_test(nothing_is_overwritten),
		cmocka_unit_test(a_file_that_holds_nothing_goes),
		cmocka_unit_test(what_is_no_capture_is_not_touched),
		cmocka_unit_test(others_captures_are_cut_after_their_last_whole_frame),
		cmocka_unit_test(reserved_space_is_no_record_of_a_pcap_file),
		cmocka_unit_test(
			after_any_power_cut_intact_chunks_are_whole_and_nothing_is_invented),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
