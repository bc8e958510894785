/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zlib.h>

#include "folder.h"
#include "ft/reader.h"

static struct ft_error error;

/* Bytes as a writer of either byte order puts them, four or two at a time. */
struct writer {
	bool big;
	size_t used;
	uint8_t bytes[4096];
};

static void put(struct writer *w, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		w->bytes[w->used++] = (uint8_t)(value >> 8 * (w->big ? bytes - 1 - i : i));
}

static void put_data(struct writer *w, unsigned bytes)
{
	for (unsigned i = 0; i < (bytes + 3) / 4 * 4; i++)
		w->bytes[w->used++] = (uint8_t)(i < bytes ? i : 0);
}

static void put_pcap_header(struct writer *w, uint32_t magic, uint16_t minor)
{
	put(w, magic, 4);
	put(w, 2, 2);
	put(w, minor, 2);
	put(w, 0, 8);
	put(w, 65535, 4);
	put(w, 1, 4);
}

static void put_pcap_record(struct writer *w, uint32_t fraction, uint32_t captured, uint32_t length)
{
	put(w, 100, 4);
	put(w, fraction, 4);
	put(w, captured, 4);
	put(w, length, 4);
	for (unsigned i = 0; i < captured; i++)
		w->bytes[w->used++] = (uint8_t)i;
}

static void put_section(struct writer *w)
{
	put(w, 0x0a0d0d0a, 4);
	put(w, 28, 4);
	put(w, 0x1a2b3c4d, 4);
	put(w, 1, 2);
	put(w, 0, 2);
	put(w, UINT64_MAX, 8);
	put(w, 28, 4);
}

/* An interface block with if_tsresol and if_tsoffset. */
static void put_interface(struct writer *w, uint16_t link_type, uint8_t resolution, int64_t offset)
{
	put(w, 1, 4);
	put(w, 44, 4);
	put(w, link_type, 2);
	put(w, 0, 2);
	put(w, 0, 4);
	put(w, 9, 2);
	put(w, 1, 2);
	w->bytes[w->used++] = resolution;
	put(w, 0, 3);
	put(w, 14, 2);
	put(w, 8, 2);
	put(w, (uint64_t)offset, 8);
	put(w, 0, 4);
	put(w, 44, 4);
}

/* An enhanced packet block of 5 of 9 bytes, with a flags option. */
static void put_packet(struct writer *w, uint32_t interface, uint64_t ticks, uint32_t flags)
{
	put(w, 6, 4);
	put(w, 52, 4);
	put(w, interface, 4);
	put(w, ticks >> 32, 4);
	put(w, ticks, 4);
	put(w, 5, 4);
	put(w, 9, 4);
	put_data(w, 5);
	put(w, 2, 2);
	put(w, 4, 2);
	put(w, flags, 4);
	put(w, 0, 4);
	put(w, 52, 4);
}

static struct ft_reader *open_bytes(const struct writer *w)
{
	struct ft_reader *reader;

	unlink("capture");
	put_bytes("capture", w->bytes, w->used);
	assert_int_equal(ft_reader_open("capture", NULL, &reader, &error), 0);
	return reader;
}

static void pcap_is_read_in_every_byte_order_and_resolution(void **state)
{
	static const struct {
		uint32_t magic;
		uint64_t stamp_ns;
	} kinds[] = {{0xa1b2c3d4, 100000007000}, {0xa1b23c4d, 100000000007}};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct writer w = {.big = i & 1};
		struct ft_reader *reader;
		struct ft_record record;

		put_pcap_header(&w, kinds[i / 2].magic, 4);
		put_pcap_record(&w, 7, 20, 60);
		reader = open_bytes(&w);
		assert_int_equal(ft_reader_next(reader, &record, &error), 1);
		assert_int_equal(record.stamp_ns, kinds[i / 2].stamp_ns);
		assert_int_equal(record.captured_bytes, 20);
		assert_int_equal(record.length_bytes, 60);
		assert_int_equal(record.link_type, 1);
		assert_int_equal(record.data[19], 19);
		assert_int_equal(ft_reader_next(reader, &record, &error), 0);
		ft_reader_close(reader);
	}
}

static void records_of_the_modified_format_are_eight_bytes_longer(void **state)
{
	struct writer w = {0};
	struct ft_reader *reader;
	struct ft_record record;

	(void)state;
	put_pcap_header(&w, 0xa1b2cd34, 4);
	for (unsigned i = 0; i < 2; i++) {
		put_pcap_record(&w, 0, 0, 8);
		w.bytes[w.used - 8] = 4; /* captured */
		put(&w, 0, 8);
		put(&w, 0x01020304, 4);
	}
	reader = open_bytes(&w);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(ft_reader_next(reader, &record, &error), 1);
		assert_int_equal(record.captured_bytes, 4);
		assert_int_equal(record.data[0], 4);
	}
	assert_int_equal(ft_reader_next(reader, &record, &error), 0);
	ft_reader_close(reader);
}

