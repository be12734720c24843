#ifndef WIRE_H
#define WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "netmgr/core/netmgr.h"
#include "nucleus/base/check.h"
#include "nucleus/base/cursor.h"
#include "sites/core/directory.h"
#include "sites/core/member.h"

/* Plain structs to bytes and back. All frames begin with the same 8 bytes,
 * little-endian:
 *
 *   0 u8  kind (enum net_frame_kind)
 *   1 u8  flags          2 u8 a       3 u8 b
 *   4 u32 size of what follows these 8 bytes
 *
 * DATA (32-byte header in all, plus 52 bytes more for all but plain sends; flag
 * bits say which) and ACK (40) are fixed; BIND, UNBOUND, MOVED, PING, PONG are
 * fixed as well; HELLO and REFUSE carry a protobuf message, and so do the
 * contents of CTL. Unknown kinds are refused: features are negotiated.
 *
 * Protobuf is decoded through an arena with a cap of bytes and of allocations,
 * so that no peer can make a site allocate more than WIRE_ARENA_BYTES. */

enum {
    WIRE_PREFIX_BYTES = 8,
    WIRE_FRAME_MAX = 17408,    /* bytes of one frame at most, prefix included */
    WIRE_HELLO_MAX = 1024,     /* of HELLO and REFUSE: all that is read before
                                * a peer is known */
    WIRE_ARENA_BYTES = 262144, /* for one protobuf message */
    WIRE_ARENA_BLOCKS = 4096,
};

struct wire_arena; /* scratch of a decoder */

/** @return NULL at the cap of `mem`. Ownership: gives; wire_arena_free(). */
struct wire_arena *wire_arena_new(struct mem *mem);
void wire_arena_free(struct wire_arena *a);

/** Bytes that wire_encode() will write. */
size_t wire_size(const struct net_frame *f);

/**
 * Writes one frame. A frame made by the machines always has an encoding; what
 * does not fit fails the writer.
 */
void wire_encode(const struct net_frame *f, struct writer *w);

enum wire_result {
    WIRE_FRAME, /* one frame was read */
    WIRE_MORE,  /* the bytes end inside a frame */
    WIRE_BAD,   /* these are no frame: close */
};

/**
 * Reads one frame from the start of `data`.
 *
 * @param known  false before the peer's HELLO: only HELLO and REFUSE, of at
 *               most WIRE_HELLO_MAX bytes, are taken then
 * @param f      points into `data` and into `a` until the next call with `a`
 * @param used   bytes consumed when WIRE_FRAME
 */
MUST_USE enum wire_result wire_decode(struct wire_arena *a, const uint8_t *data,
                                      size_t size, bool known,
                                      struct net_frame *f, size_t *used);

/* Contents of CTL frames: a membership or a directory message. */
enum wire_ctl_kind { WIRE_CTL_MEMBER = 1, WIRE_CTL_DIR };

struct wire_ctl {
    enum wire_ctl_kind kind;
    const struct member_msg *member;
    const struct dir_msg *dir;
};

/** Writes; fails the writer when more than NET_CTL_BYTES_MAX would be needed
 * (the machines keep their messages below it). */
void wire_encode_member(const struct member_msg *m, struct writer *w);
void wire_encode_dir(const struct dir_msg *m, struct writer *w);

/** @return false for anything that is not one well-formed message within the
 * limits of the machines; `c` points into `a` until the next call. */
MUST_USE bool wire_decode_ctl(struct wire_arena *a, const uint8_t *data,
                              size_t size, struct wire_ctl *c);

#endif
