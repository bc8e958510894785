/* SPDX-License-Identifier: Apache-2.0 */
/* ft-capture: its options; the run itself is in src/ctl/capture.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ft/capture.h"
#include "ft/options.h"
#include "ft/units.h"

#define DEFAULT_SNAP_BYTES   262144u
#define DEFAULT_BUFFER_BYTES (64ull << 20)
#define MAX_BUFFER_BYTES     (4ull << 30)
#define MAX_FILES	     ((1u << 24) - 1)

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

/* The amount in "NAME:AMOUNT", or NULL where the value is of another name. */
static const char *amount_of(const char *value, const char *name)
{
	size_t length = strlen(name);

	return strncmp(value, name, length) == 0 && value[length] == ':' ? value + length + 1
									 : NULL;
}

static int parse_kilobytes(const char *text, uint64_t *bytes, struct ft_error *error)
{
	int rc = ft_parse_number(text, 1, INT64_MAX / 1000, bytes, error);

	*bytes *= 1000;
	return rc;
}

static int set_stop(void *settings, const char *value, struct ft_error *error)
{
	struct ft_capture_settings *s = settings;
	const char *amount;

	if ((amount = amount_of(value, "duration")) != NULL)
		return ft_parse_duration_ns(amount, &s->stop_duration_ns, error);
	if ((amount = amount_of(value, "packets")) != NULL)
		return set_count(settings, amount, error);
	if ((amount = amount_of(value, "filesize")) != NULL)
		return parse_kilobytes(amount, &s->stop_bytes, error);
	if ((amount = amount_of(value, "files")) != NULL)
		return ft_parse_number(amount, 1, MAX_FILES, &s->stop_files, error);
	return ft_fail(error, -EINVAL,
		       "-a %s: must be duration:S, filesize:kB, files:N or packets:N", value);
}

static int set_ring(void *settings, const char *value, struct ft_error *error)
{
	struct ft_ring_settings *ring = &((struct ft_capture_settings *)settings)->ring;
	const char *amount;

	ring->on = true;
	if ((amount = amount_of(value, "duration")) != NULL)
		return ft_parse_duration_ns(amount, &ring->file_duration_ns, error);
	if ((amount = amount_of(value, "interval")) != NULL)
		return ft_parse_duration_ns(amount, &ring->interval_ns, error);
	if ((amount = amount_of(value, "filesize")) != NULL)
		return parse_kilobytes(amount, &ring->file_bytes, error);
	if ((amount = amount_of(value, "packets")) != NULL)
		return ft_parse_number(amount, 1, UINT32_MAX, &ring->file_frames, error);
	if ((amount = amount_of(value, "files")) != NULL)
		return ft_parse_number(amount, 1, MAX_FILES, &ring->keep_files, error);
	if ((amount = amount_of(value, "total")) != NULL)
		return ft_parse_size_bytes(amount, &ring->keep_bytes, error);
	if ((amount = amount_of(value, "age")) != NULL)
		return ft_parse_duration_ns(amount, &ring->keep_age_ns, error);
	if ((amount = amount_of(value, "free")) != NULL)
		return ft_parse_size_bytes(amount, &ring->free_bytes, error);
	return ft_fail(error, -EINVAL,
		       "-b %s: must be duration:S, interval:S, filesize:kB, packets:N, files:N, "
		       "total:SIZE, age:S or free:SIZE",
		       value);
}

static int set_format(void *settings, const char *value, struct ft_error *error)
{
	struct ft_capture_settings *s = settings;

	if (strcmp(value, "pcap") != 0 && strcmp(value, "pcapng") != 0)
		return ft_fail(error, -EINVAL, "-F %s: must be pcapng or pcap", value);
	s->pcap = strcmp(value, "pcap") == 0;
	return 0;
}

