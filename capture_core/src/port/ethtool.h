/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver says of itself and lets one switch, by SIOCETHTOOL (linux/ethtool.h). */
#ifndef FT_PORT_ETHTOOL_H
#define FT_PORT_ETHTOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <linux/net_tstamp.h>

/* "veth", "sfc", ...; an empty string when the driver has no name. */
void ft_ethtool_driver(const char *device, char *name, size_t bytes);

/* Link speed in bits a second, 0 when unknown. */
uint64_t ft_ethtool_speed_bps(const char *device);

/* 1 on, 0 off or absent, negative errno. `feature` as in `ethtool -k` of the kernel: "rx-gro". */
int ft_ethtool_feature(const char *device, const char *feature);

/* 0, or negative errno; -EBUSY when the driver keeps the feature as it was. */
int ft_ethtool_set_feature(const char *device, const char *feature, bool on);

/*
 * How the driver stamps frames: SOF_TIMESTAMPING_ bits, bits of HWTSTAMP_FILTER_ numbers, and the
 * number of its clock, -1 for none.
 */
void ft_ethtool_stamping(const char *device, uint32_t *capabilities, uint32_t *rx_filters,
			 int *phc_index);

/* What it stamps now (Documentation/networking/timestamping.rst); setting says what it then does.
 */
int ft_ethtool_get_stamped(const char *device, struct hwtstamp_config *config);
int ft_ethtool_set_stamped(const char *device, struct hwtstamp_config *config);

/* {rx_ring, rx_ring_max, pause_rx, pause_tx, vlan_filter}; null where the driver does not say. */
json_t *ft_ethtool_describe(const char *device);

/*
 * {driver, driver_version, firmware, bus, permanent_address, speed_bps, phc_index}; null where the
 * driver does not say, and instead of all of it where there is no such interface.
 */
json_t *ft_ethtool_identify(const char *device);

#endif
