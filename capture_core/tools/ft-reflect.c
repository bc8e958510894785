/* SPDX-License-Identifier: Apache-2.0 */
/* ft-reflect: its options; the run itself is in src/gen/reflect.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ft/clock.h"
#include "ft/options.h"
#include "ft/reflect.h"

#define DEFAULT_PPS	    1e6
#define MIN_PPS		    1.0
#define DEFAULT_DURATION_NS (3600 * FT_NS_PER_SECOND)
#define MAX_DURATION_NS	    (7 * 86400 * FT_NS_PER_SECOND)

static int set_mode(void *settings, const char *value, struct ft_error *error)
{
	struct ft_reflect_settings *s = settings;

	if (strcmp(value, "native") == 0)
		s->mode = FT_REFLECT_NATIVE;
	else if (strcmp(value, "generic") == 0)
		s->mode = FT_REFLECT_GENERIC;
	else
		return ft_fail(error, -EINVAL, "--mode %s: is neither native nor generic", value);
	return 0;
}

static int set_cap(void *settings, const char *value, struct ft_error *error)
{
	struct ft_reflect_settings *s = settings;
	int rc = ft_parse_rate(value, &s->cap, error);

	if (rc == 0 && s->cap.unit != FT_RATE_MAX &&
	    (s->cap.unit != FT_RATE_PPS || s->cap.value < MIN_PPS))
		return ft_fail(error, -EINVAL,
			       "--rate %s: a reflector's cap is max, or at least 1pps, in pps, "
			       "kpps or Mpps",
			       value);
	return rc;
}

static int set_duration(void *settings, const char *value, struct ft_error *error)
{
	struct ft_reflect_settings *s = settings;
	int rc = ft_parse_duration_ns(value, &s->duration_ns, error);

	if (rc == 0 && s->duration_ns > MAX_DURATION_NS)
		return ft_fail(error, -EINVAL,
			       "--duration %s: at most 7 days (604800), so that no reflector is "
			       "forgotten",
			       value);
	return rc;
}

/* An option that only fills a field. */
#define FIELD(name) NULL, offsetof(struct ft_reflect_settings, name)

static const struct ft_option options[] = {
	{"Port", "input", 'i', "PORT", "send its test frames back", FIELD(port)},
	{"Port", "mode", 0, "native|generic",
	 "in the driver, or behind it (native where that is known to work)", set_mode},
	{"Port", "force", 0, "PORT", "use PORT although the host uses it", FIELD(force)},
	{"Limits", "rate", 0, "RATE",
	 "at most so many frames a second: max, or N with pps, kpps, Mpps (1Mpps)", set_cap},
	{"Limits", "duration", 0, "S", "end after so many seconds (3600)", set_duration},
	{"Output", "report", 0, "FILE", "write the counts as JSON when the run ends",
	 FIELD(report)},
	{"Running", "name", 0, "NAME", "how clients find this run (ft-reflect-PID)", FIELD(name)},
	{"Running", "quiet", 'q', NULL, "no summary on stderr", FIELD(quiet)},
};

static const struct ft_program program = {
	.name = "ft-reflect",
	.summary = "send test frames back to where they come from, and nothing else",
	.synopsis = "-i PORT [option...]",
	.notes =
		"Run it at the far end of a link; at the near end, ft-generate -o P -r P sends,\n"
		"counts what comes back and measures the round trip.\n\n"
		"Sent back are UDP datagrams, over IPv4 or IPv6 and behind any VLAN tags, that\n"
		"carry ft-generate's signature, or are addressed to PORT's own MAC and UDP port\n"
		"7 (echo). MAC addresses, IP addresses and UDP ports are exchanged; tags, TTL and\n"
		"checksums stay. The secret in a signature is its sender's, so a reflector goes\n"
		"by its structure: of other UDP datagrams one in 8 million is taken for one.\n\n"
		"Never sent back: from or to a multicast or broadcast address; from a reflector\n"
		"(a signature is marked as it is sent back, an echo comes from port 7);\n"
		"fragments and datagrams whose lengths contradict each other. What is not sent\n"
		"back goes on to the host, untouched; so do frames beyond --rate.\n\n"
		"A PORT that carries the default route, has an address or belongs to a bridge,\n"
		"bond or team is refused unless --force names it. The longest --duration is 7\n"
		"days. Frames that the host receives are counted by cause.\n\n"
		"On a veth port frames go back in generic mode, since native mode returns\n"
		"nothing to a peer without GRO, and nobody tells.\n\n"
		"Exit codes: 0 done; 1 failed while running; 2 bad option or port; 130\n"
		"interrupted before anything ran.\n",
	.examples = "  ft-reflect -i eth2\n"
		    "      for an hour, at most a million frames a second\n"
		    "  ft-reflect -i eth2 --rate max --duration 600 --report far-end.json\n"
		    "      for ten minutes, as fast as the port can\n",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
};

int main(int argc, char **argv)
{
	struct ft_reflect_settings settings = {
		.cap = {.unit = FT_RATE_PPS, .value = DEFAULT_PPS},
		.duration_ns = DEFAULT_DURATION_NS,
	};
	struct ft_error error;
	int rc = ft_options_parse(&program, argc, argv, &settings, &error);

	if (rc == FT_PARSED_DONE)
		return 0;
	if (rc == FT_PARSED_RUN && settings.port == NULL)
		rc = ft_fail(&error, -EINVAL, "-i is missing: name a port, see fieldtap ports");
	if (rc < 0) {
		fprintf(stderr, "%s: %s\n", program.name, error.text);
		return ft_exit_code(rc);
	}
	return ft_reflect_run(&settings);
}
