/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "chunked.h"
#include "folder.h"
#include "ft/extract.h"
#include "ft/reader.h"
#include "store/extract_match.h"
#include "store/extract_run.h"

#define SOURCES 3u
#define CHUNKS	12u
#define FRAMES	200u /* a chunk */

/*
 * Chunks of several hot threads, which overlap in time: frame n of chunk i of a source is at
 * i * 1000 + n * 3 + source. Flow 500 + i is in chunk i alone, and flows 0 to 9 are in all.
 */
static void make_capture(const char *path, bool indexed)
{
	struct chunked *c = chunked_begin(path, 9, indexed);

	for (unsigned i = 0; i < CHUNKS; i++) {
		for (unsigned s = 0; s < SOURCES; s++) {
			for (unsigned j = 0; j < FRAMES; j++)
				chunked_put_udp(c, CHUNKED_BASE_NS + i * 1000 + j * 3 + s, 80,
						j == 7 && s == 1 ? 500 + i : j % 10,
						i * 1000 + j * 3 + s);
			chunked_end(c, s);
		}
	}
	chunked_finish(c);
}

static struct ft_extract_settings ask(const char **inputs, const char *output)
{
	struct ft_extract_settings settings = {
		.inputs = inputs,
		.output = output,
		.report = "report.json",
		.to_ns = UINT64_MAX,
	};

	while (inputs[settings.input_count] != NULL)
		settings.input_count++;
	return settings;
}

static int64_t reported(const char *name)
{
	json_t *report = json_load_file("report.json", 0, NULL);
	int64_t value = json_integer_value(json_object_get(report, name));

	assert_non_null(report);
	json_decref(report);
	return value;
}

/* How many frames there are; checks that they are in the order of time. */
static unsigned count_frames(const char *path)
{
	struct ft_reader *reader;
	struct ft_record record;
	struct ft_error error;
	uint64_t last_ns = 0;
	unsigned count = 0;
	int rc;

	assert_int_equal(ft_reader_open(path, NULL, &reader, &error), 0);
	while ((rc = ft_reader_next(reader, &record, &error)) == 1) {
		assert_true(record.stamp_ns >= last_ns);
		last_ns = record.stamp_ns;
		assert_int_equal(record.epb_flags, 1);
		count++;
	}
	assert_int_equal(rc, 0);
	ft_reader_close(reader);
	return count;
}

static void frames_of_several_hot_threads_come_out_in_the_order_of_time(void **state)
{
	const char *inputs[] = {"all.pcapng", NULL};
	struct ft_extract_settings settings = ask(inputs, "ordered.pcapng");

	(void)state;
	make_capture("all.pcapng", false);
	assert_int_equal(ft_extract_run(&settings), 0);
	assert_int_equal(count_frames("ordered.pcapng"), SOURCES * CHUNKS * FRAMES);
	assert_int_equal(reported("packets"), SOURCES * CHUNKS * FRAMES);
	assert_int_equal(reported("late"), 0);
}

static void chunks_that_cannot_hold_a_flow_are_not_read(void **state)
{
	const char *inputs[] = {"flow.pcapng", NULL};
	struct ft_extract_settings settings = ask(inputs, "one.pcapng");

	(void)state;
	make_capture("flow.pcapng", true);
	settings.flow = "10.1.0.1:53,10.0.1.249:1529,udp"; /* 505, from its other end */
	assert_int_equal(ft_extract_run(&settings), 0);
	assert_int_equal(count_frames("one.pcapng"), 1);
	assert_in_range(reported("chunks_read"), 1, 3);
	assert_int_equal(reported("chunks_read") + reported("chunks_skipped"), SOURCES * CHUNKS);
	unlink("one.pcapng");
	settings.flow = NULL;
	settings.filter = "ip and udp and src host 10.0.1.249 and dst port 53";
	assert_int_equal(ft_extract_run(&settings), 0);
	assert_int_equal(count_frames("one.pcapng"), 1);
	assert_in_range(reported("chunks_read"), 1, 3);
	unlink("one.pcapng");
	/* What an index cannot help with is read whole. */
	settings.filter = "src host 10.0.1.249 or port 1";
	assert_int_equal(ft_extract_run(&settings), 0);
	assert_int_equal(count_frames("one.pcapng"), 1);
	assert_int_equal(reported("chunks_skipped"), 0);
}

