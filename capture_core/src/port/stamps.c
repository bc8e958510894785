/* SPDX-License-Identifier: Apache-2.0 */
#include "port/stamps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "port/ethtool.h"
#include "port/phc.h"

#define RECEIVES (SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE)

int ft_stamps_find(const char *device, const struct ft_port_options *options,
		   struct ft_stamping *stamping, struct ft_error *error)
{
	uint32_t capabilities = 0;

	*stamping = (struct ft_stamping){.phc_index = -1};
	snprintf(stamping->device, sizeof(stamping->device), "%s", device);
	ft_ethtool_stamping(device, &capabilities, &stamping->rx_filters, &stamping->phc_index);
	stamping->capable = (capabilities & RECEIVES) == RECEIVES &&
			    (stamping->rx_filters & 1u << HWTSTAMP_FILTER_ALL) != 0 &&
			    stamping->phc_index >= 0;
	if (options->stamps != FT_STAMPS_ADAPTER)
		return 0;
	if (options->directions == FT_DIRECTION_OUT)
		return ft_fail(error, -EINVAL,
			       "port '%s': -t adapter: frames that are sent are stamped by the "
			       "host; use -t host",
			       device);
	if (!stamping->capable)
		return ft_fail(error, -EINVAL,
			       "port '%s': -t adapter: its driver cannot stamp every received "
			       "frame%s; use -t host",
			       device,
			       stamping->phc_index < 0 ? " (it has no clock)"
						       : " (no receive filter 'all')");
	return 0;
}

/* Judge the adapter's clock, and say it in `clock`. 1, 0 when it shows no time of day, or -errno.
 */
static int judge_clock(struct ft_stamping *stamping)
{
	int tai_utc_s = ft_clock_tai_utc_s();
	int64_t ahead_ns;
	int rc = ft_phc_compare(stamping->phc_index, &ahead_ns);
	enum ft_phc_scale scale = rc == 0 ? ft_phc_judge(ahead_ns, tai_utc_s) : FT_PHC_FREE;

	stamping->ahead_ns = 0;
	if (rc != 0) {
		snprintf(stamping->clock, sizeof(stamping->clock),
			 "phc %d, cannot be compared with the system clock: %s",
			 stamping->phc_index, strerror(-rc));
		return rc;
	}
	if (scale == FT_PHC_TAI) {
		stamping->ahead_ns = (uint64_t)tai_utc_s * FT_NS_PER_SECOND;
		ahead_ns -= (int64_t)stamping->ahead_ns;
		snprintf(stamping->clock, sizeof(stamping->clock),
			 "phc %d, TAI-UTC %d s applied, %" PRId64 " ns from the system clock",
			 stamping->phc_index, tai_utc_s, ahead_ns);
	} else {
		snprintf(stamping->clock, sizeof(stamping->clock),
			 "phc %d, %s, %" PRId64 " ns from the system clock", stamping->phc_index,
			 scale == FT_PHC_UTC ? "UTC" : "runs free, nothing applied", ahead_ns);
	}
	return scale != FT_PHC_FREE;
}

/* Have every received frame stamped; what is sent stays as it was found. */
static int switch_on(const struct ft_stamping *stamping)
{
	struct hwtstamp_config config, found;
	int rc;

	if (ft_ethtool_get_stamped(stamping->device, &found) == 0 &&
	    found.rx_filter == HWTSTAMP_FILTER_ALL)
		return 0;
	config = found;
	config.flags = 0;
	config.rx_filter = HWTSTAMP_FILTER_ALL;
	rc = ft_ethtool_set_stamped(stamping->device, &config);
	if (rc != 0 || config.rx_filter == HWTSTAMP_FILTER_ALL)
		return rc;
	/* The driver says that it stamps less. */
	ft_ethtool_set_stamped(stamping->device, &found);
	return -ERANGE;
}

static void keep_host(struct ft_stamping *stamping, const char *why)
{
	char host[64];

	ft_system_clock_describe(host, sizeof(host));
	snprintf(stamping->clock, sizeof(stamping->clock), "%s; not the adapter's: %s", host, why);
}

int ft_stamps_start(const struct ft_port_options *options, struct ft_stamping *stamping,
		    struct ft_error *error)
{
	bool must = options->stamps == FT_STAMPS_ADAPTER;
	char clock[sizeof(stamping->clock)];
	int rc;

	ft_system_clock_describe(stamping->clock, sizeof(stamping->clock));
	if (!stamping->capable || options->directions == FT_DIRECTION_OUT ||
	    (options->stamps != FT_STAMPS_BEST && !must))
		return 0;
	rc = judge_clock(stamping);
	if (rc < 0 && must)
		return ft_fail(error, rc,
			       "port '%s': -t adapter: /dev/ptp%d cannot be read, so nobody knows "
			       "whether its stamps are UTC: %s; use -t host",
			       stamping->device, stamping->phc_index, strerror(-rc));
	if (rc <= 0 && !must) {
		memcpy(clock, stamping->clock, sizeof(clock));
		keep_host(stamping, clock);
		return 0;
	}
	rc = switch_on(stamping);
	if (rc != 0 && must)
		return ft_fail(error, rc, "port '%s': -t adapter: cannot be switched on: %s",
			       stamping->device, strerror(-rc));
	if (rc != 0) {
		keep_host(stamping, strerror(-rc));
		return 0;
	}
	stamping->adapter = true;
	return 0;
}

void ft_stamps_label(const struct ft_stamping *stamping, bool sent,
		     struct ft_port_interface *interface)
{
	interface->timestamps = stamping->adapter && !sent ? "adapter" : "host";
	if (stamping->adapter && sent)
		ft_system_clock_describe(interface->clock, sizeof(interface->clock));
	else
		memcpy(interface->clock, stamping->clock, sizeof(stamping->clock));
}

void ft_stamps_describe(const struct ft_stamping *stamping, json_t *object)
{
	static const struct {
		unsigned filter;
		const char *name;
	} filters[] = {{HWTSTAMP_FILTER_ALL, "all"},
		       {HWTSTAMP_FILTER_SOME, "some"},
		       {HWTSTAMP_FILTER_PTP_V2_EVENT, "ptpv2-event"},
		       {HWTSTAMP_FILTER_NTP_ALL, "ntp-all"}};
	json_t *names = json_array();

	for (unsigned i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
		if (stamping->rx_filters & 1u << filters[i].filter)
			json_array_append_new(names, json_string(filters[i].name));
	json_object_set_new(object, "stamp_filters", names);
	json_object_set_new(object, "phc",
			    stamping->phc_index >= 0 ? json_integer(stamping->phc_index)
						     : json_null());
	json_object_set_new(object, "clock", json_string(stamping->clock));
}
