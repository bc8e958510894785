/* SPDX-License-Identifier: Apache-2.0 */
/* ft-capture: its options; the run itself is in src/ctl/capture.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ft/capture.h"
#include "ft/options.h"
#include "ft/units.h"

#define DEFAULT_SNAP_BYTES   262144u
#define DEFAULT_BUFFER_BYTES (64ull << 20)
#define MAX_BUFFER_BYTES     (4ull << 30)

static int set_port(void *settings, const char *value, struct ft_error *error)
{
	struct ft_capture_settings *s = settings;

	if (s->port_count == FT_CAPTURE_MAX_PORTS)
		return ft_fail(error, -EINVAL, "-i %s: at most %u ports in one run", value,
			       FT_CAPTURE_MAX_PORTS);
	s->ports[s->port_count++] = value;
	return 0;
}

static int set_snap(void *settings, const char *value, struct ft_error *error)
{
	struct ft_capture_settings *s = settings;
	uint64_t bytes;
	int rc = ft_parse_number(value, 0, DEFAULT_SNAP_BYTES, &bytes, error);

	if (rc == 0) /* 0: no limit, as in dumpcap */
		s->port_options.snap_bytes = bytes != 0 ? (uint32_t)bytes : DEFAULT_SNAP_BYTES;
	return rc;
}

static int set_direction(void *settings, const char *value, struct ft_error *error)
{
	struct ft_capture_settings *s = settings;

	if (strcmp(value, "in") == 0)
		s->port_options.directions = FT_DIRECTION_IN;
	else if (strcmp(value, "out") == 0)
		s->port_options.directions = FT_DIRECTION_OUT;
	else if (strcmp(value, "both") == 0)
		s->port_options.directions = FT_DIRECTION_BOTH;
	else
		return ft_fail(error, -EINVAL, "-d %s: must be in, out or both", value);
	return 0;
}

static int set_not_promiscuous(void *settings, const char *value, struct ft_error *error)
{
	(void)value;
	(void)error;
	((struct ft_capture_settings *)settings)->port_options.promiscuous = false;
	return 0;
}

static int set_buffer(void *settings, const char *value, struct ft_error *error)
{
	struct ft_capture_settings *s = settings;
	int rc = ft_parse_size_bytes(value, &s->port_options.buffer_bytes, error);

	if (rc == 0 && s->port_options.buffer_bytes > MAX_BUFFER_BYTES)
		rc = ft_fail(error, -EINVAL, "--buffer %s: at most 4GiB", value);
	return rc;
}

static int set_count(void *settings, const char *value, struct ft_error *error)
{
	struct ft_capture_settings *s = settings;

	return ft_parse_number(value, 1, INT64_MAX, &s->stop_frames, error);
}

static int set_stop(void *settings, const char *value, struct ft_error *error)
{
	struct ft_capture_settings *s = settings;
	const char *amount = strchr(value, ':');
	size_t length = amount != NULL ? (size_t)(amount - value) : 0;
	uint64_t kilobytes;
	int rc;

	if (length == strlen("duration") && strncmp(value, "duration", length) == 0)
		return ft_parse_duration_ns(amount + 1, &s->stop_duration_ns, error);
	if (length == strlen("packets") && strncmp(value, "packets", length) == 0)
		return set_count(settings, amount + 1, error);
	if (length == strlen("filesize") && strncmp(value, "filesize", length) == 0) {
		rc = ft_parse_number(amount + 1, 1, INT64_MAX / 1000, &kilobytes, error);
		if (rc == 0)
			s->stop_bytes = kilobytes * 1000;
		return rc;
	}
	return ft_fail(error, -EINVAL, "-a %s: must be duration:S, filesize:kB or packets:N",
		       value);
}

/* An option that only fills a field. */
#define FIELD(name) NULL, offsetof(struct ft_capture_settings, name)