static void an_extraction_is_the_same_with_and_without_an_index(void **state)
{
	static const char *const filters[] = {
		"udp port 1024",    "udp and port 1031 and port 53",
		"ip host 10.0.0.3", "host 10.0.0.3",
		"port 99",	    "udp and not port 1030",
		"vlan 3",	    "ip6 host ::1",
	};
	const char *with[] = {"with.pcapng", NULL}, *without[] = {"without.pcapng", NULL};

	(void)state;
	make_capture("with.pcapng", true);
	make_capture("without.pcapng", false);
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		struct ft_extract_settings a = ask(with, "a.pcapng");
		struct ft_extract_settings b = ask(without, "b.pcapng");

		a.filter = b.filter = filters[i];
		a.from_ns = b.from_ns = CHUNKED_BASE_NS + 1234;
		a.to_ns = b.to_ns = CHUNKED_BASE_NS + 8765;
		assert_int_equal(ft_extract_run(&a), 0);
		assert_int_equal(ft_extract_run(&b), 0);
		assert_int_equal(system("cmp a.pcapng b.pcapng"), 0);
		unlink("a.pcapng");
		unlink("b.pcapng");
	}
}

static void times_are_from_the_first_one_up_to_before_the_second(void **state)
{
	const char *inputs[] = {"time.pcapng", NULL};
	struct ft_extract_settings settings = ask(inputs, "some.pcapng");

	(void)state;
	make_capture("time.pcapng", true);
	settings.from_ns = CHUNKED_BASE_NS + 3000;
	settings.to_ns = CHUNKED_BASE_NS + 3009;
	assert_int_equal(ft_extract_run(&settings), 0);
	assert_int_equal(count_frames("some.pcapng"), 9);
	assert_int_equal(reported("chunks_read"), 3);
}

static void several_files_are_merged_and_equal_interfaces_are_one(void **state)
{
	const char *inputs[] = {"two.pcapng", "one.pcapng", NULL};
	struct ft_extract_settings settings = ask(inputs, "merged.pcapng");

	(void)state;
	make_capture("one.pcapng", true);
	make_capture("two.pcapng", false);
	assert_int_equal(ft_extract_run(&settings), 0);
	assert_int_equal(count_frames("merged.pcapng"), 2 * SOURCES * CHUNKS * FRAMES);
	assert_int_equal(system("test $(tshark -r merged.pcapng -T fields -e frame.interface_id "
				"2>/dev/null | sort -u | wc -l) -le 1"),
			 0);
}

static void a_folder_stands_for_the_captures_in_it(void **state)
{
	const char *inputs[] = {"folder", NULL};
	struct ft_extract_settings settings = ask(inputs, "folder.pcapng");

	(void)state;
	assert_int_equal(mkdir("folder", 0755), 0);
	make_capture("folder/x_00001.pcapng", true);
	make_capture("folder/x_00002.pcapng.partial", false);
	put_text("folder/session.json", "{}");
	make_capture("folder/x.pcapng.torn", false);
	assert_int_equal(ft_extract_run(&settings), 0);
	assert_int_equal(count_frames("folder.pcapng"), 2 * SOURCES * CHUNKS * FRAMES);
}

