/* SPDX-License-Identifier: Apache-2.0 */
/* ft-generate: its options; the run itself is in src/gen/generate.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ft/clock.h"
#include "ft/generate.h"
#include "ft/options.h"
#include "ft/template.h"

#define DEFAULT_SIZE	    64u
#define DEFAULT_DURATION_NS (10 * FT_NS_PER_SECOND)
#define MAX_DURATION_NS	    (30 * 86400 * FT_NS_PER_SECOND)

/* 7:4:1 of 64, 594 and 1518 bytes, spread out (RFC 6985 describes such mixes). */
static const uint32_t imix[] = {64, 594, 64, 594, 64, 64, 594, 64, 594, 64, 64, 1518};

static int add_size(struct ft_generate_settings *settings, const char *text, struct ft_error *error)
{
	uint64_t bytes;
	int rc;

	if (settings->size_count == FT_GENERATE_MAX_SIZES)
		return ft_fail(error, -EINVAL, "--size: at most %u sizes", FT_GENERATE_MAX_SIZES);
	rc = ft_parse_number(text, FT_TEMPLATE_MIN_BYTES + FT_FCS_BYTES,
			     FT_TEMPLATE_MAX_BYTES + FT_FCS_BYTES, &bytes, error);
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
		s->size_count = sizeof(imix) / sizeof(imix[0]);
		memcpy(s->sizes, imix, sizeof(imix));
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

/* An option that only fills a field. */
#define FIELD(name) NULL, offsetof(struct ft_generate_settings, name)

static const struct ft_option options[] = {
	{"Ports", "output", 'o', "PORT", "send here", FIELD(output)},
	{"Ports", "receive", 'r', "PORT", "where the frames should come back: count losses",
	 FIELD(input)},
	{"Ports", "force", 0, "PORT", "send on PORT although the host uses it", FIELD(force)},
	{"Frames", "size", 0, "N|N,N..|imix", "frame sizes with FCS, in turn (64)", set_sizes},
	{"Frames", "rate", 0, "RATE",
	 "max, or N with pps, kpps, Mpps, bps, Mbps, GbpsL1, ... or % (max)", set_rate},
	{"Replay", "replay", 0, "FILE", "send the frames of a capture; - is stdin", FIELD(replay)},
	{"Replay", "filter", 'f', "FILTER", "only those that match, pcap-filter(7)", FIELD(filter)},
	{"Stopping", "count", 0, "N", "after N frames have left the port", set_count},
	{"Stopping", "duration", 0, "S", "after so many seconds (10)", set_duration},
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
		"A PORT is an Ethernet interface, or afpacket:INTERFACE. Frames go from "
		"198.18.0.1\n"
		"to 198.19.0.1, UDP port 7, and carry a number and the time at their end. bps is\n"
		"layer 2 with FCS, bpsL1 adds 20 bytes a frame, % is of layer 1 at link speed.\n\n"
		"A PORT that carries the default route, has an address or belongs to a bridge,\n"
		"bond or team is refused unless --force names it: test frames could cut the\n"
		"machine off, or flood a network. Every run ends: without --count or --duration\n"
		"after 10 seconds, a count or a replay without --duration after 24 hours even if\n"
		"unfinished, and then it is not valid. The longest --duration is 30 days.\n\n"
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
	if (settings->size_count == 0)
		settings->sizes[settings->size_count++] = DEFAULT_SIZE;
	if (settings->count == 0 && settings->duration_ns == 0)
		settings->duration_ns = DEFAULT_DURATION_NS;
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
