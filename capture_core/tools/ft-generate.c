/* SPDX-License-Identifier: Apache-2.0 */
/* ft-generate: its options; the run itself is in src/gen/generate.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ft/clock.h"
#include "ft/generate.h"
#include "ft/options.h"

#define DEFAULT_SIZE	64u
#define MAX_DURATION_NS (30 * 86400 * FT_NS_PER_SECOND)

static int add_size(struct ft_generate_settings *settings, const char *text, struct ft_error *error)
{
	uint64_t bytes;
	int rc;

	if (settings->size_count == FT_GENERATE_MAX_SIZES)
		return ft_fail(error, -EINVAL, "--size: at most %u sizes", FT_GENERATE_MAX_SIZES);
	rc = ft_parse_number(text, FT_GENERATE_MIN_SIZE, FT_GENERATE_MAX_SIZE, &bytes, error);
	if (rc == 0)
		settings->sizes[settings->size_count++] = (uint32_t)bytes;
	return rc;
}

static int set_sizes(void *settings, const char *value, struct ft_error *error)
{
	struct ft_generate_settings *s = settings;
	char list[512], *rest = list, *text;
	int rc = 0;

	s->size_count = 0;
	if (strcmp(value, "imix") == 0) {
		s->size_count = FT_GENERATE_IMIX_FRAMES;
		memcpy(s->sizes, ft_generate_imix, sizeof(ft_generate_imix));
		return 0;
	}
	if (snprintf(list, sizeof(list), "%s", value) >= (int)sizeof(list))
		return ft_fail(error, -EINVAL, "--size: at most %u sizes", FT_GENERATE_MAX_SIZES);
	while (rc == 0 && (text = strsep(&rest, ",")) != NULL)
		rc = add_size(s, text, error);
	return rc;
}

static int set_rate(void *settings, const char *value, struct ft_error *error)
{
	struct ft_generate_settings *s = settings;

	s->rate_given = true;
	return ft_parse_rate(value, &s->rate, error);
}

static int set_count(void *settings, const char *value, struct ft_error *error)
{
	struct ft_generate_settings *s = settings;

	return ft_parse_number(value, 1, INT64_MAX, &s->count, error);
}

static int set_duration(void *settings, const char *value, struct ft_error *error)
{
	struct ft_generate_settings *s = settings;
	int rc = ft_parse_duration_ns(value, &s->duration_ns, error);

	if (rc == 0 && s->duration_ns > MAX_DURATION_NS)
		return ft_fail(error, -EINVAL, "--duration %s: at most 30 days (2592000)", value);
	return rc;
}

static int set_seed(void *settings, const char *value, struct ft_error *error)
{
	struct ft_generate_settings *s = settings;

	s->seed_given = true;
	return ft_parse_number(value, 0, INT64_MAX, &s->seed, error);
}

static int set_burst(void *settings, const char *value, struct ft_error *error)
{
	struct ft_generate_settings *s = settings;

	return ft_parse_number(value, 1, FT_GENERATE_MAX_BURST, &s->burst, error);
}

static int set_late(void *settings, const char *value, struct ft_error *error)
{
	struct ft_generate_settings *s = settings;

	s->late_given = true;
	return ft_parse_late(value, &s->late, error);
}

/* An option that only fills a field. */
#define FIELD(name) NULL, offsetof(struct ft_generate_settings, name)

static const struct ft_option options[] = {
	{"Ports", "output", 'o', "PORT",
	 "send here: [live:|afxdp:|afpacket:]INTERFACE; or write file:NAME.pcapng or .pcap",
	 FIELD(output)},
	{"Ports", "receive", 'r', "PORT", "where the frames should come back: count losses",
	 FIELD(input)},
	{"Ports", "force", 0, "PORT", "send on PORT although the host uses it", FIELD(force)},
	{"Frames", "size", 0, "N|N,N..|imix", "frame sizes with FCS, in turn (64)", set_sizes},
	{"Frames", "rate", 0, "RATE",
	 "max, or N with pps, kpps, Mpps, bps, Mbps, GbpsL1, ... or % (max)", set_rate},
	{"Frames", "burst", 0, "N", "N frames back to back, at the same average rate (1)",
	 set_burst},
	{"Frames", "streams", 0, "FILE", "streams of frames, as a TOML file says", FIELD(streams)},
	{"Frames", "seed", 0, "N", "for what FILE draws at random, in place of its own (0)",
	 set_seed},
	{"Frames", "late", 0, "POLICY",
	 "when behind: catch-up, skip frames or let the rest slide (catch-up)", set_late},
	{"Replay", "replay", 0, "FILE", "send the frames of a capture; - is stdin", FIELD(replay)},
	{"Replay", "filter", 'f', "FILTER", "only those that match, pcap-filter(7)", FIELD(filter)},
	{"Stopping", "count", 0, "N", "after N frames have left the port", set_count},
	{"Stopping", "duration", 0, "S", "after so many seconds (10)", set_duration},
	{"Output", "tap", 0, "FILE",
	 "also write each frame handed to the port, .pcapng or .pcap; sending waits for it",
	 FIELD(tap)},
	{"Output", "report", 0, "FILE", "write the result as JSON when the run ends",
	 FIELD(report)},
	{"Running", "name", 0, "NAME", "how clients find this run (ft-generate-PID)", FIELD(name)},
	{"Running", "quiet", 'q', NULL, "no summary on stderr", FIELD(quiet)},
};

