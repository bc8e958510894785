/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "folder.h"
#include "ft/index.h"
#include "pipe/summary.h"

static const struct ft_flow_key key = {{17, 23}};

static uint64_t draw(void)
{
	return (uint64_t)random() << 42 ^ (uint64_t)random() << 21 ^ (uint64_t)random();
}

/* An index of one chunk with `count` flows, whose hashes are put in `flows`. */
static uint64_t write_index(const char *path, uint64_t *flows, unsigned count)
{
	const struct ft_index_chunk chunk = {
		.offset = 4096, .sequence = 1, .length_bytes = 8192, .packets = count};
	struct ft_summary *summary = calloc(1, sizeof(*summary));
	struct ft_index_writer *writer;
	struct ft_error error;
	struct stat status;

	for (unsigned i = 0; i < count; i++) {
		flows[i] = draw();
		summary->flows++;
		ft_summary_set_hash(summary->flow, FT_SUMMARY_FLOW_BITS, flows[i]);
		ft_summary_set_hash(summary->address, FT_SUMMARY_ADDRESS_BITS, ~flows[i]);
		ft_summary_set(summary->port, FT_SUMMARY_PORT_BITS, flows[i] >> 20);
		ft_summary_set(summary->vlan, FT_SUMMARY_VLAN_BITS, i % 100);
	}
	assert_int_equal(ft_index_create(path, &key, &writer, &error), 0);
	assert_int_equal(ft_index_add(writer, &chunk, summary, &error), 0);
	assert_int_equal(ft_index_close(writer, 12288, &error), 0);
	free(summary);
	assert_int_equal(stat(path, &status), 0);
	return (uint64_t)status.st_size;
}

static void a_chunk_holds_every_flow_address_port_and_vlan_that_was_noted(void **state)
{
	static uint64_t flows[40000];
	static const unsigned counts[] = {1, 2, 10, 300, 5000, 40000};

	(void)state;
	for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		const struct ft_index_filters *filters;
		struct ft_index_reader *reader;
		struct ft_index_chunk chunk;
		struct ft_error error;
		unsigned false_flows = 0;

		write_index("all.idx", flows, counts[i]);
		assert_int_equal(ft_index_open("all.idx", &reader, &error), 0);
		assert_memory_equal(ft_index_key(reader), &key, sizeof(key));
		assert_int_equal(ft_index_next(reader, &chunk, &filters, &error), 1);
		assert_int_equal(chunk.offset, 4096);
		assert_int_equal(chunk.packets, counts[i]);
		for (unsigned j = 0; j < counts[i]; j++) {
			assert_true(ft_index_may_hold_flow(filters, flows[j]));
			assert_true(ft_index_may_hold_address(filters, ~flows[j]));
			assert_true(ft_index_may_hold_port(filters, (uint16_t)(flows[j] >> 20)));
			assert_true(ft_index_may_hold_vlan(filters, j % 100));
		}
		for (unsigned j = 0; j < 10000; j++)
			false_flows += ft_index_may_hold_flow(filters, draw());
		/* 1 in 256 at most as long as the filter can grow. */
		if (counts[i] <= 4096)
			assert_in_range(false_flows, 0, 150);
		assert_int_equal(ft_index_next(reader, &chunk, &filters, &error), 0);
		assert_int_equal(ft_index_file_bytes(reader), 12288);
		ft_index_close_reader(reader);
	}
}

static void a_chunk_of_few_flows_costs_few_bytes(void **state)
{
	static uint64_t flows[40000];

	(void)state;
	assert_in_range(write_index("small.idx", flows, 1), 0, 300);
	assert_in_range(write_index("ten.idx", flows, 10), 0, 500);
	assert_in_range(write_index("full.idx", flows, 40000), 0, 34000);
}

