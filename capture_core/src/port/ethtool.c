/* SPDX-License-Identifier: Apache-2.0 */
#include "port/ethtool.h"

#include <net/if.h> /* before the kernel's own */

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FEATURES 512u
#define WORDS(count) (((count) + 31u) / 32u)

static int ask(const char *device, unsigned long number, void *request)
{
	struct ifreq ifr = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", device);
	ifr.ifr_data = request;
	rc = ioctl(fd, number, &ifr) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

static int command(const char *device, void *request)
{
	return ask(device, SIOCETHTOOL, request);
}

void ft_ethtool_driver(const char *device, char *name, size_t bytes)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};

	if (command(device, &info) != 0)
		info.driver[0] = '\0';
	snprintf(name, bytes, "%.*s", (int)sizeof(info.driver), info.driver);
}

uint64_t ft_ethtool_speed_bps(const char *device)
{
	struct {
		struct ethtool_link_settings settings;
		uint32_t masks[3 * 127];
	} request = {.settings.cmd = ETHTOOL_GLINKSETTINGS};

	if (command(device, &request) != 0)
		return 0;
	/* The kernel answers first with the mask size that it wants, negated. */
	if (request.settings.link_mode_masks_nwords < 0) {
		int8_t words = (int8_t)-request.settings.link_mode_masks_nwords;

		memset(&request, 0, sizeof(request));
		request.settings.cmd = ETHTOOL_GLINKSETTINGS;
		request.settings.link_mode_masks_nwords = words;
		if (command(device, &request) != 0)
			return 0;
	}
	if (request.settings.speed == (uint32_t)SPEED_UNKNOWN)
		return 0;
	return request.settings.speed * 1000000ull;
}

/* The number of features and the index of one of them; negative errno. */
static int find_feature(const char *device, const char *feature, uint32_t *count)
{
	struct ethtool_gstrings *strings;
	struct {
		struct ethtool_sset_info info;
		uint32_t count;
	} request = {.info.cmd = ETHTOOL_GSSET_INFO, .info.sset_mask = 1ull << ETH_SS_FEATURES};
	int rc = command(device, &request);

	if (rc != 0)
		return rc;
	if (request.info.sset_mask == 0 || request.count > MAX_FEATURES)
		return -EOPNOTSUPP;
	*count = request.count;
	strings = calloc(1, sizeof(*strings) + (size_t)request.count * ETH_GSTRING_LEN);
	if (strings == NULL)
		return -ENOMEM;
	strings->cmd = ETHTOOL_GSTRINGS;
	strings->string_set = ETH_SS_FEATURES;
	strings->len = request.count;
	rc = command(device, strings);
	if (rc == 0)
		rc = -ENOENT;
	for (uint32_t i = 0; rc == -ENOENT && i < request.count; i++) {
		const char *name = (const char *)strings->data + (size_t)i * ETH_GSTRING_LEN;

		if (strncmp(name, feature, ETH_GSTRING_LEN) == 0)
			rc = (int)i;
	}
	free(strings);
	return rc;
}

int ft_ethtool_feature(const char *device, const char *feature)
{
	struct {
		struct ethtool_gfeatures features;
		struct ethtool_get_features_block blocks[WORDS(MAX_FEATURES)];
	} request = {.features.cmd = ETHTOOL_GFEATURES};
	uint32_t count;
	int index = find_feature(device, feature, &count), rc;

	if (index < 0)
		return index == -ENOENT || index == -EOPNOTSUPP ? 0 : index;
	request.features.size = WORDS(count);
	rc = command(device, &request);
	if (rc != 0)
		return rc;
	return (request.blocks[index / 32].active >> (index % 32)) & 1;
}

int ft_ethtool_set_feature(const char *device, const char *feature, bool on)
{
	struct {
		struct ethtool_sfeatures features;
		struct ethtool_set_features_block blocks[WORDS(MAX_FEATURES)];
	} request = {.features.cmd = ETHTOOL_SFEATURES};
	uint32_t count;
	int index = find_feature(device, feature, &count), rc;

	if (index < 0)
		return index;
	request.features.size = WORDS(count);
	request.blocks[index / 32].valid = 1u << (index % 32);
	request.blocks[index / 32].requested = (uint32_t)on << (index % 32);
	rc = command(device, &request);
	if (rc != 0)
		return rc;
	return ft_ethtool_feature(device, feature) == (int)on ? 0 : -EBUSY;
}

