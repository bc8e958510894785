/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a port, `device,key=value...`: which a back end takes, and what the user gave. */
#include <net/if.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ft/units.h"
#include "port/port_ops.h"

/* What the engine itself asks of every port that takes keys. */
static const struct ft_port_key common[] = {{"blocks", 1, 65536}, {NULL}};

static const struct ft_port_key *find_in(const struct ft_port_key *keys, const char *name)
{
	for (; keys->name != NULL; keys++)
		if (strcmp(keys->name, name) == 0)
			return keys;
	return NULL;
}

/* "queues, blocks" */
static void list_keys(const struct ft_port *port, char *text, size_t bytes)
{
	int used = 0;

	for (const struct ft_port_key *key = port->ops->keys; key->name != NULL; key++)
		used += snprintf(text + used, bytes - (size_t)used, "%s, ", key->name);
	snprintf(text + used, bytes - (size_t)used, "%s", common[0].name);
}

static const struct ft_port_setting *find_setting(const struct ft_port *port, const char *name)
{
	for (unsigned i = 0; i < port->setting_count; i++)
		if (strcmp(port->settings[i].key->name, name) == 0)
			return &port->settings[i];
	return NULL;
}

static int read_number(const struct ft_port *port, struct ft_port_setting *setting,
		       struct ft_error *error)
{
	const struct ft_port_key *key = setting->key;
	struct ft_error why;

	if (key->max == 0)
		return 0;
	if (ft_parse_number(setting->text, key->min, key->max, &setting->number, &why) == 0)
		return 0;
	return ft_fail(error, -EINVAL, "port '%s': key '%s': %s", port->device, key->name,
		       why.text);
}

/* One `key=value`. */
static int take_key(struct ft_port *port, char *text, struct ft_error *error)
{
	char *value = strchr(text, '=');
	struct ft_port_setting *setting;
	const struct ft_port_key *key;
	char known[160];

	list_keys(port, known, sizeof(known));
	if (value == NULL)
		return ft_fail(error, -EINVAL, "port '%s': '%s' is not key=value; keys: %s",
			       port->device, text, known);
	*value++ = '\0';
	key = find_in(port->ops->keys, text);
	if (key == NULL)
		key = find_in(common, text);
	if (key == NULL)
		return ft_fail(error, -EINVAL, "port '%s': no key '%s'; back end %s takes: %s",
			       port->device, text, port->ops->name, known);
	if (find_setting(port, text) != NULL)
		return ft_fail(error, -EINVAL, "port '%s': key '%s' is given twice", port->device,
			       text);
	setting = &port->settings[port->setting_count++]; /* each key once: there is room */
	*setting = (struct ft_port_setting){.key = key, .text = value};
	return read_number(port, setting, error);
}

int ft_port_parse_keys(struct ft_port *port, const char *text, struct ft_error *error)
{
	char *rest;
	int rc = 0;

	port->text = strdup(text);
	if (port->text == NULL)
		return ft_fail(error, -ENOMEM, "out of memory");
	port->device = port->text;
	rest = port->text;
	if (port->ops->nameless) {
		port->device = port->ops->name;
		if (text[0] == '\0')
			return 0;
	} else if (port->ops->keys == NULL || if_nametoindex(text) != 0) {
		return 0; /* an interface's name may hold a comma */
	} else {
		strsep(&rest, ",");
	}
	while (rc == 0 && rest != NULL)
		rc = take_key(port, strsep(&rest, ","), error);
	return rc;
}

const char *ft_port_key(const struct ft_port *port, const char *name)
{
	const struct ft_port_setting *setting = find_setting(port, name);

	return setting != NULL ? setting->text : NULL;
}

uint64_t ft_port_key_number(const struct ft_port *port, const char *name, uint64_t otherwise)
{
	const struct ft_port_setting *setting = find_setting(port, name);

	return setting != NULL ? setting->number : otherwise;
}