static void a_chunk_without_packets_holds_nothing(void **state)
{
	const struct ft_index_chunk none = {.length_bytes = 4096};
	const struct ft_index_filters *filters;
	struct ft_index_writer *writer;
	struct ft_index_reader *reader;
	struct ft_index_chunk chunk;
	struct ft_error error;

	(void)state;
	assert_int_equal(ft_index_create("none.idx", &key, &writer, &error), 0);
	assert_int_equal(ft_index_add(writer, &none, NULL, &error), 0);
	assert_int_equal(ft_index_close(writer, 4096, &error), 0);
	assert_int_equal(ft_index_open("none.idx", &reader, &error), 0);
	assert_int_equal(ft_index_next(reader, &chunk, &filters, &error), 1);
	assert_false(ft_index_may_hold_flow(filters, draw()));
	assert_false(ft_index_may_hold_port(filters, 0));
	ft_index_close_reader(reader);
}

static void a_growing_index_has_another_name_and_can_be_read_as_far_as_it_is(void **state)
{
	const struct ft_index_chunk first = {.length_bytes = 4096};
	const struct ft_index_filters *filters;
	struct ft_index_writer *writer;
	struct ft_index_reader *reader;
	struct ft_index_chunk chunk;
	struct ft_error error;

	(void)state;
	assert_int_equal(ft_index_create("grow.idx", &key, &writer, &error), 0);
	assert_int_equal(ft_index_add(writer, &first, NULL, &error), 0);
	assert_false(exists("grow.idx"));
	assert_true(exists("grow.idx.partial"));
	assert_int_equal(ft_index_close(writer, 4096, &error), 0);
	assert_false(exists("grow.idx.partial"));
	assert_int_equal(truncate("grow.idx", 130), 0);
	assert_int_equal(ft_index_open("grow.idx", &reader, &error), 0);
	assert_int_equal(ft_index_next(reader, &chunk, &filters, &error), 1);
	assert_int_equal(ft_index_next(reader, &chunk, &filters, &error), 0);
	assert_int_equal(ft_index_file_bytes(reader), 0);
	ft_index_close_reader(reader);
}

static void an_index_that_is_given_up_leaves_no_file(void **state)
{
	struct ft_index_writer *writer;
	struct ft_error error;

	(void)state;
	assert_int_equal(ft_index_create("gone.idx", &key, &writer, &error), 0);
	assert_int_equal(ft_index_close(writer, 0, &error), 0);
	assert_false(exists("gone.idx"));
	assert_false(exists("gone.idx.partial"));
}

/* Read all there is; true: to an end that claims a length. */
static bool read_all(const char *path)
{
	const struct ft_index_filters *filters;
	struct ft_index_reader *reader;
	struct ft_index_chunk chunk;
	struct ft_error error;
	bool sound = false;
	int rc;

	if (ft_index_open(path, &reader, &error) != 0)
		return false;
	while ((rc = ft_index_next(reader, &chunk, &filters, &error)) == 1)
		ft_index_may_hold_flow(filters, draw());
	sound = rc == 0 && ft_index_file_bytes(reader) != 0;
	ft_index_close_reader(reader);
	return sound;
}

static void a_changed_byte_anywhere_is_noticed(void **state)
{
	uint64_t flows[30];
	size_t bytes;
	uint8_t *all;

	(void)state;
	write_index("byte.idx", flows, 30);
	assert_true(read_all("byte.idx"));
	all = read_whole("byte.idx", &bytes);
	for (size_t i = 0; i < bytes; i++) {
		/* The field that is kept for later. */
		if ((i >= 20 && i < 24) || (i >= 52 && i < 56) ||
		    (i >= bytes - 12 && i < bytes - 8))
			continue;
		all[i] ^= 0x10;
		unlink("byte.idx");
		put_bytes("byte.idx", all, bytes);
		if (read_all("byte.idx"))
			fail_msg("byte %zu of %zu can be changed", i, bytes);
		all[i] ^= 0x10;
	}
	free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chunk_holds_every_flow_address_port_and_vlan_that_was_noted),
		cmocka_unit_test(a_chunk_of_few_flows_costs_few_bytes),
		cmocka_unit_test(a_chunk_without_packets_holds_nothing),
		cmocka_unit_test(a_growing_index_has_another_name_and_can_be_read_as_far_as_it_is),
		cmocka_unit_test(an_index_that_is_given_up_leaves_no_file),
		cmocka_unit_test(a_changed_byte_anywhere_is_noticed),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
