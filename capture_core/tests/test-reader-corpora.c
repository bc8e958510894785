/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captures that nobody here wrote, read by us and by Wireshark. editcap reads a file with the same
 * library as tshark, in a fraction of the time, and writes what it understood as plain pcapng.
 */
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder.h"
#include "ft/reader.h"

static unsigned files, frames;

/* Where we differ from Wireshark on purpose. */
static const struct {
	const char *suffix;
	const char *why;
} exceptions[] = {
	{"tcpreplay/test2.replay_exclude", "microseconds above a second: they overflow there"},
	{"tcpreplay/test2.replay_include", "microseconds above a second: they overflow there"},
	{"tcpreplay/test2.replay_unique_ip", "microseconds above a second: they overflow there"},
};

static bool is_exception(const char *path)
{
	for (unsigned i = 0; i < sizeof(exceptions) / sizeof(exceptions[0]); i++) {
		size_t length = strlen(path), suffix = strlen(exceptions[i].suffix);

		if (length >= suffix && strcmp(path + length - suffix, exceptions[i].suffix) == 0)
			return true;
	}
	return false;
}

/* Wireshark reads dozens of formats; ours are pcap and pcapng, also in gzip. */
static bool is_ours(const char *path)
{
	static const uint8_t magics[][4] = {
		{0xa1, 0xb2, 0xc3, 0xd4}, {0xd4, 0xc3, 0xb2, 0xa1}, {0xa1, 0xb2, 0x3c, 0x4d},
		{0x4d, 0x3c, 0xb2, 0xa1}, {0x0a, 0x0d, 0x0d, 0x0a}, {0x1f, 0x8b, 0x08, 0x00},
		{0x1f, 0x8b, 0x08, 0x08},
	};
	FILE *file = fopen(path, "re");
	uint8_t begin[4] = {0};
	bool found = false;

	if (file == NULL)
		return false;
	if (fread(begin, sizeof(begin), 1, file) == 1)
		for (unsigned i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
			found |= memcmp(begin, magics[i], sizeof(begin)) == 0;
	fclose(file);
	return found;
}

/* Wireshark writes some link types under another number, Ethernet never. */
static bool same(const struct ft_record *ours, const struct ft_record *theirs)
{
	return ours->stamp_ns == theirs->stamp_ns &&
	       (ours->link_type == 1) == (theirs->link_type == 1) &&
	       ours->captured_bytes == theirs->captured_bytes &&
	       ours->length_bytes == theirs->length_bytes &&
	       memcmp(ours->data, theirs->data, ours->captured_bytes) == 0;
}

static void compare(const char *path, const char *rewritten)
{
	struct ft_reader *ours, *theirs;
	struct ft_record our_record, their_record;
	struct ft_error error;
	unsigned count = 0;
	int our_rc, their_rc;

	if (ft_reader_open(path, NULL, &ours, &error) != 0)
		fail_msg("Wireshark reads it, we do not: %s", error.text);
	if (ft_reader_open(rewritten, NULL, &theirs, &error) != 0)
		fail_msg("%s: what Wireshark wrote of it: %s", path, error.text);
	do {
		our_rc = ft_reader_next(ours, &our_record, &error);
		if (our_rc < 0)
			fail_msg("Wireshark reads on: %s", error.text);
		their_rc = ft_reader_next(theirs, &their_record, &error);
		if (our_rc != their_rc)
			fail_msg("%s: we read %u frames, Wireshark %s", path, count,
				 our_rc < their_rc ? "more" : "fewer");
		count += our_rc == 1;
		if (our_rc == 1 && !same(&our_record, &their_record))
			fail_msg("%s: frame %u is another one in Wireshark", path, count);
	} while (our_rc == 1);
	ft_reader_close(ours);
	ft_reader_close(theirs);
	files++;
	frames += count;
}

static int visit(const char *path, const struct stat *status, int type, struct FTW *place)
{
	static const char rewritten[] = "rewritten.pcapng";
	char command[4096];

	(void)status;
	(void)place;
	if (type != FTW_F || is_exception(path) || !is_ours(path))
		return 0;
	/* It reads a file that is cut short up to there, and only says so. */
	snprintf(command, sizeof(command),
		 "said=$(editcap -F pcapng '%s' %s 2>&1) && test -z \"$said\"", path, rewritten);
	if (system(command) == 0)
		compare(path, rewritten);
	unlink(rewritten);
	return 0;
}

static void every_capture_that_wireshark_reads_cleanly_is_the_same_here(void **state)
{
	const char *corpora = getenv("FIELDTAP_CORPORA");

	(void)state;
	if (corpora == NULL)
		corpora = FT_CORPORA;
	if (access(corpora, R_OK) != 0) {
		print_message("no captures in %s; set FIELDTAP_CORPORA\n", corpora);
		skip();
	}
	if (system("command -v editcap >/dev/null") != 0) {
		print_message("editcap is not installed (wireshark-common)\n");
		skip();
	}
	nftw(corpora, visit, 16, FTW_PHYS);
	print_message("%u captures, %u frames compared\n", files, frames);
	assert_true(files > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_capture_that_wireshark_reads_cleanly_is_the_same_here),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
