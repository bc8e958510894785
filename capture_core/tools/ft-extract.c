/* SPDX-License-Identifier: Apache-2.0 */
/* ft-extract: its options; the work itself is in src/store/extract.c. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "ft/extract.h"
#include "ft/options.h"

static int set_from(void *settings, const char *value, struct ft_error *error)
{
	return ft_parse_time_ns(value, &((struct ft_extract_settings *)settings)->from_ns, error);
}

static int set_to(void *settings, const char *value, struct ft_error *error)
{
	return ft_parse_time_ns(value, &((struct ft_extract_settings *)settings)->to_ns, error);
}

/* An option that only fills a field. */
#define FIELD(name) NULL, offsetof(struct ft_extract_settings, name)

static const struct ft_option options[] = {
	{"Frames", "filter", 'f', "FILTER", "frames that match, pcap-filter(7)", FIELD(filter)},
	{"Frames", "from", 0, "TIME", "frames of this time or later", set_from},
	{"Frames", "to", 0, "TIME", "frames earlier than this", set_to},
	{"Frames", "flow", 0, "A:P,B:P,PROTO", "frames of one flow, in both directions",
	 FIELD(flow)},
	{"Output", "write", 'w', "FILE", "pcapng file; - is stdout", FIELD(output)},
	{"Output", "report", 0, "FILE", "write what was read and found as JSON", FIELD(report)},
	{"Files", "repair", 0, NULL, "mend files that a crash left, in place", FIELD(repair)},
	{"Files", "reindex", 0, NULL, "make the index of each file anew", FIELD(reindex)},
	{"Files", "verify", 0, NULL, "walk each file and report what it holds", FIELD(verify)},
};

static const struct ft_program program = {
	.name = "ft-extract",
	.summary = "take frames out of captures by time, filter or flow, in the order of time",
	.synopsis = "FILE|DIR... -w FILE [option...]",
	.takes_operands = true,
	.notes =
		"A FILE is a pcapng or pcap capture, also in gzip, or - for one on stdin; a DIR "
		"stands\n"
		"for every capture in it, those still being written included, as far as they are.\n"
		"CAPTURE.idx beside a capture lets what cannot match be skipped.\n\n"
		"A TIME is 2026-11-24T10:11:12.5Z, with +02:00 for another zone, or seconds since\n"
		"1970. A flow's PROTO is tcp, udp, sctp, icmp, icmp6 or a number, IPv6 addresses "
		"are in\n"
		"brackets: [2001:db8::1]:53,[2001:db8::2]:4000,udp. VLAN tags are looked through; "
		"of a\n"
		"fragmented datagram only the first fragment has ports and belongs to the flow.\n\n"
		"--repair keeps what it has to take out of CAPTURE as CAPTURE.torn. What a "
		"running\n"
		"capture writes is never touched.\n\n"
		"Exit codes: 0 done; 1 failed, or an input could not be read to its end; 2 bad "
		"option;\n"
		"130 interrupted, and no file was written.\n",
	.examples = "  ft-extract tap.pcapng -w dns.pcapng -f 'udp port 53'\n"
		    "      DNS alone\n"
		    "  ft-extract sessions/monday -w - --from 2026-11-24T10:00 --to "
		    "2026-11-24T10:05 | tshark -r -\n"
		    "      five minutes of a session, whatever its files\n"
		    "  ft-extract ring -w flow.pcapng --flow 192.0.2.1:40000,192.0.2.2:443,tcp\n"
		    "      one connection, both directions\n"
		    "  ft-extract --repair crashed.pcapng.partial\n"
		    "      what a power cut left becomes crashed.pcapng\n",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
};

static int check(const struct ft_extract_settings *settings, struct ft_error *error)
{
	bool works = settings->repair || settings->reindex || settings->verify;

	if (settings->input_count == 0)
		return ft_fail(error, -EINVAL, "no input: name captures, or folders of them");
	if (settings->output == NULL && !works)
		return ft_fail(error, -EINVAL, "-w is missing: name a file, or - for stdout");
	if (settings->output != NULL && settings->verify)
		return ft_fail(error, -EINVAL, "--verify: writes no frames; leave -w out");
	if (settings->output == NULL && (settings->filter != NULL || settings->flow != NULL ||
					 settings->from_ns != 0 || settings->to_ns != UINT64_MAX))
		return ft_fail(error, -EINVAL, "-w is missing: frames were asked for");
	if (settings->from_ns >= settings->to_ns)
		return ft_fail(error, -EINVAL, "--to: must be later than --from");
	if (settings->output != NULL && strcmp(settings->output, "-") == 0 &&
	    settings->report != NULL && strcmp(settings->report, "-") == 0)
		return ft_fail(error, -EINVAL, "-w - and --report -: only one can go to stdout");
	return 0;
}

int main(int argc, char **argv)
{
	struct ft_extract_settings settings = {.to_ns = UINT64_MAX};
	struct ft_error error;
	int operands = argc;
	int rc = ft_options_parse_operands(&program, argc, argv, &settings, &operands, &error);

	settings.inputs = (const char *const *)(argv + operands);
	settings.input_count = (unsigned)(argc - operands);
	if (rc == FT_PARSED_DONE)
		return 0;
	if (rc == FT_PARSED_RUN)
		rc = check(&settings, &error);
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", program.name, error.text);
		return ft_exit_code(rc);
	}
	return ft_extract_run(&settings);
}