static const struct ft_option options[] = {
	{"Ports", "interface", 'i', "PORT", "capture here; may be given again for more ports",
	 set_port},
	{"Ports", "direction", 'd', "in|out|both", "frames received, sent or both (both)",
	 set_direction},
	{"Ports", "no-promiscuous-mode", 'p', NULL, "only frames addressed to this machine",
	 set_not_promiscuous},
	{"Ports", "buffer", 0, "SIZE", "kernel ring of each port (64MiB)", set_buffer},
	{"Ports", "allow-coalesced", 0, NULL,
	 "leave GRO and LRO as they are; count frames above the MTU",
	 FIELD(port_options.allow_coalesced)},
	{"Frames", "filter", 'f', "FILTER", "keep frames that match, pcap-filter(7)",
	 FIELD(filter)},
	{"Frames", "snapshot-length", 's', "BYTES", "keep at most so much of a frame (all)",
	 set_snap},
	{"Output", "write", 'w', "FILE", "pcapng file; - is stdout, null: is nowhere",
	 FIELD(output)},
	{"Output", "report", 0, "FILE", "write the ledger as JSON when the run ends",
	 FIELD(report)},
	{"Stopping", NULL, 'c', "N", "after N frames are stored", set_count},
	{"Stopping", "autostop", 'a', "CONDITION",
	 "duration:S, filesize:kB or packets:N; may be given again", set_stop},
	{"Running", "name", 0, "NAME", "how clients find this run (ft-capture-PID)", FIELD(name)},
	{"Running", "strict", 0, NULL, "exit with 3 when frames were lost", FIELD(strict)},
	{"Running", "quiet", 'q', NULL, "no summary on stderr", FIELD(quiet)},
};

static const struct ft_program program = {
	.name = "ft-capture",
	.summary = "record every frame of one or more ports, and account for each",
	.synopsis = "-i PORT [-i PORT...] -w FILE [option...]",
	.notes =
		"A PORT is an interface, or file:PATH for a capture file or FIFO, or - for a "
		"capture\n"
		"on stdin. The file is written as FILE.partial and renamed when it is complete; a\n"
		"FILE that exists is kept as FILE.1. SIGINT and SIGTERM end a run cleanly; where "
		"the\n"
		"reader of a pipe takes nothing, the second one gives it up.\n\n"
		"Exit codes: 0 done; 1 failed while running; 2 bad option, filter or port; 3 "
		"frames\n"
		"were lost (--strict); 130 interrupted before anything ran.\n",
	.examples = "  ft-capture -i eth0 -w link.pcapng\n"
		    "      until Ctrl-C\n"
		    "  ft-capture -i eth0 -i eth1 -w tap.pcapng -a duration:60 --report tap.json\n"
		    "      both sides of a tap for a minute, with the ledger\n"
		    "  ft-capture -i eth0 -w - -f 'udp port 53' | tshark -r -\n"
		    "      DNS, read while it is captured\n",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
};

static int parse(int argc, char **argv, struct ft_capture_settings *settings,
		 struct ft_error *error)
{
	int rc = ft_options_parse(&program, argc, argv, settings, error);

	if (rc != FT_PARSED_RUN)
		return rc;
	if (settings->port_count == 0)
		return ft_fail(error, -EINVAL, "-i is missing: name a port, see fieldtap ports");
	if (settings->output == NULL)
		return ft_fail(error, -EINVAL, "-w is missing: name a file, or null:");
	if (strcmp(settings->output, "-") == 0 && settings->report != NULL &&
	    strcmp(settings->report, "-") == 0)
		return ft_fail(error, -EINVAL, "-w - and --report -: only one can go to stdout");
	return FT_PARSED_RUN;
}

int main(int argc, char **argv)
{
	struct ft_capture_settings settings = {.port_options = {
						       .directions = FT_DIRECTION_BOTH,
						       .snap_bytes = DEFAULT_SNAP_BYTES,
						       .buffer_bytes = DEFAULT_BUFFER_BYTES,
						       .promiscuous = true,
					       }};
	struct ft_error error;
	int rc = parse(argc, argv, &settings, &error);

	if (rc == FT_PARSED_DONE)
		return 0;
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", program.name, error.text);
		return ft_exit_code(rc);
	}
	return ft_capture_run(&settings);
}
