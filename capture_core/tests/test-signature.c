/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ft/template.h"
#include "gen/checksum.h"

#define ETHERNET_BYTES 14u
#define UDP_AT	       34u
#define LONGEST	       2000u

static const struct ft_signature_run run = {.secret = 0x1234, .id = 0x56};

/* The smallest frame, number 0x01020304, sent at 0x0a0b0c0d0e0f, byte by byte. */
static const uint8_t smallest[] = {
	0x02, 0x00, 0xc6, 0x13, 0x00, 0x01, 0x02, 0x00, 0xc6, 0x12, 0x00, 0x01,
	0x08, 0x00,								/* MAC */
	0x45, 0x00, 0x00, 0x2e, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xae, 0x97, /* IPv4, 46 bytes */
	0xc6, 0x12, 0x00, 0x01, 0xc6, 0x13, 0x00, 0x01,				/* from, to */
	0xc0, 0x20, 0x00, 0x07, 0x00, 0x1a, 0xb3, 0x6a,				/* UDP */
	0xe1, 0xde,								/* complement */
	0xe5, 0x9d, 0x10, 0x56, 0x00, 0x00,					/* magic, run */
	0x01, 0x02, 0x03, 0x04, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,		/* number, time */
};

static enum ft_signature_verdict read_frame(const uint8_t *frame, size_t bytes,
					    struct ft_signature *signature)
{
	uint8_t *copy = malloc(bytes + 1); /* so that a byte too far is seen */
	enum ft_signature_verdict verdict;

	assert_non_null(copy);
	memcpy(copy + 1, frame, bytes);
	verdict = ft_signature_read(copy + 1, bytes, &run, signature);
	free(copy);
	return verdict;
}

static uint16_t udp_checksum_sum(const uint8_t *frame, size_t bytes)
{
	const uint8_t pseudo[4] = {0, 17, (uint8_t)((bytes - UDP_AT) >> 8),
				   (uint8_t)(bytes - UDP_AT)};
	uint64_t sum = ft_checksum_add(0, pseudo, sizeof(pseudo));

	sum = ft_checksum_add(sum, frame + 26, 8);
	return ft_checksum_fold(ft_checksum_add(sum, frame + UDP_AT, bytes - UDP_AT));
}

static void the_smallest_frame_is_known_byte_by_byte(void **state)
{
	uint8_t frame[FT_TEMPLATE_MIN_BYTES];
	uint8_t *room = ft_template_fill(frame, sizeof(frame), &run, 0);

	(void)state;
	ft_signature_stamp(room, 0x01020304, 0x0a0b0c0d0e0f);
	assert_memory_equal(frame, smallest, sizeof(smallest));
}

static void what_was_stamped_is_read(void **state)
{
	uint8_t frame[LONGEST];

	(void)state;
	for (uint32_t bytes = FT_TEMPLATE_MIN_BYTES; bytes <= LONGEST; bytes++) {
		uint8_t *room = ft_template_fill(frame, bytes, &run, 7);
		struct ft_signature signature;

		ft_signature_stamp(room, 0xfffefdfc, 0xffff112233445566);
		assert_int_equal(read_frame(frame, bytes, &signature), FT_SIGNATURE_VALID);
		assert_int_equal(signature.stream, 7);
		assert_int_equal(signature.sequence, 0xfffefdfc);
		assert_int_equal(signature.sent_ns, 0x112233445566);
	}
}

static void the_udp_checksum_stays_valid_and_the_same(void **state)
{
	uint8_t frame[LONGEST];

	(void)state;
	srand(1);
	for (uint32_t bytes = 60; bytes <= 65; bytes++) { /* even and odd payloads */
		uint8_t *room = ft_template_fill(frame, bytes, &run, 0xabcd);
		uint16_t before, after;

		memcpy(&before, frame + UDP_AT + 6, sizeof(before));
		for (unsigned i = 0; i < 1000; i++) {
			ft_signature_stamp(room, (uint32_t)rand(),
					   (uint64_t)rand() << 31 | (uint64_t)rand());
			assert_int_equal(udp_checksum_sum(frame, bytes), 0xffff);
		}
		memcpy(&after, frame + UDP_AT + 6, sizeof(after));
		assert_int_equal(before, after);
	}
}

static void tags_pushed_on_the_way_do_not_hide_it(void **state)
{
	static const uint8_t tags[] = {0x88, 0xa8, 0x00, 0x64, 0x81, 0x00, 0x00, 0xc8};
	uint8_t frame[sizeof(smallest) + sizeof(tags)];
	struct ft_signature signature;

	(void)state;
	memcpy(frame, smallest, 12);
	memcpy(frame + 12, tags, sizeof(tags));
	memcpy(frame + 12 + sizeof(tags), smallest + 12, sizeof(smallest) - 12);
	assert_int_equal(read_frame(frame, sizeof(frame), &signature), FT_SIGNATURE_VALID);
	assert_int_equal(signature.sequence, 0x01020304);
}