static void a_capture_that_is_still_written_is_read_as_far_as_its_chunks_are_whole(void **state)
{
	const char *inputs[] = {"grow.pcapng.partial", NULL};
	struct ft_extract_settings settings = ask(inputs, "grown.pcapng");
	struct stat status;

	(void)state;
	make_capture("grow.pcapng.partial", false);
	assert_int_equal(stat("grow.pcapng.partial", &status), 0);
	/* The last chunk is the statistics; the one before is cut, and space is reserved. */
	assert_int_equal(truncate("grow.pcapng.partial", status.st_size - 8192), 0);
	assert_int_equal(truncate("grow.pcapng.partial", 4 << 20), 0);
	assert_int_equal(ft_extract_run(&settings), 0);
	assert_int_equal(count_frames("grown.pcapng"), (SOURCES * CHUNKS - 1) * FRAMES);
}

static void an_index_of_another_file_is_not_believed(void **state)
{
	const char *inputs[] = {"b.pcapng", NULL};
	struct ft_extract_settings settings = ask(inputs, "right.pcapng");
	struct chunked *c = chunked_begin("stale.pcapng", 9, true);

	(void)state;
	chunked_put_udp(c, CHUNKED_BASE_NS, 80, 77, 1);
	chunked_end(c, 0);
	chunked_finish(c);
	make_capture("b.pcapng", false);
	assert_int_equal(rename("stale.pcapng.idx", "b.pcapng.idx"), 0);
	settings.filter = "udp port 1024";
	assert_int_equal(ft_extract_run(&settings), 0);
	assert_int_equal(reported("chunks_skipped"), 0);
	assert_true(count_frames("right.pcapng") > 0);
}

static void an_index_can_be_made_again(void **state)
{
	const char *inputs[] = {"again.pcapng", NULL};
	struct ft_extract_settings settings = ask(inputs, NULL);

	(void)state;
	make_capture("again.pcapng", false);
	settings.reindex = true;
	settings.report = NULL;
	assert_int_equal(ft_extract_run(&settings), 0);
	settings = ask(inputs, "once.pcapng");
	settings.flow = "10.1.0.1:53,10.0.1.249:1529,udp";
	assert_int_equal(ft_extract_run(&settings), 0);
	assert_int_equal(count_frames("once.pcapng"), 1);
	assert_in_range(reported("chunks_read"), 1, 3);
}

static void others_captures_can_have_an_index(void **state)
{
	static const char *const formats[] = {"pcap", "pcapng"};

	(void)state;
	make_capture("source.pcapng", false);
	for (size_t i = 0; i < 2; i++) {
		char command[200], path[40];
		const char *inputs[] = {path, NULL};
		struct ft_extract_settings settings;

		snprintf(path, sizeof(path), "other.%s", formats[i]);
		snprintf(command, sizeof(command), "editcap -F %s source.pcapng %s 2>/dev/null",
			 i == 0 ? "nsecpcap" : "pcapng", path);
		if (system(command) != 0)
			skip();
		settings = ask(inputs, "plain.pcapng");
		settings.filter = "udp port 1031";
		assert_int_equal(ft_extract_run(&settings), 0);
		settings = ask(inputs, NULL);
		settings.reindex = true;
		settings.report = NULL;
		assert_int_equal(ft_extract_run(&settings), 0);
		settings = ask(inputs, "indexed.pcapng");
		settings.filter = "udp port 1031";
		assert_int_equal(ft_extract_run(&settings), 0);
		assert_true(reported("chunks_read") > 0);
		assert_int_equal(system("cmp plain.pcapng indexed.pcapng"), 0);
		unlink("plain.pcapng");
		unlink("indexed.pcapng");
	}
}

