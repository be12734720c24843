#ifndef PROTO_IMAGE_H
#define PROTO_IMAGE_H

#include "nucleus/base/cursor.h"
#include "nucleus/base/image.h"
#include "sites/core/migration.h"

/* What travels between the control ports of two sites as the body of a
 * MSG_MIGRATE: a frame of the migration and, behind a PREPARE, a part of the
 * content. Little-endian, WIRE_MIGRATE_BYTES of frame:
 *
 *   0 u8 WIRE_MIGRATE_VERSION   1 u8 kind   2 u16 err
 *   4 u16 part   6 u16 parts: of the content; 0 and 1 but in PREPARE
 *   8 u64 xid.site   16 u64 xid.number   24 u32 xid.incarnation
 *  28 u32 from_incarnation   32 u32 to_incarnation   36 u32 zero
 *  40 u64 settled
 *
 * The content, whole: u32 count of ports, u8 flags, u8 length of the name of
 * the actor that is to own them, u16 zero, the name; for each port u64[2] UI,
 * u64 epoch; then the items, to the end:
 *
 *   u8 kind, u8[3] zero, u32 bytes of the fields, u32 bytes of the data, fields
 *   of that kind (the table in image.c), data of its message or its own
 *
 * Decoders take nothing on trust; who is allowed what is for the machines. */

enum {
    WIRE_MIGRATE_VERSION = 1,
    WIRE_MIGRATE_BYTES = 48,
    WIRE_ITEM_BYTES = 12,        /* before the fields */
    WIRE_ITEM_FIELDS_MAX = 512,  /* bytes of the fields of an item */
    WIRE_PART_BYTES = 256 << 10, /* of content behind one frame, at most */
    WIRE_PARTS_MAX = 4096,
};

enum wire_content_flag {
    WIRE_CONTENT_ACTOR = 1 << 0, /* a whole actor: its item is the first */
};

struct wire_migrate {
    struct mig_frame frame;
    uint16_t part, parts;
    const uint8_t *bytes; /* of the part; decoded: borrowed */
    uint32_t size;
};

struct wire_content {
    uint32_t count; /* of ports */
    uint8_t flags;
    char actor[MOTET_NAME_MAX + 1];
};

/** Writes WIRE_MIGRATE_BYTES, without the part. */
void wire_encode_migrate(const struct wire_migrate *m, struct writer *w);

/** @return false for what is no such frame */
MUST_USE bool wire_decode_migrate(const uint8_t *data, size_t size,
                                  struct wire_migrate *m);

void wire_encode_content(const struct wire_content *c, struct writer *w);
MUST_USE bool wire_decode_content(struct reader *r, struct wire_content *c);

void wire_encode_port(const struct mig_port *p, struct writer *w);
struct mig_port wire_decode_port(struct reader *r);

/** Writes an item without its data; *data is that, and follows it. */
void wire_encode_item(const struct image_item *it, struct writer *w,
                      const struct buf **data);

/**
 * Reads an item; its data are `size` bytes at *data, borrowed, for the caller
 * to put where the kind has them.
 *
 * @return false for what is no item: enumerations out of their range, names
 *         that are none, data where the kind has none
 */
MUST_USE bool wire_decode_item(struct reader *r, struct image_item *it,
                               const uint8_t **data, uint32_t *size);

#endif
