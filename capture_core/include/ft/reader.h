/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading captures: pcap (both byte orders, microseconds and nanoseconds) and pcapng (both byte
 * orders, several sections and interfaces, enhanced, simple and obsolete packet blocks), from a
 * file, a FIFO or stdin, one frame at a time in bounded memory. Input is untrusted: every length is
 * checked before use (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng).
 */
#ifndef FT_READER_H
#define FT_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "ft/error.h"

/* Longest frame accepted, as in libpcap's MAXIMUM_SNAPLEN for DLT_USB and most other link types. */
#define FT_READER_MAX_FRAME_BYTES (256u * 1024u)

struct ft_reader;

struct ft_record {
	const uint8_t *data;	 /* valid until the next call */
	uint64_t stamp_ns;	 /* UTC; 0 where the file has none (simple packet block) */
	uint32_t captured_bytes; /* bytes at `data` */
	uint32_t length_bytes;	 /* original length */
	uint32_t epb_flags;	 /* 0 where the file has none */
	uint16_t link_type;	 /* LINKTYPE_ of the frame's interface */
	uint32_t interface;	 /* counted over the whole file, sections included */
};

/*
 * How to wait for a FIFO or stdin: `may_read` is asked before each read. It waits for `fd` as it
 * sees fit and returns whether to read; if not, the call under way returns -EAGAIN, and the next
 * one goes on where it was.
 */
struct ft_reader_wait {
	bool (*may_read)(void *context, int fd);
	void *context;
};

/*
 * `path` "-" is stdin. `wait` NULL: reads block. -ENOENT, -EACCES, -EBADMSG (not a capture) with a
 * sentence, -EAGAIN.
 */
int ft_reader_open(const char *path, const struct ft_reader_wait *wait, struct ft_reader **reader,
		   struct ft_error *error);

/*
 * 1 with the next frame, 0 at the end, -EAGAIN as `wait` says, -EBADMSG where the file is damaged
 * or cut short (frames before that point have been delivered; the sentence names the byte offset).
 */
int ft_reader_next(struct ft_reader *reader, struct ft_record *record, struct ft_error *error);

/* Behind the last whole record, or block of any kind: what a file that was cut short is good for.
 */
uint64_t ft_reader_offset(const struct ft_reader *reader);

/*
 * Go on with the record at `offset`, as ft_reader_offset told it: for a file, not packed, whose
 * first record has been read and whose interfaces are all described before it.
 */
int ft_reader_seek(struct ft_reader *reader, uint64_t offset, struct ft_error *error);

/* Begin again with the first frame, packed or not. -ESPIPE where the input cannot be read twice. */
int ft_reader_rewind(struct ft_reader *reader, struct ft_error *error);

/* The input is gzip: offsets count in what it unpacks to. */
bool ft_reader_is_packed(const struct ft_reader *reader);

/* Accepts NULL. */
void ft_reader_close(struct ft_reader *reader);

#endif