static void fragments_are_found_by_the_first_ones_ports_alone(void **state)
{
	struct chunked *c = chunked_begin("fragments.pcapng", 9, true);
	const char *inputs[] = {"fragments.pcapng", NULL};
	struct ft_extract_settings settings = ask(inputs, "by-flow.pcapng");
	uint8_t frame[80];

	(void)state;
	chunked_make_frame(frame, sizeof(frame), 3, 0);
	frame[20] = 0x20; /* more fragments */
	chunked_put_frame(c, CHUNKED_BASE_NS, frame, sizeof(frame));
	frame[20] = 0;
	frame[21] = 10; /* the second one: its first bytes are no ports */
	chunked_put_frame(c, CHUNKED_BASE_NS + 1, frame, sizeof(frame));
	chunked_end(c, 0);
	chunked_finish(c);
	settings.flow = "10.0.0.3:1027,10.1.0.1:53,udp";
	assert_int_equal(ft_extract_run(&settings), 0);
	assert_int_equal(count_frames("by-flow.pcapng"), 1);
	settings = ask(inputs, "by-filter.pcapng");
	settings.filter = "udp and port 1027";
	assert_int_equal(ft_extract_run(&settings), 0);
	assert_int_equal(count_frames("by-filter.pcapng"), 1);
}

/* Frames of few addresses, ports and tags in all the forms that a filter looks at. */
static uint32_t draw_frame(uint8_t *frame)
{
	static const uint16_t types[] = {0x0800, 0x0800, 0x86dd, 0x0806, 0x88cc};
	static const uint8_t protocols[] = {6, 17, 132, 1, 58, 44, 0};
	uint16_t type = types[random() % 5];
	uint32_t at = 12;

	for (unsigned i = 0; i < 100; i++)
		frame[i] = (uint8_t)(random() % 4);
	for (unsigned tags = (unsigned)random() % 4; tags > 0; tags--, at += 4) {
		frame[at] = tags % 2 ? 0x81 : 0x88;
		frame[at + 1] = tags % 2 ? 0x00 : 0xa8;
		frame[at + 2] = 0;
	}
	frame[at] = (uint8_t)(type >> 8);
	frame[at + 1] = (uint8_t)type;
	at += 2;
	if (type == 0x0800) {
		frame[at] = (uint8_t[]){0x45, 0x45, 0x45, 0x46, 0x44, 0x65}[random() % 6];
		frame[at + 6] = random() % 3 == 0 ? 0x20 : 0; /* more fragments */
		frame[at + 7] = random() % 3 == 0;	      /* not the first one */
		frame[at + 9] = protocols[random() % 4];
		memcpy(frame + at + 12, "\x0a\0\0", 3);
		memcpy(frame + at + 16, "\x0a\0\0", 3);
	} else if (type == 0x86dd) {
		frame[at] = 0x60;
		frame[at + 6] = protocols[random() % 7];
		memset(frame + at + 8, 0, 15);
		memset(frame + at + 24, 0, 15);
	} else if (type == 0x0806) {
		memcpy(frame + at, "\0\1\x08\0\6\4\0\1", 8);
		memcpy(frame + at + 14, "\x0a\0\0", 3);
		memcpy(frame + at + 24, "\x0a\0\0", 3);
	}
	if (random() % 10 == 0)
		return at + (uint32_t)random() % 40;
	return 60 + (uint32_t)random() % 40;
}

static void draw_filter(char *filter, size_t room)
{
	static const char *const transports[] = {"", "tcp ", "udp ", "sctp "};
	static const char *const sides[] = {"", "src ", "dst "};
	static const char *const networks[] = {"", "ip ", "ip6 "};
	static const char *const alone[] = {"tcp", "udp", "sctp", "ip", "ip6", "icmp", "icmp6"};
	unsigned terms = 1 + (unsigned)random() % 3;
	size_t used = 0;

	for (unsigned i = 0; i < terms; i++) {
		const char *and = i > 0 ? " and " : "", *side = sides[random() % 3];
		unsigned number = (unsigned)random() % 4;

		switch (random() % 5) {
		case 0:
			used += (size_t)snprintf(filter + used, room - used, "%s%s%shost 10.0.0.%u",
						 and, networks[random() % 2], side, number);
			break;
		case 1:
			used += (size_t)snprintf(filter + used, room - used, "%s%s%shost ::%u", and,
						 networks[random() % 2 * 2], side, number);
			break;
		case 2:
			used += (size_t)snprintf(filter + used, room - used, "%s%s%sport %u", and,
						 transports[random() % 4], side,
						 number * 256 + (unsigned)random() % 4);
			break;
		case 3:
			used += (size_t)snprintf(filter + used, room - used, "%svlan %u", and,
						 number);
			break;
		default:
			used += (size_t)snprintf(filter + used, room - used, "%s%s", and,
						 alone[random() % 7]);
			break;
		}
	}
}