/* As ft-reflect does it: one bit more, and the complement less by as much. */
static void a_reflected_frame_is_valid_and_says_so(void **state)
{
	uint8_t frame[sizeof(smallest)], *room = frame + sizeof(frame) - FT_SIGNATURE_ROOM_BYTES;
	struct ft_signature signature;

	(void)state;
	memcpy(frame, smallest, sizeof(frame));
	assert_int_equal(read_frame(frame, sizeof(frame), &signature), FT_SIGNATURE_VALID);
	assert_false(signature.reflected);
	room[FT_SIGNATURE_VERSION_AT] |= FT_SIGNATURE_REFLECTED;
	assert_int_equal(read_frame(frame, sizeof(frame), &signature), FT_SIGNATURE_BROKEN);
	room[0] -= FT_SIGNATURE_REFLECTED;
	assert_int_equal(udp_checksum_sum(frame, sizeof(frame)), 0xffff);
	assert_int_equal(read_frame(frame, sizeof(frame), &signature), FT_SIGNATURE_VALID);
	assert_true(signature.reflected);
	assert_int_equal(signature.sequence, 0x01020304);
}

static void padding_behind_the_packet_is_left_out(void **state)
{
	uint8_t frame[sizeof(smallest) + 8] = {0};
	struct ft_signature signature;

	(void)state;
	memcpy(frame, smallest, sizeof(smallest));
	assert_int_equal(read_frame(frame, sizeof(frame), &signature), FT_SIGNATURE_VALID);
}

static void another_runs_frame_is_foreign(void **state)
{
	static const struct ft_signature_run others[] = {{0x1235, 0x56}, {0x1234, 0x57}};
	struct ft_signature signature;

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(
			ft_signature_read(smallest, sizeof(smallest), &others[i], &signature),
			FT_SIGNATURE_FOREIGN);
}

static void any_bit_flipped_in_the_datagram_makes_it_corrupt_or_foreign(void **state)
{
	uint8_t frame[200];
	struct ft_signature signature;
	unsigned corrupt = 0;

	(void)state;
	ft_signature_stamp(ft_template_fill(frame, sizeof(frame), &run, 0), 1, 2);
	for (unsigned bit = UDP_AT * 8; bit < sizeof(frame) * 8; bit++) {
		enum ft_signature_verdict verdict;

		frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
		verdict = read_frame(frame, sizeof(frame), &signature);
		assert_int_not_equal(verdict, FT_SIGNATURE_VALID);
		if (bit < (sizeof(frame) - FT_SIGNATURE_ROOM_BYTES) * 8) {
			assert_int_equal(verdict, FT_SIGNATURE_CORRUPT);
			assert_int_equal(signature.stream, 0);
		}
		corrupt += verdict != FT_SIGNATURE_FOREIGN;
		frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	/* Foreign: flips in magic, version and run, but for the two flags. */
	assert_int_equal(corrupt, (sizeof(frame) - UDP_AT) * 8 - 30);
}

static void set_udp_checksum(uint8_t *frame, size_t bytes)
{
	uint16_t checksum = 0;

	memcpy(frame + UDP_AT + 6, &checksum, sizeof(checksum));
	checksum = (uint16_t)~udp_checksum_sum(frame, bytes);
	memcpy(frame + UDP_AT + 6, &checksum, sizeof(checksum));
}

/* As a router does that damages a frame in its memory and then writes the checksum anew. */
static void damage_under_a_new_checksum_is_seen_in_frames_of_128_bytes(void **state)
{
	uint8_t frame[124];
	struct ft_signature signature;
	unsigned payload_at = UDP_AT + 8, room_at = sizeof(frame) - FT_SIGNATURE_ROOM_BYTES;

	(void)state;
	ft_signature_stamp(ft_template_fill(frame, sizeof(frame), &run, 3), 1, 2);
	for (unsigned at = payload_at; at < room_at; at++) {
		frame[at] ^= 0x10;
		set_udp_checksum(frame, sizeof(frame));
		assert_int_equal(read_frame(frame, sizeof(frame), &signature),
				 FT_SIGNATURE_CORRUPT);
		assert_int_equal(signature.stream, 3);
		frame[at] ^= 0x10;
	}
	set_udp_checksum(frame, sizeof(frame));
	assert_int_equal(read_frame(frame, sizeof(frame), &signature), FT_SIGNATURE_VALID);
}

static void words_that_change_places_are_seen_although_the_checksum_holds(void **state)
{
	uint8_t frame[124], *word = frame + UDP_AT + 8 + 10, saved[2];
	struct ft_signature signature;

	(void)state;
	ft_signature_stamp(ft_template_fill(frame, sizeof(frame), &run, 0), 1, 2);
	memcpy(saved, word, 2);
	memcpy(word, word + 2, 2);
	memcpy(word + 2, saved, 2);
	assert_int_equal(udp_checksum_sum(frame, sizeof(frame)), 0xffff);
	assert_int_equal(read_frame(frame, sizeof(frame), &signature), FT_SIGNATURE_CORRUPT);
}

/* Signed and stamped behind `header` bytes at `frame`, which has room for it; returns its length.
 */
static size_t sign(uint8_t *frame, size_t header)
{
	ft_signature_prepare(frame + header, &run, 5);
	ft_signature_stamp(frame + header, 77, 88);
	return header + FT_SIGNATURE_ROOM_BYTES;
}

static void it_is_found_behind_mpls_labels_and_ipv6(void **state)
{
	/* Two labels; IPv6 with UDP of 26 bytes, from and to ::1. */
	static const uint8_t headers[] = {
		2, 0, 0,    0,	0,    1, 2, 0, 0,    0,	 0,  2,	 0x88, 0x47, 0, 0, 0x10, 64,
		0, 0, 0x21, 64, 0x60, 0, 0, 0, 0,    26, 17, 64, 0,    0,    0, 0, 0,	 0,
		0, 0, 0,    0,	0,    0, 0, 0, 0,    1,	 0,  0,	 0,    0,    0, 0, 0,	 0,
		0, 0, 0,    0,	0,    0, 0, 1, 0xc0, 0,	 0,  7,	 0,    26,   0, 0};
	uint8_t frame[sizeof(headers) + FT_SIGNATURE_ROOM_BYTES],
		*udp = frame + sizeof(headers) - 8;
	size_t bytes = (memcpy(frame, headers, sizeof(headers)), sign(frame, sizeof(headers)));
	struct ft_signature signature;
	uint64_t sum = (uint64_t)htons(17) + htons(26);
	uint16_t checksum;

	(void)state;
	/* Without a checksum, which IPv6 forbids. */
	assert_int_equal(read_frame(frame, bytes, &signature), FT_SIGNATURE_CORRUPT);
	sum = ft_checksum_add(ft_checksum_add(sum, udp - 32, 32), udp, 26);
	checksum = (uint16_t)~ft_checksum_fold(sum);
	memcpy(udp + 6, &checksum, sizeof(checksum));
	assert_int_equal(read_frame(frame, bytes, &signature), FT_SIGNATURE_VALID);
	assert_int_equal(signature.stream, 5);
	assert_int_equal(signature.sequence, 77);
	udp[0] ^= 1;
	assert_int_equal(read_frame(frame, bytes, &signature), FT_SIGNATURE_CORRUPT);
}

static void it_is_found_at_the_end_of_a_frame_without_ip(void **state)
{
	uint8_t frame[60] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5};
	size_t bytes = sign(frame, sizeof(frame) - FT_SIGNATURE_ROOM_BYTES);
	struct ft_signature signature;

	(void)state;
	assert_int_equal(read_frame(frame, bytes, &signature), FT_SIGNATURE_VALID);
	assert_int_equal(signature.sent_ns, 88);
}

