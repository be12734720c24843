#ifndef QEMU_LINK_H
#define QEMU_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "nucleus/base/check.h"

/* What the first process of a guest and the runner on the host say to each
 * other, over one virtio-serial port: a stream of frames, little-endian:
 *
 *   0 u32 size of what follows these 12 bytes   4 u32 channel
 *   8 u8 op   9..11 zero
 *
 * The guest begins with HELLO, each time it boots. The host answers with the
 * files that the site needs and START. From then on channels carry the
 * connections of programs: one for each, opened by the host when a program
 * attaches. A side sends at most LINK_WINDOW bytes of a channel that the other
 * has not written on (CREDIT), so one slow program holds up no other. */

enum {
    LINK_HEADER_BYTES = 12,
    LINK_PAYLOAD_MAX = 70000, /* a packet of an attachment has 65,536 */
    LINK_WINDOW = 262144,     /* bytes of a channel under way */
};

enum link_op {
    LINK_HELLO = 1, /* guest: I have booted */
    LINK_FILE,      /* both: u32 mode, u16 length, path, bytes */
    LINK_START,     /* host: lines `key = value` (guest.h) */
    LINK_SIGNAL,    /* host: u32, a signal for the site */
    LINK_READY,     /* guest: the site takes attachments */
    LINK_EXIT,      /* guest: u32 status, as of wait() */
    LINK_OPEN,      /* host: u32 uid, u32 gid of the program */
    LINK_DATA,      /* both: one packet */
    LINK_CREDIT,    /* both: u32, bytes written on */
    LINK_CLOSE,     /* both: no more from here; answered with CLOSE */
    LINK_CLOCK,     /* host: u64, its monotonic clock; the guest answers with
                     * that and u64, its own */
    LINK_WALL,      /* host: u64, what the wall clock of the guest is now */
    LINK_OPS,
};

struct link_frame {
    enum link_op op;
    uint32_t channel;
    const uint8_t *payload;
    size_t size;
};

/** Writes a header. */
void link_header(uint8_t to[LINK_HEADER_BYTES], enum link_op op,
                 uint32_t channel, size_t size);

/**
 * The first frame of some bytes.
 *
 * @return bytes that it takes; 0: not all there; -1: this is no frame
 */
ssize_t link_parse(const uint8_t *bytes, size_t size, struct link_frame *f);

struct link_file {
    uint32_t mode;
    char path[4096];
    const uint8_t *bytes;
    size_t size;
};

/** The payload of a FILE. @return its size, 0: too big */
size_t link_file_pack(const struct link_file *file, uint8_t *to, size_t room);

/** @return false: it is malformed, or the path is not absolute, or climbs */
MUST_USE bool link_file_parse(const struct link_frame *f,
                              struct link_file *file);

/** A number of 4 or 8 bytes at `at` of the payload; 0 when it is not there. */
uint32_t link_u32(const struct link_frame *f, size_t at);
uint64_t link_u64(const struct link_frame *f, size_t at);

/** Two numbers as a payload. */
void link_put_u64s(uint8_t to[16], uint64_t first, uint64_t second);

#endif