static void lengths_of_old_files_are_put_right(void **state)
{
	struct writer w = {0};
	struct ft_reader *reader;
	struct ft_record record;

	(void)state;
	put_pcap_header(&w, 0xa1b2c3d4, 2);
	put_pcap_record(&w, 0, 0, 3); /* version 2.2: length, then captured */
	w.bytes[w.used - 8] = 9;
	put(&w, 0, 3);
	reader = open_bytes(&w);
	assert_int_equal(ft_reader_next(reader, &record, &error), 1);
	assert_int_equal(record.captured_bytes, 3);
	assert_int_equal(record.length_bytes, 9);
	ft_reader_close(reader);
}

static void pcapng_stamps_follow_their_interface(void **state)
{
	(void)state;
	for (unsigned big = 0; big < 2; big++) {
		struct writer w = {.big = big};
		struct ft_reader *reader;
		struct ft_record record;

		put_section(&w);
		put_interface(&w, 1, 9, 0);
		put_interface(&w, 1, 0x80 | 8, 1000); /* 2^-8 s, 1000 s later */
		put_packet(&w, 0, 100000000007, 2);
		put_packet(&w, 1, 3 * 256 + 128, 1);
		reader = open_bytes(&w);
		assert_int_equal(ft_reader_next(reader, &record, &error), 1);
		assert_int_equal(record.stamp_ns, 100000000007);
		assert_int_equal(record.epb_flags, 2);
		assert_int_equal(ft_reader_next(reader, &record, &error), 1);
		assert_int_equal(record.stamp_ns, 1003500000000);
		assert_int_equal(record.interface, 1);
		assert_int_equal(record.captured_bytes, 5);
		assert_int_equal(record.length_bytes, 9);
		assert_int_equal(ft_reader_next(reader, &record, &error), 0);
		ft_reader_close(reader);
	}
}

static void a_section_begins_its_own_interfaces_in_its_own_byte_order(void **state)
{
	struct writer w = {0};
	struct ft_reader *reader;
	struct ft_record record;

	(void)state;
	put_section(&w);
	put_interface(&w, 1, 6, 0);
	put_packet(&w, 0, 1, 0);
	w.big = true;
	put_section(&w);
	put_interface(&w, 101, 6, 0);
	put_packet(&w, 0, 2, 0);
	put_packet(&w, 1, 3, 0);
	reader = open_bytes(&w);
	assert_int_equal(ft_reader_next(reader, &record, &error), 1);
	assert_int_equal(record.interface, 0);
	assert_int_equal(ft_reader_next(reader, &record, &error), 1);
	assert_int_equal(record.interface, 1);
	assert_int_equal(record.link_type, 101);
	assert_int_equal(record.stamp_ns, 2000);
	assert_int_equal(ft_reader_next(reader, &record, &error), -EBADMSG);
	assert_non_null(strstr(error.text, "interface 1"));
	ft_reader_close(reader);
}

static void blocks_of_other_kinds_are_passed_over_whatever_their_size(void **state)
{
	enum { BYTES = 3 << 20 }; /* more than the reader's buffer */
	struct writer w = {0};
	uint8_t *custom = calloc(1, BYTES);
	uint32_t head[2] = {0xbad, BYTES}, length = BYTES;
	struct ft_reader *reader;
	struct ft_record record;

	(void)state;
	assert_non_null(custom);
	memcpy(custom, head, sizeof(head));
	memcpy(custom + BYTES - sizeof(length), &length, sizeof(length));
	put_section(&w);
	put_interface(&w, 1, 6, 0);
	unlink("capture");
	put_bytes("capture", w.bytes, w.used);
	put_bytes("capture", custom, BYTES);
	w.used = 0;
	put_packet(&w, 0, 1, 0);
	put_bytes("capture", w.bytes, w.used);
	assert_int_equal(ft_reader_open("capture", NULL, &reader, &error), 0);
	assert_int_equal(ft_reader_next(reader, &record, &error), 1);
	assert_int_equal(ft_reader_next(reader, &record, &error), 0);
	ft_reader_close(reader);
	free(custom);
}

static void a_file_cut_anywhere_gives_the_frames_before_and_names_the_place(void **state)
{
	struct writer w = {0};
	size_t after_one;

	(void)state;
	put_pcap_header(&w, 0xa1b2c3d4, 4);
	put_pcap_record(&w, 7, 20, 60);
	after_one = w.used;
	put_pcap_record(&w, 8, 20, 60);
	for (w.used--; w.used > after_one; w.used--) {
		struct ft_reader *reader = open_bytes(&w);
		struct ft_record record;

		assert_int_equal(ft_reader_next(reader, &record, &error), 1);
		assert_int_equal(ft_reader_next(reader, &record, &error), -EBADMSG);
		assert_non_null(strstr(error.text, "byte 60"));
		ft_reader_close(reader);
	}
}

