/* SPDX-License-Identifier: Apache-2.0 */
/* What a frame's stamp becomes, from ring headers as the kernel writes them, and whose it may be.
 */
#include <net/if.h> /* before the kernel's own */

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ft/clock.h"
#include "port/afpacket.h"
#include "port/phc.h"
#include "port/stamps.h"

#define SECONDS	  1700000000u
#define NANOS	  123456789u
#define TAI_UTC_S 37
#define STAMP_NS  (SECONDS * FT_NS_PER_SECOND + NANOS)
#define AHEAD_NS  (TAI_UTC_S * FT_NS_PER_SECOND)
#define MAC_AT	  128u

static struct ft_error error;

/* A frame of 60 bytes in a ring, and the port that reads it. */
struct received {
	_Alignas(16) uint8_t memory[256];
	struct ft_afpacket afpacket;
	struct ft_port port;
	struct ft_frame frame;
};

static struct ft_frame *receive(struct received *received, bool adapter, uint32_t status,
				uint8_t packet_type)
{
	struct tpacket3_hdr *header = (void *)received->memory;
	struct sockaddr_ll *link =
		(void *)(received->memory + TPACKET_ALIGN(sizeof(struct tpacket3_hdr)));

	*received = (struct received){0};
	received->afpacket.stamping =
		(struct ft_stamping){.adapter = adapter, .ahead_ns = adapter ? AHEAD_NS : 0};
	received->afpacket.longest_bytes = 1522;
	received->port.interface_count = 2;
	received->frame.unstamped = true;
	header->tp_status = status;
	header->tp_sec = SECONDS;
	header->tp_nsec = NANOS;
	header->tp_mac = MAC_AT;
	header->tp_snaplen = header->tp_len = 60;
	link->sll_pkttype = packet_type;
	ft_afpacket_describe_frame(&received->port, &received->afpacket, header, &received->frame);
	return &received->frame;
}

static void an_adapters_stamp_becomes_utc(void **state)
{
	struct received received;
	const struct ft_frame *frame =
		receive(&received, true, TP_STATUS_TS_RAW_HARDWARE, PACKET_HOST);

	(void)state;
	assert_false(frame->unstamped);
	assert_int_equal(frame->stamp_ns, STAMP_NS - AHEAD_NS);
	assert_int_equal(frame->interface, 0);
	assert_int_equal(frame->captured_bytes, 60);
}

static void a_frame_that_the_adapter_did_not_stamp_is_marked_and_keeps_the_hosts(void **state)
{
	struct received received;
	const struct ft_frame *frame =
		receive(&received, true, TP_STATUS_TS_SOFTWARE, PACKET_OTHERHOST);

	(void)state;
	assert_true(frame->unstamped);
	assert_int_equal(frame->stamp_ns, STAMP_NS);
}

static void a_sent_frame_has_the_hosts_stamp_and_its_own_interface(void **state)
{
	struct received received;
	const struct ft_frame *frame =
		receive(&received, true, TP_STATUS_TS_SOFTWARE, PACKET_OUTGOING);

	(void)state;
	assert_false(frame->unstamped);
	assert_int_equal(frame->stamp_ns, STAMP_NS);
	assert_int_equal(frame->interface, 1);
}

static void a_frame_sent_on_does_not_keep_the_stamp_of_where_it_came_in(void **state)
{
	struct received received;
	uint64_t before_ns = ft_clock_utc_ns();
	const struct ft_frame *frame =
		receive(&received, true, TP_STATUS_TS_RAW_HARDWARE, PACKET_OUTGOING);

	(void)state;
	assert_true(frame->unstamped);
	assert_in_range(frame->stamp_ns, before_ns, ft_clock_utc_ns());
}

static void host_stamps_are_taken_as_they_are(void **state)
{
	struct received received;
	const struct ft_frame *frame =
		receive(&received, false, TP_STATUS_TS_SOFTWARE, PACKET_HOST);

	(void)state;
	assert_false(frame->unstamped);
	assert_int_equal(frame->stamp_ns, STAMP_NS);
}