void ft_ethtool_stamping(const char *device, uint32_t *capabilities, uint32_t *rx_filters,
			 int *phc_index)
{
	struct ethtool_ts_info info = {.cmd = ETHTOOL_GET_TS_INFO};
	bool known = command(device, &info) == 0;

	*capabilities = known ? info.so_timestamping : 0;
	*rx_filters = known ? info.rx_filters : 0;
	*phc_index = known ? info.phc_index : -1;
}

int ft_ethtool_get_stamped(const char *device, struct hwtstamp_config *config)
{
	*config = (struct hwtstamp_config){0};
	return ask(device, SIOCGHWTSTAMP, config);
}

int ft_ethtool_set_stamped(const char *device, struct hwtstamp_config *config)
{
	return ask(device, SIOCSHWTSTAMP, config);
}

json_t *ft_ethtool_describe(const char *device)
{
	struct ethtool_ringparam ring = {.cmd = ETHTOOL_GRINGPARAM};
	struct ethtool_pauseparam pause = {.cmd = ETHTOOL_GPAUSEPARAM};
	int vlan_filter = ft_ethtool_feature(device, "rx-vlan-filter");
	json_t *object = json_object();
	bool known = command(device, &ring) == 0;

	json_object_set_new(object, "rx_ring", known ? json_integer(ring.rx_pending) : json_null());
	json_object_set_new(object, "rx_ring_max",
			    known ? json_integer(ring.rx_max_pending) : json_null());
	known = command(device, &pause) == 0;
	json_object_set_new(object, "pause_rx",
			    known ? json_boolean(pause.rx_pause != 0) : json_null());
	json_object_set_new(object, "pause_tx",
			    known ? json_boolean(pause.tx_pause != 0) : json_null());
	json_object_set_new(object, "vlan_filter",
			    vlan_filter >= 0 ? json_boolean(vlan_filter) : json_null());
	return object;
}

static json_t *text_or_null(const char *text, size_t bytes)
{
	size_t length = strnlen(text, bytes);

	return length > 0 ? json_stringn(text, length) : json_null();
}

static json_t *permanent_address(const char *device)
{
	struct {
		struct ethtool_perm_addr address;
		uint8_t bytes[32];
	} request = {.address.cmd = ETHTOOL_GPERMADDR, .address.size = sizeof(request.bytes)};
	char text[3 * sizeof(request.bytes)] = "";
	uint8_t any = 0;

	if (command(device, &request) != 0 || request.address.size > sizeof(request.bytes))
		return json_null();
	for (uint32_t i = 0; i < request.address.size; i++) {
		any |= request.bytes[i];
		sprintf(text + 3 * i, "%02x%s", request.bytes[i],
			i + 1 < request.address.size ? ":" : "");
	}
	return any != 0 ? json_string(text) : json_null();
}

json_t *ft_ethtool_identify(const char *device)
{
	struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
	struct ethtool_ts_info stamps = {.cmd = ETHTOOL_GET_TS_INFO};
	uint64_t speed_bps = ft_ethtool_speed_bps(device);
	json_t *object;

	if (command(device, &driver) != 0)
		return json_null();
	if (command(device, &stamps) != 0)
		stamps.phc_index = -1;
	object = json_object();
	json_object_set_new(object, "driver", text_or_null(driver.driver, sizeof(driver.driver)));
	json_object_set_new(object, "driver_version",
			    text_or_null(driver.version, sizeof(driver.version)));
	json_object_set_new(object, "firmware",
			    text_or_null(driver.fw_version, sizeof(driver.fw_version)));
	json_object_set_new(object, "bus", text_or_null(driver.bus_info, sizeof(driver.bus_info)));
	json_object_set_new(object, "permanent_address", permanent_address(device));
	json_object_set_new(object, "speed_bps",
			    speed_bps != 0 ? json_integer((json_int_t)speed_bps) : json_null());
	json_object_set_new(object, "phc_index",
			    stamps.phc_index >= 0 ? json_integer(stamps.phc_index) : json_null());
	return object;
}
