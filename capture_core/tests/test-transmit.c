/* SPDX-License-Identifier: Apache-2.0 */
/* What can be told of the generator's back ends without a port of their own. */
#include <net/if.h> /* before the kernel's own */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder.h"
#include "ft/reader.h"
#include "gen/frame_file.h"
#include "gen/receive_port.h"
#include "gen/transmit.h"
#include "port/qdisc.h"
#include "port/xsk_send.h"

static int create(const char *spec, struct ft_transmit *transmit, struct ft_error *error)
{
	*transmit = (struct ft_transmit){0};
	return ft_transmit_create(spec, transmit, error);
}

static void test_a_port_names_its_back_end_or_leaves_the_choice(void **state)
{
	static const struct {
		const char *spec;
		const struct ft_transmit_ops *ops;
	} ports[] = {
		{"lo", NULL},
		{"live:lo", &ft_transmit_live},
		{"afxdp:lo", &ft_transmit_afxdp},
		{"afpacket:lo", &ft_transmit_afpacket},
		{"file:x.pcap", &ft_transmit_file},
		{"file:a:b.pcapng", &ft_transmit_file},
	};
	struct ft_transmit transmit;
	struct ft_error error;

	(void)state;
	for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		assert_int_equal(create(ports[i].spec, &transmit, &error), 0);
		assert_ptr_equal(transmit.ops, ports[i].ops);
		assert_string_equal(transmit.device, strncmp(ports[i].spec, "file:", 5) == 0
							     ? ports[i].spec + 5
							     : "lo");
		assert_int_equal(transmit.ifindex != 0, strncmp(ports[i].spec, "file:", 5) != 0);
	}
}

static void test_a_port_that_is_none_is_refused_with_what_there_is(void **state)
{
	struct ft_transmit transmit;
	struct ft_error error;

	(void)state;
	assert_int_equal(create("dpdk:lo", &transmit, &error), -EINVAL);
	assert_non_null(strstr(error.text, "afxdp:DEVICE"));
	assert_int_equal(create("live", &transmit, &error), -ENODEV);
	assert_int_equal(create("live:", &transmit, &error), -EINVAL);
	assert_int_equal(create("", &transmit, &error), -EINVAL);
	assert_int_equal(create("file:", &transmit, &error), -EINVAL);
	assert_int_equal(create("file:x.txt", &transmit, &error), -EINVAL);
	assert_int_equal(create("file:.pcap", &transmit, &error), -EINVAL);
	assert_int_equal(create("afxdp:a-name-longer-than-an-interface-has", &transmit, &error),
			 -ENODEV);
}

static void test_memory_for_frames_is_zeroed_and_whole_chunks(void **state)
{
	struct ft_transmit transmit = {0};
	uint8_t *memory = ft_transmit_memory(&transmit, 5000);

	(void)state;
	assert_non_null(memory);
	assert_int_equal((uintptr_t)memory % FT_XSK_SEND_CHUNK_BYTES, 0);
	assert_int_equal(transmit.memory_bytes, 2 * FT_XSK_SEND_CHUNK_BYTES);
	for (unsigned i = 0; i < 5000; i++)
		assert_int_equal(memory[i], 0);
	ft_transmit_free(&transmit);
}

static void test_loopback_has_no_queue(void **state)
{
	char name[FT_QDISC_NAME_BYTES];

	(void)state;
	assert_int_equal(ft_qdisc_read((int)if_nametoindex("lo"), name), 0);
	assert_string_equal(name, "noqueue");
	assert_int_equal(ft_qdisc_read(INT32_MAX, name), -ENODEV);
}

/* Enough frames that the buffer is written several times. */
#define FRAMES 5000u

