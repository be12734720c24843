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
 * a and b are zero. DATA (32 bytes of header in all), ACK (36), BIND (96),
 * UNBOUND (12), MOVED (40), PING and PONG (16) and BYE (8) are fixed; HELLO and
 * REFUSE carry a protobuf message, and so do the contents of CTL. Unknown kinds
 * and flags are refused: features are negotiated. DATA after the prefix:
 *
 *   8 u32 handle  12 u16 round  14 u8 annex  15 u8 kind  16 u64 seq, not 0
 *  24 u32 total   28 u32 offset
 *  with flag 0x80, which all but plain sends have:
 *  32 u64 call    40 u64[2] reply_to  56 u64[2] target
 *  72 u32 remaining_ms  76 u16 status  78 u16 zero
 *  then the fragment, to the end of the frame
 *
 * A VOID has a handle, a round and a seq; all else in it is zero, whatever the
 * machine left there. The pi of a message is not in DATA but in the BIND of
 * its flow: whoever reads the frame adds it. MORE is set exactly when the
 * fragment does not end its message; an empty fragment is a whole message.
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

struct wire_arena; /* scratch of a decoder, about 300 KiB */

/** @return NULL at the cap of `mem`. Ownership: gives; wire_arena_free(). */
struct wire_arena *wire_arena_new(struct mem *mem);
void wire_arena_free(struct wire_arena *a);

/** Bytes that wire_encode() will write, WIRE_FRAME_MAX at most. */
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
 * @param f      points into `data` and into `a` until the next call with `a`;
 *               without meaning unless WIRE_FRAME
 * @param used   bytes consumed; set only when WIRE_FRAME
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

/**
 * Reads the contents of a CTL frame. What it lets through has its counts within
 * the limits of the machines, its enumerations in their range, its names by
 * ui_name_ok(), and static groups under their own names; whether it makes sense
 * (versions, incarnations) is for the machines.
 *
 * @return false for anything else; `c` then has no meaning. It points into `a`
 *         until the next call with `a`.
 */
MUST_USE bool wire_decode_ctl(struct wire_arena *a, const uint8_t *data,
                              size_t size, struct wire_ctl *c);

#endif