static void no_filter_loses_a_frame_by_the_index(void **state)
{
	struct chunked *with = chunked_begin("drawn.pcapng", 9, true);
	struct chunked *without = chunked_begin("drawn2.pcapng", 9, false);
	const char *inputs[] = {"drawn.pcapng", NULL}, *others[] = {"drawn2.pcapng", NULL};
	int64_t skipped = 0, found = 0;

	(void)state;
	srandom(815);
	for (unsigned i = 0; i < 400; i++) {
		for (unsigned j = 0; j < 2; j++) {
			uint8_t frame[100];
			uint32_t bytes = draw_frame(frame);

			chunked_put_frame(with, CHUNKED_BASE_NS + i * 10 + j, frame, bytes);
			chunked_put_frame(without, CHUNKED_BASE_NS + i * 10 + j, frame, bytes);
		}
		chunked_end(with, 0);
		chunked_end(without, 0);
	}
	chunked_finish(with);
	chunked_finish(without);
	for (unsigned i = 0; i < 300; i++) {
		struct ft_extract_settings a = ask(inputs, "with.out");
		struct ft_extract_settings b = ask(others, "without.out");
		struct ft_filter *compiled;
		struct ft_error error;
		char filter[200];

		draw_filter(filter, sizeof(filter));
		/* libpcap finds out that some can never be true, and refuses them. */
		if (ft_filter_compile(filter, 1, &compiled, &error) != 0)
			continue;
		ft_filter_free(compiled);
		a.filter = b.filter = filter;
		assert_int_equal(ft_extract_run(&a), 0);
		skipped += reported("chunks_skipped");
		found += reported("packets");
		assert_int_equal(ft_extract_run(&b), 0);
		if (system("cmp -s with.out without.out") != 0)
			fail_msg("'%s' finds another number of frames by the index", filter);
		unlink("with.out");
		unlink("without.out");
	}
	assert_true(skipped > 1000 && found > 1000);
}

static void what_an_existing_file_holds_is_kept(void **state)
{
	const char *inputs[] = {"keep.pcapng", NULL};
	struct ft_extract_settings settings = ask(inputs, "mine.pcapng");

	(void)state;
	make_capture("keep.pcapng", false);
	put_text("mine.pcapng", "mine");
	assert_int_equal(ft_extract_run(&settings), 0);
	assert_true(holds_text("mine.pcapng.1", "mine"));
}

static void a_bad_filter_or_flow_leaves_no_file(void **state)
{
	const char *inputs[] = {"bad.pcapng", NULL};
	struct ft_extract_settings settings = ask(inputs, "none.pcapng");

	(void)state;
	make_capture("bad.pcapng", false);
	settings.filter = "nonsense";
	assert_int_equal(ft_extract_run(&settings), 2);
	settings.filter = NULL;
	settings.flow = "10.0.0.1:1,10.0.0.2,tcp";
	assert_int_equal(ft_extract_run(&settings), 2);
	assert_false(exists("none.pcapng") || exists("none.pcapng.partial"));
}

