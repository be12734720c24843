#ifndef ARENA_H
#define ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nucleus/base/check.h"
#include "wire.h"

/* The scratch of a decoder: what protobuf-c unpacks, and the plain structs made
 * of it. protobuf-c knows no limits of its own: 20,000 bytes of empty
 * submessages become a megabyte. Here it gets no more than the arena has. */
struct wire_arena {
    struct mem *mem;
    ProtobufCAllocator allocator;
    size_t used_bytes;
    size_t used_blocks;
    struct net_hello hello;
    struct net_refuse refuse;
    struct member_msg member;
    struct dir_msg dir;
    struct record records[DIR_RECORDS_MAX];
    struct dir_digest digest[DIR_DIGEST_MAX];
    alignas(max_align_t) uint8_t bytes[WIRE_ARENA_BYTES];
};

/**
 * Empties the arena and unpacks one message into it.
 *
 * @return NULL for what is no such message, or needs more than the arena has.
 *         Ownership: borrows the arena until the next call; nothing to free.
 */
MUST_USE ProtobufCMessage *arena_unpack(struct wire_arena *a,
                                        const ProtobufCMessageDescriptor *type,
                                        const uint8_t *data, size_t size);

/* ---- What all messages need ---- */

/* Zero is absent. */
#define PB_PUT(msg, field, value) \
    ((msg)->field = (value), (msg)->has_##field = (msg)->field != 0)

/** Packs at the end of `w`, which fails if it has no room. */
void pb_pack(const ProtobufCMessage *msg, struct writer *w);

/** Sets a field of bytes to a borrowed string; "" is absent. */
void pb_put_text(const char *text, protobuf_c_boolean *has,
                 ProtobufCBinaryData *field);

/**
 * Copies text of a peer: printable ASCII, so that it may be shown and logged.
 *
 * @param out  of `size` bytes; ended by NUL, the rest zeroed
 * @return false for other bytes (NUL among them), or `size` of them or more
 */
MUST_USE bool pb_take_text(const ProtobufCBinaryData *text, char *out,
                           size_t size);

/** As pb_take_text(), and a name by ui_name_ok(). */
MUST_USE bool pb_take_name(const ProtobufCBinaryData *text, char *out,
                           size_t size);

/** As pb_take_text(), without blanks; may be empty. */
MUST_USE bool pb_take_address(const ProtobufCBinaryData *text, char *out,
                              size_t size);

#endif
