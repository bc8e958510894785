/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key that signs receipts, made on the device by ssh-keygen(1). It lies in
 * $FIELDTAP_KEY_DIR; else in /var/lib/fieldtap/keys where that is writable or holds a key that can
 * be read; else in $XDG_STATE_HOME/fieldtap, which is ~/.local/state/fieldtap. Beside it,
 * `allowed_signers` may name keys of other devices; only `fieldtap verify` reads that.
 */
#ifndef FT_CTL_DEVICE_KEY_H
#define FT_CTL_DEVICE_KEY_H

#include <stddef.h>

#include "ft/error.h"

#define FT_DEVICE_KEY_FILE "receipt_ed25519"
/* What a signature is for, so that none made for another purpose counts (ssh-keygen(1) -n). */
#define FT_SIGNATURE_NAMESPACE "fieldtap"

/* The path of the key. Makes the key, and the folder, where there is none yet. */
int ft_device_key_prepare(char *path, size_t bytes, struct ft_error *error);

/* The signature of what can be read at `fd`, as text ending with a newline. */
int ft_device_key_sign(const char *key, int fd, char *signature, size_t bytes,
		       struct ft_error *error);

#endif