static void a_flow_is_two_addresses_with_ports_and_a_protocol(void **state)
{
	static const char *const good[] = {
		"192.0.2.1:1,192.0.2.2:2,tcp", "[2001:db8::1]:53,[::1]:4000,udp",
		"192.0.2.1,192.0.2.2,icmp",    "[::1],[::2],58",
		"192.0.2.1:1,192.0.2.2:2,132",
	};
	static const char *const bad[] = {
		"",
		"192.0.2.1:1",
		"192.0.2.1:1,192.0.2.2:2",
		"192.0.2.1:1,192.0.2.2:2,quic",
		"192.0.2.1:1,[::1]:2,tcp",
		"192.0.2.1:70000,192.0.2.2:2,tcp",
		"192.0.2.1:1,192.0.2.2:2,tcp,x",
		"192.0.2.1,192.0.2.2:2,tcp",
		"::1:1,::2:2,tcp",
		"[::1:1,[::2]:2,tcp",
		"192.0.2.1:1,192.0.2.2:2,256",
	};
	struct ft_flow_wanted flow;
	struct ft_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (ft_flow_parse(good[i], &flow, &error) != 0)
			fail_msg("%s", error.text);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (ft_flow_parse(bad[i], &flow, &error) != -EINVAL)
			fail_msg("'%s' is taken for a flow", bad[i]);
}

static void only_plain_conjunctions_give_hints(void **state)
{
	struct ft_filter_hints hints;

	(void)state;
	ft_filter_read_hints("udp and src host 192.0.2.1 && dst port 53 and vlan 7", &hints);
	assert_int_equal(hints.address_count, 1);
	assert_int_equal(hints.port_count, 1);
	assert_int_equal(hints.ports[0], 53);
	assert_int_equal(hints.vlan_count, 1);
	ft_filter_read_hints("tcp port 80", &hints);
	assert_int_equal(hints.port_count, 1);
	ft_filter_read_hints("host 192.0.2.1", &hints); /* ARP has addresses, too */
	assert_int_equal(hints.address_count, 0);
	ft_filter_read_hints("host 2001:db8::1", &hints);
	assert_int_equal(hints.address_count, 1);
	ft_filter_read_hints("udp and port 53 or port 54", &hints);
	assert_int_equal(hints.port_count, 0);
	ft_filter_read_hints("not port 53", &hints);
	assert_int_equal(hints.port_count, 0);
	ft_filter_read_hints("port 53 and (port 54)", &hints);
	assert_int_equal(hints.port_count, 0);
	ft_filter_read_hints("port 53 and", &hints);
	assert_int_equal(hints.port_count, 0);
	ft_filter_read_hints("port 53 and 54", &hints);
	assert_int_equal(hints.port_count, 0);
	ft_filter_read_hints("", &hints);
	assert_int_equal(hints.port_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_several_hot_threads_come_out_in_the_order_of_time),
		cmocka_unit_test(chunks_that_cannot_hold_a_flow_are_not_read),
		cmocka_unit_test(an_extraction_is_the_same_with_and_without_an_index),
		cmocka_unit_test(times_are_from_the_first_one_up_to_before_the_second),
		cmocka_unit_test(several_files_are_merged_and_equal_interfaces_are_one),
		cmocka_unit_test(a_folder_stands_for_the_captures_in_it),
		cmocka_unit_test(
			a_capture_that_is_still_written_is_read_as_far_as_its_chunks_are_whole),
		cmocka_unit_test(an_index_of_another_file_is_not_believed),
		cmocka_unit_test(an_index_can_be_made_again),
		cmocka_unit_test(others_captures_can_have_an_index),
		cmocka_unit_test(fragments_are_found_by_the_first_ones_ports_alone),
		cmocka_unit_test(no_filter_loses_a_frame_by_the_index),
		cmocka_unit_test(what_an_existing_file_holds_is_kept),
		cmocka_unit_test(a_bad_filter_or_flow_leaves_no_file),
		cmocka_unit_test(a_flow_is_two_addresses_with_ports_and_a_protocol),
		cmocka_unit_test(only_plain_conjunctions_give_hints),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