static int set_stamps(void *settings, const char *value, struct ft_error *error)
{
	struct ft_capture_settings *s = settings;

	if (strcmp(value, "host") == 0)
		s->port_options.stamps = FT_STAMPS_HOST;
	else if (strcmp(value, "adapter") == 0)
		s->port_options.stamps = FT_STAMPS_ADAPTER;
	else if (strcmp(value, "arista") == 0)
		s->port_options.stamps = FT_STAMPS_ARISTA;
	else
		return ft_fail(error, -EINVAL, "-t %s: must be host, adapter or arista", value);
	return 0;
}

/* A list of cores as in taskset(1): "2", "0,2", "2-5". */
static int set_cpus(void *settings, const char *value, struct ft_error *error)
{
	struct ft_capture_settings *s = settings;
	long cores = sysconf(_SC_NPROCESSORS_CONF);
	const char *at = value;

	s->cpu_count = 0;
	do {
		char *end;
		long first = strtol(at, &end, 10), last = first;

		if (end != at && *end == '-') {
			at = end + 1;
			last = strtol(at, &end, 10);
		}
		if (end == at || first < 0 || last < first || last >= cores ||
		    s->cpu_count + (unsigned)(last - first) >= FT_CAPTURE_MAX_CPUS ||
		    (*end != ',' && *end != '\0'))
			return ft_fail(error, -EINVAL,
				       "--cpu %s: must be a list of cores such as 1,3 or 2-5, each "
				       "below %ld",
				       value, cores);
		while (first <= last)
			s->cpus[s->cpu_count++] = (unsigned)first++;
		at = *end == ',' ? end + 1 : end;
	} while (*at != '\0');
	return 0;
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
	{"Ports", "timestamps", 't', "CLOCK",
	 "host, adapter, or arista: as the switch wrote (the adapter's where it can)", set_stamps},
	{"Frames", "filter", 'f', "FILTER", "keep frames that match, pcap-filter(7)",
	 FIELD(filter)},
	{"Frames", "snapshot-length", 's', "BYTES", "keep at most so much of a frame (all)",
	 set_snap},
	{"Output", "write", 'w', "FILE", "pcapng file; - is stdout, null: is nowhere",
	 FIELD(output)},
	{"Output", "format", 'F', "FORMAT", "pcapng or pcap (pcapng)", set_format},
	{"Output", "ring-buffer", 'b', "CONDITION",
	 "next file by filesize:kB, duration:S, interval:S, packets:N; keep files:N, total:SIZE, "
	 "age:S, free:SIZE",
	 set_ring},
	{"Output", "report", 0, "FILE", "write the ledger as JSON when the run ends",
	 FIELD(report)},
	{"Stopping", NULL, 'c', "N", "after N frames are stored", set_count},
	{"Stopping", "autostop", 'a', "CONDITION",
	 "duration:S, filesize:kB, files:N or packets:N; may be given again", set_stop},
	{"Running", "name", 0, "NAME", "how clients find this run (ft-capture-PID)", FIELD(name)},
	{"Running", "cpu", 0, "LIST", "pin capture threads to these cores, 1,3 or 2-5", set_cpus},
	{"Running", "busy", 0, NULL, "spin instead of sleeping when no frame comes", FIELD(busy)},
	{"Running", "prefault", 0, NULL, "touch all buffers at the start", FIELD(prefault)},
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
	if (settings->ring.on &&
	    (strcmp(settings->output, "-") == 0 || strcmp(settings->output, "null:") == 0))
		return ft_fail(error, -EINVAL, "-b: -w %s has no files; name one",
			       settings->output);
	if (settings->ring.interval_ns != 0 && settings->ring.file_duration_ns != 0)
		return ft_fail(error, -EINVAL, "-b duration and -b interval: give one of them");
	if (settings->ring.on && settings->ring.interval_ns == 0 &&
	    settings->ring.file_duration_ns == 0 && settings->ring.file_bytes == 0 &&
	    settings->ring.file_frames == 0)
		return ft_fail(error, -EINVAL,
			       "-b: say when the next file begins: filesize:kB, duration:S, "
			       "interval:S or packets:N");
	if (settings->stop_files != 0 && !settings->ring.on)
		return ft_fail(error, -EINVAL, "-a files: needs -b, which says when a file ends");
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