static void check_file(const char *path)
{
	struct ft_frame_file *file;
	struct ft_reader *reader;
	struct ft_record record;
	struct ft_error error;
	uint8_t frame[64] = {0};

	assert_int_equal(ft_frame_file_open("--tap ", path, "lo", &file, &error), 0);
	for (uint32_t i = 0; i < FRAMES; i++) {
		memcpy(frame, &i, sizeof(i));
		assert_int_equal(
			ft_frame_file_add(file, frame, 14 + i % 51, 1000000007ull * i, &error), 0);
	}
	assert_int_equal(ft_frame_file_frames(file), FRAMES);
	assert_int_equal(ft_frame_file_finish(file, &error), 0);
	ft_frame_file_free(file);
	assert_int_equal(ft_reader_open(path, NULL, &reader, &error), 0);
	for (uint32_t i = 0; i < FRAMES; i++) {
		assert_int_equal(ft_reader_next(reader, &record, &error), 1);
		assert_memory_equal(record.data, &i, sizeof(i));
		assert_int_equal(record.captured_bytes, 14 + i % 51);
		assert_int_equal(record.stamp_ns, 1000000007ull * i);
	}
	assert_int_equal(ft_reader_next(reader, &record, &error), 0);
	ft_reader_close(reader);
}

static void test_a_file_of_frames_holds_each_with_its_stamp(void **state)
{
	(void)state;
	check_file("x.pcapng");
	check_file("x.pcap");
}

static void test_a_file_that_holds_no_frame_is_not_left_behind(void **state)
{
	struct ft_frame_file *file, *second;
	struct ft_error error;

	(void)state;
	assert_int_equal(ft_frame_file_open("--tap ", "y.pcap", "lo", &file, &error), 0);
	assert_int_equal(ft_frame_file_open("--tap ", "y.pcap", "lo", &second, &error), -EBUSY);
	assert_string_equal(error.text, "--tap y.pcap: a running program is writing it; choose "
					"another name");
	ft_frame_file_free(file);
	assert_int_not_equal(access("y.pcap.partial", F_OK), 0);
	assert_int_equal(ft_frame_file_open("--tap ", "no/y.pcap", "lo", &file, &error), -ENOENT);
	assert_string_equal(error.text,
			    "--tap no/y.pcap: cannot be written: No such file or directory");
}

/* No driver at hand does so: what was read before is made to lie ahead. */
static void test_counters_that_a_driver_set_back_tell_nothing(void **state)
{
	struct ft_receive_port port;
	struct ft_transmit transmit;
	struct ft_error error;
	uint64_t frames;

	(void)state;
	assert_int_equal(create("lo", &transmit, &error), 0);
	assert_int_equal(ft_transmit_begin_count(&transmit, &error), 0);
	assert_int_equal(ft_transmit_read_count(&transmit, &frames, &error), 0);
	transmit.counted_before = UINT64_MAX;
	assert_int_equal(ft_transmit_read_count(&transmit, &frames, &error), -EIO);
	assert_non_null(strstr(error.text, "'lo' set its counters back"));

	assert_int_equal(ft_receive_port_begin(&port, transmit.ifindex, &error), 0);
	assert_int_equal(ft_receive_port_end(&port, &error), 0);
	port.before.rx_missed = UINT64_MAX;
	assert_int_equal(ft_receive_port_end(&port, &error), -EIO);
	assert_non_null(strstr(error.text, "set its counters back"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_port_names_its_back_end_or_leaves_the_choice),
		cmocka_unit_test(test_a_port_that_is_none_is_refused_with_what_there_is),
		cmocka_unit_test(test_memory_for_frames_is_zeroed_and_whole_chunks),
		cmocka_unit_test(test_loopback_has_no_queue),
		cmocka_unit_test(test_counters_that_a_driver_set_back_tell_nothing),
		cmocka_unit_test_setup_teardown(test_a_file_of_frames_holds_each_with_its_stamp,
						enter_folder, leave_folder),
		cmocka_unit_test_setup_teardown(test_a_file_that_holds_no_frame_is_not_left_behind,
						enter_folder, leave_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
