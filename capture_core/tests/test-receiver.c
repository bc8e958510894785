/* SPDX-License-Identifier: Apache-2.0 */
/* The receiver over captures written here, whose frames it takes as if they came from a wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "folder.h"
#include "ft/template.h"
#include "gen/receiver.h"

#define FRAME_BYTES 60u
#define SENT_NS	    1795576470000000000ull

static const struct ft_signature_run run = {.secret = 0x1234, .id = 0x56};

static void begin_capture(void)
{
	static const uint32_t header[6] = {0xa1b23c4d, 4u << 16 | 2, 0, 0, 65535, 1};

	unlink("capture");
	put_bytes("capture", header, sizeof(header));
}

/* A frame of the run, sent at SENT_NS; `flip` is a byte whose lowest bit is wrong, 0: none. */
static void put(uint16_t stream, uint32_t number, uint64_t latency_ns, unsigned flip)
{
	uint64_t stamp_ns = SENT_NS + latency_ns;
	const uint32_t header[4] = {(uint32_t)(stamp_ns / 1000000000u),
				    (uint32_t)(stamp_ns % 1000000000u), FRAME_BYTES, FRAME_BYTES};
	uint8_t frame[FRAME_BYTES];

	ft_signature_stamp(ft_template_fill(frame, FRAME_BYTES, &run, stream), number, SENT_NS);
	frame[flip] ^= flip != 0;
	put_bytes("capture", header, sizeof(header));
	put_bytes("capture", frame, sizeof(frame));
}

/* Receive all of it, by a receiver that expects so many streams. */
static void receive(uint32_t stream_count, struct ft_receiver *receiver)
{
	const struct ft_port_options options = {.directions = FT_DIRECTION_IN, .snap_bytes = 65536};
	struct ft_error error;

	*receiver = (struct ft_receiver){.run = stream_count > 0 ? &run : NULL};
	assert_int_equal(ft_port_create("file:capture", &options, &receiver->port, &error), 0);
	assert_int_equal(ft_port_open(receiver->port, &error), 0);
	assert_int_equal(ft_port_start(receiver->port, &error), 0);
	assert_int_equal(ft_receiver_create(receiver, stream_count, &error), 0);
	assert_int_equal(ft_receiver_start(receiver, &error), 0);
	while (!atomic_load(&receiver->ended))
		usleep(1000);
	ft_receiver_stop(receiver);
	assert_int_equal(receiver->result, 0);
}

static void forget(struct ft_receiver *receiver)
{
	ft_receiver_free(receiver);
	ft_port_free(receiver->port);
}

static void streams_are_accounted_apart_and_added_up(void **state)
{
	struct ft_receiver receiver;
	struct ft_received sum;

	(void)state;
	begin_capture();
	put(0, 0, 1000, 0);
	put(1, 0, 3000, 0);
	put(0, 2, 1500, 0);
	put(0, 1, 1500, 0);
	put(1, 0, 9000, 0);
	receive(2, &receiver);
	assert_int_equal(receiver.streams[0].sequence.distinct, 3);
	assert_int_equal(receiver.streams[0].sequence.reordered, 1);
	assert_int_equal(receiver.streams[1].frames, 2);
	assert_int_equal(receiver.streams[1].sequence.duplicate, 1);
	assert_int_equal(receiver.streams[0].latency.histogram.samples, 3);
	assert_int_equal(receiver.streams[0].latency.variation_sum, 500);
	/* A copy has no latency. */
	assert_int_equal(receiver.streams[1].latency.histogram.max, 3000);
	assert_int_equal(receiver.latency->histogram.samples, 4);
	ft_receiver_sum(&receiver, &sum);
	assert_int_equal(sum.frames, 5);
	assert_int_equal(sum.distinct, 4);
	assert_int_equal(sum.duplicate, 1);
	assert_int_equal(sum.reordered, 1);
	assert_int_equal(sum.missing, 0);
	forget(&receiver);
}

static void a_stream_that_nobody_sends_is_foreign(void **state)
{
	struct ft_receiver receiver;
	struct ft_received sum;

	(void)state;
	begin_capture();
	put(1, 0, 1000, 0);
	put(65535, 0, 1000, 0);
	put(65535, 0, 1000, 40); /* also where its payload is damaged */
	receive(1, &receiver);
	ft_receiver_sum(&receiver, &sum);
	assert_int_equal(receiver.foreign, 3);
	assert_int_equal(sum.frames + sum.corrupt, 0);
	forget(&receiver);
}

static void damage_is_of_its_stream_while_the_signature_is_whole(void **state)
{
	struct ft_receiver receiver;
	struct ft_received sum;

	(void)state;
	begin_capture();
	put(1, 0, 1000, 36);		  /* in the UDP header */
	put(1, 1, 1000, FRAME_BYTES - 1); /* in the time */
	receive(2, &receiver);
	ft_receiver_sum(&receiver, &sum);
	assert_int_equal(receiver.streams[1].corrupt, 1);
	assert_int_equal(receiver.broken, 1);
	assert_int_equal(sum.corrupt, 2);
	assert_int_equal(sum.frames, 0);
	assert_int_equal(receiver.last_ns != 0, 1);
	forget(&receiver);
}

static void frames_without_a_signature_are_only_counted(void **state)
{
	struct ft_receiver receiver;
	struct ft_received sum;

	(void)state;
	begin_capture();
	put(0, 0, 1000, 0);
	put(0, 0, 1000, 0);
	receive(0, &receiver);
	ft_receiver_sum(&receiver, &sum);
	assert_int_equal(sum.frames, 2);
	assert_int_equal(sum.distinct, 2);
	assert_int_equal(sum.duplicate, 0);
	forget(&receiver);
}

/* All that a frame can name: the memory of those that never come is not touched. */
static void there_may_be_65536_streams(void **state)
{
	struct ft_receiver receiver;

	(void)state;
	begin_capture();
	put(65535, 0, 1000, 0);
	receive(65536, &receiver);
	assert_int_equal(receiver.streams[65535].frames, 1);
	forget(&receiver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(streams_are_accounted_apart_and_added_up),
		cmocka_unit_test(a_stream_that_nobody_sends_is_foreign),
		cmocka_unit_test(damage_is_of_its_stream_while_the_signature_is_whole),
		cmocka_unit_test(frames_without_a_signature_are_only_counted),
		cmocka_unit_test(there_may_be_65536_streams),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
