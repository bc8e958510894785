/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks as written are taken apart here by their specification, and read by the project's reader.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder.h"
#include "ft/pcapng.h"
#include "ft/reader.h"
#include "pipe/epb.h"

#define SNAP_BYTES    262144u
#define IF_TSRESOL    9
#define IF_FILTER     11
#define OPTION_DROPS  4
#define LARGEST_FRAME 9022u

static const struct ft_port_interface interface = {
	.name = "eth2:rx",
	.description = "frames received by eth2 (driver sfc)",
	.link_type = 1,
	.speed_bps = 10000000000,
	.timestamps = "host",
};

static uint32_t word(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint16_t half(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t long_word(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static void check_frame_of_block(const uint8_t *block, size_t bytes, uint32_t type)
{
	assert_true(bytes >= 12);
	assert_int_equal(bytes % 4, 0);
	assert_int_equal(word(block), type);
	assert_int_equal(word(block + 4), bytes);
	assert_int_equal(word(block + bytes - 4), bytes);
}

/*
 * The value of option `code` among those from `at` to the end of the block, NULL when it is absent.
 * Checks that the options end with opt_endofopt exactly where the block does.
 */
static const uint8_t *find_option(const uint8_t *block, size_t bytes, size_t at, uint16_t code,
				  uint16_t *length)
{
	const uint8_t *found = NULL;

	while (half(block + at) != 0) {
		uint16_t option_bytes = half(block + at + 2);

		if (half(block + at) == code) {
			found = block + at + 4;
			*length = option_bytes;
		}
		for (size_t pad = option_bytes; pad % 4 != 0; pad++)
			assert_int_equal(block[at + 4 + pad], 0);
		at += 4 + (((size_t)option_bytes + 3) & ~(size_t)3);
		assert_true(at + 8 <= bytes);
	}
	assert_int_equal(half(block + at + 2), 0);
	assert_int_equal(at + 8, bytes);
	return found;
}

static void check_text_option(const uint8_t *block, size_t bytes, size_t at, uint16_t code,
			      const char *text)
{
	uint16_t length = 0;
	const uint8_t *value = find_option(block, bytes, at, code, &length);

	assert_non_null(value);
	assert_int_equal(length, strlen(text));
	assert_memory_equal(value, text, length);
}

static void check_number_option(const uint8_t *block, size_t bytes, size_t at, uint16_t code,
				uint64_t number)
{
	uint16_t length = 0;
	const uint8_t *value = find_option(block, bytes, at, code, &length);

	assert_non_null(value);
	assert_int_equal(length, 8);
	assert_true(long_word(value) == number);
}

static void a_section_header_tells_byte_order_version_and_program(void **state)
{
	uint8_t block[FT_PCAPNG_HEADER_BYTES];
	size_t bytes = ft_pcapng_write_section(block, sizeof(block), "ft-test 1.2");

	(void)state;
	check_frame_of_block(block, bytes, 0x0A0D0D0A);
	assert_int_equal(word(block + 8), 0x1A2B3C4D);
	assert_int_equal(half(block + 12), 1);
	assert_int_equal(half(block + 14), 0);
	assert_true(long_word(block + 16) == UINT64_MAX);
	check_text_option(block, bytes, 24, 4, "ft-test 1.2");
}

static void an_interface_block_tells_its_name_speed_and_nanoseconds(void **state)
{
	uint8_t block[FT_PCAPNG_HEADER_BYTES];
	size_t bytes =
		ft_pcapng_write_interface(block, sizeof(block), &interface, SNAP_BYTES, NULL);
	uint16_t length = 0;

	(void)state;
	check_frame_of_block(block, bytes, 1);
	assert_int_equal(half(block + 8), 1);
	assert_int_equal(word(block + 12), SNAP_BYTES);
	check_text_option(block, bytes, 16, 2, interface.name);
	check_text_option(block, bytes, 16, 3, interface.description);
	check_number_option(block, bytes, 16, 8, interface.speed_bps);
	assert_int_equal(*find_option(block, bytes, 16, IF_TSRESOL, &length), 9);
	assert_int_equal(length, 1);
	assert_null(find_option(block, bytes, 16, IF_FILTER, &length));
	check_text_option(block, bytes, 16, 0x8001, "host");
}

static void an_unknown_speed_is_not_told(void **state)
{
	struct ft_port_interface slow = interface;
	uint8_t block[FT_PCAPNG_HEADER_BYTES];
	uint16_t length;
	size_t bytes;

	(void)state;
	slow.speed_bps = 0;
	bytes = ft_pcapng_write_interface(block, sizeof(block), &slow, SNAP_BYTES, NULL);
	assert_null(find_option(block, bytes, 16, 8, &length));
}

static void a_filter_of_any_length_is_recorded_whole_or_the_block_refused(void **state)
{
	char filter[2 * FT_PCAPNG_HEADER_BYTES] = "";
	uint8_t block[FT_PCAPNG_HEADER_BYTES];
	uint16_t length;

	(void)state;
	for (size_t i = 1; i < sizeof(filter); i++) {
		size_t bytes = ft_pcapng_write_interface(block, sizeof(block), &interface,
							 SNAP_BYTES, filter);
		const uint8_t *value;

		if (bytes == 0) {
			assert_true(i > FT_PCAPNG_HEADER_BYTES / 2);
			return;
		}
		value = find_option(block, bytes, 16, IF_FILTER, &length);
		assert_int_equal(length, i);
		assert_int_equal(value[0], 0);
		assert_memory_equal(value + 1, filter, i - 1);
		filter[i - 1] = (char)('a' + i % 26);
	}
	fail_msg("a filter longer than the block was taken");
}

static void a_statistics_block_carries_every_count(void **state)
{
	const struct ft_pcapng_statistics statistics = {
		.interface = 3,
		.now_ns = 0x1122334455667788,
		.started_ns = 0x1122334400000001,
		.counts_port = true,
		.received = 1,
		.missed = 2,
		.accepted = 3,
		.os_drops = 4,
		.delivered = 5,
		.ring_drops = 6,
		.disk_drops = 7,
		.excess = UINT64_MAX,
	};
	const uint64_t drops[3] = {6, 7, UINT64_MAX};
	uint8_t block[FT_PCAPNG_STATISTICS_BYTES];
	size_t bytes = ft_pcapng_write_statistics(block, sizeof(block), &statistics);
	uint16_t length = 0;

	(void)state;
	check_frame_of_block(block, bytes, 5);
	assert_int_equal(word(block + 8), 3);
	assert_int_equal(word(block + 12), 0x11223344);
	assert_int_equal(word(block + 16), 0x55667788);
	check_number_option(block, bytes, 20, 2, 0x0000000111223344); /* high word first */
	check_number_option(block, bytes, 20, 3, 0x5566778811223344);
	check_number_option(block, bytes, 20, 4, 1);
	check_number_option(block, bytes, 20, 5, 2);
	check_number_option(block, bytes, 20, 6, 3);
	check_number_option(block, bytes, 20, 7, 4);
	check_number_option(block, bytes, 20, 8, 5);
	assert_memory_equal(find_option(block, bytes, 20, 0x8002, &length), drops, sizeof(drops));
	assert_int_equal(length, sizeof(drops));
}

static void what_is_counted_once_a_port_is_not_told_of_its_other_interface(void **state)
{
	const struct ft_pcapng_statistics statistics = {.interface = 1, .delivered = 5};
	uint8_t block[FT_PCAPNG_STATISTICS_BYTES];
	size_t bytes = ft_pcapng_write_statistics(block, sizeof(block), &statistics);
	uint16_t length;

	(void)state;
	check_frame_of_block(block, bytes, 5);
	check_number_option(block, bytes, 20, 8, 5);
	for (uint16_t code = 4; code <= 7; code++)
		assert_null(find_option(block, bytes, 20, code, &length));
	assert_null(find_option(block, bytes, 20, 0x8002, &length));
}

static void too_small_a_room_gives_0_and_is_not_overstepped(void **state)
{
	const struct ft_pcapng_statistics statistics = {.interface = 0};
	uint8_t block[FT_PCAPNG_HEADER_BYTES], *exact;
	size_t sizes[3];

	(void)state;
	sizes[0] = ft_pcapng_write_section(block, sizeof(block), "ft-test");
	sizes[1] = ft_pcapng_write_interface(block, sizeof(block), &interface, 0, "udp");
	sizes[2] = ft_pcapng_write_statistics(block, sizeof(block), &statistics);
	for (size_t room = 0; room <= 400; room++) {
		size_t wrote[3];

		exact = malloc(room); /* the sanitizer sees a byte too many */
		wrote[0] = ft_pcapng_write_section(exact, room, "ft-test");
		wrote[1] = ft_pcapng_write_interface(exact, room, &interface, 0, "udp");
		wrote[2] = ft_pcapng_write_statistics(exact, room, &statistics);
		free(exact);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(wrote[i], room >= sizes[i] ? sizes[i] : 0);
	}
}

/* ---- packets ----------------------------------------------------------------------------------
 */

static uint8_t frame_bytes[LARGEST_FRAME];

static struct ft_frame make_frame(uint32_t captured_bytes)
{
	for (unsigned i = 0; i < LARGEST_FRAME; i++)
		frame_bytes[i] = (uint8_t)(i * 7 + captured_bytes);
	return (struct ft_frame){
		.data = frame_bytes,
		.stamp_ns = 1700000000123456789 + captured_bytes,
		.captured_bytes = captured_bytes,
		.length_bytes = captured_bytes + 1000,
		.epb_flags = 2,
	};
}

/* Writes into memory of exactly the promised size. */
static uint8_t *write_packet(const struct ft_frame *frame, uint64_t dropped_before, size_t *bytes)
{
	size_t promised = ft_epb_bytes(frame->captured_bytes);
	uint8_t *block;

	if (dropped_before != 0)
		promised =
			frame->unstamped ? ft_epb_max_bytes(frame->captured_bytes) : promised + 12;
	else if (frame->unstamped)
		promised += 20;
	block = malloc(promised);
	memset(block, 0xEE, promised);
	*bytes = ft_epb_write(block, 4, frame, frame->captured_bytes, dropped_before);
	assert_int_equal(*bytes, promised);
	return block;
}

static void a_packet_block_gives_back_exactly_what_went_in(void **state)
{
	(void)state;
	for (uint32_t captured = 0; captured <= 130; captured++) {
		const struct ft_frame frame = make_frame(captured);
		size_t bytes, padded = (captured + 3u) & ~3u;
		uint8_t *block = write_packet(&frame, 0, &bytes);
		uint16_t length = 0;

		check_frame_of_block(block, bytes, 6);
		assert_int_equal(word(block + 8), 4);
		assert_true(((uint64_t)word(block + 12) << 32 | word(block + 16)) ==
			    frame.stamp_ns);
		assert_int_equal(word(block + 20), captured);
		assert_int_equal(word(block + 24), frame.length_bytes);
		assert_memory_equal(block + 28, frame_bytes, captured);
		for (size_t i = captured; i < padded; i++)
			assert_int_equal(block[28 + i], 0);
		assert_int_equal(word(find_option(block, bytes, 28 + padded, 2, &length)), 2);
		assert_int_equal(length, 4);
		assert_null(find_option(block, bytes, 28 + padded, OPTION_DROPS, &length));
		free(block);
	}
}

static void frames_lost_before_a_packet_are_told_with_it(void **state)
{
	const struct ft_frame frame = make_frame(61);
	size_t bytes;
	uint8_t *block = write_packet(&frame, 0x100000002, &bytes);

	(void)state;
	check_frame_of_block(block, bytes, 6);
	check_number_option(block, bytes, 28 + 64, OPTION_DROPS, 0x100000002);
	free(block);
}

static void a_snapped_packet_keeps_its_original_length(void **state)
{
	const struct ft_frame frame = make_frame(100);
	uint8_t block[256];
	size_t bytes = ft_epb_write(block, 0, &frame, 33, 0);

	(void)state;
	check_frame_of_block(block, bytes, 6);
	assert_int_equal(word(block + 20), 33);
	assert_int_equal(word(block + 24), frame.length_bytes);
	assert_memory_equal(block + 28, frame_bytes, 33);
	assert_memory_equal(block + 28 + 33, "\0\0\0", 3);
}

static void put_headers(const char *path, unsigned interfaces)
{
	uint8_t block[FT_PCAPNG_HEADER_BYTES];

	put_bytes(path, block, ft_pcapng_write_section(block, sizeof(block), "ft-test"));
	for (unsigned i = 0; i < interfaces; i++)
		put_bytes(path, block,
			  ft_pcapng_write_interface(block, sizeof(block), &interface, SNAP_BYTES,
						    "not arp"));
}

static void the_projects_reader_reads_what_was_written(void **state)
{
	static const uint32_t sizes[] = {0, 1, 14, 59, 60, 61, 62, 63, 64, 1514, LARGEST_FRAME};
	const unsigned count = sizeof(sizes) / sizeof(sizes[0]);
	const struct ft_pcapng_statistics statistics = {.interface = 4};
	uint8_t block[FT_PCAPNG_STATISTICS_BYTES];
	struct ft_reader *reader;
	struct ft_record record;
	struct ft_error error;

	(void)state;
	put_headers("all.pcapng", 5);
	for (unsigned i = 0; i < count; i++) {
		const struct ft_frame frame = make_frame(sizes[i]);
		size_t bytes;
		uint8_t *packet = write_packet(&frame, i % 2, &bytes);

		put_bytes("all.pcapng", packet, bytes);
		put_bytes("all.pcapng", block,
			  ft_pcapng_write_statistics(block, sizeof(block), &statistics));
		free(packet);
	}
	assert_int_equal(ft_reader_open("all.pcapng", NULL, &reader, &error), 0);
	for (unsigned i = 0; i < count; i++) {
		const struct ft_frame frame = make_frame(sizes[i]);

		assert_int_equal(ft_reader_next(reader, &record, &error), 1);
		assert_int_equal(record.captured_bytes, frame.captured_bytes);
		assert_int_equal(record.length_bytes, frame.length_bytes);
		assert_true(record.stamp_ns == frame.stamp_ns);
		assert_int_equal(record.epb_flags, frame.epb_flags);
		assert_int_equal(record.interface, 4);
		assert_int_equal(record.link_type, interface.link_type);
		assert_memory_equal(record.data, frame_bytes, sizes[i]);
	}
	assert_int_equal(ft_reader_next(reader, &record, &error), 0);
	ft_reader_close(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_section_header_tells_byte_order_version_and_program),
		cmocka_unit_test(an_interface_block_tells_its_name_speed_and_nanoseconds),
		cmocka_unit_test(an_unknown_speed_is_not_told),
		cmocka_unit_test(a_filter_of_any_length_is_recorded_whole_or_the_block_refused),
		cmocka_unit_test(a_statistics_block_carries_every_count),
		cmocka_unit_test(what_is_counted_once_a_port_is_not_told_of_its_other_interface),
		cmocka_unit_test(too_small_a_room_gives_0_and_is_not_overstepped),
		cmocka_unit_test(a_packet_block_gives_back_exactly_what_went_in),
		cmocka_unit_test(frames_lost_before_a_packet_are_told_with_it),
		cmocka_unit_test(a_snapped_packet_keeps_its_original_length),
		cmocka_unit_test(the_projects_reader_reads_what_was_written),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