static void a_length_beyond_the_limit_is_damage(void **state)
{
	struct writer w = {0};
	struct ft_reader *reader;
	struct ft_record record;

	(void)state;
	put_pcap_header(&w, 0xa1b2c3d4, 4);
	put_pcap_record(&w, 7, 0, 60);
	memset(w.bytes + w.used - 8, 0xff, 4);
	reader = open_bytes(&w);
	assert_int_equal(ft_reader_next(reader, &record, &error), -EBADMSG);
	assert_non_null(strstr(error.text, "4294967295"));
	ft_reader_close(reader);
}

static void what_is_no_capture_is_refused_at_once(void **state)
{
	struct ft_reader *reader;

	(void)state;
	put_text("text", "#!/bin/sh\n");
	put_text("empty", "");
	assert_int_equal(ft_reader_open("text", NULL, &reader, &error), -EBADMSG);
	assert_int_equal(ft_reader_open("empty", NULL, &reader, &error), -EBADMSG);
	assert_int_equal(ft_reader_open("missing", NULL, &reader, &error), -ENOENT);
	assert_int_equal(ft_reader_open("/", NULL, &reader, &error), -EISDIR);
}

static void gzip_is_read_member_by_member(void **state)
{
	struct writer w = {0};
	struct ft_reader *reader;
	struct ft_record record;
	gzFile file;

	(void)state;
	put_pcap_header(&w, 0xa1b2c3d4, 4);
	put_pcap_record(&w, 7, 20, 60);
	for (unsigned i = 0; i < 2; i++) {
		file = gzopen("capture.gz", "ab");
		assert_int_equal(gzwrite(file, w.bytes, (unsigned)w.used), w.used);
		assert_int_equal(gzclose(file), Z_OK);
		w.used = 0;
		put_pcap_record(&w, 8, 20, 60);
	}
	assert_int_equal(ft_reader_open("capture.gz", NULL, &reader, &error), 0);
	assert_int_equal(ft_reader_next(reader, &record, &error), 1);
	assert_int_equal(ft_reader_next(reader, &record, &error), 1);
	assert_int_equal(record.stamp_ns, 100000008000);
	assert_int_equal(ft_reader_next(reader, &record, &error), 0);
	ft_reader_close(reader);
}

static bool has_bytes(void *context, int fd)
{
	const bool *allowed = context;

	(void)fd;
	return *allowed;
}

static void a_live_stream_gives_each_frame_as_it_comes(void **state)
{
	struct writer w = {0};
	bool allowed = true;
	const struct ft_reader_wait wait = {.may_read = has_bytes, .context = &allowed};
	struct ft_reader *reader;
	struct ft_record record;
	char path[32];
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
	put_pcap_header(&w, 0xa1b2c3d4, 4);
	put_pcap_record(&w, 7, 20, 60);
	assert_int_equal(write(fds[1], w.bytes, w.used), w.used);
	assert_int_equal(ft_reader_open(path, &wait, &reader, &error), 0);
	assert_int_equal(ft_reader_next(reader, &record, &error), 1);
	allowed = false; /* the stream has nothing now */
	assert_int_equal(ft_reader_next(reader, &record, &error), -EAGAIN);
	w.used = 0;
	put_pcap_record(&w, 9, 20, 60);
	assert_int_equal(write(fds[1], w.bytes, w.used), w.used);
	allowed = true;
	assert_int_equal(ft_reader_next(reader, &record, &error), 1);
	assert_int_equal(record.stamp_ns, 100000009000);
	close(fds[1]);
	assert_int_equal(ft_reader_next(reader, &record, &error), 0);
	ft_reader_close(reader);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pcap_is_read_in_every_byte_order_and_resolution),
		cmocka_unit_test(records_of_the_modified_format_are_eight_bytes_longer),
		cmocka_unit_test(lengths_of_old_files_are_put_right),
		cmocka_unit_test(pcapng_stamps_follow_their_interface),
		cmocka_unit_test(a_section_begins_its_own_interfaces_in_its_own_byte_order),
		cmocka_unit_test(blocks_of_other_kinds_are_passed_over_whatever_their_size),
		cmocka_unit_test(a_file_cut_anywhere_gives_the_frames_before_and_names_the_place),
		cmocka_unit_test(a_length_beyond_the_limit_is_damage),
		cmocka_unit_test(what_is_no_capture_is_refused_at_once),
		cmocka_unit_test(gzip_is_read_member_by_member),
		cmocka_unit_test(a_live_stream_gives_each_frame_as_it_comes),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