static const struct ft_program program = {
	.name = "ft-generate",
	.summary = "send numbered frames or a capture, and account for each that comes back",
	.synopsis = "-o PORT [-r PORT] [option...]",
	.notes =
		"A PORT is an Ethernet interface. Named alone, it is sent to by the first of "
		"these\n"
		"that delivers:\n"
		"  live:      the kernel makes the frames; one --size at --rate max, no replay\n"
		"  afxdp:     past all queues, without a copy where the driver can; frames up to\n"
		"             4096 bytes\n"
		"  afpacket:  every port; past a queueing discipline that spreads frames by flow\n"
		"  file:      a dry run, stamped with the schedule\n"
		"Where frames might vanish without a word, 32 are sent beforehand that no run "
		"counts,\n"
		"and the port's counter, and that of -r, must confirm them. The report says which\n"
		"back end it was, in what mode, and why others were refused. Captures of PORT "
		"itself\n"
		"see only frames of afpacket, which is therefore chosen while one runs; --tap "
		"FILE\n"
		"writes down what any back end hands over, losslessly: sending waits for the "
		"file,\n"
		"and the report says how long (tap.waited_ns).\n\n"
		"Frames go from 198.18.0.1\n"
		"to 198.19.0.1, UDP port 7, and carry a number and the time at their end. bps is\n"
		"layer 2 with FCS, bpsL1 adds 20 bytes a frame, % is of layer 1 at link speed.\n\n"
		"A PORT that carries the default route, has an address or belongs to a bridge,\n"
		"bond or team is refused unless --force names it: test frames could cut the\n"
		"machine off, or flood a network. Every run ends: without --count or --duration\n"
		"after 10 seconds, or with its streams where each has a count (docs/streams.md);\n"
		"a count or a replay without --duration after 24 hours even if unfinished, and\n"
		"then it is not valid. The longest --duration is 30 days.\n\n"
		"A replay keeps the file's timing unless --rate is given, and sends the\n"
		"bytes that were captured. It refuses a file with a frame that PORT cannot send\n"
		"before it sends any. Its frames carry no numbers, so duplicates, reordering and\n"
		"corruption cannot be told and are null in the report.\n\n"
		"Frames count as sent when the port's own counter says so. The result is not "
		"valid\n"
		"where fewer were sent than asked for, or this machine dropped some on receiving.\n"
		"SIGINT and SIGTERM end a run cleanly.\n\n"
		"Exit codes: 0 done; 1 failed while running; 2 bad option, port or frame, before\n"
		"anything was sent; 130 interrupted before anything ran.\n",
	.examples = "  ft-generate -o eth0 -r eth1 --size 64 --count 1000000 --report loss.json\n"
		    "      a million smallest frames, and what became of them\n"
		    "  ft-generate -o eth0 --size imix --rate 500Mbps --duration 60\n"
		    "      mixed sizes at half a gigabit for a minute\n"
		    "  ft-generate -o eth0 --streams voice.toml --seed 7\n"
		    "      the streams of a file\n"
		    "  ft-generate -o eth0 --replay site.pcapng\n"
		    "      a recorded hour once more, with its timing\n",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
};

/* What is wrong with options that are each right. */
static int check(const struct ft_generate_settings *settings, struct ft_error *error)
{
	if (settings->output == NULL)
		return ft_fail(error, -EINVAL, "-o is missing: name a port, see fieldtap ports");
	if (settings->replay != NULL && settings->size_count != 0)
		return ft_fail(error, -EINVAL,
			       "--size and --replay: a replay's frames have sizes of their own");
	if (settings->streams != NULL && settings->size_count != 0)
		return ft_fail(error, -EINVAL, "--size and --streams: the file says the sizes");
	if (settings->streams != NULL && settings->replay != NULL)
		return ft_fail(error, -EINVAL, "--streams and --replay: give one of them");
	if (settings->replay != NULL && settings->burst != 0)
		return ft_fail(error, -EINVAL,
			       "--burst and --replay: a replay's frames have their own times");
	if (settings->streams == NULL && settings->seed_given)
		return ft_fail(error, -EINVAL, "--seed: there is no --streams FILE to draw for");
	if (settings->replay != NULL && settings->late == FT_LATE_SKIP)
		return ft_fail(error, -EINVAL,
			       "--late skip and --replay: a replay's frames are all sent; slide, "
			       "or catch up");
	if (settings->replay == NULL && settings->filter != NULL)
		return ft_fail(error, -EINVAL, "-f: there is no --replay FILE to filter");
	return 0;
}

static int parse(int argc, char **argv, struct ft_generate_settings *settings,
		 struct ft_error *error)
{
	int rc = ft_options_parse(&program, argc, argv, settings, error);

	if (rc == FT_PARSED_RUN)
		rc = check(settings, error);
	if (rc != FT_PARSED_RUN || settings->replay != NULL)
		return rc;
	if (settings->size_count == 0 && settings->streams == NULL)
		settings->sizes[settings->size_count++] = DEFAULT_SIZE;
	return FT_PARSED_RUN;
}

int main(int argc, char **argv)
{
	struct ft_generate_settings settings = {.rate = {.unit = FT_RATE_MAX}};
	struct ft_error error;
	int rc = parse(argc, argv, &settings, &error);

	if (rc == FT_PARSED_DONE)
		return 0;
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", program.name, error.text);
		return ft_exit_code(rc);
	}
	return ft_generate_run(&settings);
}