static void a_frame_cut_anywhere_is_foreign(void **state)
{
	struct ft_signature signature;

	(void)state;
	for (size_t bytes = 0; bytes < sizeof(smallest); bytes++)
		assert_int_equal(read_frame(smallest, bytes, &signature), FT_SIGNATURE_FOREIGN);
}

/* Every field that leads to the signature, at random: judged without a byte read outside. */
static void random_headers_are_judged_within_bounds(void **state)
{
	struct ft_signature signature;

	(void)state;
	srand(1);
	for (unsigned i = 0; i < 200000; i++) {
		uint8_t frame[sizeof(smallest) + 16];
		size_t bytes = sizeof(smallest) - 20 + (unsigned)rand() % 36;

		memcpy(frame, smallest, sizeof(smallest));
		for (unsigned j = 0; j < 3; j++)
			frame[12 + (unsigned)rand() % 30] = (uint8_t)rand();
		read_frame(frame, bytes > sizeof(smallest) ? sizeof(smallest) : bytes, &signature);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_smallest_frame_is_known_byte_by_byte),
		cmocka_unit_test(what_was_stamped_is_read),
		cmocka_unit_test(the_udp_checksum_stays_valid_and_the_same),
		cmocka_unit_test(tags_pushed_on_the_way_do_not_hide_it),
		cmocka_unit_test(a_reflected_frame_is_valid_and_says_so),
		cmocka_unit_test(padding_behind_the_packet_is_left_out),
		cmocka_unit_test(another_runs_frame_is_foreign),
		cmocka_unit_test(any_bit_flipped_in_the_datagram_makes_it_corrupt_or_foreign),
		cmocka_unit_test(damage_under_a_new_checksum_is_seen_in_frames_of_128_bytes),
		cmocka_unit_test(words_that_change_places_are_seen_although_the_checksum_holds),
		cmocka_unit_test(it_is_found_behind_mpls_labels_and_ipv6),
		cmocka_unit_test(it_is_found_at_the_end_of_a_frame_without_ip),
		cmocka_unit_test(a_frame_cut_anywhere_is_foreign),
		cmocka_unit_test(random_headers_are_judged_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