static void a_clock_is_known_by_what_it_shows(void **state)
{
	const int64_t second = (int64_t)FT_NS_PER_SECOND;

	(void)state;
	assert_int_equal(ft_phc_judge(12, TAI_UTC_S), FT_PHC_UTC);
	assert_int_equal(ft_phc_judge(1 - second, TAI_UTC_S), FT_PHC_UTC);
	assert_int_equal(ft_phc_judge(37 * second - 5000, TAI_UTC_S), FT_PHC_TAI);
	assert_int_equal(ft_phc_judge(36 * second, TAI_UTC_S), FT_PHC_FREE);
	assert_int_equal(ft_phc_judge(-37 * second, TAI_UTC_S), FT_PHC_FREE);
	assert_int_equal(ft_phc_judge(-(int64_t)STAMP_NS, TAI_UTC_S), FT_PHC_FREE); /* since boot */
}

static void tai_is_ahead_even_where_the_kernel_was_not_told(void **state)
{
	(void)state;
	assert_in_range(ft_clock_tai_utc_s(), 37, 40);
}

static void the_two_directions_say_whose_stamps_they_have(void **state)
{
	const struct ft_stamping stamping = {.adapter = true, .clock = "phc 0, UTC"};
	struct ft_port_interface received = {0}, sent = {0};

	(void)state;
	ft_stamps_label(&stamping, false, &received);
	ft_stamps_label(&stamping, true, &sent);
	assert_string_equal(received.timestamps, "adapter");
	assert_string_equal(received.clock, "phc 0, UTC");
	assert_string_equal(sent.timestamps, "host");
	assert_non_null(strstr(sent.clock, "system clock"));
}

static void an_adapter_that_cannot_stamp_is_refused_before_it_is_opened(void **state)
{
	struct ft_port_options options = {.directions = FT_DIRECTION_IN,
					  .stamps = FT_STAMPS_ADAPTER};
	struct ft_port *port;

	(void)state;
	assert_int_equal(ft_port_create("lo", &options, &port, &error), -EINVAL);
	assert_non_null(strstr(error.text, "port 'lo': -t adapter: its driver cannot stamp"));
	options.directions = FT_DIRECTION_OUT;
	assert_int_equal(ft_port_create("lo", &options, &port, &error), -EINVAL);
	assert_non_null(strstr(error.text, "frames that are sent"));
	assert_int_equal(ft_port_create("synth:", &options, &port, &error), -EINVAL);
	assert_int_equal(ft_port_create("file:x", &options, &port, &error), -EINVAL);
	assert_non_null(strstr(error.text, "port 'x': -t adapter"));
}

static void the_best_stamps_of_such_an_adapter_are_the_hosts(void **state)
{
	const struct ft_port_options options = {.directions = FT_DIRECTION_IN};
	struct ft_stamping stamping;

	(void)state;
	assert_int_equal(ft_stamps_find("lo", &options, &stamping, &error), 0);
	assert_int_equal(ft_stamps_start(&options, &stamping, &error), 0);
	assert_false(stamping.adapter);
	assert_non_null(strstr(stamping.clock, "system clock"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_adapters_stamp_becomes_utc),
		cmocka_unit_test(
			a_frame_that_the_adapter_did_not_stamp_is_marked_and_keeps_the_hosts),
		cmocka_unit_test(a_sent_frame_has_the_hosts_stamp_and_its_own_interface),
		cmocka_unit_test(a_frame_sent_on_does_not_keep_the_stamp_of_where_it_came_in),
		cmocka_unit_test(host_stamps_are_taken_as_they_are),
		cmocka_unit_test(a_clock_is_known_by_what_it_shows),
		cmocka_unit_test(tai_is_ahead_even_where_the_kernel_was_not_told),
		cmocka_unit_test(the_two_directions_say_whose_stamps_they_have),
		cmocka_unit_test(an_adapter_that_cannot_stamp_is_refused_before_it_is_opened),
		cmocka_unit_test(the_best_stamps_of_such_an_adapter_are_the_hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
