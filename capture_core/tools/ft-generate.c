/* SPDX-License-Identifier: Apache-2.0 */
/* ft-generate: its options; the run itself is in src/gen/generate.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ft/clock.h"
#include "ft/extract.h"
#include "ft/generate.h"
#include "ft/options.h"
#include "ft/ranges.h"
#include "ft/rewrite.h"

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

static int set_speed(void *settings, const char *value, struct ft_error *error)
{
	struct ft_generate_settings *s = settings;
	char *end;

	s->speed = strtod(value, &end);
	if (end == value || *end != '\0' || !(s->speed >= FT_GENERATE_MIN_SPEED) ||
	    s->speed > FT_GENERATE_MAX_SPEED)
		return ft_fail(error, -EINVAL, "'%s' is not a number from %g to %g", value,
			       FT_GENERATE_MIN_SPEED, FT_GENERATE_MAX_SPEED);
	return 0;
}

static int set_loops(void *settings, const char *value, struct ft_error *error)
{
	struct ft_generate_settings *s = settings;

	return ft_parse_number(value, 0, UINT32_MAX, &s->loops, error);
}

static int set_packets(void *settings, const char *value, struct ft_error *error)
{
	static struct ft_ranges packets;

	((struct ft_generate_settings *)settings)->packets = &packets;
	return ft_ranges_parse(value, &packets, error);
}

static int set_from(void *settings, const char *value, struct ft_error *error)
{
	return ft_parse_time_ns(value, &((struct ft_generate_settings *)settings)->from_ns, error);
}

static int set_to(void *settings, const char *value, struct ft_error *error)
{
	return ft_parse_time_ns(value, &((struct ft_generate_settings *)settings)->to_ns, error);
}

static int add_rewrite(void *settings, const char *value, struct ft_error *error)
{
	return ft_rewrite_add(&((struct ft_generate_settings *)settings)->rewrite, value, error);
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
	{"Ports", "output", 'o', "PORT", "[live:|afxdp:|afpacket:]INTERFACE, file:NAME.pcap",
	 FIELD(output)},
	{"Ports", "receive", 'r', "PORT", "where the frames should come back: account for them",
	 FIELD(input)},
	{"Ports", "force", 0, "PORT", "send on PORT although the host uses it", FIELD(force)},
	{"Frames", "size", 0, "N|N,N..|imix", "frame sizes with FCS, in turn (64)", set_sizes},
	{"Frames", "rate", 0, "RATE", "max, or N with pps, kpps, bps, Mbps, GbpsL1, % (max)",
	 set_rate},
	{"Frames", "burst", 0, "N", "N frames back to back, the average rate kept (1)", set_burst},
	{"Frames", "streams", 0, "FILE", "streams of frames, as a TOML file says", FIELD(streams)},
	{"Frames", "seed", 0, "N", "what random draws of streams begin with (0)", set_seed},
	{"Frames", "late", 0, "POLICY", "of late frames: catch-up, skip or slide (catch-up)",
	 set_late},
	{"Replay", "replay", 0, "FILE", "send the frames of a capture; -: stdin", FIELD(replay)},
	{"Replay", "speed", 0, "X", "as fast as X times the file's timing (1)", set_speed},
	{"Replay", "loop", 0, "N", "N times; 0: until --count or --duration (1)", set_loops},
	{"Replay", "filter", 'f', "FILTER", "only frames that match, pcap-filter(7)",
	 FIELD(filter)},
	{"Replay", "packets", 0, "A-B,N,..", "only frames with these numbers in the file",
	 set_packets},
	{"Replay", "from", 0, "TIME", "only frames of this time or later", set_from},
	{"Replay", "to", 0, "TIME", "only frames earlier than this", set_to},
	{"Replay", "rewrite", 0, "RULE", "change each frame, see below; again for more rules",
	 add_rewrite},
	{"Stopping", "count", 0, "N", "after N frames have left the port", set_count},
	{"Stopping", "duration", 0, "S", "after so many seconds (10)", set_duration},
	{"Output", "tap", 0, "FILE", "also write each frame sent to NAME.pcap[ng]", FIELD(tap)},
	{"Output", "report", 0, "FILE", "write the result as JSON when the run ends",
	 FIELD(report)},
	{"Running", "name", 0, "NAME", "how clients find this run (ft-generate-PID)", FIELD(name)},
	{"Running", "quiet", 'q', NULL, "no summary on stderr", FIELD(quiet)},
};

static const struct ft_program program = {
	.name = "ft-generate",
	.summary = "send numbered frames or a capture, account for what comes back",
	.synopsis = "-o PORT [-r PORT] [option...]",
	.notes = "A PORT is an Ethernet interface. Named alone, the first of these that delivers\n"
		 "is what sends:\n"
		 "  live:      the kernel makes the frames: one --size at --rate max, no replay\n"
		 "  afxdp:     past all queues, without a copy where the driver can; frames up to\n"
		 "             4096 bytes\n"
		 "  afpacket:  any port; past a queueing discipline that spreads frames by flow\n"
		 "file: is a dry run, stamped with the schedule. A capture of PORT itself sees\n"
		 "the frames of afpacket only, which is chosen while one runs; --tap records\n"
		 "those of any, and sending waits for it. Where frames might vanish without a\n"
		 "word, 32 that no run counts go first, and the counters of PORT and of -r must\n"
		 "confirm them.\n"
		 "\n"
		 "A PORT that has the default route or an address, or belongs to a bridge, bond\n"
		 "or team, is refused unless --force names it: test frames could cut the machine\n"
		 "off, or flood a network.\n"
		 "\n"
		 "Frames go from 198.18.0.1 to 198.19.0.1, UDP port 7, with a number and the time\n"
		 "at their end, unless --streams says otherwise (docs/streams.md). bps is layer 2\n"
		 "with FCS, bpsL1 adds 20 bytes a frame, % is of layer 1 at link speed.\n"
		 "\n"
		 "A run ends after 10 seconds, or when its streams have had their counts or its\n"
		 "capture was sent, unless --count or --duration says otherwise; without\n"
		 "--duration after 24 hours at the latest. SIGINT and SIGTERM end it cleanly.\n"
		 "\n"
		 "The frames sent are those that the port's own counter confirms. The result is\n"
		 "not valid where they are fewer than asked for, came too slowly or were left out\n"
		 "by --late skip, or where this machine dropped some on receiving. Those more\n"
		 "than 100 us late are counted (tx.late).\n"
		 "\n"
		 "A replay keeps the file's timing, --speed times as fast, or goes by --rate. A\n"
		 "pass takes from the first to the last frame and the mean gap between two. All\n"
		 "of --packets, --from, --to and -f must hold; numbers count all frames of the\n"
		 "file. A file that fits half of the free memory is loaded, and refused for a\n"
		 "frame that PORT cannot send. Others, and pipes, are read ahead while they are\n"
		 "sent: a frame that is due before it was read is an underrun, and is caught up\n"
		 "with. Replayed frames carry no numbers, so what only numbers tell is null in\n"
		 "the report.\n"
		 "\n"
		 "A RULE is one of tcprewrite's options, without its dashes:\n" FT_REWRITE_HELP
		 "Tags and MPLS labels are looked through; in an Ethernet pseudowire the frame\n"
		 "that is carried is meant. 802.3 frames with a length (spanning tree) stay as\n"
		 "they are.\n"
		 "\n"
		 "A client changes the rate of a run by the method rate of its control socket:\n"
		 "{\"rate\": \"500Mbps\"}, {\"speed\": 2.0} or {\"paused\": true}.\n"
		 "\n"
		 "Exit codes: 0 done; 1 failed while running; 2 bad option, port or frame, before\n"
		 "anything was sent; 130 interrupted before anything ran.\n",
	.examples = "  ft-generate -o eth0 -r eth1 --size 64 --count 1000000 --report loss.json\n"
		    "      a million smallest frames, and what became of them\n"
		    "  ft-generate -o eth0 --size imix --rate 500Mbps --duration 60\n"
		    "      mixed sizes at half a gigabit for a minute\n"
		    "  ft-generate -o eth0 --streams voice.toml --seed 7\n"
		    "      the streams of a file\n"
		    "  ft-generate -o eth0 --replay site.pcapng\n"
		    "      a recorded hour once more, with its timing\n"
		    "  ft-generate -o eth0 --replay site.pcapng --rate 40% --loop 0 --duration "
		    "3600 \\\n"
		    "      --rewrite enet-dmac=02:00:00:00:00:01 \\\n"
		    "      --rewrite pnat=10.0.0.0/8:198.18.0.0/16\n"
		    "      the same frames for an hour, to another device\n",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
};

static int check_replay(const struct ft_generate_settings *settings, struct ft_error *error)
{
	bool chooses = settings->packets != NULL || settings->from_ns != 0 ||
		       settings->to_ns != UINT64_MAX;

	if (settings->replay == NULL && settings->filter != NULL)
		return ft_fail(error, -EINVAL, "-f: there is no --replay FILE to filter");
	if (settings->replay == NULL &&
	    (chooses || settings->speed != 0 || settings->loops != 1 || settings->rewrite != NULL))
		return ft_fail(error, -EINVAL,
			       "--speed, --loop, --packets, --from, --to, --rewrite: there is no "
			       "--replay FILE");
	if (settings->speed != 0 && settings->rate_given)
		return ft_fail(error, -EINVAL, "--speed and --rate: give one of them");
	if (settings->from_ns >= settings->to_ns)
		return ft_fail(error, -EINVAL, "--to: must be later than --from");
	return ft_rewrite_check(settings->rewrite, error);
}

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
	return check_replay(settings, error);
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
	struct ft_generate_settings settings = {
		.rate = {.unit = FT_RATE_MAX}, .loops = 1, .to_ns = UINT64_MAX};
	struct ft_error error;
	int rc = parse(argc, argv, &settings, &error);

	if (rc == FT_PARSED_DONE)
		return 0;
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", program.name, error.text);
		return ft_exit_code(rc);
	}
	rc = ft_generate_run(&settings);
	ft_rewrite_free(settings.rewrite);
	return rc;
}
