/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "port/vlan.h"

#define ADDRESSES "\x01\x02\x03\x04\x05\x06\x11\x12\x13\x14\x15\x16"

/* A received frame with the room before it that the kernel reserves. */
struct received {
	uint8_t memory[FT_VLAN_TAG_BYTES + 64];
	struct ft_frame frame;
};

static struct received receive(const char *bytes, uint32_t captured_bytes, uint32_t length_bytes)
{
	struct received received = {{0}};

	memset(received.memory, 0xEE, sizeof(received.memory));
	memcpy(received.memory + FT_VLAN_TAG_BYTES, bytes, captured_bytes);
	received.frame.captured_bytes = captured_bytes;
	received.frame.length_bytes = length_bytes;
	return received;
}

static void restore(struct received *received, uint16_t tci, uint16_t tpid)
{
	received->frame.data = received->memory + FT_VLAN_TAG_BYTES;
	ft_vlan_restore(&received->frame, tci, tpid);
}

static void a_tag_goes_between_the_addresses_and_the_ethertype(void **state)
{
	struct received received = receive(ADDRESSES "\x08\x00payload", 21, 21);

	(void)state;
	restore(&received, 100, 0x8100);
	assert_int_equal(received.frame.captured_bytes, 25);
	assert_int_equal(received.frame.length_bytes, 25);
	assert_memory_equal(received.frame.data, ADDRESSES "\x81\x00\x00\x64\x08\x00payload", 25);
}

static void priority_and_drop_eligibility_are_kept(void **state)
{
	struct received received = receive(ADDRESSES "\x08\x00", 14, 14);

	(void)state;
	restore(&received, 0xBFFE, 0x8100); /* priority 5, DEI set, VLAN 4094 */
	assert_memory_equal(received.frame.data + 12, "\x81\x00\xBF\xFE\x08\x00", 6);
}

static void a_priority_tag_of_vlan_0_is_a_tag_too(void **state)
{
	struct received received = receive(ADDRESSES "\x08\x00", 14, 14);

	(void)state;
	restore(&received, 0, 0x8100);
	assert_int_equal(received.frame.captured_bytes, 18);
	assert_memory_equal(received.frame.data + 12, "\x81\x00\x00\x00\x08\x00", 6);
}

static void an_outer_service_tag_keeps_its_tpid_before_the_inner_tag(void **state)
{
	struct received received = receive(ADDRESSES "\x81\x00\x00\x0A\x86\xDD", 18, 18);

	(void)state;
	restore(&received, 200, 0x88A8);
	assert_memory_equal(received.frame.data + 12, "\x88\xA8\x00\xC8\x81\x00\x00\x0A\x86\xDD",
			    10);
}

static void a_frame_cut_short_keeps_its_original_length_and_gains_the_tag(void **state)
{
	struct received received = receive(ADDRESSES "\x08\x00", 14, 9000);

	(void)state;
	restore(&received, 1, 0x8100);
	assert_int_equal(received.frame.captured_bytes, 18);
	assert_int_equal(received.frame.length_bytes, 9004);
}

static void a_frame_cut_after_its_addresses_ends_with_the_tag(void **state)
{
	struct received received = receive(ADDRESSES, 12, 60);

	(void)state;
	restore(&received, 5, 0x8100);
	assert_int_equal(received.frame.captured_bytes, 16);
	assert_memory_equal(received.frame.data, ADDRESSES "\x81\x00\x00\x05", 16);
}

static void a_frame_cut_within_its_addresses_keeps_its_bytes(void **state)
{
	for (uint32_t captured = 0; captured < 12; captured++) {
		struct received received = receive(ADDRESSES, captured, 60);

		restore(&received, 5, 0x8100);
		assert_int_equal(received.frame.captured_bytes, captured);
		assert_int_equal(received.frame.length_bytes, 64);
		assert_memory_equal(received.frame.data, ADDRESSES, captured);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tag_goes_between_the_addresses_and_the_ethertype),
		cmocka_unit_test(priority_and_drop_eligibility_are_kept),
		cmocka_unit_test(a_priority_tag_of_vlan_0_is_a_tag_too),
		cmocka_unit_test(an_outer_service_tag_keeps_its_tpid_before_the_inner_tag),
		cmocka_unit_test(a_frame_cut_short_keeps_its_original_length_and_gains_the_tag),
		cmocka_unit_test(a_frame_cut_after_its_addresses_ends_with_the_tag),
		cmocka_unit_test(a_frame_cut_within_its_addresses_keeps_its_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
